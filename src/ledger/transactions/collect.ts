import type { Hash, PublicKey } from '../../protocol/ids.ts';
import { dueToKeepers, dueToOwners, dueToParents } from '../../protocol/revenue.ts';
import { GRAINS_MAX } from '../../protocol/schema.ts';
import type { RegisterAssetAction } from '../../protocol/transaction.ts';
import { type RevenueRecord, total } from '../records.ts';
import { credit, type State } from '../state.ts';
import { receive } from './claim.ts';
import { done, type Handler, refuse } from './context.ts';

/**
 * Moves what an asset has received on to its parents and owners, and its bounty to the sender. Refusals:
 * `asset-unknown`. When nothing is due it succeeds and moves nothing.
 */
export const collect: Handler<'collect'> = ({ state, sender }, { asset }) => {
  const moved = collectOne(state, asset, sender);
  return moved === undefined ? refuse('asset-unknown') : done(moved);
};

/**
 * Collects assets in the order given, so that what one forwards is collected from the next. The first that is
 * refused, as by `collect`, refuses them all, and so does what they move together when it is more than a result can say:
 * the same money may pass through many of them. Refusals in order: `asset-unknown`, `amount-out-of-range`.
 */
export const collectPath: Handler<'collect-path'> = ({ state, sender }, { assets }) => {
  let sum = 0n;
  for (const asset of assets) {
    const moved = collectOne(state, asset, sender);
    if (moved === undefined) return refuse('asset-unknown');
    sum += moved;
  }
  return sum > GRAINS_MAX ? refuse('amount-out-of-range') : done(sum);
};

/** What collecting an asset moved; `undefined` when it is not registered. What a parent's counter cannot take stays due. */
function collectOne(state: State, id: Hash, keeper: PublicKey): bigint | undefined {
  const asset = state.assets.get(id);
  const revenue = state.revenues.get(id);
  if (asset?.definition.type !== 'register-asset' || revenue === undefined) return undefined;
  const { definition } = asset;
  const due = settled(revenue, definition);
  const forwarded = definition.parents.map(({ asset: parent }, i) => {
    const until = due.forwarded[i] ?? 0n;
    return until - receive(state, parent, until - (revenue.forwarded[i] ?? 0n));
  });
  const after = { ...due, forwarded };
  const moved = distributed(after) - distributed(revenue);
  if (moved === 0n) return 0n;
  state.revenues.set(id, after);
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
