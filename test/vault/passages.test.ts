import fc from 'fast-check';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { systemDice } from '../../src/base/random.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { BLOCK_PASSAGES } from '../../src/vault/passages.ts';
import { vaultKeys } from '../../src/vault/sealed/key-tree.ts';
import type { PreparedDocument } from '../../src/vault/transaction.ts';
import { openVault } from '../../src/vault/vault.ts';
import { provenance } from './fixtures.ts';

function document(name: string, count: number): PreparedDocument {
  const chunks = Array.from({ length: count }, (_, i) => {
    const text = `Passage ${i} of ${name}.`;
    return { title: `T${i}`, text, start: 100 * i, end: 100 * i + text.length };
  });
  const contentHash = new Uint8Array(32);
  contentHash.set(Buffer.from(name));
  const extracted = { mediaType: 'text/plain', chunks };
  return { name, contentHash, sizeBytes: 1, textBytes: 1, provenance: provenance(), consent: '', extracted };
}

test('KNOW-105: every passage is found by its number, its id and its document, whatever lies beside it', async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 3 * BLOCK_PASSAGES + 1 }), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(sizes, fc.nat(5), async (counts, removed) => {
      const keys = vaultKeys(systemDice.bytes(32));
      const vault = await openVault({ store: createMemoryStore(), clock: systemClock }, { keys });
      const kept = await vault.keep(counts.map((count, i) => document(`d${i}`, count)));
      await vault.remove(`d${removed}`);
      for (const [i, { document: record }] of kept.entries()) {
        const expected = i === removed ? [] : document(`d${i}`, counts[i] ?? 0).extracted.chunks;
        const found = [];
        for await (const chunk of vault.passages(record)) found.push(chunk);
        expect(found.map(({ title, text, start, end }) => ({ title, text, start, end }))).toEqual(expected);
        expect(found.map(({ ordinal }) => ordinal)).toEqual(expected.map((_, ordinal) => ordinal));
        for (let at = 0; at < record.chunks; at++) {
          const chunk = await vault.chunkAt(record.firstChunk + at);
          expect(chunk).toEqual(found[at]);
          if (chunk !== undefined) expect(await vault.chunk(chunk.id)).toEqual(chunk);
        }
      }
      await vault.close();
    }),
    { numRuns: 30 },
  );
});
