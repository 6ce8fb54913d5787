import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { systemDice } from '../../src/base/random.ts';
import type { Store } from '../../src/base/store.ts';
import { itemKey } from '../../src/vault/item-keys.ts';
import { documentKey } from '../../src/vault/keys.ts';
import { vaultKeys } from '../../src/vault/sealed/key-tree.ts';
import { openVault, type Vault } from '../../src/vault/vault.ts';
import { addText } from './fixtures.ts';

const folder = await mkdtemp(join(tmpdir(), 'sahara-sealed-'));
afterAll(() => rm(folder, { recursive: true, force: true }));

const secret = systemDice.bytes(32);
let count = 0;

async function sealedVault(): Promise<{ vault: Vault; store: Store; path: string }> {
  const path = join(folder, `${count++}`);
  const store = await openLevelStore(path);
  return { path, store, vault: await openVault({ store, clock: systemClock }, { keys: vaultKeys(secret) }) };
}

/** Every byte of every file below `path`. */
async function everything(path: string): Promise<Buffer> {
  const files = await readdir(path, { recursive: true, withFileTypes: true });
  const inside = files.filter((entry) => entry.isFile());
  return Buffer.concat(
    await Promise.all(inside.map((entry) => readFile(join(entry.parentPath, entry.name)))),
  );
}

const TEXT =
  'Quokkas drink marmalade by moonlight. The zyzzyva beetle hums.\n\nXylophones rust slowly in the rain.';
const WORDS = ['quokka', 'marmalade', 'zyzzyva', 'xylophon', 'moonlight', 'secret-name', 'CC-BY'];

describe('a sealed vault', () => {
  it('KNOW-104, KNOW-105: has nothing readable on disk, neither text nor words nor names', async () => {
    const { vault, store, path } = await sealedVault();
    await addText(vault, 'secret-name.txt', TEXT);
    for (let n = 0; n < 20; n++) await addText(vault, `other-${n}.txt`, `Marmalade number ${n} is orange.`);
    await vault.accesses.add({
      who: 'did:key:zyzzyva',
      action: 'search',
      purpose: 'answer',
      count: 1,
      about: 'marmalade',
    });
    expect(
      (await vault.search({ question: 'who drinks marmalade?', limit: 3 })).hits[0]?.chunk.text,
    ).toContain('Quokkas');
    await vault.close();
    await store.close();
    const raw = (await everything(path)).toString('latin1').toLowerCase();
    expect(raw.length).toBeGreaterThan(1000);
    expect(WORDS.filter((word) => raw.includes(word.toLowerCase()))).toEqual([]);
  });

  it('reopens with its key, and with another one says so', async () => {
    const { vault, store } = await sealedVault();
    await addText(vault, 'a.txt', TEXT);
    const before = await vault.commitment();
    await vault.close();
    const again = await openVault({ store, clock: systemClock }, { keys: vaultKeys(secret) });
    expect(await again.commitment()).toEqual(before);
    expect((await again.document('a.txt'))?.chunks).toBeGreaterThan(0);
    await again.close();
    const other = { keys: vaultKeys(systemDice.bytes(32)) };
    await expect(openVault({ store, clock: systemClock }, other)).rejects.toMatchObject({
      code: 'store-corrupt',
    });
    await store.close();
  });

  it('KNOW-105: notices a changed, moved or exchanged record', async () => {
    const { vault, store } = await sealedVault();
    const { document } = await addText(vault, 'a.txt', TEXT);
    const { document: other } = await addText(vault, 'b.txt', 'Something else stands here.');
    await vault.close();
    const key = documentKey(document.id);
    const sound = await store.get(key);
    if (sound === undefined) throw new Error('a document is there');
    for (const at of [0, 5, 20, sound.length - 1]) {
      const bent = sound.slice();
      bent[at] = (bent[at] ?? 0) ^ 1;
      await store.batch([{ type: 'put', key, value: bent }]);
      const opened = await openVault({ store, clock: systemClock }, { keys: vaultKeys(secret) });
      await expect(opened.document('a.txt')).rejects.toMatchObject({ code: 'store-corrupt' });
      await opened.close();
    }
    await store.batch([{ type: 'put', key: documentKey(other.id), value: sound }]);
    const opened = await openVault({ store, clock: systemClock }, { keys: vaultKeys(secret) });
    await expect(opened.document('b.txt')).rejects.toMatchObject({ code: 'store-corrupt' });
    await opened.close();
    await store.close();
  });

  it('KNOW-106: forgets a document for good: its key and its records are off the disk', async () => {
    const { vault, store, path } = await sealedVault();
    const { document } = await addText(vault, 'gone.txt', TEXT);
    await vault.importDocument({ name: 'same.txt', bytes: Buffer.from(TEXT), provenance: { ...document } });
    await addText(vault, 'stays.txt', 'Xylophones and marmalade stay here.');
    const wrapped = await store.get(itemKey(document.firstChunk));
    const sealed = await store.get(documentKey(document.id));
    if (wrapped === undefined || sealed === undefined) throw new Error('both are there');
    expect((await everything(path)).includes(Buffer.from(wrapped))).toBe(true);
    expect((await vault.forget('gone.txt'))?.names).toEqual(['gone.txt', 'same.txt']);
    expect(await vault.forget('gone.txt')).toBeUndefined();
    expect(await vault.document('same.txt')).toBeUndefined();
    expect(await vault.search({ question: 'quokkas', limit: 5 })).toMatchObject({ hits: [] });
    expect((await vault.search({ question: 'xylophones', limit: 5 })).hits).toHaveLength(1);
    const left = await everything(path);
    expect(left.includes(Buffer.from(wrapped))).toBe(false);
    expect(left.includes(Buffer.from(sealed))).toBe(false);
    expect(left.includes(Buffer.from(document.id))).toBe(false);
    await vault.close();
    await store.close();
  });
});
