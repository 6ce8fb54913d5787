/** The admin API's methods about assets, licences and what they earn. */
import { z } from 'zod';
import type { LicenceTerms, ParentRelation } from '../../protocol/licence.ts';
import {
  ASSET_OWNERS_MAX,
  ASSET_PARENTS_MAX,
  BOUNTY_PPM_MAX,
  PPM,
  TERRITORIES_MAX,
} from '../../protocol/limits.ts';
import { ASSET_KINDS, type AssetKind } from '../../protocol/transaction.ts';
import type { CollectRow, LicenceReport, LineageReport, MakingPlan, RegisterReport } from './asset-types.ts';
import { type MergeMethods, mergeInputs } from './methods-merge.ts';

/** Terms of a licence; amounts in grains. */
export interface TermsInput extends Omit<LicenceTerms, 'ceiling' | 'grant' | 'expiresAt'> {
  readonly ceiling?: string | undefined;
  readonly expiresAt?: number | undefined;
  readonly grant?: { readonly price: string; readonly blocks: number } | undefined;
}

/** A parent of what is to be made. */
export interface ParentInput {
  /** Whole id of any asset, or the name or first characters of the id of an own one. */
  readonly asset: string;
  readonly relation: ParentRelation;
  /** Parts per million. */
  readonly ppm: number;
}

/** An asset to register. */
export interface RegisterInput {
  readonly kind: AssetKind;
  readonly name: string;
  /** DIDs and parts per million. Empty: the operator alone. */
  readonly owners: readonly { readonly owner: string; readonly ppm: number }[];
  readonly parents: readonly ParentInput[];
  /** Scheme, root and size, with colons between. */
  readonly commitment: string;
  readonly licence: string;
  readonly terms?: TermsInput | undefined;
  readonly replaces?: string | undefined;
  /** Parts per million. */
  readonly bounty: number;
  /** Only whether it would be allowed. */
  readonly dryRun?: boolean | undefined;
}

/** The methods; all answer once. */
export interface AssetMethods extends MergeMethods {
  /** The whole id of any asset, or the name or first characters of the id of an own one. */
  lineage: { input: { readonly asset: string }; output: LineageReport };
  /** `path`: every ancestor that something reaches, too. */
  collect: {
    input: { readonly asset?: string | undefined; readonly path?: boolean | undefined };
    output: readonly CollectRow[];
  };
  'asset.register': { input: RegisterInput; output: RegisterReport };
  'licence.check': {
    input: {
      readonly name?: string | undefined;
      readonly parents: readonly ParentInput[];
      readonly terms?: TermsInput | undefined;
    };
    output: MakingPlan;
  };
  'licence.show': {
    input: { readonly asset: string; readonly of?: string | undefined };
    output: LicenceReport;
  };
  'licence.buy': { input: { readonly asset: string }; output: LicenceReport };
  'licence.approve': { input: { readonly asset: string; readonly licensee: string }; output: LicenceReport };
  'licence.withdraw': { input: { readonly asset: string; readonly licensee: string }; output: LicenceReport };
  /** The commitment to what a vault holds now. */
  'vault.commit': { input: { readonly name: string }; output: { readonly commitment: string } };
  /** Proof of one of its chunks, in base64. */
  'vault.prove': {
    input: { readonly name: string; readonly chunk: string };
    output: { readonly proof: string };
  };
}

const name = z.string().min(1).max(256);
const grains = z.string().regex(/^\d{1,19}$/);
const ppm = z.int().min(0).max(PPM);
const parents = z
  .array(
    z.strictObject({
      asset: name,
      relation: z.enum(['trained-on', 'fine-tuned-from', 'merged-from', 'retrieves-from', 'evaluated-on']),
      ppm,
    }),
  )
  .max(ASSET_PARENTS_MAX);
const height = z.int().min(0);
const terms = z.strictObject({
  commercial: z.boolean(),
  derivatives: z.enum(['no', 'yes', 'reciprocal', 'by-approval']),
  revenueShare: ppm,
  attribution: z.boolean(),
  territories: z.array(z.string().max(2)).max(TERRITORIES_MAX),
  ceiling: grains.optional(),
  expiresAt: height.optional(),
  grant: z.strictObject({ price: grains, blocks: height }).optional(),
});
const registerInput = z.strictObject({
  kind: z.enum(ASSET_KINDS),
  name: z.string().min(1).max(128),
  owners: z.array(z.strictObject({ owner: name, ppm })).max(ASSET_OWNERS_MAX),
  parents,
  commitment: z.string().max(256),
  licence: z.string().max(128),
  terms: terms.optional(),
  replaces: name.optional(),
  bounty: z.int().min(0).max(BOUNTY_PPM_MAX),
  dryRun: z.boolean().optional(),
});

const unary = <I>(input: z.ZodType<I>): { input: z.ZodType<I>; stream: false } => ({ input, stream: false });

/** Their inputs, checked before a handler sees them. */
export const ASSET_INPUTS: {
  readonly [K in keyof AssetMethods]: {
    readonly input: z.ZodType<AssetMethods[K]['input']>;
    readonly stream: false;
  };
} = {
  ...mergeInputs(terms),
  lineage: unary(z.strictObject({ asset: name })),
  collect: unary(z.strictObject({ asset: name.optional(), path: z.boolean().optional() })),
  'asset.register': unary(registerInput),
  'licence.check': unary(z.strictObject({ name: name.optional(), parents, terms: terms.optional() })),
  'licence.show': unary(z.strictObject({ asset: name, of: name.optional() })),
  'licence.buy': unary(z.strictObject({ asset: name })),
  'licence.approve': unary(z.strictObject({ asset: name, licensee: name })),
  'licence.withdraw': unary(z.strictObject({ asset: name, licensee: name })),
  'vault.commit': unary(z.strictObject({ name })),
  'vault.prove': unary(z.strictObject({ name, chunk: z.string().regex(/^[0-9a-f]{64}$/) })),
};
