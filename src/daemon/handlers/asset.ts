/** `asset.*` and `licence.*`: what is registered, what may be made of what, and bought or given leave to do so. */
import { equalBytes, toHex } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import { didOf, type PublicKey } from '../../protocol/ids.ts';
import { PPM } from '../../protocol/limits.ts';
import type { ParentShare, RegisterAssetAction } from '../../protocol/transaction.ts';
import type { LicenceReport } from '../admin/asset-types.ts';
import type { AdminHandlers } from '../admin/methods.ts';
import type { RegisterInput, TermsInput } from '../admin/methods-asset.ts';
import type { MergeMethods } from '../admin/methods-merge.ts';
import type { Running } from '../compose.ts';
import { commitmentOf } from '../content.ts';
import { demandAllowed, planMaking, type Wanted } from '../making.ts';
import { keyOf } from './ledger.ts';
import { findAsset, termWords } from './lineage.ts';
import { mergeHandlers } from './merge.ts';

type AssetMethods =
  | 'asset.register'
  | 'licence.check'
  | 'licence.show'
  | 'licence.buy'
  | 'licence.approve'
  | 'licence.withdraw'
  | keyof MergeMethods;

/** What is registered and what may be made of what. */
export function assetHandlers(running: Running): Pick<AdminHandlers, AssetMethods> {
  const { ledger, wallet } = running;
  const maker = wallet.publicKey;
  const allow =
    (type: 'approve-derivative' | 'withdraw-approval'): AdminHandlers['licence.approve'] =>
    async ({ asset, licensee }, signal) => {
      const { id } = await findAsset(running, asset, { signal });
      await wallet.send({ type, asset: id, licensee: keyOf(licensee) }, { signal });
      return licenceReport(running, { asset: toHex(id), of: keyOf(licensee) }, signal);
    };
  return {
    ...mergeHandlers(running, termsOf),
    async 'asset.register'(input, signal) {
      const action = await actionOf(running, input, signal);
      const plan = await planMaking(ledger, { maker, wanted: action }, { signal });
      if (input.dryRun === true) return { plan };
      demandAllowed(input.name, plan);
      return { plan, asset: toHex(await running.assets.register(action, { signal })) };
    },
    async 'licence.check'({ name, parents, terms }, signal) {
      const wanted: Wanted = {
        name: name ?? 'what is made',
        parents: await parentsOf(running, parents, signal),
        terms: termsOf(terms),
        replaces: undefined,
      };
      return planMaking(ledger, { maker, wanted }, { signal });
    },
    'licence.show': ({ asset, of }, signal) =>
      licenceReport(running, { asset, of: of === undefined ? maker : keyOf(of) }, signal),
    async 'licence.buy'({ asset }, signal) {
      const { id } = await findAsset(running, asset, { signal });
      await wallet.send({ type: 'buy-licence', asset: id }, { signal });
      return licenceReport(running, { asset: toHex(id), of: maker }, signal);
    },
    'licence.approve': allow('approve-derivative'),
    'licence.withdraw': allow('withdraw-approval'),
  };
}

async function actionOf(
  running: Running,
  input: RegisterInput,
  signal: AbortSignal,
): Promise<RegisterAssetAction> {
  const commitment = commitmentOf(input.commitment);
  if (commitment === undefined) {
    throw new SaharaError('usage', { reason: `"${input.commitment}" is no commitment: scheme:root:size` });
  }
  const owners = input.owners.map(({ owner, ppm }) => ({ owner: keyOf(owner), ppm }));
  const replaced =
    input.replaces === undefined ? undefined : await findAsset(running, input.replaces, { signal });
  return {
    type: 'register-asset',
    kind: input.kind,
    name: input.name,
    owners: owners.length === 0 ? [{ owner: running.wallet.publicKey, ppm: PPM }] : owners,
    parents: await parentsOf(running, input.parents, signal),
    commitment,
    licence: input.licence,
    terms: termsOf(input.terms),
    replaces: replaced?.id,
    bounty: input.bounty,
  };
}

function parentsOf(
  running: Running,
  parents: RegisterInput['parents'],
  signal: AbortSignal,
): Promise<readonly ParentShare[]> {
  return Promise.all(
    parents.map(async ({ asset, relation, ppm }) => {
      const { id } = await findAsset(running, asset, { signal });
      return { asset: id, relation, ppm };
    }),
  );
}

function termsOf(terms: TermsInput | undefined): Wanted['terms'] {
  if (terms === undefined) return undefined;
  const { ceiling, grant, expiresAt, ...plain } = terms;
  return {
    ...plain,
    ceiling: ceiling === undefined ? undefined : BigInt(ceiling),
    expiresAt,
    grant: grant && { price: BigInt(grant.price), blocks: grant.blocks },
  };
}

async function licenceReport(
  running: Running,
  wanted: { readonly asset: string; readonly of: PublicKey },
  signal: AbortSignal,
): Promise<LicenceReport> {
  const { ledger } = running;
  const asset = await findAsset(running, wanted.asset, { signal });
  const { grant, approved } = await ledger.read((reads) => reads.licenceOf(asset.id, wanted.of), { signal });
  const price = asset.terms?.grant;
  return {
    asset: toHex(asset.id),
    name: asset.name,
    licence: asset.licence,
    terms: asset.terms === undefined ? [] : termWords(asset.terms),
    licensee: didOf(wanted.of),
    own: equalBytes(asset.registrant, wanted.of),
    approved,
    height: ledger.head().height,
    ...(price !== undefined && { price: { amount: String(price.price), blocks: price.blocks } }),
    ...(grant !== undefined && { grant: { endsAt: grant.endsAt, paid: String(grant.paid) } }),
  };
}
