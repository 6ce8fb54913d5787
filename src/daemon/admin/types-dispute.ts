/** What the admin API says of disputes with payees. Amounts are decimal texts of grains. */

/** A lane of a channel that this peer pays on where something is not as it should be. */
export interface DisputeRow {
  readonly channel: string;
  readonly lane: number;
  readonly payee: string;
  /** Charges that were claimed and that nothing here explains. */
  readonly unexplained: number;
  /** Present when something is proven: how it stands with the ledger, by what, and since when. */
  readonly state?: 'open' | 'won' | 'frozen' | 'worthless' | 'refused';
  readonly evidence?: string;
  /** The highest total of the lane that can still be true. */
  readonly proven?: string;
  readonly foundAtMs?: number;
  /** What the payee's stake lost by the challenge, and what the payer got back on the lane. */
  readonly taken?: string;
  readonly returned?: string;
  /** Of the block that took the challenge. */
  readonly height?: number;
  /** Why the ledger refused it. */
  readonly reason?: string;
}

/** One lane: what is held, what was claimed, and what a challenge brings. */
export interface ChallengeLane {
  readonly lane: number;
  /** Receipts held without a gap, and what all that were accepted come to. */
  readonly receipts: number;
  readonly charged: string;
  /** Total of the last charge accepted. */
  readonly lastCharge?: string;
  /** What the ledger paid, and the total of the charge that was claimed last. */
  readonly paid: string;
  readonly claimedTotal?: string;
  /** Claimed charges that nothing here explains. */
  readonly claimed: readonly { readonly receipts: number; readonly total: string }[];
  readonly frozenAt?: string;
  readonly returned?: string;
  /** What contradicts what, and the highest total that it leaves possible. */
  readonly evidence?: string;
  readonly proven?: string;
  readonly state?: DisputeRow['state'];
  readonly taken?: string;
  readonly height?: number;
  /** What a challenge would bring as the ledger stands: to the payer, from the stake in all, to whoever sends it. */
  readonly brings?: {
    readonly refund: string;
    readonly stake: string;
    readonly reward: string;
    /** Paid too much and not returned so far. */
    readonly beyond: string;
  };
  /**
   * Why nothing is sent or comes back: all claims `agree`; it was `won` or frozen by somebody; more was claimed than is
   * held and nothing proves it wrong (`no-proof`); the payee has `no-stake`; it is `too-late`; nothing is left to keep
   * (`worth-nothing`); the ledger `refused` it.
   */
  readonly why?:
    | 'agrees'
    | 'won'
    | 'frozen-already'
    | 'no-proof'
    | 'no-stake'
    | 'too-late'
    | 'worth-nothing'
    | 'refused';
}

/** What stands on a channel, and what was done about it. */
export interface ChallengeReport {
  readonly channel: string;
  readonly payee: string;
  readonly ended: boolean;
  /** Nothing was sent. */
  readonly dryRun: boolean;
  readonly lanes: readonly ChallengeLane[];
}
