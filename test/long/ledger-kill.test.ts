import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { toHex } from '../../src/base/bytes.ts';
import type { SaharaError } from '../../src/base/errors.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { createMemoryStore, type Store } from '../../src/base/store.ts';
import { openChain } from '../../src/ledger/chain.ts';
import { exportChain } from '../../src/ledger/chain-file.ts';
import { createSnapshot } from '../../src/ledger/snapshot.ts';
import { snapshotManifest } from '../../src/ledger/snapshot-form.ts';
import { verifyChain } from '../../src/ledger/verify.ts';
import { Bench, suite, testGenesis } from '../ledger/support.ts';
import { type Job, makeBlocks, work } from './ledger-writer.ts';

const child = fileURLToPath(new URL('./ledger-writer.ts', import.meta.url));
const MOMENTS = ['before', 'during', 'after'] as const;

async function contents(store: Store): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const [key, value] of store.entries()) found.push(`${toHex(key)}=${toHex(value)}`);
  return found;
}

/** A ledger as a file and as a snapshot with many chunks. */
async function writeFiles(folder: string): Promise<void> {
  const bench = await makeBlocks(createMemoryStore());
  const pieces: Uint8Array[] = [];
  for await (const piece of exportChain(bench.parts)) pieces.push(piece);
  await writeFile(join(folder, 'ledger'), pieces);
  const put = (index: number, chunk: Uint8Array): Promise<void> =>
    writeFile(join(folder, String(index)), chunk);
  const manifest = await createSnapshot(bench.parts, put, { chunkBytesMax: 64 });
  await writeFile(join(folder, 'manifest'), snapshotManifest.encode(manifest));
}

/** What a job gives when nothing interrupts it. */
async function unbroken(job: Job, files: string): Promise<readonly string[]> {
  const store = createMemoryStore();
  if (job === 'prune') await makeBlocks(store);
  await work(job, store, files);
  return contents(store);
}

/** Whether the process came to the write at all. */
async function dies(args: readonly string[]): Promise<boolean> {
  const running = spawn(process.execPath, [child, ...args], { stdio: ['ignore', 'inherit', 'inherit'] });
  const [code, signal] = await once(running, 'close');
  expect([code, signal]).toEqual(signal === null ? [0, null] : [null, 'SIGKILL']);
  return signal !== null;
}

const JOBS = [
  ['blocks', 13],
  ['prune', 2],
  ['import', 13],
  ['restore', 6],
] as const;

test.each(JOBS)(
  'LEDGER-46, LEDGER-142, LEDGER-144, LEDGER-151: killed at any write of %s, what is left goes on to the same end',
  async (job, least) => {
    const folder = await mkdtemp(join(tmpdir(), 'sahara-ledger-kill-'));
    await writeFiles(folder);
    const expected = await unbroken(job, folder);
    const start = join(folder, 'start');
    const prepared = await openLevelStore(start);
    if (job === 'prune') await makeBlocks(prepared);
    await prepared.close();
    let writes = 0;
    for (let count = 1; ; count++) {
      const place = join(folder, `store-${count}`);
      await cp(start, place, { recursive: true });
      if (!(await dies([job, place, folder, MOMENTS[count % 3] ?? '', String(count)]))) break;
      writes++;
      const store = await openLevelStore(place);
      const opened = await openChain({ suite, store }, testGenesis()).catch((error: SaharaError) => error);
      // Only a restore that was cut short does not open.
      if (opened instanceof Error)
        expect([job, opened]).toMatchObject(['restore', { code: 'store-corrupt' }]);
      else expect((await verifyChain((await Bench.create(testGenesis(), store)).parts)).faults).toEqual([]);
      // Opening an empty store begins a ledger there, and a snapshot wants none.
      if (job === 'restore' && !(opened instanceof Error) && opened.head().height === 0) await clear(store);
      const restored = job === 'restore' && !(opened instanceof Error) && opened.head().height > 0;
      if (!restored) await work(job, store, folder);
      expect(await contents(store)).toEqual(expected);
      await store.close();
    }
    expect(writes).toBeGreaterThanOrEqual(least);
    await rm(folder, { recursive: true, force: true });
  },
  300_000,
);

async function clear(store: Store): Promise<void> {
  for await (const [key] of store.entries()) await store.batch([{ type: 'del', key }]);
}
