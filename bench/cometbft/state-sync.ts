/** A node that joins by state sync a ledger of many accounts: how long it takes, and how many bytes come. */
import { join } from 'node:path';
import { toHex } from '../../src/base/bytes.ts';
import { fetchConsensusBlock } from '../../src/ledger/engines/comet/light/json.ts';
import { createCometRpc, fieldsOf } from '../../src/ledger/engines/comet/rpc.ts';
import { consensusHash } from '../../src/protocol/consensus-bytes.ts';
import { nativeSuite as suite } from '../../src/protocol/suite-native.ts';
import { isUp } from './consensus-load.ts';
import { startNetwork, startNode } from './nodes.ts';
import { places, until } from './shared.ts';

/** What joining took. */
export interface StateSyncFigures {
  readonly accounts: number;
  /** From the start of the node to its ledger at the height of the network. */
  readonly syncMs: number;
  /** Of them, looking for snapshots: CometBFT's least. */
  readonly discoveryMs: number;
  /** All that its CometBFT received from its peer. */
  readonly receivedBytes: number;
  readonly bytesPerAccount: number;
}

/** How long CometBFT looks for snapshots before it takes one, as the daemon's files say and CometBFT demands. */
const DISCOVERY_MS = 5_000;

/** Measures one join. `sign` makes the transactions that have blocks made, each of another sender. */
export async function measureStateSync(
  folder: string,
  accounts: number,
  sign: () => Uint8Array,
): Promise<StateSyncFigures> {
  const all = await places(2);
  const planted = Math.ceil(accounts / 2_000);
  const validators = all.slice(0, 1);
  // One snapshot: of the first block of consensus that makes a block of the ledger.
  const plan = { folder, accounts, snapshotEveryBlocks: planted + 1 };
  const [seed] = await startNetwork({ ...plan, all: validators });
  const [place, own] = all;
  if (seed === undefined || place === undefined || own === undefined) throw new Error('no nodes');
  await isUp(validators);
  // Blocks after it, for the headers that prove it.
  for (let i = 0; i < 4; i++) await seed.load([sign()], 1);
  const url = `http://${place.host}:${place.rpc}`;
  const rpc = createCometRpc(fetch, url);
  const waiting = { signal: AbortSignal.timeout(10_000) };
  const { header } = await fetchConsensusBlock(rpc, 2, waiting);
  const hash = toHex(consensusHash(suite, (await rpc.status(waiting)).network, header)).toUpperCase();
  const target = await seed.height();
  const startMs = performance.now();
  const joining = await startNode({
    ...{ engine: 'comet', number: 1, validators: 1, accounts: 0, snapshotEveryBlocks: 0, all },
    folder: join(folder, 'joining'),
    stateSync: { rpc: [url, url], height: 2, hash },
  });
  await until('state sync', async () => (await joining.height()) >= target);
  const syncMs = performance.now() - startMs;
  const receivedBytes = await received(`http://${own.host}:${own.rpc}`);
  await joining.stop();
  await seed.stop();
  return {
    accounts,
    syncMs: Math.round(syncMs),
    discoveryMs: DISCOVERY_MS,
    receivedBytes,
    bytesPerAccount: Number((receivedBytes / accounts).toFixed(1)),
  };
}

async function received(url: string): Promise<number> {
  const options = { signal: AbortSignal.timeout(10_000) };
  const { peers } = fieldsOf(await createCometRpc(fetch, url).call('net_info', {}, options));
  return (Array.isArray(peers) ? peers : []).reduce((sum: number, one: unknown) => {
    const { RecvMonitor } = fieldsOf(fieldsOf(one).connection_status);
    return sum + Number(fieldsOf(RecvMonitor).Bytes);
  }, 0);
}
