import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { concat, u32be } from '../../src/base/bytes.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { systemDice } from '../../src/base/random.ts';
import { createMemoryStore, prefixed } from '../../src/base/store.ts';
import { storeConforms } from './store-conforms.ts';

const folders: string[] = [];
async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'sahara-store-'));
  folders.push(path);
  return path;
}
afterAll(async () => {
  for (const path of folders) await rm(path, { recursive: true, force: true });
});

storeConforms('memory', async () => createMemoryStore());
storeConforms('level', async () => openLevelStore(await folder()));
storeConforms('prefixed', async () => {
  const whole = createMemoryStore();
  await whole.batch([
    { type: 'put', key: Uint8Array.of(4, 255), value: Uint8Array.of(1) },
    { type: 'put', key: Uint8Array.of(6), value: Uint8Array.of(1) },
  ]);
  return prefixed(whole, Uint8Array.of(5));
});

test('a level store keeps what it has across a restart and refuses a second opening', async () => {
  const path = await folder();
  const first = await openLevelStore(path);
  await first.batch([{ type: 'put', key: Uint8Array.of(1), value: Uint8Array.of(2) }], { sync: true });
  await expect(openLevelStore(path)).rejects.toMatchObject({ code: 'store-locked' });
  await first.close();
  const second = await openLevelStore(path);
  expect(await second.get(Uint8Array.of(1))).toEqual(Uint8Array.of(2));
  await second.close();
});

test.each([
  ['just written', 40],
  ['in several levels of a larger store', 9_000],
])('erasing leaves nothing of what was deleted on disk: %s', async (_where, count) => {
  const path = await folder();
  const store = await openLevelStore(path);
  const key = (i: number): Uint8Array => concat(Uint8Array.of(7), u32be(i));
  const values = Array.from({ length: count }, () => systemDice.bytes(1000));
  // Twice, in different orders, so that keys lie in several files over each other.
  for (const step of [1, 7]) {
    for (let from = 0; from < count; from += 500) {
      const part = Array.from({ length: Math.min(500, count - from) }, (_, i) => ((from + i) * step) % count);
      await store.batch(
        part.map((i) => ({ type: 'put', key: key(i), value: values[i] ?? new Uint8Array(0) })),
      );
    }
  }
  const gone = Array.from({ length: 12 }, (_, i) => Math.floor(count / 2) + i);
  await store.batch(gone.map((i) => ({ type: 'del', key: key(i) })));
  await store.erase?.([{ gte: key(gone[0] ?? 0), lt: key((gone.at(-1) ?? 0) + 1) }]);
  const files = await Promise.all(
    (await readdir(path)).map((name) => readFile(join(path, name)).catch(() => Buffer.alloc(0))),
  );
  const disk = Buffer.concat(files);
  for (const i of gone) expect(disk.includes(Buffer.from(values[i] ?? []))).toBe(false);
  for (let i = 0; i < count; i += 37) {
    if (!gone.includes(i)) expect(await store.get(key(i))).toEqual(values[i]);
  }
  let left = 0;
  for await (const _ of store.entries()) left++;
  expect(left).toBe(count - gone.length);
  await store.close();
});
