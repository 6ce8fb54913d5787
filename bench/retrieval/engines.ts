/** The engines that are compared, behind one interface: our vault, sealed on disk, MiniSearch and SQLite's FTS5. */
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import MiniSearch from 'minisearch';
import { systemClock } from '../../src/base/clock.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import type { Store } from '../../src/base/store.ts';
import { range, SEGMENT_TAGS } from '../../src/vault/keys.ts';
import { vaultKeys } from '../../src/vault/sealed/key-tree.ts';
import { openVault, type Vault } from '../../src/vault/vault.ts';
import type { BenchPassage } from './zipf.ts';

/** A filled engine. */
export interface Engine {
  readonly name: string;
  /** Names of the best passages, best first. */
  search(question: string, limit: number): Promise<readonly string[]>;
  /** Bytes of its index at rest; the passages themselves are not counted. */
  indexBytes(): Promise<number>;
  /** Milliseconds from closed to the first question. */
  openMs(): Promise<number>;
  close(): Promise<void>;
}

const PASSAGES_PER_DOCUMENT = 50;
const DOCUMENTS_PER_BATCH = 40;
const KEYS = vaultKeys(new Uint8Array(32).fill(7));
const PROVENANCE = { contributor: new Uint8Array(32).fill(1), contribution: undefined, licence: 'CC0-1.0' };

/** Our vault in a folder, sealed. Each passage is one chunk whose document's name tells it. */
export async function saharaEngine(folder: string, passages: readonly BenchPassage[]): Promise<Engine> {
  const path = join(folder, 'vault');
  let { store, vault } = await openAt(path);
  const ids = new Map<string, string>();
  const size = PASSAGES_PER_DOCUMENT * DOCUMENTS_PER_BATCH;
  for (let from = 0; from < passages.length; from += size) {
    await keep(vault, passages.slice(from, from + size), from);
  }
  for (const { id, title, text } of passages) ids.set(`${title}\n${text}`, id);
  await vault.close();
  await store.close();
  ({ store, vault } = await openAt(path));
  return {
    name: 'sahara',
    async search(question, limit) {
      const { hits } = await vault.search({ question, limit });
      return hits.map(({ chunk }) => ids.get(`${chunk.title}\n${chunk.text}`) ?? '');
    },
    indexBytes: () => indexBytes(store),
    async openMs() {
      await vault.close();
      await store.close();
      const before = performance.now();
      ({ store, vault } = await openAt(path));
      return performance.now() - before;
    },
    async close() {
      await vault.close();
      await store.close();
    },
  };
}

async function openAt(path: string): Promise<{ store: Store; vault: Vault }> {
  const store = await openLevelStore(path);
  return { store, vault: await openVault({ store, clock: systemClock }, { keys: KEYS }) };
}

async function keep(vault: Vault, passages: readonly BenchPassage[], from: number): Promise<void> {
  const documents = [];
  for (let at = 0; at < passages.length; at += PASSAGES_PER_DOCUMENT) {
    const part = passages.slice(at, at + PASSAGES_PER_DOCUMENT);
    const chunks = part.map(({ title, text }) => ({ title, text, start: 0, end: Buffer.byteLength(text) }));
    const name = `${from + at}.txt`;
    documents.push({
      name,
      contentHash: new Uint8Array(createHash('sha256').update(name).digest()),
      sizeBytes: 0,
      textBytes: 0,
      consent: '',
      provenance: PROVENANCE,
      extracted: { mediaType: 'text/plain', chunks },
    });
  }
  await vault.keep(documents);
}

async function indexBytes(store: Store): Promise<number> {
  let bytes = 0;
  for (const tag of SEGMENT_TAGS) {
    for await (const [key, value] of store.entries(range(tag))) bytes += key.length + value.length;
  }
  return bytes;
}

/** MiniSearch with its defaults, in memory; at rest it is one JSON file. */
export function miniSearchEngine(passages: readonly BenchPassage[]): Engine {
  const options = { fields: ['title', 'text'], idField: 'id' };
  let index = new MiniSearch<BenchPassage>(options);
  index.addAll(passages);
  let stored: string | undefined;
  const json = (): string => {
    stored ??= JSON.stringify(index);
    return stored;
  };
  return {
    name: 'minisearch',
    search: async (question, limit) =>
      index
        .search(question)
        .slice(0, limit)
        .map(({ id }) => String(id)),
    indexBytes: async () => Buffer.byteLength(json()),
    async openMs() {
      const text = json();
      const before = performance.now();
      index = MiniSearch.loadJSON<BenchPassage>(text, options);
      return performance.now() - before;
    },
    close: async () => {},
  };
}

/** SQLite's FTS5 ordered by its BM25, in a file, without the passages (`content=''`). */
export function sqliteEngine(folder: string, passages: readonly BenchPassage[]): Engine {
  const path = join(folder, 'fts.sqlite');
  let database = new DatabaseSync(path);
  database.exec('PRAGMA journal_mode = WAL');
  database.exec("CREATE VIRTUAL TABLE passages USING fts5(title, text, content='', tokenize='porter')");
  const insert = database.prepare('INSERT INTO passages(rowid, title, text) VALUES (?, ?, ?)');
  database.exec('BEGIN');
  for (const [i, { title, text }] of passages.entries()) insert.run(i + 1, title, text);
  database.exec('COMMIT');
  database.exec("INSERT INTO passages(passages) VALUES ('optimize')");
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  const prepare = () =>
    database.prepare('SELECT rowid FROM passages WHERE passages MATCH ? ORDER BY rank LIMIT ?');
  let select = prepare();
  return {
    name: 'fts5',
    async search(question, limit) {
      const words = question.match(/[\p{L}\p{N}]+/gu) ?? [];
      if (words.length === 0) return [];
      const rows = select.all(words.map((word) => `"${word}"`).join(' OR '), limit);
      return rows.map((row) => passages[Number(row.rowid) - 1]?.id ?? '');
    },
    indexBytes: async () => (await stat(path)).size,
    async openMs() {
      database.close();
      const before = performance.now();
      database = new DatabaseSync(path);
      select = prepare();
      return performance.now() - before;
    },
    close: async () => database.close(),
  };
}
