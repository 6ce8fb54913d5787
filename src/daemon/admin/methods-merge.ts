/** The admin API's methods about registering merges. */
import { z } from 'zod';
import { ASSET_PARENTS_MAX, PPM } from '../../protocol/limits.ts';
import type { MakingPlan } from './asset-types.ts';
import type { TermsInput } from './methods-asset.ts';

/** A model that a merge was made of, by its asset. */
export interface MergeParentInput {
  /** Whole id of any asset, or the name or first characters of the id of an own one. */
  readonly asset: string;
  /** How much of the merge is its own, parts per million; 0 for a base. */
  readonly share: number;
}

/** A merge that may be registered. */
export interface MergeInput {
  readonly name: string;
  /** Models without an asset are left out; the maker keeps their part. */
  readonly parents: readonly MergeParentInput[];
  /** Part that stays with the maker, parts per million. */
  readonly keep: number;
  readonly terms?: TermsInput | undefined;
}

/** What goes on to one parent. */
export interface MergePart {
  readonly asset: string;
  readonly name: string;
  readonly ppm: number;
}

/** Whether a merge may be made, and what goes on to whom. */
export interface MergeAnswer {
  readonly plan: MakingPlan;
  readonly parts: readonly MergePart[];
}

/** A merge on the ledger. */
export interface MergeRegistered {
  readonly asset: string;
  /** It was registered before, and nothing was sent. */
  readonly before: boolean;
}

/** An asset that a model on disk may be. */
export interface KnownContent {
  readonly asset: string;
  readonly name: string;
  readonly commitment: string;
}

/** The methods; all answer once. */
export interface MergeMethods {
  /** Own assets, what they were made of and what was made of them, with content of one of these sizes in bytes. */
  'merge.known': { input: { readonly sizesBytes: readonly number[] }; output: readonly KnownContent[] };
  /** `demand`: a merge that may not be made is an error. */
  'merge.check': {
    input: MergeInput & { readonly demand?: boolean | undefined };
    output: MergeAnswer;
  };
  'merge.register': {
    input: MergeInput & { readonly commitment: string; readonly licence: string };
    output: MergeAnswer & MergeRegistered;
  };
}

const SIZES_MAX = 128;
const ppm = z.int().min(0).max(PPM);

/** The inputs, given the schema of terms. */
export function mergeInputs(terms: z.ZodType<TermsInput>): {
  readonly [K in keyof MergeMethods]: {
    readonly input: z.ZodType<MergeMethods[K]['input']>;
    readonly stream: false;
  };
} {
  const merge = z.strictObject({
    name: z.string().min(1).max(128),
    parents: z
      .array(z.strictObject({ asset: z.string().min(1).max(256), share: ppm }))
      .max(4 * ASSET_PARENTS_MAX),
    keep: ppm,
    terms: terms.optional(),
  });
  const registered = merge.extend({ commitment: z.string().max(256), licence: z.string().max(128) });
  const sizes = z.strictObject({ sizesBytes: z.array(z.int().min(0)).max(SIZES_MAX) });
  return {
    'merge.known': { input: sizes, stream: false },
    'merge.check': { input: merge.extend({ demand: z.boolean().optional() }), stream: false },
    'merge.register': { input: registered, stream: false },
  };
}
