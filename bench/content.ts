/**
 * Committing to a file and proving a chunk of it against plain SHA-256 of the same bytes, read the same way in the same
 * run. `node bench/content.ts [--megabytes 512] [--rounds 3]`. The last line is JSON with the ratios of processor time.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { commitPath, provePath } from '../src/daemon/content.ts';
import { CONTENT_CHUNK_BYTES } from '../src/protocol/limits.ts';

const { values } = parseArgs({
  options: { megabytes: { type: 'string', default: '512' }, rounds: { type: 'string', default: '3' } },
});
const megabytes = Number(values.megabytes);
const { signal } = new AbortController();

async function cpuMs(work: () => Promise<unknown>): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < Number(values.rounds); round++) {
    const before = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, (user + system) / 1_000);
  }
  return best;
}

const folder = await mkdtemp(join(tmpdir(), 'sahara-bench-'));
try {
  const path = join(folder, 'data');
  const file = await open(path, 'w');
  for (let i = 0; i < megabytes; i++) await file.write(new Uint8Array(CONTENT_CHUNK_BYTES).fill(i));
  await file.close();

  const plain = await cpuMs(async () => {
    const hash = createHash('sha256');
    for await (const bytes of createReadStream(path, { highWaterMark: CONTENT_CHUNK_BYTES }))
      hash.update(bytes);
    return hash.digest();
  });
  const commit = await cpuMs(() => commitPath(path, { signal }));
  const part = { type: 'chunk' as const, index: Math.floor(megabytes / 2) };
  const prove = await cpuMs(() => provePath(path, { part, inside: undefined }, { signal }));
  const rate = (ms: number): number => Math.round((megabytes * 1_000) / ms);
  const peakMegabytes = Math.round(process.resourceUsage().maxRSS / 1_024);
  const line = (name: string, ms: number): void =>
    console.log(`${name.padEnd(14)} ${String(rate(ms)).padStart(6)} MiB per second of processor time`);
  line('plain SHA-256', plain);
  line('commit', commit);
  line('prove a chunk', prove);
  const ratios = { commitToPlain: plain / commit, proveToPlain: plain / prove };
  const rounded = Object.fromEntries(
    Object.entries(ratios).map(([name, ratio]) => [name, +ratio.toFixed(2)]),
  );
  console.log(JSON.stringify({ bench: 'content', megabytes, ...rounded, peakMegabytes }));
} finally {
  await rm(folder, { recursive: true });
}
