import { describe, expect, test } from 'vitest';
import { EAST_ASIAN_RANGES } from '../../src/protocol/scripts.ts';
import { editDistance, editsMax } from '../../src/vault/search/fuzzy.ts';
import { languageOf } from '../../src/vault/text/language.ts';
import { countWords } from '../../src/vault/text/scan.ts';
import { blocksOf, sentences, unitsOf } from '../../src/vault/text/sentences.ts';
import { SMALL_WORDS } from '../../src/vault/text/small-words.ts';
import { IRREGULAR, NO_SUPERLATIVE, STEMMERS, stem } from '../../src/vault/text/stem.ts';
import { QUESTION_WORDS, STOPWORDS } from '../../src/vault/text/stopwords.ts';
import { analyse, fold, questionTerms, questionTokens } from '../../src/vault/text/words.ts';
import { readVectors, type Vectors } from './vectors.ts';

const terms = (text: string): string =>
  analyse(text)
    .map(({ term, position }) => `${term}@${position}`)
    .join(' ');
const split = (text: string): string[] => sentences(text).map(({ start, end }) => text.slice(start, end));
const units = (text: string): string[] =>
  unitsOf(text).map(({ kind, start, end }) => `${kind}: ${text.slice(start, end)}`);

describe('words', () => {
  test('KNOW-10: words, parts of compounds and folded forms', () => {
    expect(terms('CUDA_VISIBLE_DEVICES')).toBe('cuda@0 visibl@1 devic@2');
    expect(terms('getSync')).toBe('sync@0 getsync@0');
    expect(terms('sha256')).toBe('sha@0 256@0 sha256@0');
    expect(terms('HTTPServer')).toBe('http@0 server@0 httpserver@0');
    expect(terms('Ünïcode ﬁle café')).toBe('unicod@0 fil@1 caf@2');
    expect(fold('ÀÉÎ ΆΈ')).toBe('aei αε');
    expect(terms('東京都')).toBe('東京@0 京都@1');
    expect(terms('水')).toBe('水@0');
  });

  test('KNOW-11: stopwords keep their position and stems meet', () => {
    expect(terms('the voucher of a payer')).toBe('voucher@1 payer@4');
    for (const family of [
      'serve serves served serving',
      'policy policies',
      'pay pays paid paying',
      'run running ran',
    ]) {
      expect(new Set(family.split(' ').map(stem)).size, family).toBe(1);
    }
    expect(stem('status')).toBe('status');
    expect(stem('sing')).toBe('sing');
  });

  test('KNOW-12: wrapping words do not count where anything else is asked', () => {
    expect(questionTerms('Please explain what a voucher means')).toEqual(['voucher']);
    expect(questionTerms('explain')).toEqual(['explain']);
    expect(questionTerms('what is the?')).toEqual([]);
  });

  test.each(readVectors<{ text: string; terms: [string, number][]; question: string[] }>('terms').valid)(
    'KNOW-10, KNOW-12: vector $text',
    ({ text, terms: expected, question }) => {
      expect(analyse(text).map(({ term, position }) => [term, position])).toEqual(expected);
      expect(questionTerms(text)).toEqual(question);
    },
  );

  interface Words {
    readonly stopwords: readonly string[];
    readonly questionWords: readonly string[];
    readonly irregular: Readonly<Record<string, string>>;
    readonly noSuperlative: readonly string[];
    readonly eastAsian: readonly (readonly number[])[];
  }

  test('KNOW-11: the lists are those of the spec', () => {
    const words = readVectors<never>('words') as unknown as Words;
    expect([...STOPWORDS].sort()).toEqual(words.stopwords);
    expect([...QUESTION_WORDS].sort()).toEqual(words.questionWords);
    expect(Object.fromEntries(IRREGULAR)).toEqual(words.irregular);
    expect([...NO_SUPERLATIVE].sort()).toEqual(words.noSuperlative);
    expect(EAST_ASIAN_RANGES).toEqual(words.eastAsian);
  });

  test('KNOW-11: stems are those of the vectors', () => {
    const { valid, invalid } = readVectors<{ word: string; stem: string }>('words');
    for (const vector of valid) expect(stem(vector.word), vector.word).toBe(vector.stem);
    for (const vector of invalid) expect(stem(vector.word), vector.word).not.toBe(vector.stem);
  });

  interface Languages
    extends Vectors<{
      text: string;
      language: string | null;
      terms: [string, number][];
      question: string[];
    }> {
    readonly smallWords: Readonly<Record<string, string>>;
    readonly forms: Readonly<Record<string, string>>;
  }
  const languages = readVectors<never>('languages') as unknown as Languages;

  test('KNOW-191, KNOW-192: small words and forms of languages are those of the spec', () => {
    for (const [language, small] of Object.entries(SMALL_WORDS)) {
      if (language !== 'en') expect([...small].sort().join(' ')).toBe(languages.smallWords[language]);
    }
    for (const [language, { forms }] of Object.entries(STEMMERS)) {
      const listed = [...forms].map((pair) => pair.join(' ')).sort();
      expect(listed.join(', ')).toBe(languages.forms[language]);
    }
    expect(Object.keys(languages.forms)).toEqual(Object.keys(STEMMERS));
  });

  test.each(languages.valid)(
    'KNOW-191, KNOW-192: vector $text',
    ({ text, language, terms: expected, question }) => {
      expect(languageOf(text) ?? null).toBe(language);
      expect(analyse(text).map(({ term, position }) => [term, position])).toEqual(expected);
      expect(questionTerms(text)).toEqual(question);
    },
  );

  test('KNOW-191: a text that says too little of its language has none', () => {
    for (const { text, language } of languages.invalid) expect(languageOf(text)).not.toBe(language);
    expect(languageOf('')).toBeUndefined();
  });

  test('KNOW-192: a question finds the words of a text in its language, and every text has the terms of English', () => {
    const held = (text: string): string[] => analyse(text).map(({ term }) => term);
    const german = held('Die Hecken werden im Herbst von den Mitgliedern geschnitten.');
    expect(questionTerms('Wann ist die Hecke zu schneiden?').filter((term) => german.includes(term))).toEqual(
      ['heck'],
    );
    expect(german).toEqual(expect.arrayContaining(held('Hecken Herbst')));
    expect(questionTokens('de la', 'Que dit la phrase « de la » dans le texte ?')).toEqual([]);
  });

  test('counts words for the size of chunks', () => {
    expect(countWords("one two-three don't 東京都")).toBe(7);
  });

  test('KNOW-18: edits are counted inside a band', () => {
    expect(editDistance('wachtower', 'watchtower', 2)).toBe(1);
    expect(editDistance('recieve', 'receive', 1)).toBe(1);
    expect(editDistance('vault', 'merge', 2)).toBeUndefined();
    expect([3, 4, 5, 8, 9].map(editsMax)).toEqual([0, 0, 1, 1, 2]);
  });
});

describe('sentences', () => {
  test('KNOW-4: abbreviations, initials, numbers and ellipses do not end a sentence', () => {
    expect(split('See e.g. the list. It grew by 3.5 percent. J. Doe wrote it.')).toEqual([
      'See e.g. the list.',
      'It grew by 3.5 percent.',
      'J. Doe wrote it.',
    ]);
    expect(split('Really? Yes! "Quite so." He left.')).toEqual([
      'Really?',
      'Yes!',
      '"Quite so."',
      'He left.',
    ]);
    expect(split('今日は雨。明日は晴れ。')).toEqual(['今日は雨。', '明日は晴れ。']);
  });

  test('units are sentences, items, rows and whole code blocks', () => {
    const text =
      'Lead. A watcher claims.\n\n- one thing\n- another\n  goes on\n\n```js\na();\n\nb();\n```\n\n| a | b |\n| 1 | 2 |';
    expect(units(text)).toEqual([
      'sentence: Lead. A watcher claims.',
      'item: - one thing',
      'item: - another\n  goes on',
      'code: ```js\na();\n\nb();\n```',
      'row: | a | b |',
      'row: | 1 | 2 |',
    ]);
    expect(blocksOf(text)).toHaveLength(4);
  });
});
