/**
 * Whether what a statement says of the division of a charge is what the agent had declared: by its card, and by the
 * manifest whose hash the receipt names, where that manifest is at hand (`spec/knowledge.md`, KNOW-158 and KNOW-185).
 */
import { equalBytes } from '../base/bytes.ts';
import { type Card, card } from '../protocol/card.ts';
import { shortHex } from '../protocol/ids.ts';
import type { Receipt } from '../protocol/payment.ts';
import type { PpmShare } from './attribution/apportion.ts';
import type { AgentAssets, RevenueSplit } from './attribution/shares.ts';
import type { AdapterParts } from './attribution/switched-off.ts';
import { earningAssets } from './earning.ts';
import { type Manifest, manifestHash } from './manifest.ts';

/** What a statement says of the division. */
interface Declared {
  readonly split: RevenueSplit;
  readonly assets: AgentAssets;
  readonly adapterParts?: AdapterParts | undefined;
}

/** What contradicts the card: another asset of the agent, or more adapters that earn than its model is made with. */
export function cardFault(signedCard: Uint8Array, { assets }: Pick<Declared, 'assets'>): string | undefined {
  const { asset, model }: Card = card.decode(signedCard);
  if (!equalBytes(asset, assets.agent))
    return `the statement pays the agent ${shortHex(assets.agent)}; the card's is ${shortHex(asset)}`;
  const paid = assets.adapters?.length ?? 0;
  const used = model.made?.adapters.filter(({ scale }) => scale !== 0).length ?? 0;
  return paid <= used
    ? undefined
    : `the statement pays ${paid} adapters; the card's model is made with ${used} that change it`;
}

/** What contradicts `manifest`, which has to be the one that the receipt names. */
export function manifestFault(
  { manifestHash: named }: Pick<Receipt, 'manifestHash'>,
  { split, assets, adapterParts }: Declared,
  manifest: Manifest,
): string | undefined {
  const hash = manifestHash(manifest);
  if (!equalBytes(hash, named))
    return `the manifest has the hash ${shortHex(hash)}; the receipt names ${shortHex(named)}`;
  for (const role of ['knowledge', 'operator', 'model', 'prompt'] as const) {
    if (split[role] !== manifest.split[role])
      return `split.${role} is ${split[role]}; the manifest says ${manifest.split[role]}`;
  }
  const declared = earningAssets(manifest);
  if (!sameAsset(assets.model, declared.model))
    return `the model's asset is ${nameOf(assets.model)}; the manifest says ${nameOf(declared.model)}`;
  if (assets.prompt !== undefined)
    return `the prompt's asset is ${nameOf(assets.prompt)}; the manifest says none`;
  const wanted = manifest.backend.kind === 'llama' && manifest.backend.adapterParts !== undefined;
  if (wanted !== (adapterParts !== undefined))
    return `adapters earn ${wanted ? 'as declared' : 'as measured'}; the manifest wants it the other way`;
  return adaptersFault(assets.adapters ?? [], declared.adapters);
}

function adaptersFault(stated: readonly PpmShare[], declared: readonly PpmShare[]): string | undefined {
  for (let i = 0; i < Math.max(stated.length, declared.length); i++) {
    const [one, other] = [stated[i], declared[i]];
    if (one?.ppm === other?.ppm && sameAsset(one?.asset, other?.asset)) continue;
    return `adapters[${i}] is ${part(one)}; the manifest says ${part(other)}`;
  }
  return undefined;
}

function part(share: PpmShare | undefined): string {
  return share === undefined ? 'none' : `${shortHex(share.asset)} with ${share.ppm}`;
}

function nameOf(asset: Uint8Array | undefined): string {
  return asset === undefined ? 'none' : shortHex(asset);
}

function sameAsset(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : equalBytes(a, b);
}
