import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { toHex } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import type { VaultCodec } from '../../src/vault/codec.ts';
import { countPairs } from '../../src/vault/search/nearness.ts';
import { lengthNorm, log2Units, saturation, termWeight } from '../../src/vault/search/score.ts';
import { searchCorpora } from '../../src/vault/search/search.ts';
import { analyse, questionTerms } from '../../src/vault/text/words.ts';
import { openVault, type Vault } from '../../src/vault/vault.ts';
import { addText, provenance, texts } from './fixtures.ts';
import { readVectors } from './vectors.ts';

const inMemory = (): Promise<Vault> => openVault({ store: createMemoryStore(), clock: systemClock });

const WORDS = 'voucher payer settlement claim channel ledger grain vault peer mesh agent receipt'.split(' ');
const sentence = fc
  .array(fc.constantFrom(...WORDS), { minLength: 1, maxLength: 12 })
  .map((words) => words.join(' '));

/** The score by the formulas of the spec, with no index. */
function plainScores(documents: readonly string[], question: string): Map<string, number> {
  const tokens = documents.map((text) => analyse(text));
  const stats = { chunks: documents.length, lengthTotal: tokens.reduce((sum, all) => sum + all.length, 0) };
  const terms = questionTerms(question).map((term) => {
    const chunksWith = tokens.filter((all) => all.some((token) => token.term === term)).length;
    return { term, chunksWith, weight: termWeight(stats.chunks, chunksWith) };
  });
  const places = (all: readonly { term: string; position: number }[], term: string) =>
    all.filter((token) => token.term === term).map(({ position }) => position);
  const scores = new Map<string, number>();
  for (const [i, text] of documents.entries()) {
    const all = tokens[i] ?? [];
    const norm = lengthNorm(all.length, stats);
    let score = 0;
    for (const { term, weight } of terms) {
      const count = places(all, term).length;
      if (count > 0) score += weight * saturation(count, norm);
    }
    const held = terms.filter(({ chunksWith }) => chunksWith > 0);
    for (let k = 1; k < held.length; k++) {
      const [left, right] = [held[k - 1], held[k]];
      if (left === undefined || right === undefined) continue;
      const pairs = countPairs(places(all, left.term), places(all, right.term));
      if (pairs > 0) score += Math.floor((Math.min(left.weight, right.weight) * saturation(pairs, norm)) / 8);
    }
    if (score > 0) scores.set(text, score);
  }
  return scores;
}

describe('ranking', () => {
  test('KNOW-13: the logarithm is that of the vectors and never falls', () => {
    for (const { value, units } of readVectors<{ value: number; units: number }>('weights').valid) {
      expect(log2Units(value)).toBe(units);
      expect(Math.abs(units / 65_536 - Math.log2(value))).toBeLessThan(2 / 65_536);
    }
    for (let n = 2; n < 5000; n++) expect(log2Units(n)).toBeGreaterThanOrEqual(log2Units(n - 1));
  });

  test('KNOW-14: saturation is one for one occurrence at average length', () => {
    expect(saturation(1, lengthNorm(50, { chunks: 10, lengthTotal: 500 }))).toBe(1_000_000);
    expect(saturation(1000, 1200)).toBeLessThan(2_200_000);
    expect(saturation(1, lengthNorm(500, { chunks: 10, lengthTotal: 500 }))).toBeLessThan(300_000);
  });

  test('KNOW-13, KNOW-14, KNOW-15, KNOW-16: scores are those of the formulas, whatever was imported, replaced and removed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(sentence, { minLength: 1, maxLength: 30 }),
        fc.array(fc.nat(29), { maxLength: 10 }),
        sentence,
        async (documents, removals, question) => {
          const store = createMemoryStore();
          let vault = await openVault({ store, clock: systemClock });
          const live = new Map<string, string>();
          for (const [i, text] of documents.entries()) {
            await addText(vault, `${i}.txt`, text);
            live.set(`${i}.txt`, text);
          }
          for (const i of removals) {
            await vault.remove(`${i}.txt`);
            live.delete(`${i}.txt`);
          }
          await vault.close();
          vault = await openVault({ store, clock: systemClock });
          const { hits } = await vault.search({ question, limit: 100 });
          const expected = plainScores([...live.values()], question);
          expect(new Map(hits.map(({ chunk, score }) => [chunk.text, score]))).toEqual(expected);
          await vault.close();
        },
      ),
      { numRuns: 25 },
    );
  });

  test('KNOW-17: the order of imports, and segments, change neither ranking nor commitment', async () => {
    const documents = Array.from(
      { length: 40 },
      (_, i) => `${WORDS[i % 12]} ${WORDS[(5 * i) % 12]} ${WORDS[(7 * i + 3) % 12]} number${i}`,
    );
    const rank = async (order: readonly string[]) => {
      const vault = await inMemory();
      for (const text of order) await addText(vault, `${text}.txt`, text);
      const { hits } = await vault.search({ question: 'voucher claim channel', limit: 20 });
      return {
        order: hits.map(({ chunk, score }) => [toHex(chunk.id), score]),
        commitment: await vault.commitment(),
        segments: vault.index.segments.length,
      };
    };
    const forward = await rank(documents);
    const backward = await rank([...documents].reverse());
    expect(forward.order).toEqual(backward.order);
    expect(forward.commitment).toEqual(backward.commitment);
    const tied = forward.order.filter(([, score], i) => i > 0 && score === forward.order[i - 1]?.[1]);
    expect(tied.length).toBeGreaterThan(0);
    for (const [i, [id, score]] of forward.order.entries()) {
      const next = forward.order[i + 1];
      if (next !== undefined && next[1] === score) expect(String(id) < String(next[0])).toBe(true);
    }
    expect(forward.segments).toBeLessThan(16);
  });

  test('KNOW-15: titles count double, and context a quarter', async () => {
    const vault = await inMemory();
    await addText(vault, 'a.md', '# Watchtower\n\nIt keeps the latest statement for someone offline.');
    await addText(vault, 'b.md', '# Other\n\nThe watchtower is mentioned here once among many other words.');
    expect((await vault.search({ question: 'watchtower' })).hits[0]?.chunk.title).toBe('Watchtower');
    await addText(vault, 'c.md', '# Bridges\n\nThey stop at once.');
    await addText(vault, 'd.md', '# Models\n\nThey stop at once.');
    const { hits, terms } = await vault.search({
      question: 'when do they stop?',
      context: ['tell me about models'],
    });
    expect(hits[0]?.chunk.title).toBe('Models');
    expect(terms.map(({ term, share }) => [term, share])).toEqual([
      ['stop', 256],
      ['model', 64],
    ]);
  });

  test('KNOW-18: a misspelt word finds its nearest neighbour, a known one is left alone', async () => {
    const vault = await inMemory();
    await addText(vault, 'a.txt', 'The watchtower claims for those who are offline.');
    await addText(vault, 'b.txt', 'A voucher is a ceiling.');
    const { hits, terms } = await vault.search({ question: 'what does the wachtower do' });
    expect(texts(hits)[0]).toContain('watchtower');
    expect(terms[0]).toMatchObject({ term: 'watchtower', corrects: 'wachtower', chunksWith: 1, share: 128 });
    expect((await vault.search({ question: 'ovucher' })).terms[0]).toMatchObject({ term: 'voucher' });
    const unknown = await vault.search({ question: 'zebra' });
    expect(unknown.hits).toEqual([]);
    expect(unknown.terms[0]).toMatchObject({ term: 'zebra', chunksWith: 0 });
    await vault.remove('b.txt');
    expect((await vault.search({ question: 'vouchar' })).hits).toEqual([]);
  });

  test('KNOW-19: what may not be seen is as if it were not there', async () => {
    const vault = await inMemory();
    for (let i = 0; i < 150; i++)
      await addText(vault, `s${i}.txt`, `Secret voucher voucher ${i}.`, provenance(1));
    await addText(vault, 'open.txt', 'An open text with one voucher among other words.', provenance(2));
    const visible = (chunk: { contributor: Uint8Array }) => chunk.contributor[0] === 2;
    const { hits } = await vault.search({ question: 'voucher', limit: 5, visible });
    expect(texts(hits)).toEqual(['An open text with one voucher among other words.']);
  });

  test('KNOW-153: what is hidden changes neither results nor scores nor counts nor corrections', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.tuple(sentence, fc.boolean()), {
          minLength: 1,
          maxLength: 25,
          selector: ([text]) => text,
        }),
        fc.oneof(sentence, fc.constantFrom('vouchar claim', 'settlemnt', 'agnt vualt')),
        async (documents, question) => {
          const [whole, part] = [await inMemory(), await inMemory()];
          for (const [i, [text, open]] of documents.entries()) {
            await addText(whole, `${i}.txt`, text, provenance(open ? 2 : 1));
            if (open) await addText(part, `${i}.txt`, text, provenance(2));
          }
          const visible = (document: { contributor: Uint8Array }) => document.contributor[0] === 2;
          const seen = await whole.search({ question, limit: 100, visible });
          const alone = await part.search({ question, limit: 100 });
          expect(seen.terms).toEqual(alone.terms);
          expect(seen.stats.chunks).toBe(alone.stats.chunks);
          expect(seen.stats.lengthTotal).toBe(alone.stats.lengthTotal);
          expect(seen.hits.map(({ chunk, score, name }) => [toHex(chunk.id), score, name])).toEqual(
            alone.hits.map(({ chunk, score, name }) => [toHex(chunk.id), score, name]),
          );
        },
      ),
      { numRuns: 30 },
    );
  });

  test('KNOW-153: a view that is used again follows the vault', async () => {
    const vault = await inMemory();
    const visible = (document: { contributor: Uint8Array }) => document.contributor[0] === 2;
    await addText(vault, 'a.txt', 'One voucher.', provenance(2));
    expect((await vault.search({ question: 'voucher', visible })).hits).toHaveLength(1);
    await addText(vault, 'b.txt', 'Two vouchers.', provenance(2));
    await addText(vault, 'c.txt', 'Three vouchers.', provenance(1));
    expect((await vault.search({ question: 'voucher', visible })).hits).toHaveLength(2);
    await vault.remove('a.txt');
    expect((await vault.search({ question: 'voucher', visible })).hits).toHaveLength(1);
  });

  test('KNOW-154: what stands between quotation marks must stand in a passage as it is', async () => {
    const vault = await inMemory();
    await addText(vault, 'a.txt', 'The state of the payment channel is signed by both.');
    await addText(vault, 'b.txt', 'A channel carries a payment; payment and channel are two things here.');
    await addText(vault, 'c.txt', '支付通道是两个人之间的。通道支付是别的。');
    await addText(vault, 'd.txt', '通道在支付之前。');
    const found = async (question: string) => texts((await vault.search({ question })).hits);
    expect(await found('payment channel')).toHaveLength(2);
    expect(await found('what is a "payment channel"?')).toEqual([
      'The state of the payment channel is signed by both.',
    ]);
    expect(await found('\u201cstate of the payment\u201d')).toHaveLength(1);
    expect(await found('\u300c支付通道\u300d')).toEqual(['支付通道是两个人之间的。通道支付是别的。']);
    // What nothing holds as it is was not meant as it is.
    expect(await found('"channel payment channel"')).toHaveLength(2);
    expect(await found('"payment channel" "two things"')).toHaveLength(1);
  });

  test('KNOW-17: the same passage in several documents is found once', async () => {
    const vault = await inMemory();
    await addText(vault, 'a.md', '# One\n\nShared sentence about grains.\n\n# Two\n\nOther things.');
    await addText(vault, 'b.md', '# One\n\nShared sentence about grains.\n\n# Three\n\nMore things.');
    expect((await vault.search({ question: 'grains' })).hits).toHaveLength(1);
    expect(vault.stats().chunks).toBe(4);
  });

  test('finds Chinese and Japanese text by two characters', async () => {
    const vault = await inMemory();
    await addText(vault, 'jp.txt', '東京都の天気は晴れです。');
    await addText(vault, 'cn.txt', '区块链上的支付通道。');
    expect(texts((await vault.search({ question: '支付通道是什么' })).hits)[0]).toContain('区块链');
    expect(texts((await vault.search({ question: '天気' })).hits)[0]).toContain('東京');
  });

  test('several vaults rank as one', async () => {
    const [one, two, both] = [await inMemory(), await inMemory(), await inMemory()];
    for (let i = 0; i < 20; i++) {
      const text = `${WORDS[i % 12]} ${WORDS[(3 * i + 1) % 12]} text${i}`;
      await addText(i % 3 === 0 ? one : two, `${i}.txt`, text);
      await addText(both, `${i}.txt`, text);
    }
    const query = { question: 'voucher settlement vault', limit: 12 };
    const apart = await searchCorpora([one, two], query);
    const together = await both.search(query);
    expect(apart.hits.map(({ chunk, score }) => [chunk.text, score])).toEqual(
      together.hits.map(({ chunk, score }) => [chunk.text, score]),
    );
    expect(apart.stats).toEqual(together.stats);
  });

  test('searches run beside imports and merges', async () => {
    const vault = await inMemory();
    await addText(vault, 'first.txt', 'The first voucher stays findable.');
    let done = false;
    const writing = (async () => {
      for (let i = 0; i < 80; i++) await addText(vault, `${i}.txt`, `Text ${i} about ${WORDS[i % 12]}.`);
      done = true;
    })();
    let searches = 0;
    while (!done) {
      const { hits } = await vault.search({ question: 'first findable' });
      expect(texts(hits)[0]).toBe('The first voucher stays findable.');
      searches++;
    }
    await writing;
    expect(searches).toBeGreaterThan(0);
    await vault.close();
  });
});

describe('the seam for encryption', () => {
  test('with a sealing codec everything works and nothing readable lies on disk', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sahara-codec-'));
    const key = randomBytes(32);
    const codec: VaultCodec = {
      blind: (kind, plain) => createHmac('sha256', key).update(kind).update(plain).digest(),
      seal(at, plain) {
        const nonce = randomBytes(12);
        const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(at);
        return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
      },
      open(at, sealed) {
        const cipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12)).setAAD(at);
        cipher.setAuthTag(sealed.subarray(-16));
        return new Uint8Array(Buffer.concat([cipher.update(sealed.subarray(12, -16)), cipher.final()]));
      },
    };
    try {
      let store = await openLevelStore(folder);
      let vault = await openVault({ store, clock: systemClock }, { codec });
      for (let i = 0; i < 20; i++)
        await addText(vault, `secret-${i}.txt`, `Xylophone number${i} plays confidential music.`);
      await vault.remove('secret-3.txt');
      await vault.close();
      await store.close();
      store = await openLevelStore(folder);
      vault = await openVault({ store, clock: systemClock }, { codec });
      expect(vault.stats().chunks).toBe(19);
      expect((await vault.search({ question: 'xylophnoe number7' })).hits[0]?.name).toBe('secret-7.txt');
      expect((await vault.commitment()).chunks).toBe(19);
      await vault.close();
      await store.close();
      for (const file of await readdir(folder)) {
        const bytes = await readFile(join(folder, file));
        for (const word of ['ylophon', 'confidential', 'secret-7', 'text/plain']) {
          expect(bytes.includes(word), `${word} in ${file}`).toBe(false);
        }
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
