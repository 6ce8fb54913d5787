/**
 * The assets that this operator registers on the ledger: one per hosted agent, and one per contributor and vault,
 * which the contributor owns. Registering is idempotent: what is registered already is found again, also after a
 * crash between the ledger and this store.
 */
import { concat, equalBytes, toHex, utf8 } from '../base/bytes.ts';
import type { Store } from '../base/store.ts';
import type { Asset, Ledger } from '../ledger/ledger.ts';
import { didOf, type Hash, type PublicKey } from '../protocol/ids.ts';
import { licenceTerms } from '../protocol/licence.ts';
import { PPM } from '../protocol/limits.ts';
import type { Action, Commitment, RegisterAssetAction } from '../protocol/transaction.ts';
import { demandAllowed, planMaking } from './making.ts';

/** Sends an action of the operator and resolves once a block gave it effect; `nonce` is the one it used. */
type SendAction = (
  action: Action,
  options: { readonly signal: AbortSignal },
) => Promise<{ readonly nonce: number }>;

/** What an asset is registered with, but for its kind. */
interface Registration {
  readonly kind: RegisterAssetAction['kind'];
  readonly name: string;
  readonly owner: PublicKey;
  readonly commitment: Commitment;
  readonly licence: string;
  readonly making: Making;
}

/** What an asset is made of, and what may be made of it. */
type Making = Pick<RegisterAssetAction, 'parents' | 'terms' | 'bounty'>;

const MADE_OF_NOTHING: Making = { parents: [], terms: undefined, bounty: 0 };

/** The assets of this operator. */
export interface AssetBook {
  /**
   * The asset of the hosted agent of that name. One that is made otherwise than before is registered as a newer version,
   * once the licences of its parents allow it; otherwise throws `licence-refused`.
   */
  agent(
    name: string,
    of: Making & { readonly commitment: Commitment },
    options: { readonly signal: AbortSignal },
  ): Promise<Hash>;
  /** The asset that earns for what `contributor` has in `vault`. */
  contribution(
    of: { readonly vault: string; readonly contributor: PublicKey; readonly licence: string },
    options: { readonly signal: AbortSignal },
  ): Promise<Hash>;
  /** Registers an asset as it is. Throws `licence-refused`. */
  register(action: RegisterAssetAction, options: { readonly signal: AbortSignal }): Promise<Hash>;
  /** Ids of everything registered here so far. */
  registered(): Promise<readonly Hash[]>;
}

/** What the book works with. */
export interface AssetParts {
  /** This part has the store for itself. */
  readonly store: Store;
  readonly ledger: Ledger;
  readonly operator: PublicKey;
  readonly send: SendAction;
  /** The id of the asset that the operator's transaction number `nonce` registers. */
  readonly idOf: (nonce: number) => Hash;
}

/** The assets of `parts.operator`. */
export function createAssetBook(parts: AssetParts): AssetBook {
  const { store, ledger, operator, send } = parts;
  const running = new Map<string, Promise<Hash>>();

  const registerNow = async (action: RegisterAssetAction, signal: AbortSignal): Promise<Hash> => {
    const plan = await planMaking(ledger, { maker: operator, wanted: action }, { signal });
    demandAllowed(action.name, plan);
    return parts.idOf((await send(action, { signal })).nonce);
  };

  const register = async (key: Uint8Array, wanted: Registration, signal: AbortSignal): Promise<Hash> => {
    const kept = await store.get(key);
    const before = kept && (await ledger.read(({ asset }) => asset(kept), { signal }));
    if (before !== undefined && isMadeSame(before, wanted)) return before.id;
    const owned = await ledger.listed('assets', wanted.owner, { signal });
    const found = await ledger.read(({ asset }) => owned.flatMap((id) => asset(id) ?? []), { signal });
    const same = found.filter((asset) => isSame(asset, wanted, operator));
    const known = before ?? same[0];
    const versions = known && (await ledger.read((reads) => reads.versionsOf(known.id), { signal }));
    const latest = versions?.at(-1);
    const id =
      latest !== undefined && isMadeSame(latest, wanted)
        ? latest.id
        : await registerNow(actionOf(wanted, latest?.id), signal);
    await store.batch([{ type: 'put', key, value: id }], { sync: true });
    return id;
  };

  const once = (key: Uint8Array, wanted: Registration, signal: AbortSignal): Promise<Hash> => {
    const name = toHex(key);
    const run = running.get(name) ?? register(key, wanted, signal).finally(() => running.delete(name));
    running.set(name, run);
    return run;
  };

  return {
    agent(name, { commitment, ...making }, { signal }) {
      const wanted = { kind: 'agent' as const, name, owner: operator, commitment, licence: '', making };
      return once(utf8(`agent/${name}`), wanted, signal);
    },
    contribution({ vault, contributor, licence }, { signal }) {
      // A contribution grows with the vault, so it commits to who and where; passages are named by their own ids.
      const root = nothing();
      const commitment = { scheme: 'sahara-contribution-1', root, sizeBytes: 0 };
      const name = `${vault} by ${didOf(contributor)}`;
      const earns = { kind: 'contribution' as const, name, owner: contributor };
      const wanted: Registration = { ...earns, commitment, licence, making: MADE_OF_NOTHING };
      return once(concat(utf8(`contribution/${vault}/`), contributor), wanted, signal);
    },
    async register(action, { signal }) {
      const id = await registerNow(action, signal);
      await store.batch([{ type: 'put', key: concat(utf8('asset/'), id), value: id }], { sync: true });
      return id;
    },
    async registered() {
      const ids: Hash[] = [];
      for await (const [, id] of store.entries()) ids.push(id);
      return ids;
    },
  };
}

function nothing(): Hash {
  return new Uint8Array(32);
}

function isSame(asset: Asset, wanted: Registration, registrant: PublicKey): boolean {
  return asset.kind === wanted.kind && asset.name === wanted.name && equalBytes(asset.registrant, registrant);
}

/** Whether an asset is made as is wanted: of the same parents, under the same terms, with the same bounty. */
function isMadeSame(asset: Asset, { making }: Registration): boolean {
  const made = ({ parents, terms, bounty }: Making): Uint8Array =>
    concat(
      ...parents.map((parent) => concat(parent.asset, utf8(`${parent.relation} ${parent.ppm} `))),
      utf8(`${bounty} `),
      terms === undefined ? nothing() : licenceTerms.encode(terms),
    );
  return equalBytes(made(asset), made(making));
}

function actionOf(wanted: Registration, replaces: Hash | undefined): RegisterAssetAction {
  return {
    type: 'register-asset',
    kind: wanted.kind,
    name: wanted.name,
    owners: [{ owner: wanted.owner, ppm: PPM }],
    commitment: wanted.commitment,
    licence: wanted.licence,
    ...wanted.making,
    replaces,
  };
}
