/** `lineage`: what an asset is made of, what was made of it, under which terms, and who keeps how much of what it earns. */
import { fromHex, toHex } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import type { Asset, Ledger } from '../../ledger/ledger.ts';
import { didOf, shortHex } from '../../protocol/ids.ts';
import { type LicenceTerms, royaltyStack } from '../../protocol/licence.ts';
import type { AdminHandlers } from '../admin/methods.ts';
import type { LineageReport, LineageRow } from '../admin/types.ts';
import type { Running } from '../compose.ts';
import { ownAssets } from './money.ts';

/** Answers about lineage, from this peer's own ledger. */
export function lineageHandlers(running: Running): Pick<AdminHandlers, 'lineage'> {
  return {
    lineage: async ({ asset }) => lineageOf(running.ledger, await find(running, asset)),
  };
}

/** Any asset by its whole id, or one of this operator's by its name or the first characters of its id. */
async function find(running: Running, wanted: string): Promise<Asset> {
  const id = fromHex(wanted.toLowerCase());
  const known = id?.length === 32 ? running.ledger.asset(id) : undefined;
  if (known !== undefined) return known;
  const own = (await ownAssets(running)).filter(
    (asset) => asset.name === wanted || toHex(asset.id).startsWith(wanted.toLowerCase()),
  );
  const [found] = own;
  if (found === undefined || own.length > 1) throw new SaharaError('asset-unknown', { asset: wanted });
  return found;
}

function lineageOf(ledger: Ledger, asset: Asset): LineageReport {
  const stack = royaltyStack(asset.id, (id) => ledger.asset(id));
  return {
    asset: toHex(asset.id),
    name: asset.name,
    kind: asset.kind,
    licence: asset.licence,
    ...(asset.terms !== undefined && { terms: wordsOf(asset.terms) }),
    received: String(asset.received),
    owners: asset.owners.map(({ owner, ppm }) => ({ owner: didOf(owner), ppm })),
    madeOf: asset.parents.map(({ asset: id, relation, ppm }) => rowOf(ledger, { id, relation, ppm })),
    madeInto: ledger.childrenOf(asset.id).map((child) => {
      const edge = child.parents.find((parent) => toHex(parent.asset) === toHex(asset.id));
      return rowOf(ledger, { id: child.id, relation: edge?.relation ?? '', ppm: edge?.ppm ?? 0 });
    }),
    royalties: stack.map(({ asset: id, ppm }) => rowOf(ledger, { id, relation: '', ppm })),
  };
}

function rowOf(
  ledger: Ledger,
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
function wordsOf(terms: LicenceTerms): readonly string[] {
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
