/**
 * Which transaction settled a charge: beside the state and not part of it. A claim is found by its channel, its lane and
 * how many receipts its charge counts, so that a payer, and a light client on its behalf, finds the claim that counts a
 * receipt without reading blocks.
 */
import { concat, prefixEnd, toHex, u32be, u64be } from '../base/bytes.ts';
import type { Store, StoreOperation } from '../base/store.ts';
import type { Hash } from '../protocol/ids.ts';
import { type Charge, charge } from '../protocol/payment.ts';
import type { Action } from '../protocol/transaction.ts';
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

/** The charge of the claim that an action carries, if it carries one. Throws `malformed`. */
export function chargeIn(action: Action): Charge | undefined {
  if (action.type === 'claim') return charge.decode(action.charge.payload);
  if (action.type === 'close-by-payee') return action.claim && charge.decode(action.claim.charge.payload);
  return undefined;
}

/** Store operations that note the claims of a block that took effect. The first claim of a charge is the one that paid. */
export function claimOperations(
  read: (key: Uint8Array) => Uint8Array | undefined,
  { transactions, results }: Pick<ExecutedBlock, 'transactions' | 'results'>,
): readonly StoreOperation[] {
  const noted = new Map<string, StoreOperation>();
  for (const [index, { id, content }] of transactions.entries()) {
    if (content.fault !== undefined || results[index]?.code !== 0) continue;
    const terms = chargeIn(content.transaction.action);
    if (terms === undefined) continue;
    const { channel, lane, sequence } = terms;
    const key = concat(laneKey({ channel, lane }), u64be(BigInt(sequence)));
    const name = toHex(key);
    if (noted.has(name) || read(key) !== undefined) continue;
    noted.set(name, { type: 'put', key, value: id });
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
