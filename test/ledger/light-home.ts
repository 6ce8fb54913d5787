/** A light ledger of alice's and what sends for her, over a mesh. */
import type { Clock } from '../../src/base/clock.ts';
import type { Log } from '../../src/base/log.ts';
import { prefixed, type Store } from '../../src/base/store.ts';
import { createLedgerClient, type LedgerClient } from '../../src/ledger/client.ts';
import { networkNameOf } from '../../src/ledger/genesis.ts';
import { createLightLedger, type LightLedger } from '../../src/ledger/light/ledger.ts';
import type { LedgerMesh } from '../../src/ledger/sync.ts';
import { ledgerNetwork } from './in-process.ts';
import { alice, Bench, bob, suite, testGenesis } from './support.ts';

export async function openLightHome(parts: {
  readonly mesh: LedgerMesh;
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
}): Promise<{ readonly ledger: LightLedger; readonly client: LedgerClient }> {
  const { mesh, store, clock, log } = parts;
  const genesis = testGenesis();
  const network = ledgerNetwork(mesh, networkNameOf(suite, genesis));
  const kept = prefixed(store, Uint8Array.of(1));
  const own = { suite, store: kept, clock, log, owner: alice.publicKey, mesh, network };
  const ledger = await createLightLedger(own, genesis, { pollIntervalMs: 50, republishIntervalMs: 200 });
  const journal = prefixed(store, Uint8Array.of(2));
  const client = createLedgerClient({ ledger, signer: alice, suite, clock, journal }, { retryMs: 50 });
  return { ledger, client };
}

/** The chain that honest peers have: a channel of alice's, and two blocks more. */
export async function honestBench(): Promise<Bench> {
  const bench = await Bench.create(testGenesis());
  await bench.run(alice, { type: 'open-channel', payee: bob.publicKey, deposit: 5_000_000n });
  for (const amount of [1n, 2n])
    await bench.run(alice, { type: 'transfer', to: bob.publicKey, amount, memo: undefined });
  return bench;
}
