/** The part of a manifest that says what the agent is made of, for its asset on the ledger. */
import { fromHex } from '../base/bytes.ts';
import { LICENCE_PRESETS, type LicenceTerms, type ParentRelation } from '../protocol/licence.ts';
import { ASSET_PARENTS_MAX, BOUNTY_PPM_MAX } from '../protocol/limits.ts';
import type { ParentShare } from '../protocol/transaction.ts';
import {
  fields,
  given,
  invalid,
  type Place,
  readList,
  readShare,
  readText,
  readWord,
} from './manifest-reader.ts';

/** What the ledger is told of an agent besides its name and manifest. */
export interface ManifestAsset {
  /** Assets that it was made of, at most 16. Default none. */
  readonly parents: readonly ParentShare[];
  /** Terms of a preset: what may be made of the agent. Default none. */
  readonly terms: LicenceTerms | undefined;
  /** What goes to who collects for it, parts per million of what the operator is due. Default 0. */
  readonly bounty: number;
}

/** What an agent's asset has where the manifest says nothing. */
export const MANIFEST_ASSET_DEFAULTS: ManifestAsset = { parents: [], terms: undefined, bounty: 0 };

const RELATIONS: readonly ParentRelation[] = [
  'trained-on',
  'fine-tuned-from',
  'merged-from',
  'retrieves-from',
  'evaluated-on',
];

/** Reads what an agent is made of. Throws `manifest-invalid`. */
export function readAsset(place: Place): ManifestAsset {
  const of = fields(place, ['madeOf', 'terms', 'bounty']);
  const terms = given(of('terms'), (at) => readWord(at, Object.keys(LICENCE_PRESETS)));
  const [, preset] = Object.entries(LICENCE_PRESETS).find(([name]) => name === terms) ?? [];
  return {
    parents: given(of('madeOf'), (at) => readList(at, ASSET_PARENTS_MAX, readParent)) ?? [],
    terms: preset,
    bounty: given(of('bounty'), readBounty) ?? 0,
  };
}

function readParent(place: Place): ParentShare {
  const of = fields(place, ['asset', 'how', 'part']);
  const at = of('asset');
  const asset = at && fromHex(readText(at, { max: 64 }));
  if (asset?.length !== 32) throw invalid(at ?? place, 'the id of an asset, 64 hexadecimal digits');
  return {
    asset,
    relation: given(of('how'), (how) => readWord(how, RELATIONS)) ?? 'retrieves-from',
    ppm: given(of('part'), readShare) ?? 0,
  };
}

function readBounty(place: Place): number {
  const ppm = readShare(place);
  if (ppm > BOUNTY_PPM_MAX) throw invalid(place, 'a bounty of at most 1 %');
  return ppm;
}
