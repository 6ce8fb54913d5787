/** What people write about assets on a command line: parts, parents, owners, terms. */
import { readFile } from 'node:fs/promises';
import { parseAmount } from '../base/amount.ts';
import { SaharaError } from '../base/errors.ts';
import type { ParentInput, RegisterInput, TermsInput } from '../daemon/admin/methods-asset.ts';
import { LICENCE_PRESETS, type LicenceTerms, type ParentRelation } from '../protocol/licence.ts';
import { PPM } from '../protocol/limits.ts';
import { usage } from './app.ts';

/** How one asset comes from another, in the words of the command line. */
export const RELATIONS: readonly ParentRelation[] = [
  'trained-on',
  'fine-tuned-from',
  'merged-from',
  'retrieves-from',
  'evaluated-on',
];

/** Parts per million of a percentage such as `2.5` or `2.5%`. Throws `usage`. */
export function ppmOption(option: string, text: string): number {
  const percent = /^(\d{1,3}(?:\.\d{1,4})?)\s*%?$/.exec(text)?.[1];
  const ppm = percent === undefined ? Number.NaN : Math.round(Number(percent) * 10_000);
  if (!(ppm >= 0 && ppm <= PPM)) throw usage(`${option} takes a percentage such as 2.5, not "${text}"`);
  return ppm;
}

/** Parents written as `ASSET:RELATION:PERCENT`. Throws `usage`. */
export function parentOptions(texts: readonly string[] | undefined): readonly ParentInput[] {
  return (texts ?? []).map((text) => {
    const [, asset, how, part] = /^(.+?):([a-z-]+):([\d.]+%?)$/.exec(text) ?? [];
    const relation = RELATIONS.find((one) => one === how);
    if (asset === undefined || relation === undefined || part === undefined) {
      throw usage(`A parent is ASSET:HOW:PERCENT with one of ${RELATIONS.join(', ')}, not "${text}"`);
    }
    return { asset, relation, ppm: ppmOption('A parent', part) };
  });
}

/** Owners written as `DID=PERCENT`. Throws `usage`. */
export function ownerOptions(texts: readonly string[] | undefined): RegisterInput['owners'] {
  return (texts ?? []).map((text) => {
    const [, owner, part] = /^(did:key:\w+)=([\d.]+%?)$/.exec(text) ?? [];
    if (owner === undefined || part === undefined) throw usage(`An owner is DID=PERCENT, not "${text}"`);
    return { owner, ppm: ppmOption('An owner', part) };
  });
}

/** Names of the presets, for help texts. */
export const PRESET_NAMES: string = Object.keys(LICENCE_PRESETS).join(', ');

/** Terms, and what the licence is called: a preset by name, or a file. */
export interface NamedTerms {
  readonly licence: string;
  readonly terms: TermsInput | undefined;
}

/**
 * Terms by the name of a preset, or out of a JSON file with the fields of `licence-terms` of which any may be left out;
 * `preset` names what they start from, `ceiling` and the `price` of `grant` are amounts in SAHARA. Throws `usage`,
 * `file-missing`.
 */
export async function termsOption(text: string | undefined): Promise<NamedTerms> {
  if (text === undefined) return { licence: '', terms: undefined };
  const preset = presetOf(text);
  if (preset !== undefined) return { licence: text, terms: inputOf(preset) };
  const file = await readFile(text, 'utf8').catch((error: unknown) => {
    if (!/[./\\]/.test(text)) throw usage(`--terms takes a file or one of ${PRESET_NAMES}, not "${text}"`);
    throw new SaharaError('file-missing', { path: text }, { cause: error });
  });
  return { licence: '', terms: termsOf(text, file) };
}

function presetOf(name: unknown): LicenceTerms | undefined {
  const [, terms] = Object.entries(LICENCE_PRESETS).find(([key]) => key === name) ?? [];
  return terms;
}

function inputOf({ ceiling, grant, expiresAt, ...plain }: LicenceTerms): TermsInput {
  return {
    ...plain,
    ...(ceiling !== undefined && { ceiling: String(ceiling) }),
    ...(expiresAt !== undefined && { expiresAt }),
    ...(grant !== undefined && { grant: { price: String(grant.price), blocks: grant.blocks } }),
  };
}

function termsOf(path: string, text: string): TermsInput {
  const given = objectOf(path, text);
  const { preset = 'open', ceiling, grant, ...plain } = given;
  const base = presetOf(preset);
  if (base === undefined) throw usage(`${path} names the preset "${preset}", not one of ${PRESET_NAMES}`);
  const unknown = Object.keys(plain).find((key) => !TERM_FIELDS.includes(key));
  if (unknown !== undefined) throw usage(`${path} has the field "${unknown}", which terms do not have`);
  const price = grant === undefined ? undefined : objectOf(path, JSON.stringify(grant));
  // What the fields hold is checked by the daemon, with the name of the field.
  return {
    ...inputOf(base),
    ...plain,
    ...(ceiling !== undefined && { ceiling: grainsOf(path, ceiling) }),
    ...(price !== undefined && {
      grant: { price: grainsOf(path, price.price), blocks: Number(price.blocks ?? 0) },
    }),
  } as TermsInput;
}

const TERM_FIELDS = ['commercial', 'derivatives', 'revenueShare', 'attribution', 'territories', 'expiresAt'];

function objectOf(path: string, text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  } catch {
    // Told like any other text that is no object.
  }
  throw usage(`${path} is not a JSON object with terms`);
}

function grainsOf(path: string, amount: unknown): string {
  const grains = typeof amount === 'string' ? parseAmount(amount) : undefined;
  if (grains === undefined) throw usage(`${path} has an amount that is not a text such as "0.5"`);
  return String(grains);
}
