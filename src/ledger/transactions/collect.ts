import type { Hash, PublicKey } from '../../protocol/ids.ts';
import { dueToKeepers, dueToOwners, dueToParents } from '../../protocol/revenue.ts';
import type { RegisterAssetAction } from '../../protocol/transaction.ts';
import { type RevenueRecord, total } from '../records.ts';
import { credit, type State } from '../state.ts';
import { receive } from './claim.ts';
import { done, type Handler, refuse } from './context.ts';

/**
 * Moves what an asset has received on to its parents and owners, and its bounty to the sender. Refusals in order:
 * `asset-unknown`, `amount-out-of-range`. When nothing is due it succeeds and moves nothing.
 */
export const collect: Handler<'collect'> = ({ state, sender }, { asset }) => {
  const moved = collectOne(state, asset, sender);
  return typeof moved === 'bigint' ? done(moved) : refuse(moved);
};

/**
 * Collects assets in the order given, so that what one forwards is collected from the next. The first that is
 * refused, as by `collect`, refuses them all.
 */
export const collectPath: Handler<'collect-path'> = ({ state, sender }, { assets }) => {
  let sum = 0n;
  for (const asset of assets) {
    const moved = collectOne(state, asset, sender);
    if (typeof moved !== 'bigint') return refuse(moved);
    sum += moved;
  }
  return done(sum);
};

function collectOne(
  state: State,
  id: Hash,
  keeper: PublicKey,
): bigint | 'asset-unknown' | 'amount-out-of-range' {
  const asset = state.assets.get(id);
  const revenue = state.revenues.get(id);
  if (asset?.definition.type !== 'register-asset' || revenue === undefined) return 'asset-unknown';
  const { definition } = asset;
  const after = settled(revenue, definition);
  const moved = distributed(after) - distributed(revenue);
  if (moved === 0n) return 0n;
  state.revenues.set(id, after);
  for (const [i, { asset: parent }] of definition.parents.entries()) {
    const due = (after.forwarded[i] ?? 0n) - (revenue.forwarded[i] ?? 0n);
    if (due > 0n && receive(state, parent, due) !== true) return 'amount-out-of-range';
  }
  for (const [i, { owner }] of definition.owners.entries()) {
    credit(state, owner, (after.paid[i] ?? 0n) - (revenue.paid[i] ?? 0n));
  }
  credit(state, keeper, after.bounty - revenue.bounty);
  return moved;
}

function settled(revenue: RevenueRecord, definition: RegisterAssetAction): RevenueRecord {
  const { received } = revenue;
  return {
    received,
    forwarded: dueToParents(received, definition.parents),
    paid: dueToOwners(received, definition),
    bounty: dueToKeepers(received, definition),
  };
}

function distributed({ forwarded, paid, bounty }: RevenueRecord): bigint {
  return total(forwarded) + total(paid) + bounty;
}
