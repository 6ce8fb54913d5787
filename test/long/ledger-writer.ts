/** Does one job on the ledger in the folder given, and dies like `kill -9` at one of its writes. */
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openLevelStore } from '../../src/base/level-store.ts';
import type { Store } from '../../src/base/store.ts';
import { importChain, readChainFile } from '../../src/ledger/chain-file.ts';
import { restoreSnapshot } from '../../src/ledger/snapshot-restore.ts';
import { channelId } from '../../src/protocol/transaction.ts';
import { alice, Bench, bob, carol, claimOf, suite, testGenesis } from '../ledger/support.ts';

/** What can be interrupted. */
export type Job = 'blocks' | 'prune' | 'import' | 'restore';

/** Blocks of the ledger that `makeBlocks` makes. */
export const BLOCKS = 12;
const KEPT = 4;

/** Goes on with a ledger of which every block is known: a channel is opened, claimed on and closed, among transfers. */
export async function makeBlocks(store: Store, keepBlocks?: number): Promise<Bench> {
  const bench = await Bench.create(testGenesis(), store, keepBlocks);
  const channel = channelId(suite, bench.network, carol.publicKey, bob.publicKey, 0);
  const claim = claimOf(bench.network, { channel, payer: carol, payee: bob, ceiling: 900n, amounts: [] });
  while (bench.chain.head().height < BLOCKS) {
    const next = bench.chain.head().height + 1;
    if (next === 1)
      await bench.run(carol, { type: 'open-channel', payee: bob.publicKey, deposit: 5_000_000n });
    else if (next === 2) await bench.run(bob, { type: 'claim', ...claim });
    else if (next === 5) await bench.run(carol, { type: 'request-close', channel });
    else await bench.run(alice, { type: 'transfer', to: bob.publicKey, amount: 7n, memo: undefined });
  }
  return bench;
}

/** Does a job on `store`; `files` has a ledger as a file and as a snapshot. */
export async function work(job: Job, store: Store, files: string): Promise<void> {
  if (job === 'blocks') await makeBlocks(store, KEPT);
  else if (job === 'prune')
    await (await Bench.create(testGenesis(), store)).chain.prune(KEPT, { stepBlocks: 3 });
  else if (job === 'import')
    await importChain({ suite, store }, await readChainFile(createReadStream(join(files, 'ledger'))));
  else {
    const read = async (name: string): Promise<Uint8Array> =>
      new Uint8Array(await readFile(join(files, name)));
    const source = { manifest: await read('manifest'), chunk: (index: number) => read(String(index)) };
    await restoreSnapshot({ suite, store, genesis: testGenesis() }, source);
  }
}

/** A store whose process dies before, during or after its `count`th write. */
function dying(level: Store, moment: string, count: number): Store {
  let left = count;
  return {
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
}

if (import.meta.main) {
  const [job = '', folder = '', files = '', moment = '', count = '0'] = process.argv.slice(2);
  const level = await openLevelStore(folder);
  await work(job as Job, dying(level, moment, Number(count)), files);
  await level.close();
}
