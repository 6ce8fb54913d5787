/** Licences: what stands against making an asset, and the transactions that clear the way. */
import { equalBytes } from '../../base/bytes.ts';
import type { Hash, PublicKey } from '../../protocol/ids.ts';
import { type LicenceParent, type LicenceReason, solveLicence } from '../../protocol/licence.ts';
import { GRAINS_MAX } from '../../protocol/schema.ts';
import type { RegisterAssetAction } from '../../protocol/transaction.ts';
import { licenseeId } from '../records.ts';
import type { ResultName } from '../result-codes.ts';
import { debit, type State } from '../state.ts';
import { receive } from './claim.ts';
import { done, type Handler, refuse, type TransactionContext } from './context.ts';

type Refusal = Exclude<ResultName, 'ok'>;

/** What the ledger calls each reason. */
export const LICENCE_REFUSALS: Readonly<Record<LicenceReason, Refusal>> = {
  expired: 'licence-expired',
  grant: 'licence-grant',
  derivatives: 'licence-derivatives',
  approval: 'licence-approval',
  reciprocal: 'licence-reciprocal',
  commercial: 'licence-commercial',
  share: 'licence-share',
  attribution: 'licence-attribution',
  territory: 'licence-territory',
  term: 'licence-term',
  ceiling: 'licence-ceiling',
};

/** The first thing that the licences of its parents have against an asset. Its parents are registered. */
export function licenceFault(
  { state, sender, height }: Pick<TransactionContext, 'state' | 'sender' | 'height'>,
  { parents, terms }: RegisterAssetAction,
): Refusal | undefined {
  const bound = parents.flatMap((parent): readonly LicenceParent[] => {
    const known = state.assets.get(parent.asset);
    if (known?.definition.type !== 'register-asset' || known.definition.terms === undefined) return [];
    return [
      {
        ...parent,
        terms: known.definition.terms,
        own: equalBytes(known.registrant, sender),
        granted: isGranted(state, { asset: parent.asset, licensee: sender, height }),
        approved: state.approvals.get(licenseeId(parent.asset, sender)) !== undefined,
      },
    ];
  });
  const [first] = solveLicence({ terms, parents: bound, height });
  return first && LICENCE_REFUSALS[first.reason];
}

function isGranted(
  state: State,
  of: { readonly asset: Hash; readonly licensee: PublicKey; readonly height: number },
): boolean {
  const grant = state.grants.get(licenseeId(of.asset, of.licensee));
  return grant !== undefined && (grant.endsAt === 0 || of.height < grant.endsAt);
}

/**
 * Buys a licence, or more time under one that the sender has. Refusals in order: `asset-unknown`,
 * `licence-not-for-sale`, `licence-expired`, `balance-insufficient`, `amount-out-of-range`.
 */
export const buyLicence: Handler<'buy-licence'> = ({ state, sender, height }, { asset }) => {
  const known = state.assets.get(asset);
  if (known?.definition.type !== 'register-asset') return refuse('asset-unknown');
  const { terms } = known.definition;
  if (terms?.grant === undefined) return refuse('licence-not-for-sale');
  if (terms.expiresAt !== undefined && height >= terms.expiresAt) return refuse('licence-expired');
  const { price, blocks } = terms.grant;
  if (!debit(state, sender, price)) return refuse('balance-insufficient');
  if (receive(state, asset, price) > 0n) return refuse('amount-out-of-range');
  const id = licenseeId(asset, sender);
  const before = state.grants.get(id);
  const from = Math.max(height, before?.endsAt ?? 0);
  const paid = (before?.paid ?? 0n) + price;
  const endsAt = blocks === 0 ? 0 : from + blocks;
  if (paid > GRAINS_MAX || endsAt > Number.MAX_SAFE_INTEGER) return refuse('amount-out-of-range');
  state.grants.set(id, { endsAt, paid });
  return done(price);
};

/** Allows a key to derive from the sender's asset. Refusals in order: `asset-unknown`, `not-registrant`. */
export const approveDerivative: Handler<'approve-derivative'> = (context, { asset, licensee }) => {
  const { state, height } = context;
  const refusal = registrantFault(context, asset);
  if (refusal !== undefined) return refuse(refusal);
  state.approvals.set(licenseeId(asset, licensee), { since: height });
  return done();
};

/** Takes an approval back, if there is one. Refusals in order: `asset-unknown`, `not-registrant`. */
export const withdrawApproval: Handler<'withdraw-approval'> = (context, { asset, licensee }) => {
  const refusal = registrantFault(context, asset);
  if (refusal !== undefined) return refuse(refusal);
  context.state.approvals.set(licenseeId(asset, licensee), undefined);
  return done();
};

function registrantFault({ state, sender }: TransactionContext, asset: Hash): Refusal | undefined {
  const known = state.assets.get(asset);
  if (known === undefined) return 'asset-unknown';
  return equalBytes(known.registrant, sender) ? undefined : 'not-registrant';
}
