import type { Hash } from '../../protocol/ids.ts';
import type { RegisterAssetAction } from '../../protocol/transaction.ts';
import { type RevenueRecord, total } from '../records.ts';
import { dueToOwners, dueToParents } from '../settle.ts';
import { credit, type State } from '../state.ts';
import { receive } from './claim.ts';
import { done, type Handler, refuse } from './context.ts';

/**
 * Moves what an asset has received on to its parents and owners. Refusals in order: `asset-unknown`,
 * `amount-out-of-range`. When nothing is due it succeeds and moves nothing.
 */
export const collect: Handler<'collect'> = ({ state }, { asset: id }) => {
  const asset = state.assets.get(id);
  const revenue = state.revenues.get(id);
  if (asset?.definition.type !== 'register-asset' || revenue === undefined) return refuse('asset-unknown');
  const moved = distribute(state, id, asset.definition, revenue);
  return moved === undefined ? refuse('amount-out-of-range') : done(moved);
};

function distribute(
  state: State,
  id: Hash,
  { parents, owners }: RegisterAssetAction,
  revenue: RevenueRecord,
): bigint | undefined {
  const forwarded = dueToParents(revenue.received, parents);
  const paid = dueToOwners(revenue.received, parents, owners);
  const moved = total(forwarded) + total(paid) - total(revenue.forwarded) - total(revenue.paid);
  if (moved === 0n) return 0n;
  state.revenues.set(id, { ...revenue, forwarded, paid });
  for (const [i, { asset }] of parents.entries()) {
    const due = (forwarded[i] ?? 0n) - (revenue.forwarded[i] ?? 0n);
    if (due > 0n && receive(state, asset, due) !== true) return undefined;
  }
  for (const [i, { owner }] of owners.entries()) {
    credit(state, owner, (paid[i] ?? 0n) - (revenue.paid[i] ?? 0n));
  }
  return moved;
}
