/**
 * The assets that this operator registers on the ledger: one per hosted agent, and one per contributor and vault,
 * which the contributor owns. Registering is idempotent: what is registered already is found again, also after a
 * crash between the ledger and this store.
 */
import { concat, equalBytes, toHex, utf8 } from '../base/bytes.ts';
import type { Store } from '../base/store.ts';
import type { Asset, Ledger } from '../ledger/ledger.ts';
import { didOf, type Hash, type PublicKey } from '../protocol/ids.ts';
import { PPM } from '../protocol/limits.ts';
import type { Action, Commitment, RegisterAssetAction } from '../protocol/transaction.ts';

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
}

/** The assets of this operator. */
export interface AssetBook {
  /** The asset of the hosted agent of that name. */
  agent(name: string, commitment: Commitment, options: { readonly signal: AbortSignal }): Promise<Hash>;
  /** The asset that earns for what `contributor` has in `vault`. */
  contribution(
    of: { readonly vault: string; readonly contributor: PublicKey; readonly licence: string },
    options: { readonly signal: AbortSignal },
  ): Promise<Hash>;
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

  const register = async (key: Uint8Array, wanted: Registration, signal: AbortSignal): Promise<Hash> => {
    const kept = await store.get(key);
    if (kept !== undefined && ledger.asset(kept) !== undefined) return kept;
    const known = ledger.assetsOf(wanted.owner).find((asset) => isSame(asset, wanted, operator));
    const id = known?.id ?? parts.idOf((await send(actionOf(wanted), { signal })).nonce);
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
    agent: (name, commitment, { signal }) =>
      once(utf8(`agent/${name}`), { kind: 'agent', name, owner: operator, commitment, licence: '' }, signal),
    contribution({ vault, contributor, licence }, { signal }) {
      // A contribution grows with the vault, so it commits to who and where; passages are named by their own ids.
      const root = nothing();
      const commitment = { scheme: 'sahara-contribution-1', root, sizeBytes: 0 };
      const name = `${vault} by ${didOf(contributor)}`;
      const wanted: Registration = { kind: 'contribution', name, owner: contributor, commitment, licence };
      return once(concat(utf8(`contribution/${vault}/`), contributor), wanted, signal);
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

function actionOf(wanted: Registration): RegisterAssetAction {
  return {
    type: 'register-asset',
    kind: wanted.kind,
    name: wanted.name,
    owners: [{ owner: wanted.owner, ppm: PPM }],
    parents: [],
    commitment: wanted.commitment,
    licence: wanted.licence,
    terms: undefined,
    replaces: undefined,
    bounty: 0,
  };
}
