import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { createEmbeddedLedger } from '../../src/ledger/engines/embedded.ts';
import { networkNameOf } from '../../src/ledger/genesis.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { createLightLedger } from '../../src/ledger/light/ledger.ts';
import { createInProcessNetwork, ledgerNetwork } from './in-process.ts';
import { readsConform } from './reads-conform.ts';
import { alice, sequencer, suite, testGenesis } from './support.ts';

const genesis = testGenesis();
const name = networkNameOf(suite, genesis);
const common = { suite, clock: systemClock, log: silentLog };

async function keep(mesh: Parameters<typeof ledgerNetwork>[0], signer?: typeof sequencer): Promise<Ledger> {
  const parts = { ...common, store: createMemoryStore(), network: ledgerNetwork(mesh, name) };
  return createEmbeddedLedger({ ...parts, ...(signer && { signer }) }, genesis, { pollIntervalMs: 40 });
}

readsConform('the sequencer', async () => {
  const full = await keep(createInProcessNetwork().join('full'), sequencer);
  return { ledger: full, full, close: () => full.stop() };
});

readsConform('a follower', async () => {
  const network = createInProcessNetwork();
  const full = await keep(network.join('full'), sequencer);
  const ledger = await keep(network.join('home'));
  return {
    ledger,
    full,
    async close() {
      await ledger.stop();
      await full.stop();
    },
  };
});

readsConform('a light client', async () => {
  const network = createInProcessNetwork();
  const full = await keep(network.join('full'), sequencer);
  const mesh = network.join('home');
  const parts = { ...common, store: createMemoryStore(), owner: alice.publicKey, mesh };
  const ledger = await createLightLedger({ ...parts, network: ledgerNetwork(mesh, name) }, genesis, {
    pollIntervalMs: 40,
  });
  return {
    ledger,
    full,
    async close() {
      await ledger.stop();
      await full.stop();
    },
  };
});
