/** What the payment books need of the ledger and of other peers. */
import { LANES_MAX } from '../ledger/limits.ts';
import type { Hash, PublicKey } from '../protocol/ids.ts';
import type { AssetAmount } from '../protocol/payment.ts';
import type { Signed } from '../protocol/signing.ts';
import type { OwnerShare } from '../protocol/transaction.ts';

/** A channel as the ledger's last committed state has it. */
export interface ChannelInfo {
  readonly id: Hash;
  readonly payer: PublicKey;
  readonly payee: PublicKey;
  /** Grains, committed. */
  readonly deposit: bigint;
  /** Grains paid out of it so far. */
  readonly claimed: bigint;
  readonly state: 'open' | 'closing';
  /** How often the deposit has changed. */
  readonly revision: number;
  /** What is announced to leave the deposit, grains: nothing more is served for it. */
  readonly leaving: bigint;
  /** What was paid out lane by lane, grains. */
  readonly lanes: readonly { readonly lane: number; readonly paid: bigint }[];
  /** Keys whose vouchers can be claimed besides the payer's; the one without `until` is the present one. Absent: none. */
  readonly voucherKeys?: readonly { readonly key: PublicKey; readonly until?: number }[];
}

/** Whether the ledger pays a claim on `lane`: a channel has room for `LANES_MAX` lanes in all, those named among them. */
export function hasPlaceForLane(taken: readonly { readonly lane: number }[], lane: number): boolean {
  return taken.length < LANES_MAX || taken.some((one) => one.lane === lane);
}

/** Channels of the ledger. Answers come from committed blocks only. */
export interface ChannelView {
  channel(id: Hash): ChannelInfo | undefined | Promise<ChannelInfo | undefined>;
  /** The channels from `payer` to `payee`, in any order. */
  between(payer: PublicKey, payee: PublicKey): readonly ChannelInfo[] | Promise<readonly ChannelInfo[]>;
}

/** What a claim presents: the voucher and charge of a channel and the amounts that the charge commits to. */
export interface Claim {
  readonly channel: Hash;
  readonly voucher: Signed;
  readonly charge: Signed;
  readonly attribution: readonly AssetAmount[];
}

/** Sends claims to the ledger. */
export interface ClaimLedger {
  /**
   * Sends one claim and resolves with its transaction's id once the ledger has taken it for inclusion.
   * Throws `tx-refused` when the ledger refuses it.
   */
  submitClaim(claim: Claim, options: { readonly signal: AbortSignal }): Promise<Hash>;
  /**
   * Sends several claims in one transaction, at most `CLAIM_BATCH_MAX`, which takes up those that hold and leaves out the
   * others. Like `submitClaim`; throws `tx-refused` when the ledger refuses all of them.
   */
  submitClaims(claims: readonly Claim[], options: { readonly signal: AbortSignal }): Promise<Hash>;
  /** What became of a transaction: its result code (0 is success), or `undefined` while it is unknown. */
  outcome(transaction: Hash): Promise<number | undefined>;
}

/** Asks a payee's peer under `/sahara/payment/1`. */
export interface PaymentPeer {
  ask(payee: PublicKey, body: Uint8Array, options?: { readonly signal?: AbortSignal }): Promise<Uint8Array>;
}

/** Who owns assets, for earnings by person. */
export interface AssetOwners {
  ownersOf(asset: Hash): readonly OwnerShare[] | undefined | Promise<readonly OwnerShare[] | undefined>;
}
