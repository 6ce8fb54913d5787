/** Generated documents as a model might write them: several scripts, emoji, code, nested lists, tables, and broken markup. */
import fc from 'fast-check';

const WORDS = [
  'channel',
  'voucher',
  'Straße',
  'naïve',
  'данные',
  'квитанция',
  '答案',
  '支付',
  '支払い',
  '데이터',
  'إيصال',
  'دفع',
  'תשובה',
  'रसीद',
  'ผลลัพธ์',
  '👩🏽‍🚀',
  '🇩🇪',
  '👨‍👩‍👧‍👦',
  'e\u0301a\u0308',
  '*',
  '_',
  '`',
  '[',
  '](',
  '<b>',
  '@everyone',
  '<@123>',
  '1.',
  '#',
  '\\',
  'https://example.org/a_b(c)',
  '5 < 6',
  '~~',
  '||',
  '𝔘𝔫𝔦',
  'x²',
];

/** One word, perhaps styled. */
const word: fc.Arbitrary<string> = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...WORDS) },
  {
    weight: 2,
    arbitrary: fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
      .map((text) => text.replace(/\s/g, '·')),
  },
  { weight: 1, arbitrary: fc.constantFrom(...WORDS).map((text) => `**${text}**`) },
  { weight: 1, arbitrary: fc.constantFrom(...WORDS).map((text) => `_${text}_`) },
  { weight: 1, arbitrary: fc.constantFrom(...WORDS).map((text) => `\`${text}\``) },
  { weight: 1, arbitrary: fc.constantFrom(...WORDS).map((text) => `[${text}](https://example.org/x)`) },
);

const line: fc.Arbitrary<string> = fc
  .array(word, { minLength: 1, maxLength: 40 })
  .map((words) => words.join(' '));

const code: fc.Arbitrary<string> = fc
  .array(fc.string({ maxLength: 60 }), { minLength: 1, maxLength: 60 })
  .map((lines) => `\`\`\`ts\n${lines.map((text) => `  ${text.replace(/`/g, "'")}`).join('\n')}\n\`\`\``);

const bulletList: fc.Arbitrary<string> = fc
  .array(fc.tuple(fc.nat({ max: 3 }), fc.boolean(), line), { minLength: 1, maxLength: 15 })
  .map((items) =>
    items.map(([depth, ordered, text]) => `${'   '.repeat(depth)}${ordered ? '1.' : '-'} ${text}`).join('\n'),
  );

const table: fc.Arbitrary<string> = fc
  .array(fc.tuple(fc.constantFrom(...WORDS), fc.constantFrom(...WORDS)), { minLength: 1, maxLength: 8 })
  .map((rows) =>
    [
      '| a | b |',
      '|---|---|',
      ...rows.map(([a, b]) => `| ${a.replace(/\|/g, '')} | ${b.replace(/\|/g, '')} |`),
    ].join('\n'),
  );

const block: fc.Arbitrary<string> = fc.oneof(
  { weight: 5, arbitrary: line },
  { weight: 1, arbitrary: line.map((text) => `## ${text}`) },
  { weight: 1, arbitrary: line.map((text) => `> ${text}\n> ${text}`) },
  { weight: 2, arbitrary: code },
  { weight: 2, arbitrary: bulletList },
  { weight: 1, arbitrary: table },
  { weight: 1, arbitrary: fc.constant('---') },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 80 }) },
);

/** A whole document. */
export const documents: fc.Arbitrary<string> = fc
  .array(block, { minLength: 1, maxLength: 14 })
  .map((blocks) => blocks.join('\n\n'));
