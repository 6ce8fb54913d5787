import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { toHex } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { createMemoryStore, type Store } from '../../src/base/store.ts';
import { chunkId, documentId } from '../../src/vault/chunk.ts';
import { sha256 } from '../../src/vault/hash.ts';
import { openVault, type Vault } from '../../src/vault/vault.ts';
import { addText, collect, makePdf, provenance, texts } from './fixtures.ts';
import { readVectors } from './vectors.ts';

const folders: string[] = [];

async function temporary(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sahara-vault-'));
  folders.push(folder);
  return folder;
}

afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

async function onDisk(path: string): Promise<{ vault: Vault; store: Store; close: () => Promise<void> }> {
  const store = await openLevelStore(path);
  const vault = await openVault({ store, clock: systemClock });
  return {
    vault,
    store,
    close: async () => {
      await vault.close();
      await store.close();
    },
  };
}

const inMemory = (): Promise<Vault> => openVault({ store: createMemoryStore(), clock: systemClock });

describe('documents', () => {
  test('KNOW-6: the same document twice changes nothing; a changed one replaces; removal removes', async () => {
    const path = await temporary();
    let opened = await onDisk(path);
    const text = 'A voucher is a signed ceiling. It only rises.';
    expect((await addText(opened.vault, 'a.txt', text)).outcome).toBe('added');
    const before = await opened.vault.commitment();
    expect((await addText(opened.vault, 'a.txt', text)).outcome).toBe('unchanged');
    expect(opened.vault.stats()).toMatchObject({ documents: 1, chunks: 1, generation: 1 });
    await opened.close();

    opened = await onDisk(path);
    expect(await opened.vault.commitment()).toEqual(before);
    expect((await addText(opened.vault, 'a.txt', 'A receipt names who earned.')).outcome).toBe('replaced');
    expect(texts((await opened.vault.search({ question: 'voucher ceiling' })).hits)).toEqual([]);
    expect(texts((await opened.vault.search({ question: 'receipt' })).hits)).toEqual([
      'A receipt names who earned.',
    ]);
    await opened.close();

    opened = await onDisk(path);
    expect(opened.vault.stats()).toMatchObject({ documents: 1, chunks: 1 });
    expect(await opened.vault.remove('a.txt')).toBe(true);
    expect(await opened.vault.remove('a.txt')).toBe(false);
    expect(opened.vault.stats()).toMatchObject({ documents: 0, chunks: 0, lengthTotal: 0 });
    expect((await opened.vault.search({ question: 'receipt' })).hits).toEqual([]);
    expect(await opened.vault.commitment()).toMatchObject({ chunks: 0, terms: 0 });
    await opened.close();
  });

  test('KNOW-6: one content under two names is kept once and stays until both are gone', async () => {
    const vault = await inMemory();
    await addText(vault, 'a.txt', 'Shared text about channels.');
    expect((await addText(vault, 'b.txt', 'Shared text about channels.')).outcome).toBe('named');
    expect(vault.stats()).toMatchObject({ documents: 1, chunks: 1 });
    await vault.remove('a.txt');
    const { hits } = await vault.search({ question: 'channels' });
    expect(hits.map(({ name }) => name)).toEqual(['b.txt']);
    await vault.remove('b.txt');
    expect(vault.stats().documents).toBe(0);
  });

  test('KNOW-2, KNOW-3: ids follow from content and provenance alone', async () => {
    const [one, two] = [await inMemory(), await inMemory()];
    const kept = await addText(one, 'x.txt', 'Same words here.');
    await addText(two, 'first.txt', 'Something else.');
    const again = await addText(two, 'y.txt', 'Same words here.');
    expect(again.document.id).toEqual(kept.document.id);
    const other = await addText(one, 'z.txt', 'Same words here.', provenance(9));
    expect(other.document.id).not.toEqual(kept.document.id);
    const { hits } = await one.search({ question: 'same words' });
    expect(hits).toHaveLength(2);
    for (const { chunk } of hits) {
      expect(chunk.id).toEqual(chunkId(chunk));
      expect((await one.chunk(chunk.id))?.text).toBe(chunk.text);
    }
  });

  interface IdVector {
    mediaType: string;
    content: string;
    title: string;
    text: string;
    contributor: string;
    contribution: string | null;
    licence: string;
    documentId: string;
    chunkId: string;
  }

  const idsOf = (vector: IdVector) => {
    const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'));
    const contribution = vector.contribution === null ? undefined : bytes(vector.contribution);
    const from = { contributor: bytes(vector.contributor), contribution, licence: vector.licence };
    const contentHash = sha256(Buffer.from(vector.content));
    return {
      documentId: toHex(documentId({ ...from, mediaType: vector.mediaType, contentHash })),
      chunkId: toHex(chunkId({ ...from, title: vector.title, text: vector.text })),
    };
  };

  test.each(readVectors<IdVector>('ids').valid)('KNOW-1, KNOW-2, KNOW-3: id vector $title', (vector) => {
    expect(idsOf(vector)).toEqual({ documentId: vector.documentId, chunkId: vector.chunkId });
  });

  test.each(readVectors<IdVector>('ids').invalid)('KNOW-3: id of something else, $title', (vector) => {
    expect(idsOf(vector).chunkId).not.toBe(vector.chunkId);
  });
});

describe('import of a folder', () => {
  test('KNOW-5, KNOW-6: reports each refused file with its reason and goes on', async () => {
    const folder = await temporary();
    const docs = join(folder, 'docs');
    await mkdir(join(docs, 'deep', '.git'), { recursive: true });
    await writeFile(join(docs, 'a.md'), '# A\n\nFirst document about vouchers.\n');
    await writeFile(join(docs, 'deep', 'b.txt'), 'Second document about receipts.');
    await writeFile(join(docs, 'c.html'), '<!doctype html><p>Third about claims.</p>');
    await writeFile(join(docs, 'd.pdf'), makePdf([[{ text: 'Fourth about channels.', size: 11, y: 700 }]]));
    await writeFile(join(docs, 'e.png'), Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0, 0));
    await writeFile(join(docs, 'empty.txt'), '');
    await writeFile(join(docs, '.hidden.md'), 'Hidden words.');
    await writeFile(join(docs, 'deep', '.git', 'config.md'), 'Hidden words.');
    await writeFile(join(folder, 'outside.txt'), 'Outside words.');
    await symlink(docs, join(docs, 'deep', 'loop'));
    await symlink(join(folder, 'outside.txt'), join(docs, 'escape.txt'));
    await symlink(join(docs, 'gone.txt'), join(docs, 'dangling.txt'));
    const vault = await inMemory();
    const events = await collect(vault.importPath(docs, provenance()));
    expect(events[0]).toMatchObject({ type: 'started', files: 8 });
    const kept = events.flatMap((event) => (event.type === 'kept' ? [event.name] : []));
    expect(kept.sort()).toEqual(['docs/a.md', 'docs/c.html', 'docs/d.pdf', 'docs/deep/b.txt']);
    const refused = events.flatMap((event) =>
      event.type === 'refused' ? [[event.name, event.error.code]] : [],
    );
    expect(refused.sort()).toEqual([
      ['docs/dangling.txt', 'document-unreadable'],
      ['docs/e.png', 'document-unsupported'],
      ['docs/empty.txt', 'document-unreadable'],
      ['docs/escape.txt', 'document-unreadable'],
    ]);
    expect(events.at(-1)).toMatchObject({ type: 'done', counts: { added: 4, refused: 4, chunks: 4 } });
    const again = await collect(vault.importPath(docs, provenance()));
    expect(again.at(-1)).toMatchObject({ type: 'done', counts: { added: 0, unchanged: 4, refused: 4 } });
    expect(vault.stats()).toMatchObject({ documents: 4, chunks: 4, generation: 1 });
  });

  test('a missing path and a cancelled import are one clear error each', async () => {
    const vault = await inMemory();
    await expect(collect(vault.importPath('/no/such/place', provenance()))).rejects.toMatchObject({
      code: 'file-missing',
    });
    const folder = await temporary();
    for (let i = 0; i < 200; i++) await writeFile(join(folder, `${i}.txt`), `Document number ${i}.`);
    const stop = new AbortController();
    const kept: string[] = [];
    const run = async () => {
      for await (const event of vault.importPath(folder, provenance(), { signal: stop.signal })) {
        if (event.type !== 'kept') continue;
        kept.push(event.name);
        stop.abort();
      }
    };
    await expect(run()).rejects.toSatisfy(
      (error) => error instanceof SaharaError && error.code === 'cancelled',
    );
    expect(kept.length).toBeGreaterThan(0);
    expect(vault.stats().documents).toBeLessThan(200);
    for (const name of kept) expect(await vault.document(name)).toBeDefined();
  });

  test('KNOW-7: a merge that the disk cuts short leaves nothing behind in later segments', async () => {
    const store = createMemoryStore();
    let failing = true;
    let failed = 0;
    const flaky: Store = {
      ...store,
      async batch(operations, options) {
        // Only merges write without sync; the first half of one still reaches the disk.
        if (failing && options?.sync !== true && operations.some(({ type }) => type === 'put')) {
          failed++;
          await store.batch(operations.slice(0, operations.length / 2));
          throw new SaharaError('disk-full');
        }
        await store.batch(operations, options);
      },
    };
    const vault = await openVault({ store: flaky, clock: systemClock });
    for (let i = 0; i < 12; i++) await addText(vault, `${i}.txt`, `Shared words and unique${i}.`);
    await vault.commitment();
    expect(failed).toBeGreaterThan(0);
    failing = false;
    for (let i = 0; i < 12; i++) await addText(vault, `${i}.txt`, `Other words and fresh${i}.`);
    const again = await openVault({ store, clock: systemClock });
    for (const opened of [vault, again]) {
      expect((await opened.search({ question: 'shared unique' })).hits).toEqual([]);
      expect((await opened.search({ question: 'fresh7' })).hits[0]?.name).toBe('7.txt');
      expect((await opened.search({ question: 'words', limit: 50 })).hits).toHaveLength(12);
    }
    const plain = await inMemory();
    for (let i = 0; i < 12; i++) await addText(plain, `${i}.txt`, `Other words and fresh${i}.`);
    expect(await again.commitment()).toEqual(await plain.commitment());
  });

  test('a closed vault refuses further changes', async () => {
    const vault = await inMemory();
    await vault.close();
    await expect(addText(vault, 'a.txt', 'late')).rejects.toMatchObject({ code: 'cancelled' });
  });

  test('a store of another layout is refused with what to do', async () => {
    const store = createMemoryStore();
    await addText(await openVault({ store, clock: systemClock }), 'a.txt', 'text');
    const key = Buffer.from('h');
    const head = (await store.get(key)) ?? new Uint8Array();
    head[1] = 9;
    await store.batch([{ type: 'put', key, value: head }]);
    await expect(openVault({ store, clock: systemClock })).rejects.toMatchObject({ code: 'store-corrupt' });
  });
});
