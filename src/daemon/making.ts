/** Whether something may be made of its parents, asked before anything is sent or any compute is spent. */
import { equalBytes, toHex } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import type { Asset, Ledger, LedgerReads } from '../ledger/ledger.ts';
import { RESULT_CODES, type ResultName } from '../ledger/result-codes.ts';
import { LICENCE_REFUSALS } from '../ledger/transactions/licence.ts';
import type { Hash, PublicKey } from '../protocol/ids.ts';
import { shortHex } from '../protocol/ids.ts';
import {
  areTermsSound,
  type LicenceParent,
  type LicenceTerms,
  royaltyStack,
  solveLicence,
} from '../protocol/licence.ts';
import { LINEAGE_DEPTH_MAX, PPM } from '../protocol/limits.ts';
import type { ParentShare } from '../protocol/transaction.ts';
import type { MakingPlan, MakingReason } from './admin/asset-types.ts';

/** What is to be made. */
export interface Wanted {
  readonly name: string;
  readonly parents: readonly ParentShare[];
  readonly terms: LicenceTerms | undefined;
  readonly replaces: Hash | undefined;
}

/**
 * Whether `maker` may register `wanted` in the next block, with everything that stands against it and who would keep how
 * much of what it receives. Rejects with `state-unproven` where a light ledger cannot know.
 */
export async function planMaking(
  ledger: Pick<Ledger, 'read' | 'head'>,
  of: { readonly maker: PublicKey; readonly wanted: Wanted },
  options: { readonly signal: AbortSignal },
): Promise<MakingPlan> {
  const height = ledger.head().height + 1;
  return ledger.read((reads) => planOf(reads, { ...of, height }), options);
}

/** The plan as it is; one that is not allowed throws `licence-refused` with every reason. */
export function demandAllowed(what: string, plan: MakingPlan): MakingPlan {
  if (plan.allowed) return plan;
  const reasons = plan.reasons.map(({ name, sentence }) => (name === '' ? sentence : `${name}: ${sentence}`));
  // Sentences of which the last is ended by the one that they become a part of.
  throw new SaharaError('licence-refused', { what, reasons: reasons.join(' ').replace(/\.$/, '') });
}

interface Making {
  readonly maker: PublicKey;
  readonly wanted: Wanted;
  readonly height: number;
}

function planOf(reads: LedgerReads, making: Making): MakingPlan {
  const { wanted, height } = making;
  const reasons = [...shapeReasons(reads, making), ...licenceReasons(reads, making)];
  // A name that no asset can have: it is the hash of nothing's registration.
  const made = new Uint8Array(32);
  const stack = royaltyStack(made, (id) => (equalBytes(id, made) ? wanted : reads.asset(id)));
  const royalties = stack.map(({ asset, ppm }) => {
    const known = equalBytes(asset, made) ? undefined : reads.asset(asset);
    const own = { name: wanted.name, kind: '' };
    const { name, kind } = known ?? (equalBytes(asset, made) ? own : unknownAsset(asset));
    return { asset: toHex(asset), name, kind, relation: '', ppm };
  });
  return { allowed: reasons.length === 0, height, reasons, royalties };
}

function unknownAsset(id: Hash): Pick<Asset, 'name'> & { readonly kind: string } {
  return { name: `asset ${shortHex(id)}`, kind: '' };
}

/** What the ledger has against it before licences are asked, in its order. */
function shapeReasons(reads: LedgerReads, { wanted, maker }: Making): readonly MakingReason[] {
  const { parents, terms, replaces } = wanted;
  const found: MakingReason[] = [];
  const named = new Set(parents.map(({ asset }) => toHex(asset)));
  const parts = parents.reduce((sum, { ppm }) => sum + ppm, 0);
  if (named.size !== parents.length || parts > PPM) found.push(reasonOf('parents-invalid'));
  for (const { asset } of parents) {
    const known = reads.asset(asset);
    if (known === undefined) found.push(reasonOf('parent-unknown', { id: asset }));
    else if (known.depth >= LINEAGE_DEPTH_MAX) found.push(reasonOf('lineage-too-deep', known));
  }
  if (terms !== undefined && !areTermsSound(terms)) found.push(reasonOf('terms-invalid'));
  if (replaces === undefined) return found;
  const older = reads.asset(replaces);
  if (older === undefined) found.push(reasonOf('asset-unknown', { id: replaces }));
  else if (!equalBytes(older.registrant, maker)) found.push(reasonOf('not-registrant', older));
  else {
    const latest = reads.versionsOf(replaces).at(-1);
    if (latest !== undefined && !equalBytes(latest.id, replaces)) {
      found.push(reasonOf('version-replaced', older));
    }
  }
  return found;
}

function licenceReasons(reads: LedgerReads, { wanted, maker, height }: Making): readonly MakingReason[] {
  const parents = wanted.parents.flatMap((parent): readonly LicenceParent[] => {
    const known = reads.asset(parent.asset);
    if (known === undefined) return [];
    const { grant, approved } = reads.licenceOf(parent.asset, maker);
    const granted = grant !== undefined && (grant.endsAt === 0 || height < grant.endsAt);
    const own = equalBytes(known.registrant, maker);
    return [{ ...parent, terms: known.terms, own, granted, approved }];
  });
  return solveLicence({ terms: wanted.terms, parents, height }).map(({ asset, reason }) =>
    reasonOf(LICENCE_REFUSALS[reason], reads.asset(asset)),
  );
}

function reasonOf(result: ResultName, about?: { readonly id: Hash; readonly name?: string }): MakingReason {
  const { sentence } = RESULT_CODES[result];
  if (about === undefined) return { asset: '', name: '', reason: result, sentence };
  const { id, name = `asset ${shortHex(id)}` } = about;
  return { asset: toHex(id), name, reason: result, sentence };
}
