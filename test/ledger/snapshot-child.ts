/** Restores the snapshot in the folder given into a store, and dies like `kill -9` at one of its writes. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openLevelStore } from '../../src/base/level-store.ts';
import type { Store } from '../../src/base/store.ts';
import { restoreSnapshot } from '../../src/ledger/snapshot-restore.ts';
import { suite, testGenesis } from './support.ts';

const [folder = '', place = '', moment = '', batches = '0'] = process.argv.slice(2);
const level = await openLevelStore(place);
let left = Number(batches);
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
const genesis = testGenesis();
const manifest = new Uint8Array(await readFile(join(folder, 'manifest')));
await restoreSnapshot(
  { suite, store, genesis },
  { manifest, chunk: async (index) => new Uint8Array(await readFile(join(folder, `${index}`))) },
);
await level.close();
