/** `collect`: what assets have received goes on to their owners and parents, along a whole path if that is wanted. */
import { toHex } from '../../base/bytes.ts';
import type { Asset, Ledger } from '../../ledger/ledger.ts';
import { didOf, type Hash } from '../../protocol/ids.ts';
import { COLLECT_PATH_MAX } from '../../protocol/limits.ts';
import { dueToKeepers, dueToOwners, dueToParents } from '../../protocol/revenue.ts';
import type { CollectRow, CollectShare } from '../admin/asset-types.ts';
import type { AdminHandlers } from '../admin/methods.ts';
import type { Running } from '../compose.ts';
import { findAsset } from './lineage.ts';
import { ownAssets } from './money.ts';

/** Moves on what assets have received. */
export function collectHandlers(running: Running): Pick<AdminHandlers, 'collect'> {
  return {
    async collect({ asset, path = false }, signal) {
      const from =
        asset === undefined ? await ownAssets(running) : [await findAsset(running, asset, { signal })];
      const line = await running.ledger.read((reads) => lineOf(reads, from, path), { signal });
      const rows: CollectRow[] = [];
      for (let at = 0; at < line.length; at += COLLECT_PATH_MAX) {
        rows.push(...(await collectLine(running, line.slice(at, at + COLLECT_PATH_MAX), signal)));
      }
      return rows;
    },
  };
}

type Reads = Pick<Ledger, 'asset'>;

/**
 * Which assets have something due, each before its parents: those of `from`, and with `path` every ancestor that has or
 * will have something by then.
 */
function lineOf(reads: Reads, from: readonly Asset[], path: boolean): readonly Asset[] {
  const coming = new Map<string, bigint>();
  return ordered(reads, from, path).filter((asset) => {
    const received = asset.received + (coming.get(toHex(asset.id)) ?? 0n);
    const dues = dueToParents(received, asset.parents);
    if (path) {
      for (const [i, { asset: parent }] of asset.parents.entries()) {
        const more = (dues[i] ?? 0n) - (asset.forwarded[i] ?? 0n);
        coming.set(toHex(parent), (coming.get(toHex(parent)) ?? 0n) + more);
      }
    }
    const due = total(dues) + total(dueToOwners(received, asset)) + dueToKeepers(received, asset);
    return due > total(asset.forwarded) + total(asset.paid) + asset.bountyPaid;
  });
}

/** The assets, with `path` their ancestors too, each before its parents. */
function ordered(reads: Reads, from: readonly Asset[], path: boolean): readonly Asset[] {
  const seen = new Map<string, Asset>();
  const visit = (asset: Asset): void => {
    if (seen.has(toHex(asset.id))) return;
    seen.set(toHex(asset.id), asset);
    if (!path) return;
    for (const { asset: id } of asset.parents) {
      const parent = reads.asset(id);
      if (parent !== undefined) visit(parent);
    }
  };
  for (const asset of from) visit(asset);
  // A parent is never as deep as its child.
  return [...seen.values()].sort((a, b) => b.depth - a.depth);
}

async function collectLine(
  running: Running,
  line: readonly Asset[],
  signal: AbortSignal,
): Promise<readonly CollectRow[]> {
  const { ledger, wallet } = running;
  const now = (id: Hash): Promise<Asset | undefined> =>
    Promise.resolve(ledger.read((reads) => reads.asset(id), { signal }));
  const before = await Promise.all(line.map(({ id }) => now(id)));
  const [only] = line;
  const one = line.length === 1 && only !== undefined;
  await wallet.send(
    one ? { type: 'collect', asset: only.id } : { type: 'collect-path', assets: line.map(({ id }) => id) },
    { signal },
  );
  const after = await Promise.all(line.map(({ id }) => now(id)));
  const names = await Promise.all(
    line.map(({ parents }) => Promise.all(parents.map(async ({ asset }) => (await now(asset))?.name ?? ''))),
  );
  const keeper = didOf(wallet.publicKey);
  return line.map((asset, i) => {
    const change = { before: before[i] ?? asset, after: after[i] ?? asset, parents: names[i] ?? [] };
    const to = sharesOf(change, keeper);
    const moved = total(to.map(({ amount }) => BigInt(amount)));
    return { asset: toHex(asset.id), name: asset.name, moved: String(moved), to };
  });
}

/** What went to whom between two looks at an asset. */
function sharesOf(
  change: { readonly before: Asset; readonly after: Asset; readonly parents: readonly string[] },
  keeper: string,
): readonly CollectShare[] {
  const { before, after } = change;
  const parents = after.parents.map(({ asset }, i): CollectShare => {
    const amount = (after.forwarded[i] ?? 0n) - (before.forwarded[i] ?? 0n);
    return { as: 'parent', who: toHex(asset), name: change.parents[i] ?? '', amount: String(amount) };
  });
  const owners = after.owners.map(({ owner }, i): CollectShare => {
    const amount = (after.paid[i] ?? 0n) - (before.paid[i] ?? 0n);
    return { as: 'owner', who: didOf(owner), name: '', amount: String(amount) };
  });
  const amount = String(after.bountyPaid - before.bountyPaid);
  const bounty: CollectShare = { as: 'keeper', who: keeper, name: '', amount };
  return [...parents, ...owners, bounty].filter((share) => share.amount !== '0');
}

function total(amounts: readonly bigint[]): bigint {
  return amounts.reduce((sum, amount) => sum + amount, 0n);
}
