/** Keeps a ledger in the folder given, sends transfers until it is killed, and prints what was acknowledged. */
import { systemClock } from '../../src/base/clock.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { silentLog } from '../../src/base/log.ts';
import type { Store } from '../../src/base/store.ts';
import { createFileMark } from '../../src/daemon/head-mark.ts';
import { createLedgerClient } from '../../src/ledger/client.ts';
import { createEmbeddedLedger } from '../../src/ledger/engines/embedded.ts';
import { alice, bob, sequencer, suite, testGenesis } from './support.ts';

const [folder = '', moment = '', batches = '0'] = process.argv.slice(2);
const level = await openLevelStore(folder);

let left = Number(batches);
/** Ends the process like `kill -9` before or after the write that makes a block. */
const store: Store = {
  ...level,
  async batch(operations, options) {
    left--;
    if (left === 0 && moment === 'before') process.kill(process.pid, 'SIGKILL');
    const written = level.batch(operations, options);
    if (left === 0 && moment === 'during') process.kill(process.pid, 'SIGKILL');
    await written;
    if (left === 0 && moment === 'after') process.kill(process.pid, 'SIGKILL');
  },
};

const ledger = await createEmbeddedLedger(
  {
    suite,
    clock: systemClock,
    log: silentLog,
    store,
    mark: createFileMark(`${folder}.head`),
    signer: sequencer,
  },
  testGenesis(),
);
const client = createLedgerClient({ ledger, signer: alice, suite, clock: systemClock });
process.stdout.write('ready\n');
for (;;) {
  const action = { type: 'transfer', to: bob.publicKey, amount: 1n, memo: undefined } as const;
  const sent = await Promise.all([1, 2, 3].map(() => client.send(action)));
  for (const { height, index } of sent) process.stdout.write(`${height} ${index}\n`);
}
