/** Learning over real vaults on disk, without a ledger: contributors get assets that are told from their DIDs. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseManifest } from '../../src/agent/manifest.ts';
import { concat, utf8 } from '../../src/base/bytes.ts';
import type { Clock } from '../../src/base/clock.ts';
import { createMemoryStore, type Store } from '../../src/base/store.ts';
import { openKeys } from '../../src/daemon/keys.ts';
import { createLearning, type Learning, type LearningOptions } from '../../src/daemon/learning.ts';
import { createVaultKeeper, type VaultKeeper } from '../../src/daemon/vaults.ts';
import { nativeSuite } from '../../src/protocol/suite-native.ts';

/** Learning, and the home that it is in. */
export interface LearningHome {
  readonly learning: Learning;
  readonly vaults: VaultKeeper;
  readonly records: Store;
  /** Ends it and begins anew with what is on disk. `records`: what the records are reached by then. */
  restart(more?: { readonly records?: Store; readonly agent?: string }): Promise<void>;
  close(): Promise<void>;
}

/** The agent that learns here. */
export const LEARNER = 'guide';

/** Makes a home. */
export async function learningHome(
  clock: Clock,
  options: Partial<LearningOptions> = {},
): Promise<LearningHome> {
  const root = await mkdtemp(join(tmpdir(), 'learning-'));
  await mkdir(join(root, 'vaults'));
  const records = createMemoryStore();
  const { vaults: secrets } = await openKeys(join(root, 'keys'), undefined);
  const manifest = parseManifest(`name: ${LEARNER}\nvaults: [own]\n`, { file: 'manifest' });
  const keeper = (): VaultKeeper => createVaultKeeper({ clock, secrets }, { folder: join(root, 'vaults') });
  const begin = (vaults: VaultKeeper, store: Store, more: Partial<LearningOptions>): Learning =>
    createLearning(
      {
        ...{ vaults, store, clock },
        agents: { hosted: () => ({ manifest, did: 'did:key:guide' }) },
        provenance: async ({ vault, contributor, licence }) => {
          const contribution = nativeSuite.sha256(concat(utf8(vault), contributor));
          return { contributor, contribution, licence };
        },
      },
      { agent: LEARNER, ...options, ...more },
    );
  let vaults = keeper();
  let learning = begin(vaults, records, {});
  return {
    get learning() {
      return learning;
    },
    get vaults() {
      return vaults;
    },
    records,
    async restart({ records: store = records, ...more } = {}) {
      await learning.stop();
      await vaults.close();
      vaults = keeper();
      learning = begin(vaults, store, more);
    },
    async close() {
      await learning.stop();
      await vaults.close();
      await rm(root, { recursive: true });
    },
  };
}
