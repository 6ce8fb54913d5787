/**
 * The vaults of one home: a folder each, opened when first used, closed with the daemon. What is in the folder is
 * sealed under a secret in the home's key store, which is made before the folder and destroyed before it.
 */
import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { SaharaError } from '../base/errors.ts';
import { openLevelStore } from '../base/level-store.ts';
import { nearestNames } from '../base/nearest.ts';
import type { Store } from '../base/store.ts';
import { VAULT_FILES_MAX } from '../vault/limits.ts';
import type { RenewalProgress } from '../vault/renewal.ts';
import { vaultKeys } from '../vault/sealed/key-tree.ts';
import { openVault, type Vault } from '../vault/vault.ts';
import type { VaultSecrets } from './keys.ts';
import { finishSealing, sealFolder } from './vault-sealing.ts';

/** Most vaults of one home. */
const VAULTS_MAX = 256;

const NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/;

/** The vaults of one home. */
export interface VaultKeeper {
  /** Names of all, sorted. */
  names(): Promise<readonly string[]>;
  /** Makes an empty vault. Throws `vault-exists`, `home-full`, or `usage` for a name that cannot be one. */
  create(name: string): Promise<Vault>;
  /** The vault of that name. Throws `vault-unknown` with the nearest names, `store-corrupt`, `key-missing`. */
  open(name: string): Promise<Vault>;
  /** Deletes a vault and everything in it. */
  remove(name: string): Promise<void>;
  /** Closes every open vault. */
  close(): Promise<void>;
}

interface OpenVault {
  readonly vault: Vault;
  readonly store: Store;
}

/** A keeper of the vaults under `folder`. */
export function createVaultKeeper(
  parts: { readonly clock: Clock; readonly secrets: VaultSecrets },
  options: {
    readonly folder: string;
    /** Is told how far the search index of a vault is written anew by the present rules. Default: nobody is. */
    readonly onRenewal?: (vault: string, progress: RenewalProgress) => void;
  },
): VaultKeeper {
  const opened = new Map<string, Promise<OpenVault>>();
  const closing = new AbortController();

  const finished = finishSealing(options.folder);

  const names = async (): Promise<readonly string[]> => {
    await finished;
    return (await readdir(options.folder, { withFileTypes: true }))
      .filter((entry) => entry.isDirectory() && NAME.test(entry.name))
      .map((entry) => entry.name)
      .sort();
  };

  const openAt = async (name: string): Promise<OpenVault> => {
    const path = join(options.folder, name);
    await sealFolder(parts, { name, path });
    const secret = await parts.secrets.of(name);
    if (secret === undefined) throw new SaharaError('key-missing', { name: `vault.${name}`, path });
    const store = await openLevelStore(path, { openFilesMax: VAULT_FILES_MAX });
    try {
      const onRenewal = (progress: RenewalProgress): void => options.onRenewal?.(name, progress);
      const settings = { keys: vaultKeys(secret), onRenewal, signal: closing.signal };
      return { store, vault: await openVault({ store, clock: parts.clock }, settings) };
    } catch (error) {
      await store.close();
      throw error;
    }
  };

  const opening = (name: string): Promise<Vault> => {
    const open = opened.get(name) ?? openAt(name);
    opened.set(name, open);
    // What could not be opened is tried again when it is next asked for.
    open.catch(() => opened.delete(name));
    return open.then(({ vault }) => vault);
  };

  const closeOne = async (name: string): Promise<void> => {
    const open = opened.get(name);
    opened.delete(name);
    const { vault, store } = (await open?.catch(() => undefined)) ?? {};
    await vault?.close();
    await store?.close();
  };

  const exists = (name: string): boolean => NAME.test(name) && existsSync(join(options.folder, name));

  const unknown = async (name: string): Promise<SaharaError> =>
    new SaharaError('vault-unknown', { vault: name, nearest: nearestNames(name, await names()) });

  return {
    names,
    async create(name) {
      if (!NAME.test(name)) {
        const reason = `A vault's name has lower-case letters, digits, - and _, at most 63; not "${name}"`;
        throw new SaharaError('usage', { reason });
      }
      await finished;
      if (exists(name)) throw new SaharaError('vault-exists', { vault: name });
      if ((await names()).length >= VAULTS_MAX) {
        throw new SaharaError('home-full', { what: 'vaults', limit: VAULTS_MAX });
      }
      await parts.secrets.make(name);
      return opening(name);
    },
    async open(name) {
      await finished;
      if (!exists(name)) throw await unknown(name);
      return opening(name);
    },
    async remove(name) {
      if (!exists(name)) throw await unknown(name);
      await closeOne(name);
      await parts.secrets.destroy(name);
      await rm(join(options.folder, name), { recursive: true, force: true });
    },
    async close() {
      closing.abort();
      for (const name of [...opened.keys()]) await closeOne(name);
    },
  };
}
