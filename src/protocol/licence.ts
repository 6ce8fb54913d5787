/**
 * Licences as data, and the answer to whether something may be made under them. Terms are written once, when an asset
 * is registered, and bind everything that is made from it: what is made states terms of its own, which may not promise
 * more than those of any parent allow. So asking the parents is enough; what lies above them was asked when they were
 * made.
 *
 * The solver is pure and needs no ledger, so that a merge or a training run can be asked about before it costs
 * anything; the ledger refuses what it refuses.
 */
import { compareBytes, fromHex, toHex } from '../base/bytes.ts';
import { invariant } from '../base/errors.ts';
import type { Hash } from './ids.ts';
import { LINEAGE_DEPTH_MAX, PPM, TERRITORIES_MAX } from './limits.ts';
import { bool, grains, list, oneOf, optional, record, type Schema, text, uint } from './schema.ts';

/** How something may be made from an asset. */
export type ParentRelation =
  | 'trained-on'
  | 'fine-tuned-from'
  | 'merged-from'
  | 'retrieves-from'
  | 'evaluated-on';

/** What a licence to use an asset costs. */
export interface LicenceGrant {
  /** Grains. */
  readonly price: bigint;
  /** Blocks for which it counts; 0: for ever. */
  readonly blocks: number;
}

/** The terms of an asset. They never change. */
export interface LicenceTerms {
  /** Whether money may be made with it. */
  readonly commercial: boolean;
  /**
   * Whether anything may be made from it: not at all, freely, only under terms that are as free again, or by the
   * registrant's approval.
   */
  readonly derivatives: 'no' | 'yes' | 'reciprocal' | 'by-approval';
  /** Least part of what a derivative receives that must go on to this asset, parts per million. */
  readonly revenueShare: number;
  /** Whether who uses it must name it. */
  readonly attribution: boolean;
  /** Where it may be used: ISO 3166-1 alpha-2 codes, sorted, each once. Empty: anywhere. */
  readonly territories: readonly string[];
  /** Most that a derivative may receive in all, grains; absent: no limit. */
  readonly ceiling: bigint | undefined;
  /** Height from which on nothing may be made from it any more; absent: none. */
  readonly expiresAt: number | undefined;
  /** Present where a licence has to be bought. */
  readonly grant: LicenceGrant | undefined;
}

/** The wire form of terms. */
export const licenceTerms: Schema<LicenceTerms> = record('licence-terms', {
  commercial: bool,
  derivatives: oneOf('no', 'yes', 'reciprocal', 'by-approval'),
  revenueShare: uint(PPM),
  attribution: bool,
  territories: list(text(2), TERRITORIES_MAX),
  ceiling: optional(grains),
  expiresAt: optional(uint()),
  grant: optional(record('licence-grant', { price: grains, blocks: uint() })),
});

const OPEN: LicenceTerms = {
  commercial: true,
  derivatives: 'yes',
  revenueShare: 0,
  attribution: false,
  territories: [],
  ceiling: undefined,
  expiresAt: undefined,
  grant: undefined,
};

/** Terms under names that people know. */
export const LICENCE_PRESETS: Readonly<
  Record<'open' | 'open-attribution' | 'non-commercial' | 'commercial-remix' | 'no-derivatives', LicenceTerms>
> = {
  open: OPEN,
  'open-attribution': { ...OPEN, attribution: true },
  'non-commercial': { ...OPEN, commercial: false, derivatives: 'reciprocal', attribution: true },
  'commercial-remix': { ...OPEN, revenueShare: 50_000, attribution: true },
  'no-derivatives': { ...OPEN, derivatives: 'no', attribution: true },
};

const TERRITORY = /^[A-Z]{2}$/;

/** Whether terms are well-formed: codes of two capital letters, sorted, each once; a price that is not zero. */
export function areTermsSound(terms: LicenceTerms): boolean {
  const { territories, grant } = terms;
  const ordered = territories.every(
    (code, i) => TERRITORY.test(code) && (i === 0 || (territories[i - 1] as string) < code),
  );
  return ordered && grant?.price !== 0n;
}

/** Why something may not be made. The order is the order in which reasons are told. */
export const LICENCE_REASONS = [
  'expired',
  'grant',
  'derivatives',
  'approval',
  'reciprocal',
  'commercial',
  'share',
  'attribution',
  'territory',
  'term',
  'ceiling',
] as const;

/** One of `LICENCE_REASONS`. */
export type LicenceReason = (typeof LICENCE_REASONS)[number];

/** A parent of what is to be made. */
export interface LicenceParent {
  readonly asset: Hash;
  readonly relation: ParentRelation;
  /** What goes on to it of everything received, parts per million. */
  readonly ppm: number;
  /** Absent: it binds nobody. */
  readonly terms: LicenceTerms | undefined;
  /** Whether whoever makes it registered the parent: nobody needs a licence of their own. */
  readonly own: boolean;
  /** Whether the maker bought a licence that counts now. */
  readonly granted: boolean;
  /** Whether the parent's registrant approved. */
  readonly approved: boolean;
}

/** What is to be made. */
export interface LicenceQuestion {
  /** Its own terms; absent counts as open. */
  readonly terms: LicenceTerms | undefined;
  readonly parents: readonly LicenceParent[];
  /** Of the block in which it would be registered. */
  readonly height: number;
}

/** One reason against making it. */
export interface LicenceFault {
  readonly asset: Hash;
  readonly reason: LicenceReason;
}

/** Everything that stands against making something, parent by parent; empty when it may be made. */
export function solveLicence(question: LicenceQuestion): readonly LicenceFault[] {
  const made = question.terms ?? OPEN;
  return question.parents.flatMap((parent) => {
    const { asset, terms } = parent;
    if (terms === undefined || parent.own) return [];
    const against = { parent, terms, made, height: question.height };
    return LICENCE_REASONS.filter((reason) => RULES[reason](against)).map((reason) => ({ asset, reason }));
  });
}

interface Against {
  readonly parent: LicenceParent;
  readonly terms: LicenceTerms;
  readonly made: LicenceTerms;
  readonly height: number;
}

/** What is made from an asset holds a part of it; what retrieves from it or is measured by it does not. */
const DERIVED: ReadonlySet<ParentRelation> = new Set(['trained-on', 'fine-tuned-from', 'merged-from']);

const isDerived = ({ parent }: Against): boolean => DERIVED.has(parent.relation);
/** Being measured by an asset passes nothing of it on. */
const passesOn = ({ parent }: Against): boolean => parent.relation !== 'evaluated-on';

const RULES: Readonly<Record<LicenceReason, (against: Against) => boolean>> = {
  expired: ({ terms, height }) => terms.expiresAt !== undefined && height >= terms.expiresAt,
  grant: ({ terms, parent }) => terms.grant !== undefined && !parent.granted,
  derivatives: (against) => isDerived(against) && against.terms.derivatives === 'no',
  approval: (against) =>
    isDerived(against) && against.terms.derivatives === 'by-approval' && !against.parent.approved,
  reciprocal: (against) => {
    const { terms, made } = against;
    const asFree = made.derivatives === 'reciprocal' && made.grant === undefined;
    return isDerived(against) && terms.derivatives === 'reciprocal' && !asFree;
  },
  commercial: (against) => passesOn(against) && !against.terms.commercial && against.made.commercial,
  share: (against) => passesOn(against) && against.parent.ppm < against.terms.revenueShare,
  attribution: (against) => passesOn(against) && against.terms.attribution && !against.made.attribution,
  territory: (against) => {
    const [allowed, wanted] = [against.terms.territories, against.made.territories];
    if (!passesOn(against) || allowed.length === 0) return false;
    return wanted.length === 0 || wanted.some((code) => !allowed.includes(code));
  },
  term: (against) => {
    const [allowed, wanted] = [against.terms.expiresAt, against.made.expiresAt];
    return passesOn(against) && allowed !== undefined && (wanted === undefined || wanted > allowed);
  },
  ceiling: (against) => {
    const [allowed, wanted] = [against.terms.ceiling, against.made.ceiling];
    return passesOn(against) && allowed !== undefined && (wanted === undefined || wanted > allowed);
  },
};

/** What one asset keeps of everything that another one receives. */
export interface Royalty {
  readonly asset: Hash;
  /** Parts per million; all of a stack sum to exactly 1,000,000. */
  readonly ppm: number;
}

/** Where an asset came from. */
export interface LineageNode {
  readonly parents: readonly { readonly asset: Hash; readonly ppm: number }[];
}

/** Ancestors that a royalty stack looks at; what reaches further ones stays with their children. */
const LINEAGE_ASSETS_MAX = 4_096;

const SCALE = 10n ** BigInt(6 * (LINEAGE_DEPTH_MAX + 1));

/**
 * Who keeps how much of what `asset` receives, its ancestors included, with those that keep nothing left out. Parts
 * are exact down to the last step, where the largest remainders get what flooring left over; equal ones go by id.
 * `nodeOf` answers `undefined` for an asset that is not known; it then keeps all that reaches it.
 */
export function royaltyStack(
  asset: Hash,
  nodeOf: (asset: Hash) => LineageNode | undefined,
): readonly Royalty[] {
  const kept = new Map<string, bigint>();
  const reaching = new Map<string, bigint>([[toHex(asset), SCALE]]);
  const ancestry = ancestryOf(asset, nodeOf);
  const seen = new Set(ancestry);
  for (const name of ancestry) {
    const reached = reaching.get(name) ?? 0n;
    let left = reached;
    for (const parent of nodeOf(hashOf(name))?.parents ?? []) {
      const part = (reached * BigInt(parent.ppm)) / BigInt(PPM);
      const above = toHex(parent.asset);
      if (!seen.has(above)) continue;
      reaching.set(above, (reaching.get(above) ?? 0n) + part);
      left -= part;
    }
    if (left > 0n) kept.set(name, left);
  }
  return inPpm(kept);
}

/** Every asset in a lineage, each before its parents. */
function ancestryOf(asset: Hash, nodeOf: (asset: Hash) => LineageNode | undefined): readonly string[] {
  const done = new Set<string>();
  const order: string[] = [];
  const visit = (id: Hash): void => {
    const name = toHex(id);
    if (done.has(name)) return;
    done.add(name);
    if (done.size <= LINEAGE_ASSETS_MAX) for (const above of nodeOf(id)?.parents ?? []) visit(above.asset);
    order.push(name);
  };
  visit(asset);
  return order.reverse();
}

function inPpm(kept: ReadonlyMap<string, bigint>): readonly Royalty[] {
  const parts = [...kept].map(([name, share]) => {
    const exact = share * BigInt(PPM);
    return { asset: hashOf(name), ppm: Number(exact / SCALE), rest: exact % SCALE };
  });
  let missing = PPM - parts.reduce((sum, { ppm }) => sum + ppm, 0);
  const byRest = [...parts].sort((a, b) => compareRest(a.rest, b.rest) || compareBytes(a.asset, b.asset));
  for (const part of byRest) {
    if (missing-- <= 0) break;
    part.ppm++;
  }
  return parts.filter(({ ppm }) => ppm > 0).map(({ asset, ppm }) => ({ asset, ppm }));
}

function compareRest(a: bigint, b: bigint): number {
  if (a === b) return 0;
  return a > b ? -1 : 1;
}

function hashOf(name: string): Hash {
  const hash = fromHex(name);
  invariant(hash, 'a name made by toHex');
  return hash;
}
