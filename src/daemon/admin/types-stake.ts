/** What the admin API says of stakes, rewards and fees. Amounts are decimal texts of grains, keys are DIDs, hashes hexadecimal. */

/** What transactions and bonds cost on this network. */
export interface FeesReport {
  /** Of every transaction, whatever it does. */
  readonly transaction: string;
  /** Part of it that goes into the reward pool; the rest goes to who makes the block. */
  readonly toRewards: string;
  /** Least bond for a role. */
  readonly bondMin: string;
  /** Blocks between taking a stake back and getting it. */
  readonly unbondBlocks: number;
  /** What an offence costs of a stake beyond the compensation, parts per million. */
  readonly slashPpm: number;
  /** The running epoch, and the height at which the next one begins. */
  readonly epoch: number;
  readonly nextEpochAt: number;
}

/** A part of a stake on its way back. */
export interface LeavingRow {
  readonly amount: string;
  /** Height of the first block in which it can be released. */
  readonly releaseAt: number;
  readonly due: boolean;
}

/** A delegation. */
export interface DelegationRow {
  /** Whose role it stands behind. */
  readonly did: string;
  readonly role: string;
  /** Whose money it is. */
  readonly owner: string;
  readonly amount: string;
  /** First epoch whose rewards it shares in. */
  readonly sinceEpoch: number;
  readonly leaving: readonly LeavingRow[];
}

/** What stands behind one role. */
export interface BondRow {
  readonly role: string;
  readonly own: string;
  readonly delegated: string;
  /** Whether the own part is what the network asks for. */
  readonly stands: boolean;
  /** What the DID keeps of rewards before they are shared, parts per million. */
  readonly commissionPpm: number;
  readonly leaving: readonly LeavingRow[];
  readonly delegations: readonly DelegationRow[];
}

/** Everything that somebody has at stake. */
export interface StakeReport {
  readonly did: string;
  readonly bonds: readonly BondRow[];
  /** What it delegated to others. */
  readonly delegated: readonly DelegationRow[];
}

/** What came of a transaction on stakes. */
export interface StakeReply {
  readonly stake: StakeReport;
  readonly transactions: readonly string[];
  /** What was released, grains. */
  readonly moved: string;
  readonly fees: string;
}

/** A claim that a reward rests on. */
export interface CauseRow {
  readonly channel: string;
  readonly lane: number;
  readonly receiptRoot: string;
  /** How many receipts stand under the root. */
  readonly receipts: number;
  readonly amount: string;
}

/** What was earned in one epoch. */
export interface RewardRow {
  readonly epoch: number;
  readonly state: 'running' | 'due' | 'collected' | 'expired';
  /** What it is, or would be if the epoch ended now. */
  readonly reward: string;
  /** What claims paid. */
  readonly settled: string;
  /** What counts of that, and all that counts in the epoch. */
  readonly weight: string;
  readonly allWeight: string;
  readonly pool: string;
  /** What the fees of these claims put into the pool: the most that the reward can be. */
  readonly contributed: string;
  readonly claims: number;
  /** The first of them. */
  readonly causes: readonly CauseRow[];
  /** Root of the tree over all of them. */
  readonly causesRoot: string;
}

/** What a provider earned besides what callers pay it. */
export interface RewardsReport {
  readonly did: string;
  readonly fees: FeesReport;
  readonly rewards: readonly RewardRow[];
}

/** What was collected. */
export interface RewardsReply {
  readonly rewards: RewardsReport;
  readonly collected: readonly { readonly epoch: number; readonly moved: string }[];
}
