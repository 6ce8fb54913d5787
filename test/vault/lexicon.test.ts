import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Lexicon } from '../../src/vault/text/lexicon.ts';
import { analyse, scanWords } from '../../src/vault/text/words.ts';

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
      const general = analyse(`${text} \u00e9`);
      expect(general.slice(0, -1)).toEqual(analyse(text));
      expect(general.at(-1)?.term).toBe('e');
    }),
    { numRuns: 500 },
  );
});

test('a lexicon tells of every word the terms that analysis gives it, and puts terms in byte order', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(ascii, fc.string({ unit: 'grapheme', maxLength: 20 })), { maxLength: 20 }),
      (texts) => {
        const lexicon = new Lexicon();
        for (const text of texts) {
          const found: { term: string | undefined; position: number }[] = [];
          const used = new Set<number>();
          const note = (number: number, position: number): void => {
            used.add(number);
            found.push({ term: lexicon.terms[number], position });
          };
          scanWords(text, {
            span(span, position) {
              const number = lexicon.ofSpan(span);
              if (number >= 0) note(number, position);
              else for (const one of lexicon.several(number)) note(one, position);
            },
            word(word, terms, position) {
              for (const number of lexicon.ofWord(word, terms)) note(number, position);
            },
          });
          expect(found).toEqual(analyse(text));
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
  const numbersOf = (text: string): (string | undefined)[] => {
    const found: (string | undefined)[] = [];
    scanWords(text, {
      span: (span) => {
        const number = lexicon.ofSpan(span);
        const all = number >= 0 ? [number] : lexicon.several(number);
        found.push(all.map((one) => lexicon.terms[one]).join());
      },
      word: () => {},
    });
    return found;
  };
  const first = numbersOf(words.join(' '));
  expect(numbersOf(words.join(' '))).toEqual(first);
  expect(lexicon.size).toBe(words.length);
  expect(new Set(first).size).toBe(words.length);
});
