import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { concat, u32be } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { systemDice } from '../../src/base/random.ts';
import type { Store } from '../../src/base/store.ts';
import { prepare } from '../../src/vault/import.ts';
import { itemKey } from '../../src/vault/item-keys.ts';
import { chunkKey, documentKey, range, SEGMENT_TAGS } from '../../src/vault/keys.ts';
import { vaultKeys } from '../../src/vault/sealed/key-tree.ts';
import { idSpans, itemSpans, segmentSpans } from '../../src/vault/spans.ts';
import { openVault, type Vault } from '../../src/vault/vault.ts';
import { addText, provenance } from './fixtures.ts';

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

/** The stored values of a segment of the index. */
async function recordsOf(store: Store, segment: number): Promise<Uint8Array[]> {
  const found: Uint8Array[] = [];
  for (const tag of SEGMENT_TAGS) {
    for await (const [, value] of store.entries(range(concat(tag, u32be(segment)))))
      found.push(value.slice());
  }
  return found;
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

  it('KNOW-106: forgets a document for good: its key and its passages are off the disk, and then all else', async () => {
    const { vault, store, path } = await sealedVault();
    const { document } = await addText(vault, 'gone.txt', TEXT);
    await vault.importDocument({ name: 'same.txt', bytes: Buffer.from(TEXT), provenance: { ...document } });
    await addText(vault, 'stays.txt', 'Xylophones and marmalade stay here.');
    const wrapped = await store.get(itemKey(document.firstChunk));
    const sealed = await store.get(documentKey(document.id));
    const passages = await store.get(chunkKey(document.firstChunk));
    // The first segment is that of the first document.
    const pages = await recordsOf(store, 0);
    expect(pages.length).toBeGreaterThan(3);
    if (wrapped === undefined || sealed === undefined || passages === undefined)
      throw new Error('all are there');
    expect((await everything(path)).includes(Buffer.from(wrapped))).toBe(true);
    expect((await vault.forget('gone.txt'))?.names).toEqual(['gone.txt', 'same.txt']);
    expect(await vault.forget('gone.txt')).toBeUndefined();
    expect(await vault.document('same.txt')).toBeUndefined();
    expect(await vault.search({ question: 'quokkas', limit: 5 })).toMatchObject({ hits: [] });
    expect((await vault.search({ question: 'xylophones', limit: 5 })).hits).toHaveLength(1);
    const atOnce = await everything(path);
    expect(atOnce.includes(Buffer.from(wrapped))).toBe(false);
    expect(atOnce.includes(Buffer.from(passages))).toBe(false);
    await vault.eraseWords();
    const left = await everything(path);
    for (const page of pages) expect(left.includes(Buffer.from(page))).toBe(false);
    expect(left.includes(Buffer.from(sealed))).toBe(false);
    expect(left.includes(Buffer.from(document.id))).toBe(false);
    await vault.close();
    await store.close();
  });

  it('KNOW-162: takes words off the disk after the next start, where it was stopped before', async () => {
    const { vault, store, path } = await sealedVault();
    // Of one segment only a smaller part goes, so that nothing else has it written anew.
    const texts = [TEXT, 'Otters stay.', 'Badgers stay too.', 'And so do newts.'];
    const documents = texts.map((text, i) =>
      prepare({
        name: i === 0 ? 'gone.txt' : `${i}.txt`,
        bytes: Buffer.from(text),
        provenance: provenance(),
      }),
    );
    await vault.keep(await Promise.all(documents));
    const pages = await recordsOf(store, 0);
    await vault.forget('gone.txt');
    await addText(vault, 'later.txt', 'Xylophones and marmalade came later.');
    expect((await vault.search({ question: 'quokkas', limit: 5 })).hits).toEqual([]);
    await vault.close();
    const before = await everything(path);
    expect(pages.some((page) => before.includes(Buffer.from(page)))).toBe(true);
    const again = await openVault({ store, clock: systemClock }, { keys: vaultKeys(secret) });
    await again.eraseWords();
    const left = await everything(path);
    for (const page of pages) expect(left.includes(Buffer.from(page))).toBe(false);
    expect((await again.search({ question: 'xylophones', limit: 5 })).hits).toHaveLength(1);
    expect(await again.commitment()).toMatchObject({ chunks: 4 });
    // Nothing is left to do.
    const sizeBytes = (await everything(path)).length;
    await again.eraseWords();
    expect((await everything(path)).length).toBe(sizeBytes);
    await again.close();
    await store.close();
  });

  it('KNOW-162: is not harmed by an erasing that was killed anywhere', async () => {
    const { vault, store, path } = await sealedVault();
    await addText(vault, 'gone.txt', TEXT);
    const { document } = await addText(vault, 'stays.txt', 'Badgers stay.');
    const before = await vault.commitment();
    await vault.close();
    // What a store writes down for the time of erasing, and nobody took away again.
    const spans = [...idSpans(), ...[0, 1, 255, 256].flatMap(segmentSpans), ...itemSpans(document)];
    for (const { gte, lt } of spans) {
      for (const end of [gte, lt]) {
        const at = end.findLastIndex((byte) => byte > 0);
        const rest = new Uint8Array(end.length - at + 7).fill(0xff);
        const key = concat(end.subarray(0, at), Uint8Array.of((end[at] ?? 0) - 1), rest);
        await store.batch([{ type: 'put', key, value: new Uint8Array(0) }]);
      }
    }
    const again = await openVault({ store, clock: systemClock }, { keys: vaultKeys(secret) });
    expect(await again.commitment()).toEqual(before);
    const names: string[] = [];
    for await (const one of again.documents()) names.push(...one.names);
    expect(names.sort()).toEqual(['gone.txt', 'stays.txt']);
    await again.forget('gone.txt');
    await again.eraseWords();
    expect((await again.search({ question: 'badgers', limit: 5 })).hits).toHaveLength(1);
    expect((await everything(path)).includes(Buffer.from(document.id))).toBe(true);
    await again.close();
    await store.close();
  });
});
