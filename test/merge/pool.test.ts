import { execFile } from 'node:child_process';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runJobs } from '../../src/merge/pool.ts';

const CHILD = fileURLToPath(new URL('./ending-child.ts', import.meta.url));
const MIB = 1024 * 1024;
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sahara-pool-'));
  await writeFile(join(folder, 'small'), new Uint8Array(MIB));
  await writeFile(join(folder, 'endless'), '');
  // Holes read as zeros: hashing them takes minutes.
  await truncate(join(folder, 'endless'), 2 ** 37);
});
afterAll(() => rm(folder, { recursive: true }));

describe('MRG-31: workers that end by themselves', { timeout: 120_000 }, () => {
  it('survives that they end at any moment while they load, and terminates none', async () => {
    const args = [CHILD, join(folder, 'small'), String(MIB), '6', '3'];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    const { ends, terminated } = JSON.parse(stdout);
    expect(ends['file-missing'] + (ends.cancelled ?? 0) + (ends.done ?? 0)).toBe(6);
    expect(terminated).toBe(0);
  });

  it('ends a long job at its next block when it is cancelled', async () => {
    const sizeBytes = 2 ** 37;
    const source = { path: join(folder, 'endless'), offset: 0, sizeBytes, dtype: 'U8', shape: [sizeBytes] };
    const jobs = [{ kind: 'hash' as const, source }];
    const cancel = new AbortController();
    const options = { workers: 1, memoryBytes: 8 * MIB, signal: cancel.signal };
    const running = runJobs(jobs, options, () => {});
    setTimeout(() => cancel.abort(), 500);
    await expect(running).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('says that a worker stopped that died while it loaded', async () => {
    const source = { path: join(folder, 'small'), offset: 0, sizeBytes: MIB, dtype: 'U8', shape: [MIB] };
    // No memory has that size: making it throws before the worker is ready.
    const options = { workers: 1, memoryBytes: Number.NaN };
    const failed = runJobs([{ kind: 'hash', source }], options, () => {});
    await expect(failed).rejects.toMatchObject({ code: 'internal' });
  });
});
