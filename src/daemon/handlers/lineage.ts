/** `lineage`: what an asset is made of, what was made of it, under which terms, and who keeps how much of what it earns. */
import { equalBytes, fromHex, toHex } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import type { Asset, LedgerReads } from '../../ledger/ledger.ts';
import { didOf, type Hash, shortHex } from '../../protocol/ids.ts';
import { type LicenceTerms, royaltyStack } from '../../protocol/licence.ts';
import type { LineageReport, LineageRow } from '../admin/asset-types.ts';
import type { AdminHandlers } from '../admin/methods.ts';
import type { Running } from '../compose.ts';
import { commitmentText } from '../content.ts';
import { ownAssets } from './money.ts';

/** Answers about lineage. */
export function lineageHandlers(running: Running): Pick<AdminHandlers, 'lineage'> {
  return {
    async lineage({ asset: wanted }, signal) {
      const asset = await findAsset(running, wanted, { signal });
      const children = await running.ledger.listed('children', asset.id, { signal });
      return running.ledger.read((reads) => lineageOf(reads, asset, children), { signal });
    },
  };
}

/**
 * Any asset by its whole id, or one of this operator's by its name or the first characters of its id; of several
 * versions of one name the latest. Rejects with `asset-unknown`.
 */
export async function findAsset(
  running: Running,
  wanted: string,
  options: { readonly signal: AbortSignal },
): Promise<Asset> {
  const id = fromHex(wanted.toLowerCase());
  const known =
    id?.length === 32 ? await running.ledger.read((reads) => reads.asset(id), options) : undefined;
  if (known !== undefined) return known;
  const own = (await ownAssets(running)).filter(
    (asset) => asset.name === wanted || toHex(asset.id).startsWith(wanted.toLowerCase()),
  );
  const replaced = new Set(own.map(({ replaces }) => (replaces === undefined ? '' : toHex(replaces))));
  const [found, ...others] = own.filter((asset) => !replaced.has(toHex(asset.id)));
  if (found === undefined || others.length > 0) throw new SaharaError('asset-unknown', { asset: wanted });
  return found;
}

function lineageOf(ledger: LedgerReads, asset: Asset, children: readonly Hash[]): LineageReport {
  const stack = royaltyStack(asset.id, (id) => ledger.asset(id));
  return {
    asset: toHex(asset.id),
    name: asset.name,
    kind: asset.kind,
    licence: asset.licence,
    ...(asset.terms !== undefined && { terms: termWords(asset.terms) }),
    received: String(asset.received),
    registrant: didOf(asset.registrant),
    commitment: commitmentText(asset.commitment),
    bounty: asset.bounty,
    versions: ledger.versionsOf(asset.id).map(({ id, name }) => ({ asset: toHex(id), name })),
    owners: asset.owners.map(({ owner, ppm }) => ({ owner: didOf(owner), ppm })),
    madeOf: asset.parents.map(({ asset: id, relation, ppm }) => rowOf(ledger, { id, relation, ppm })),
    madeInto: children.flatMap((id) => {
      const edge = ledger.asset(id)?.parents.find((parent) => equalBytes(parent.asset, asset.id));
      return edge === undefined ? [] : [rowOf(ledger, { id, relation: edge.relation, ppm: edge.ppm })];
    }),
    royalties: stack.map(({ asset: id, ppm }) => rowOf(ledger, { id, relation: '', ppm })),
  };
}

function rowOf(
  ledger: LedgerReads,
  of: { readonly id: Uint8Array; readonly relation: string; readonly ppm: number },
): LineageRow {
  const known = ledger.asset(of.id);
  return {
    asset: toHex(of.id),
    name: known?.name ?? `asset ${shortHex(of.id)}`,
    kind: known?.kind ?? '',
    relation: of.relation,
    ppm: of.ppm,
  };
}

const DERIVATIVES: Readonly<Record<LicenceTerms['derivatives'], string>> = {
  no: 'nothing may be made from it',
  yes: 'anything may be made from it',
  reciprocal: 'what is made from it must be as free',
  'by-approval': 'what is made from it needs approval',
};

/** Terms as short sentences, one each. */
export function termWords(terms: LicenceTerms): readonly string[] {
  const { commercial, derivatives, revenueShare, attribution, territories, expiresAt, grant, ceiling } =
    terms;
  const said = [commercial ? 'commercial use allowed' : 'no commercial use', DERIVATIVES[derivatives]];
  if (revenueShare > 0) said.push(`${revenueShare / 10_000} % of what a derivative receives is due`);
  if (attribution) said.push('it must be named');
  if (territories.length > 0) said.push(`only in ${territories.join(', ')}`);
  if (ceiling !== undefined) said.push(`a derivative may receive at most ${ceiling} grains`);
  if (expiresAt !== undefined) said.push(`until block ${expiresAt}`);
  if (grant !== undefined) {
    said.push(
      `a licence costs ${grant.price} grains${grant.blocks > 0 ? ` for ${grant.blocks} blocks` : ''}`,
    );
  }
  return said;
}
