/** What a challenge would bring on the ledger as it stands (LEDGER-109, LEDGER-125). */
import type { Ledger, LedgerReads } from '../ledger/ledger.ts';
import type { Hash, PublicKey } from '../protocol/ids.ts';
import { PPM } from '../protocol/limits.ts';

/** Grains throughout. */
export interface ChallengeForecast {
  /** What the ledger has paid on the lane. */
  readonly paid: bigint;
  /** Total of the last charge that was claimed; of a channel that ended it is not known. */
  readonly claimedTotal: bigint | undefined;
  /** Where the lane is frozen already. */
  readonly frozenAt: bigint | undefined;
  /** What the payer got back for it so far. */
  readonly returned: bigint;
  /** What was paid beyond what is proven, and not returned. */
  readonly beyond: bigint;
  /** What of that the payee's own stake gives back. */
  readonly refund: bigint;
  /** What its stake loses in all. */
  readonly taken: bigint;
  /** What whoever brings the evidence gets of it. */
  readonly reward: bigint;
  /** What is left in the deposit, which a lane that is not frozen could still be paid. */
  readonly left: bigint;
}

/** What is asked about: evidence that leaves at most `total` on a lane. */
export interface Accusation {
  readonly channel: Hash;
  readonly lane: number;
  readonly payee: PublicKey;
  readonly total: bigint;
}

/**
 * What it would bring; `undefined` when the ledger has no such lane to freeze any more. Rejects with `state-unproven`
 * where a light ledger has nobody to ask.
 */
export async function forecastOf(
  ledger: Pick<Ledger, 'read' | 'genesis'>,
  accusation: Accusation,
  options: { readonly signal?: AbortSignal } = {},
): Promise<ChallengeForecast | undefined> {
  const { channel: id, lane: number, payee, total } = accusation;
  const slashPpm = BigInt(ledger.genesis.parameters.slashPpm);
  return ledger.read((reads) => {
    const channel = reads.channel(id);
    const ended = channel === undefined ? reads.endedChannel(id) : undefined;
    const known = (channel ?? ended)?.lanes.find(({ lane }) => lane === number);
    if (channel === undefined && known === undefined) return undefined;
    const { paid = 0n, frozen } = known ?? {};
    const returned = frozen?.returned ?? 0n;
    const beyond = most(paid - total - returned, 0n);
    const { own, all } = stakeBehind(reads, payee);
    const refund = least(beyond, own - (own * slashPpm) / WHOLE);
    const penalty = (all * slashPpm) / WHOLE;
    return {
      paid,
      claimedTotal: channel?.lanes.find(({ lane }) => lane === number)?.total,
      frozenAt: frozen?.total,
      returned,
      beyond,
      refund,
      taken: refund + penalty,
      reward: least(own - refund, penalty) / 2n,
      left: channel === undefined ? 0n : channel.deposit - channel.claimed,
    };
  }, options);
}

const WHOLE = BigInt(PPM);

function stakeBehind(
  { stakeOf }: Pick<LedgerReads, 'stakeOf'>,
  payee: PublicKey,
): { readonly own: bigint; readonly all: bigint } {
  let own = 0n;
  let others = 0n;
  for (const bond of stakeOf(payee, 'provider')) {
    own += sum([bond.own, ...bond.leaving.map(({ amount }) => amount)]);
    for (const { amount, leaving } of bond.delegations)
      others += sum([amount, ...leaving.map((one) => one.amount)]);
  }
  return { own, all: own + others };
}

function sum(amounts: readonly bigint[]): bigint {
  return amounts.reduce((all, one) => all + one, 0n);
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function most(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
