import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { openLevelStore } from '../../src/base/level-store.ts';
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
