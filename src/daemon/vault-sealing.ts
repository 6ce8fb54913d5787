/**
 * Seals vaults that were written before vaults were sealed: everything is copied into a sealed folder beside, which
 * then takes the place of the open one. A crash at any moment leaves one of the two whole.
 */
import { existsSync } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { openLevelStore } from '../base/level-store.ts';
import { copyOpenVault, isOpenVault } from '../vault/copy-open.ts';
import { vaultKeys } from '../vault/sealed/key-tree.ts';
import { openVault } from '../vault/vault.ts';
import type { VaultSecrets } from './keys.ts';

/** Names that no vault can have. */
const SEALING = '.sealing';
const OPEN = '.open';

/** Seals the vault in the folder `path` if it is an open one. Errors as of stores and keys. */
export async function sealFolder(
  parts: { readonly clock: Clock; readonly secrets: VaultSecrets },
  { name, path }: { readonly name: string; readonly path: string },
): Promise<void> {
  if (!existsSync(path)) return;
  const from = await openLevelStore(path);
  try {
    if (!(await isOpenVault(from))) return;
    const secret = await parts.secrets.make(name);
    await rm(path + SEALING, { recursive: true, force: true });
    const to = await openLevelStore(path + SEALING);
    try {
      const vault = await openVault({ store: to, clock: parts.clock }, { keys: vaultKeys(secret) });
      await copyOpenVault(from, vault);
      await vault.close();
    } finally {
      await to.close();
    }
  } finally {
    await from.close();
  }
  await rename(path, path + OPEN);
  await finishSealing(join(path, '..'));
}

/** Finishes what a crash interrupted between the two names. */
export async function finishSealing(folder: string): Promise<void> {
  if (!existsSync(folder)) return;
  for (const entry of await readdir(folder)) {
    if (!entry.endsWith(OPEN)) continue;
    const path = join(folder, entry.slice(0, -OPEN.length));
    if (!existsSync(path)) await rename(path + SEALING, path);
    await rm(path + OPEN, { recursive: true, force: true });
  }
}
