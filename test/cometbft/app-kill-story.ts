/** A ledger in a process of its own that is killed at a write, under the real program. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { silentLog } from '../../src/base/log.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { writeCometFiles } from '../../src/daemon/comet/files.ts';
import { type CometProcess, superviseComet } from '../../src/daemon/comet/process.ts';
import { STATE_QUERY_PATH } from '../../src/ledger/engines/comet/abci.ts';
import { createCometLedger } from '../../src/ledger/engines/comet/ledger.ts';
import { createCometRpc } from '../../src/ledger/engines/comet/rpc.ts';
import { networkNameOf } from '../../src/ledger/genesis.ts';
import { stateAnswer, stateQuestion } from '../../src/ledger/light/messages.ts';
import { ACCOUNTS, stateKey } from '../../src/ledger/records.ts';
import { signed } from '../../src/protocol/signing.ts';
import { alice, bob, START, signAction, suite } from '../ledger/support.ts';
import { until } from '../mesh/support.ts';
import { places, seedOf, testFolder, testNetwork } from './support.ts';

const CHILD = fileURLToPath(new URL('app-child.ts', import.meta.url));

/** What a story opens, and whoever told it closes. */
export interface Opened {
  comet?: CometProcess;
  child?: ChildProcess;
  remove?: () => Promise<void>;
}

/** The ledger is killed at `point`, and comes back to the same chain with nothing lost or twice. */
export async function tellAppKill(opened: Opened, program: string, point: string): Promise<void> {
  const folder = await testFolder();
  opened.remove = folder.remove;
  const network = testNetwork(1);
  const name = networkNameOf(suite, network.genesis);
  const [place] = await places(1);
  if (place === undefined) throw new RangeError('no place');
  const url = `http://${place.host}:${place.rpc}`;
  const [path, socket] = [join(folder.path, 'store'), join(folder.path, 'abci.sock')];
  const run = async (at: string): Promise<ChildProcess> => {
    const started = spawn(process.execPath, [CHILD, path, socket, url, at], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(started.stdout ?? started, 'data');
    return started;
  };
  let child = await run(point);
  opened.child = child;
  const died = once(child, 'exit');
  const files = join(folder.path, 'cometbft');
  const { createdAtMs } = network.genesis;
  await writeCometFiles(
    files,
    { network: name, createdAtMs, first: network.first },
    {
      ...{
        nodeSeed: seedOf(100),
        votingSeed: seedOf(0),
        abciAddress: `unix://${socket}`,
        peers: [],
        commitMs: 20,
      },
      p2p: { host: place.host, port: place.p2p },
      rpc: { host: place.host, port: place.rpc },
    },
  );
  const comet = superviseComet(
    { program, folder: files, clock: systemClock, log: silentLog },
    { restartMs: 200 },
  );
  opened.comet = comet;
  const rpc = createCometRpc(fetch, url);
  const { signal } = new AbortController();
  const question = stateQuestion.encode({
    type: 'records',
    height: 0,
    keys: [stateKey(ACCOUNTS, alice.publicKey)],
  });
  /** Hands a payment in, again and again, until its number is used. */
  const pay = async (nonce: number): Promise<boolean> => {
    const action = { type: 'transfer', to: bob.publicKey, amount: 1n, memo: undefined } as const;
    const bytes = signed.encode(signAction(name, alice, nonce, action));
    try {
      await rpc.broadcast(bytes, { signal });
      const answer = stateAnswer.decode(await rpc.query(STATE_QUERY_PATH, question, { signal }));
      const value = answer.type === 'records' ? answer.entries[0]?.value : undefined;
      return value !== undefined && ACCOUNTS.schema.decode(value).nonce > nonce;
    } catch {
      return false;
    }
  };
  await until(async () => (await pay(0)) || child.signalCode === 'SIGKILL');
  await died;
  child = await run('never');
  opened.child = child;
  await until(() => pay(0));
  await until(() => pay(1));
  await comet.stop();
  child.kill('SIGKILL');
  await once(child, 'exit');

  const store = await openLevelStore(path);
  const parts = { store, shelf: createMemoryStore(), suite, clock: systemClock, log: silentLog, rpc };
  const ledger = await createCometLedger({ ...parts, listen: { path: socket } }, network);
  expect(ledger.account(bob.publicKey).balance).toBe(START + 2n);
  expect(await ledger.verify()).toMatchObject({ faults: [], transactions: 2, height: 2 });
  await ledger.stop();
  await store.close();
}
