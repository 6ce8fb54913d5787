import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const CHILD = fileURLToPath(new URL('../merge/ending-child.ts', import.meta.url));
const MIB = 1024 * 1024;

test('MRG-31: fifty pools are ended while their workers load, and the process lives', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sahara-ending-'));
  try {
    const file = join(folder, 'bytes');
    await writeFile(file, new Uint8Array(MIB));
    // A death by a signal of the child is a failure of this promise.
    const { stdout } = await promisify(execFile)(process.execPath, [CHILD, file, String(MIB), '50', '11']);
    const { ends, terminated } = JSON.parse(stdout);
    const { cancelled = 0, done = 0 } = ends;
    expect(cancelled + done + ends['file-missing']).toBe(50);
    expect(cancelled).toBeGreaterThan(0);
    expect(terminated).toBe(0);
  } finally {
    await rm(folder, { recursive: true });
  }
}, 300_000);
