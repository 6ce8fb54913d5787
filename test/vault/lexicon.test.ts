import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Language } from '../../src/vault/text/language.ts';
import { Lexicon } from '../../src/vault/text/lexicon.ts';
import { asciiWords, scanWords, type WordVisitor } from '../../src/vault/text/scan.ts';
import { analyse } from '../../src/vault/text/words.ts';

/** Texts of ASCII with words that meet again, apostrophes in every place, and signs between. */
const ascii = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        "it's",
        "'",
        "''",
        "o'",
        "'tis",
        "don't",
        'HTTPServer',
        'a1b2',
        'the',
        '-',
        '_',
        '\n',
        '\0',
      ),
      fc.string({ unit: 'binary-ascii', maxLength: 6 }),
      fc.stringMatching(/^[a-f]{1,3}$/),
    ),
    { maxLength: 40 },
  )
  .map((parts) => parts.join(''));

test('a text of ASCII, read byte by byte, has the words that any other text has by the rules', () => {
  fc.assert(
    fc.property(ascii, (text) => {
      // One letter more sends the same words through the general way.
      const general = analyse(`${text} \u00e9`, 'en');
      expect(general.slice(0, -1)).toEqual(analyse(text, 'en'));
      expect(general.at(-1)?.term).toBe('e');
    }),
    { numRuns: 500 },
  );
});

test('a text of words of one letter, and one that is too long to be read byte by byte, have all their words', () => {
  expect(analyse('7 '.repeat(9_000), 'en')).toHaveLength(9_000);
  const long = analyse("it's x7 ".repeat(20_000), 'en');
  const short = analyse("it's x7 ".repeat(100), 'en');
  expect(long.slice(0, short.length)).toEqual(short);
  expect(long).toHaveLength(200 * short.length);
});

/** The terms of a text in a language by a lexicon, with their positions. */
function termsBy(lexicon: Lexicon, text: string, language: Language | undefined) {
  const found: { number: number; term: string | undefined; position: number }[] = [];
  const note = (number: number, position: number): void => {
    found.push({ number, term: lexicon.terms[number], position });
  };
  const tell = (word: number, position: number): void => {
    const number = lexicon.termOf(word, language, lexicon.inLanguage(language));
    if (number >= 0) note(number, position);
    else for (const one of lexicon.several(number)) note(one, position);
  };
  const plain = asciiWords(text);
  if (plain !== undefined) {
    const numbers = new Int32Array(plain.count);
    lexicon.wordsOf(plain, numbers);
    for (const [position, word] of numbers.entries()) tell(word, position);
    return found;
  }
  const visitor: WordVisitor = {
    span: () => expect.unreachable('a text that is not all ASCII has no spans'),
    word: (word, position) => tell(lexicon.wordOf(word), position),
    pair: (pair, position) => note(lexicon.numberOf(pair), position),
  };
  scanWords(text, visitor);
  return found;
}

test('a lexicon tells of every word the terms that analysis gives it in a language, and puts terms in byte order', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(
          fc.oneof(ascii, fc.string({ unit: 'grapheme', maxLength: 20 })),
          fc.constantFrom<Language | undefined>(undefined, 'en', 'de', 'fr', 'ru'),
        ),
        { maxLength: 20 },
      ),
      (texts) => {
        const lexicon = new Lexicon();
        for (const [text, language] of texts) {
          const found = termsBy(lexicon, text, language);
          // `undefined` would be replaced by the text's own language.
          const expected = analyse(text, language ?? 'en');
          expect(found.map(({ term, position }) => ({ term, position }))).toEqual(expected);
          const used = new Set(found.map(({ number }) => number));
          const ordered = [...lexicon.inOrder([...used])].map((number) =>
            Buffer.from(lexicon.terms[number] ?? ''),
          );
          expect(ordered).toEqual([...ordered].sort(Buffer.compare));
          expect(ordered).toHaveLength(used.size);
        }
      },
    ),
    { numRuns: 200 },
  );
});

test('a lexicon finds each of many words again', () => {
  const lexicon = new Lexicon();
  const words = Array.from({ length: 30_000 }, (_, i) => `word${i.toString(36)}x`);
  const first = termsBy(lexicon, words.join(' '), undefined);
  expect(termsBy(lexicon, words.join(' '), undefined)).toEqual(first);
  expect(first.length).toBeGreaterThanOrEqual(words.length);
});

test('a lexicon is full by its words, and by pairs of characters alone', () => {
  const words = new Lexicon();
  for (let i = 0; !words.isFull; i++) words.wordOf(`\u00e9${i}`);
  const pairs = new Lexicon();
  for (let i = 0; i < 65_535; i++)
    pairs.numberOf(String.fromCodePoint(0x4e00 + (i >> 8), 0x4e00 + (i & 255)));
  expect(pairs.isFull).toBe(false);
  pairs.numberOf('\u9f8d\u9f8d');
  expect(pairs.isFull).toBe(true);
});

test('words that are remembered do not keep the texts in memory that they were cut from', () => {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  const heapBytes = (): number => {
    if (typeof collect === 'function') collect();
    return process.memoryUsage().heapUsed;
  };
  const lexicon = new Lexicon();
  const before = heapBytes();
  for (let i = 0; i < 300; i++) {
    const text = `\u00e9 ${'. '.repeat(50_000)} rememberedwordnumber${i}`;
    analyse(text);
    termsBy(lexicon, text, 'de');
  }
  expect(heapBytes() - before).toBeLessThan(15_000_000);
  expect(lexicon.isFull).toBe(false);
}, 60_000);
