/**
 * Which transaction settled a charge: beside the state and not part of it. A claim is found by its channel, its lane and
 * how many receipts its charge counts, so that a payer, and a light client on its behalf, finds the claim that counts a
 * receipt without reading blocks.
 */
import { concat, equalBytes, prefixEnd, toHex, u32be, u64be } from '../base/bytes.ts';
import { asSaharaError } from '../base/errors.ts';
import type { Store, StoreOperation } from '../base/store.ts';
import type { Hash } from '../protocol/ids.ts';
import { type Charge, charge } from '../protocol/payment.ts';
import { type Action, claimsOf } from '../protocol/transaction.ts';
import type { ExecutedBlock } from './blocks.ts';
import { CLAIMS } from './layout.ts';

/** A receipt's place: the claim that counts it has a charge of at least `count` receipts. */
export interface ClaimSought {
  readonly channel: Hash;
  readonly lane: number;
  /** The receipt's sequence and one. */
  readonly count: number;
}

function laneKey({ channel, lane }: Omit<ClaimSought, 'count'>): Uint8Array {
  return concat(CLAIMS, channel, u32be(lane));
}

/** The charges of the claims that an action carries; those of a batch that cannot be read are left out. */
export function chargesIn(action: Action): readonly Charge[] {
  return claimsOf(action).flatMap((claim) => {
    try {
      return charge.decode(claim.charge.payload);
    } catch (error) {
      if (asSaharaError(error).code === 'malformed') return [];
      throw error;
    }
  });
}

/** Of the claims that an action carries, the charge that counts the receipt with the fewest others. */
export function chargeFor(action: Action, { channel, lane, count }: ClaimSought): Charge | undefined {
  return chargesIn(action)
    .filter((one) => equalBytes(one.channel, channel) && one.lane === lane && one.sequence >= count)
    .sort((a, b) => a.sequence - b.sequence)[0];
}

/**
 * Store operations that note the claims of a block that took effect, of a batch only when all of it did. The first claim
 * of a charge is the one that paid.
 */
export function claimOperations(
  read: (key: Uint8Array) => Uint8Array | undefined,
  { transactions, results }: Pick<ExecutedBlock, 'transactions' | 'results'>,
): readonly StoreOperation[] {
  const noted = new Map<string, StoreOperation>();
  for (const [index, { id, content }] of transactions.entries()) {
    if (content.fault !== undefined || results[index]?.code !== 0) continue;
    for (const { channel, lane, sequence } of chargesIn(content.transaction.action)) {
      const key = concat(laneKey({ channel, lane }), u64be(BigInt(sequence)));
      const name = toHex(key);
      if (noted.has(name) || read(key) !== undefined) continue;
      noted.set(name, { type: 'put', key, value: id });
    }
  }
  return [...noted.values()];
}

/** The transaction of the first claim that counts the receipt; `undefined` while there is none. */
export async function findClaim(store: Store, sought: ClaimSought): Promise<Hash | undefined> {
  const prefix = laneKey(sought);
  const lt = prefixEnd(prefix);
  const gte = concat(prefix, u64be(BigInt(sought.count)));
  for await (const [, id] of store.entries({ gte, ...(lt && { lt }), limit: 1 })) return id;
  return undefined;
}
