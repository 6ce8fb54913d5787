import { equalBytes, toHex } from '../../base/bytes.ts';
import type { Hash } from '../../protocol/ids.ts';
import { areTermsSound } from '../../protocol/licence.ts';
import { ASSET_VERSIONS_MAX, LINEAGE_DEPTH_MAX, PPM } from '../../protocol/limits.ts';
import { assetId, type OwnerShare, type ParentShare } from '../../protocol/transaction.ts';
import type { VersionRecord } from '../records.ts';
import type { State } from '../state.ts';
import { done, type Handler, refuse, type TransactionContext } from './context.ts';
import { licenceFault } from './licence.ts';

/**
 * Registers an asset under the id of sender and nonce. Refusals in order: `name-missing`, `owners-invalid`,
 * `parents-invalid`, `parent-unknown`, `lineage-too-deep`, `terms-invalid`, those of `versionAfter`, and what the
 * licence solver has against it.
 */
export const registerAsset: Handler<'register-asset'> = (context, definition) => {
  const { suite, network, state, sender, nonce } = context;
  const { name, owners, parents, terms, replaces } = definition;
  if (name.length === 0) return refuse('name-missing');
  if (!ownersValid(owners)) return refuse('owners-invalid');
  if (!parentsValid(parents)) return refuse('parents-invalid');
  const depth = depthUnder(state, parents);
  if (depth === undefined) return refuse('parent-unknown');
  if (depth > LINEAGE_DEPTH_MAX) return refuse('lineage-too-deep');
  if (terms !== undefined && !areTermsSound(terms)) return refuse('terms-invalid');
  const version = replaces && versionAfter(context, replaces);
  if (typeof version === 'string') return refuse(version);
  const fault = licenceFault(context, definition);
  if (fault !== undefined) return refuse(fault);
  const id = assetId(suite, network, sender, nonce);
  state.assets.set(id, { registrant: sender, depth, definition });
  const [forwarded, paid] = [parents.map(() => 0n), owners.map(() => 0n)];
  state.revenues.set(id, { received: 0n, forwarded, paid, bounty: 0n });
  if (replaces !== undefined && version !== undefined) {
    state.versions.set(replaces, { ...version, next: id });
    state.versions.set(id, { number: version.number + 1, first: version.first, next: undefined });
  }
  return done();
};

type VersionRefusal = 'asset-unknown' | 'not-registrant' | 'version-replaced' | 'versions-exhausted';

/**
 * Where the asset to be replaced stands among its versions, or why it cannot be replaced; in order:
 * `asset-unknown`, `not-registrant`, `version-replaced`, `versions-exhausted`.
 */
function versionAfter(
  { state, sender }: Pick<TransactionContext, 'state' | 'sender'>,
  replaces: Hash,
): VersionRecord | VersionRefusal {
  const known = state.assets.get(replaces);
  if (known === undefined) return 'asset-unknown';
  if (!equalBytes(known.registrant, sender)) return 'not-registrant';
  const version = state.versions.get(replaces) ?? { number: 1, first: replaces, next: undefined };
  if (version.next !== undefined) return 'version-replaced';
  return version.number < ASSET_VERSIONS_MAX ? version : 'versions-exhausted';
}

function ownersValid(owners: readonly OwnerShare[]): boolean {
  const named = new Set(owners.map(({ owner }) => toHex(owner)));
  if (named.size !== owners.length || owners.some(({ ppm }) => ppm === 0)) return false;
  return owners.reduce((sum, { ppm }) => sum + ppm, 0) === PPM;
}

function parentsValid(parents: readonly ParentShare[]): boolean {
  const named = new Set(parents.map(({ asset }) => toHex(asset)));
  return named.size === parents.length && parents.reduce((sum, { ppm }) => sum + ppm, 0) <= PPM;
}

function depthUnder(state: State, parents: readonly ParentShare[]): number | undefined {
  let depth = 0;
  for (const { asset } of parents) {
    const parent = state.assets.get(asset);
    if (parent === undefined) return undefined;
    depth = Math.max(depth, parent.depth + 1);
  }
  return depth;
}
