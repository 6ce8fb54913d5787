/** `merge.*`: whether a merge may be made, and merges on the ledger. Nothing is registered twice. */
import { equalBytes, toHex } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import type { Asset } from '../../ledger/ledger.ts';
import type { Hash } from '../../protocol/ids.ts';
import { ASSET_PARENTS_MAX, PPM } from '../../protocol/limits.ts';
import type { ParentShare } from '../../protocol/transaction.ts';
import type { AdminHandlers } from '../admin/methods.ts';
import type {
  KnownContent,
  MergeAnswer,
  MergeInput,
  MergeMethods,
  MergePart,
  MergeRegistered,
} from '../admin/methods-merge.ts';
import type { Running } from '../compose.ts';
import { commitmentOf, commitmentText } from '../content.ts';
import { demandAllowed, planMaking, type Wanted } from '../making.ts';
import { mergeParts } from '../merge-parts.ts';
import { findAsset } from './lineage.ts';
import { ownAssets } from './money.ts';

/** What the handlers for assets know about terms. */
type ReadTerms = (terms: MergeInput['terms']) => Wanted['terms'];

/** Merges and the ledger. */
export function mergeHandlers(
  running: Running,
  readTerms: ReadTerms,
): Pick<AdminHandlers, keyof MergeMethods> {
  const { ledger, wallet } = running;
  const registering = new Map<string, Promise<MergeAnswer & MergeRegistered>>();

  const ask = async (input: MergeInput, signal: AbortSignal): Promise<MergeAnswer & { wanted: Wanted }> => {
    const { parents, parts } = await parentsOf(running, input, signal);
    const wanted = { name: input.name, parents, terms: readTerms(input.terms), replaces: undefined };
    const plan = await planMaking(ledger, { maker: wallet.publicKey, wanted }, { signal });
    return { plan, parts, wanted };
  };

  const register = async (
    input: MergeMethods['merge.register']['input'],
    signal: AbortSignal,
  ): Promise<MergeAnswer & MergeRegistered> => {
    const commitment = commitmentOf(input.commitment);
    if (commitment === undefined) {
      throw new SaharaError('usage', { reason: `"${input.commitment}" is no commitment: scheme:root:size` });
    }
    const { wanted, plan, parts } = await ask(input, signal);
    const own = await ownAssets(running);
    const same = own.find(
      (asset) =>
        asset.kind === 'merge' &&
        equalBytes(asset.registrant, wallet.publicKey) &&
        commitmentText(asset.commitment) === input.commitment,
    );
    if (same !== undefined) return { plan, parts, asset: toHex(same.id), before: true };
    demandAllowed(input.name, plan);
    const action = {
      type: 'register-asset' as const,
      kind: 'merge' as const,
      owners: [{ owner: wallet.publicKey, ppm: PPM }],
      commitment,
      licence: input.licence,
      bounty: 0,
      ...wanted,
    };
    return { plan, parts, asset: toHex(await running.assets.register(action, { signal })), before: false };
  };

  return {
    'merge.known': ({ sizesBytes }, signal) => knownContents(running, new Set(sizesBytes), signal),
    async 'merge.check'(input, signal) {
      const { plan, parts } = await ask(input, signal);
      if (input.demand === true) demandAllowed(input.name, plan);
      return { plan, parts };
    },
    // Two at once of the same content are one.
    'merge.register'(input, signal) {
      const now = registering.get(input.commitment) ?? register(input, signal);
      registering.set(input.commitment, now);
      return now.finally(() => registering.delete(input.commitment));
    },
  };
}

/** The parents as they would stand on the ledger: models of one asset are one parent. */
async function parentsOf(
  running: Running,
  input: MergeInput,
  signal: AbortSignal,
): Promise<{ readonly parents: readonly ParentShare[]; readonly parts: readonly MergePart[] }> {
  const byAsset = new Map<string, { readonly asset: Asset; share: number }>();
  for (const { asset: name, share } of input.parents) {
    const asset = await findAsset(running, name, { signal });
    const known = byAsset.get(toHex(asset.id));
    if (known === undefined) byAsset.set(toHex(asset.id), { asset, share });
    else known.share += share;
  }
  const found = [...byAsset.values()];
  if (found.length > ASSET_PARENTS_MAX) {
    const reason = `an asset has at most ${ASSET_PARENTS_MAX} parents, and these are ${found.length}`;
    throw new SaharaError('merge-refused', { reason, advice: 'Merge in stages' });
  }
  const claims = found.map(({ asset, share }) => ({ share, least: asset.terms?.revenueShare ?? 0 }));
  // The part of models that have no asset has nobody to go to, and stays.
  const registered = claims.reduce((sum, { share }) => sum + share, 0);
  const unregistered = { share: Math.max(0, PPM - registered), least: 0 };
  const ppm = mergeParts([...claims, unregistered], input.keep);
  return {
    parents: found.map(({ asset }, i) => ({ asset: asset.id, relation: 'merged-from', ppm: ppm[i] ?? 0 })),
    parts: found.map(({ asset }, i) => ({ asset: toHex(asset.id), name: asset.name, ppm: ppm[i] ?? 0 })),
  };
}

async function knownContents(
  running: Running,
  sizesBytes: ReadonlySet<number>,
  signal: AbortSignal,
): Promise<readonly KnownContent[]> {
  const { ledger } = running;
  const own = await ownAssets(running);
  const ids = new Map<string, Hash>();
  for (const asset of own) {
    const made = await ledger.listed('children', asset.id, { signal });
    for (const id of [asset.id, ...asset.parents.map((parent) => parent.asset), ...made]) {
      ids.set(toHex(id), id);
    }
  }
  const known = await ledger.read((reads) => [...ids.values()].flatMap((id) => reads.asset(id) ?? []), {
    signal,
  });
  return known
    .filter(({ commitment }) => sizesBytes.has(commitment.sizeBytes))
    .map(({ id, name, commitment }) => ({ asset: toHex(id), name, commitment: commitmentText(commitment) }));
}
