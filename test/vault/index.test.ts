import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { createMemoryStore, type Store } from '../../src/base/store.ts';
import type { VaultCodec } from '../../src/vault/codec.ts';
import {
  blockOf,
  compareTerms,
  decodeDirectory,
  decodeTerms,
  encodeDirectory,
  entryOf,
  type PlacedEntry,
  TermBlockWriter,
} from '../../src/vault/search/dictionary.ts';
import { Lru } from '../../src/vault/search/lru.ts';
import { PAGE_BYTES, PageWriter, readStretch } from '../../src/vault/search/pages.ts';
import {
  decodePositions,
  decodePostings,
  indexOfChunk,
  PostingsEncoder,
  placePositions,
  positionsAt,
  storedPositions,
} from '../../src/vault/search/postings.ts';
import { buildSegment } from '../../src/vault/search/segment.ts';
import { VarintReader, VarintWriter } from '../../src/vault/search/varint.ts';
import { openVault } from '../../src/vault/vault.ts';
import { addText } from './fixtures.ts';

function encodeTerms(entries: readonly PlacedEntry[]): Uint8Array {
  const block = new TermBlockWriter();
  block.begin(entries[0]?.postingsAt ?? 0, entries[0]?.positionsAt ?? 0);
  for (const { term, chunks, postingsBytes, positionsBytes } of entries) {
    block.add(term, chunks, { postings: postingsBytes, positions: positionsBytes });
  }
  return block.finish();
}

describe('stored forms', () => {
  test('varints, dictionaries and directories come back as they went', () => {
    fc.assert(
      fc.property(fc.array(fc.maxSafeNat()), (values) => {
        const writer = new VarintWriter();
        for (const value of values) writer.uint(value);
        const reader = new VarintReader(writer.finish());
        expect(values.map(() => reader.uint())).toEqual(values);
        expect(reader.atEnd).toBe(true);
      }),
    );
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.string({ unit: 'grapheme', maxLength: 12 }), { maxLength: 60 }),
        (raw) => {
          let at = 1000;
          const entries = raw.sort(compareTerms).map((term, i) => {
            const postingsAt = at;
            at += i + 1;
            return { term, chunks: i, postingsAt, postingsBytes: i + 1, positionsAt: 0, positionsBytes: 0 };
          });
          expect(decodeTerms(encodeTerms(entries))).toEqual(entries);
          const byBytes = raw
            .map((term) => Buffer.from(term))
            .sort(Buffer.compare)
            .map(String);
          expect(raw.map((term) => Buffer.from(term).toString())).toEqual(byBytes);
          expect(decodeDirectory(encodeDirectory(raw))).toEqual(raw);
          for (const [i, entry] of entries.entries()) {
            expect(blockOf(raw, entry.term)).toBe(i);
            expect(entryOf(entries, entry.term)).toEqual(entry);
          }
          expect(entryOf(entries, 'a term of more than twelve characters')).toBeUndefined();
        },
      ),
    );
  });

  test('postings come back as they went, and the positions of any one chunk', () => {
    const posting = fc.record({
      chunk: fc.nat(1e6),
      inTitle: fc.nat(3),
      positions: fc.uniqueArray(fc.nat(3000), { maxLength: 8 }),
    });
    fc.assert(
      fc.property(fc.uniqueArray(posting, { selector: ({ chunk }) => chunk, maxLength: 200 }), (raw) => {
        const entries = raw.sort((a, b) => a.chunk - b.chunk);
        const written = new VarintWriter();
        const encoder = new PostingsEncoder(written);
        const stored = new VarintWriter();
        for (const { chunk, inTitle, positions } of entries) {
          positions.sort((a, b) => a - b);
          encoder.add(chunk, positions.length, inTitle);
          let last = 0;
          for (const position of positions) {
            stored.uint(position - last);
            last = position;
          }
        }
        const read = decodePostings(written.finish(), entries.length);
        expect([...read.chunks]).toEqual(entries.map(({ chunk }) => chunk));
        expect([...read.inTitle]).toEqual(entries.map(({ inTitle }) => inTitle));
        const all = [...storedPositions(read, stored.finish())].map(decodePositions);
        expect(all).toEqual(entries.map(({ positions }) => positions));
        const placed = placePositions(read, stored.finish());
        for (const [i, { chunk, positions }] of entries.entries()) {
          expect(indexOfChunk(read, chunk)).toBe(i);
          expect(positionsAt(read, placed, i)).toEqual(positions);
        }
        expect(indexOfChunk(read, 2_000_000)).toBe(-1);
      }),
    );
  });

  test('any stretch of a stream of pages is what was written there', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(20_000), { minLength: 1, maxLength: 6 }),
        fc.nat(1000),
        async (sizes, seed) => {
          const pages = new Map<number, Uint8Array>();
          const writer = new PageWriter((page, bytes) => pages.set(page, bytes.slice()));
          const parts = sizes.map((size, i) =>
            new Uint8Array(size).map((_, at) => (at * 7 + i + seed) % 251),
          );
          for (const part of parts) writer.raw(part);
          writer.finish();
          const read = async (page: number) => pages.get(page) ?? new Uint8Array(0);
          let at = 0;
          for (const part of parts) {
            expect(Buffer.compare(await readStretch(read, at, part.length), part)).toBe(0);
            at += part.length;
          }
        },
      ),
      { numRuns: 30 },
    );
  });

  test('damaged postings are an error, not nonsense', () => {
    expect(() => decodePostings(Uint8Array.of(5, 200), 3)).toThrow(/store-corrupt/);
    expect(() => new VarintReader(new Uint8Array(12).fill(0xff)).uint()).toThrow(/store-corrupt/);
  });

  test('the cache forgets what was used longest ago and keeps to its weight', () => {
    const cache = new Lru<number>(10);
    for (let i = 0; i < 5; i++) cache.set(`${i}`, i, 3);
    expect(cache.weight).toBeLessThanOrEqual(10);
    expect([cache.get('0'), cache.get('4')]).toEqual([undefined, 4]);
    cache.get('2');
    cache.set('5', 5, 3);
    expect([cache.get('2'), cache.get('3')]).toEqual([2, undefined]);
    cache.set('huge', 1, 11);
    expect(cache.get('huge')).toBeUndefined();
  });
});

describe('what the store sees of the index', () => {
  /** Remembers every term that is blinded and every value that is sealed. */
  function watched(): { codec: VaultCodec; blinded: string[]; sealed: Map<string, number> } {
    const blinded: string[] = [];
    const sealed = new Map<string, number>();
    const codec: VaultCodec = {
      blind: (_kind, plain) => {
        blinded.push(String(plain));
        return plain;
      },
      seal: (key, plain) => {
        sealed.set(Buffer.from(key).toString('hex'), plain.length);
        return plain;
      },
      open: (_key, stored) => stored,
    };
    return { codec, blinded, sealed };
  }

  test('KNOW-151: keys are numbers, and pages have one size, however often a term occurs', () => {
    const { codec, blinded, sealed } = watched();
    const chunks = Array.from({ length: 3000 }, (_, number) => ({
      number,
      title: 'Heading',
      text: `everywhere everywhere everywhere only${number} rare${number % 997} word`,
    }));
    const { operations } = buildSegment(7, chunks, codec);
    expect(blinded).toEqual([]);
    expect(operations.every(({ key }) => key.length === 9 || key.length === 5)).toBe(true);
    const pages = [...sealed].filter(([key]) => key.startsWith('70') || key.startsWith('6f'));
    const last = new Map<string, string>();
    for (const [key] of pages) last.set(key.slice(0, 2), key);
    expect(pages.length).toBeGreaterThan(8);
    for (const [key, size] of pages) {
      if ([...last.values()].includes(key)) expect(Math.log2(size) % 1).toBe(0);
      else expect(size).toBe(PAGE_BYTES);
    }
    for (const [key, size] of sealed) if (!pages.some(([page]) => page === key)) expect(size % 1024).toBe(0);
  });
});

/** A store whose batches fail from one of them on, as if the process had been killed there. */
function dying(store: Store, batches: number): Store {
  let left = batches;
  return {
    ...store,
    async batch(operations, options) {
      if (left-- <= 0) throw new Error('killed');
      await store.batch(operations, options);
    },
  };
}

describe('a crash at any write', () => {
  test('KNOW-152: leaves what was before or after each import, merges included, and nothing of the unfinished', async () => {
    const TEXTS = Array.from({ length: 20 }, (_, i) => `Text number${i} about vouchers and word${i % 5}.`);
    let done = false;
    for (let killAt = 0; !done; killAt++) {
      const store = createMemoryStore();
      const vault = await openVault({ store: dying(store, killAt), clock: systemClock });
      let reported = 0;
      try {
        for (const [i, text] of TEXTS.entries()) {
          await addText(vault, `${i}.txt`, text);
          reported++;
        }
        await vault.close();
        done = true;
      } catch {
        await vault.close().catch(() => {});
      }
      const again = await openVault({ store, clock: systemClock });
      const { chunks } = again.stats();
      expect(chunks).toBeGreaterThanOrEqual(reported);
      expect(chunks).toBeLessThanOrEqual(reported + 1);
      const { hits } = await again.search({ question: 'vouchers', limit: 100 });
      expect(hits).toHaveLength(chunks);
      if (done) expect(again.index.segments.length).toBeLessThan(TEXTS.length);
      await again.close();
    }
  });
});
