/** Starts what holds knowledge: the assets of its contributors, the vaults, and the folders that they follow. */
import { nativeSuite } from '../protocol/suite-native.ts';
import { assetId } from '../protocol/transaction.ts';
import { type AssetBook, createAssetBook } from './assets.ts';
import type { Core } from './core.ts';
import { createKnowledge, type Knowledge } from './knowledge.ts';
import type { Lifecycle } from './lifecycle.ts';
import { startWatching } from './vault-watching.ts';
import { createVaultKeeper } from './vaults.ts';

/** Knowledge of this home, over its core. */
export async function startKnowledge(
  core: Core,
  life: Lifecycle,
): Promise<{ readonly assets: AssetBook; readonly knowledge: Knowledge }> {
  const { ledger, wallet, network, storeOf, clock, log, keys, home } = core;
  const assets = createAssetBook({
    store: storeOf('assets'),
    ledger,
    operator: wallet.publicKey,
    send: (action, options) => wallet.send(action, options),
    idOf: (nonce) => assetId(nativeSuite, network, wallet.publicKey, nonce),
  });
  const vaults = await life.start(
    'vaults',
    () =>
      createVaultKeeper(
        { clock, secrets: keys.vaults },
        {
          folder: home.vaults,
          onRenewal: (vault, { chunks, of }) =>
            log.info('search index is written anew', { vault, passages: chunks, of }),
        },
      ),
    (keeper) => keeper.close(),
  );
  const watching = await life.start(
    'watched folders',
    () => startWatching({ vaults, store: storeOf('watching'), clock, log }),
    (running) => running.stop(),
  );
  return { assets, knowledge: createKnowledge({ vaults, assets, watching }) };
}
