/** A ledger that ends itself at one of its writes: `node app-child.ts STORE SOCKET RPC POINT`. */

import { systemClock } from '../../src/base/clock.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { silentLog } from '../../src/base/log.ts';
import { createMemoryStore, type Store } from '../../src/base/store.ts';
import { createCometLedger } from '../../src/ledger/engines/comet/ledger.ts';
import { createCometRpc } from '../../src/ledger/engines/comet/rpc.ts';
import { CONSENSUS, HEAD } from '../../src/ledger/layout.ts';
import { suite } from '../ledger/support.ts';
import { testNetwork } from './support.ts';

const [path = '', socket = '', url = '', point = ''] = process.argv.slice(2);

function end(): void {
  process.kill(process.pid, 'SIGKILL');
}

/** Ends before or after the first write of a block, or of a block of consensus that makes none. */
function deadly(store: Store): Store {
  const batch: Store['batch'] = async (operations, options) => {
    const makes = operations.some(({ key }) => Buffer.compare(key, HEAD) === 0);
    const counts = operations.some(({ key }) => Buffer.compare(key, CONSENSUS) === 0);
    const kind = makes && counts ? 'block' : counts ? 'quiet' : 'other';
    if (point === `before-${kind}`) end();
    await store.batch(operations, options);
    if (point === `after-${kind}`) end();
  };
  return new Proxy(store, {
    get: (target, name) => {
      if (name === 'batch') return batch;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

const store = deadly(await openLevelStore(path));
const rpc = createCometRpc(fetch, url);
const parts = { store, shelf: createMemoryStore(), suite, clock: systemClock, log: silentLog, rpc };
await createCometLedger({ ...parts, listen: { path: socket } }, testNetwork(1));
process.stdout.write('listening\n');
