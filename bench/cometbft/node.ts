/** One node in a process of its own: a ledger under either engine, and the CometBFT beside it. Forked by `nodes.ts`. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { silentLog } from '../../src/base/log.ts';
import { nodeIdOf, writeCometFiles } from '../../src/daemon/comet/files.ts';
import { findComet, superviseComet } from '../../src/daemon/comet/process.ts';
import { createCometLedger } from '../../src/ledger/engines/comet/ledger.ts';
import { createCometRpc } from '../../src/ledger/engines/comet/rpc.ts';
import { createEmbeddedLedger } from '../../src/ledger/engines/embedded.ts';
import { networkNameOf } from '../../src/ledger/genesis.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { signed } from '../../src/protocol/signing.ts';
import { nativeSuite as suite } from '../../src/protocol/suite-native.ts';
import { fund } from './fund.ts';
import type { NodeAnswer, NodePlan, NodeRequest } from './nodes.ts';
import { COMMIT_MS, cometNetwork, drive, embeddedGenesis, seedOf, sequencer } from './shared.ts';

// The parent hands over what it was asked for, and nobody else can.
const plan = JSON.parse(process.argv[2] ?? '{}') as NodePlan;
await mkdir(plan.folder, { recursive: true });
const store = await openLevelStore(join(plan.folder, 'ledger'));
const parts = { store, suite, clock: systemClock, log: silentLog };
const running = plan.engine === 'embedded' ? await embedded() : await underComet();
const say = (answer: NodeAnswer): void => {
  process.send?.(answer);
};
let ending: Promise<void> | undefined;
// Who measures may end without a word.
process.once('disconnect', () => void end());
process.on('message', (request: NodeRequest) => void answer(request));
say({ height: running.ledger.head().height, sample: undefined });

interface Running {
  readonly ledger: Ledger;
  stop(): Promise<void>;
}

async function embedded(): Promise<Running> {
  const ledger = await createEmbeddedLedger({ ...parts, signer: sequencer }, embeddedGenesis);
  return { ledger, stop: () => ledger.stop() };
}

async function underComet(): Promise<Running> {
  const { folder, number, all, validators, stateSync, snapshotEveryBlocks, accounts } = plan;
  const network = cometNetwork(validators);
  const place = all[number];
  if (place === undefined) throw new RangeError('no such node');
  if (accounts > 0) await fund(store, network.genesis, accounts);
  const shelf = await openLevelStore(join(folder, 'shelf'));
  const rpc = createCometRpc(fetch, `http://${place.host}:${place.rpc}`);
  const listen = { path: join(folder, 'abci.sock') };
  const ledger = await createCometLedger({ ...parts, shelf, rpc, listen }, network, { snapshotEveryBlocks });
  const { createdAtMs } = network.genesis;
  const files = join(folder, 'cometbft');
  await writeCometFiles(
    files,
    { network: networkNameOf(suite, network.genesis), createdAtMs, first: network.first },
    {
      nodeSeed: seedOf(`node ${number}`),
      votingSeed: seedOf(`validator ${number}`),
      abciAddress: ledger.abciAddress,
      p2p: { host: place.host, port: place.p2p },
      rpc: { host: place.host, port: place.rpc },
      peers: all.flatMap(({ host, p2p }, i) =>
        i === number ? [] : [`${nodeIdOf(seedOf(`node ${i}`))}@${host}:${p2p}`],
      ),
      commitMs: COMMIT_MS,
      ...(stateSync === undefined ? {} : { stateSync }),
    },
  );
  const program = await findComet(process.env);
  const comet = superviseComet({ program, folder: files, clock: systemClock, log: silentLog });
  return {
    ledger,
    async stop() {
      await comet.stop();
      await ledger.stop();
      await shelf.close();
    },
  };
}

function end(): Promise<void> {
  ending ??= running.stop().then(() => store.close());
  return ending;
}

async function answer(request: NodeRequest): Promise<void> {
  const { ledger } = running;
  if (request.type === 'stop') {
    await end();
    process.disconnect?.();
    return;
  }
  const { messages, inFlight } = request;
  const sample = await drive(messages, inFlight, async (bytes) => {
    await ledger.submit(signed.decode(new Uint8Array(bytes)), { signal: AbortSignal.timeout(300_000) });
  });
  say({ height: ledger.head().height, sample });
}
