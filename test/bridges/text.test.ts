import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { renderMarkdown } from '../../src/bridges/core/markdown.ts';
import { plain, type Rich } from '../../src/bridges/core/rich.ts';
import { type SplitLimit, splitRich } from '../../src/bridges/core/split.ts';
import { LAID_OUT_TEXT_MAX } from '../../src/bridges/limits.ts';
import { TELEGRAM_LIMIT } from '../../src/bridges/telegram/content.ts';
import { documents } from './documents.ts';

const visible = (text: string): string => text.replace(/\s+/g, '');
const small: SplitLimit = { sizeMax: 120, sizeOf: (rich) => rich.text.length, spansMax: 8 };
const halves = (text: string, at: number): boolean =>
  /[\ud800-\udbff]$/.test(text.slice(0, at)) && /^[\udc00-\udfff]/.test(text.slice(at));

function expectSound(rich: Rich): void {
  let end = 0;
  for (const [i, span] of rich.spans.entries()) {
    expect(span.length).toBeGreaterThan(0);
    expect(span.offset + span.length).toBeLessThanOrEqual(rich.text.length);
    expect(halves(rich.text, span.offset) || halves(rich.text, span.offset + span.length)).toBe(false);
    const later = rich.spans.slice(i + 1).filter((other) => other.offset < span.offset + span.length);
    for (const other of later) {
      expect(other.offset + other.length, 'spans nest').toBeLessThanOrEqual(span.offset + span.length);
      expect(['code', 'pre'], 'code holds no spans').not.toContain(span.style);
    }
    expect(span.offset).toBeGreaterThanOrEqual(Math.min(end, span.offset));
    end = Math.max(end, span.offset);
  }
}

describe('Markdown as text and spans', () => {
  test.each([
    ['**bold** and _it_', 'bold and it', ['bold', 'italic']],
    ['**a `b` c**', 'a b c', ['bold', 'code', 'bold']],
    ['# Title\n\ntext', 'Title\n\ntext', ['bold']],
    ['- a\n  - b\n- c', '• a\n   • b\n• c', []],
    ['3. x\n4. y', '3. x\n4. y', []],
    ['- [x] done\n- [ ] open', '• ☑ done\n• ☐ open', []],
    ['```js\na\n  b\n```', 'a\n  b', ['pre']],
    ['> quoted\n> > deeper', 'quoted\n\ndeeper', ['quote']],
    ['[site](https://example.org)', 'site', ['link']],
    ['[run](javascript:alert(1))', 'run (javascript:alert(1))', []],
    ['<script>x</script>', '<script>x</script>', []],
    ['a ~~b~~', 'a b', ['strike']],
    ['| a | bb |\n|---|---|\n| 1 | 2 |', 'a │ bb\n──┼───\n1 │ 2', ['pre']],
  ])('%j', (markdown, text, styles) => {
    const rich = renderMarkdown(markdown);
    expect(rich.text).toBe(text);
    expect(rich.spans.map((span) => span.style)).toEqual(styles);
  });

  // BRG-21
  test('spans are sound for any document', () => {
    fc.assert(
      fc.property(documents, (markdown) => expectSound(renderMarkdown(markdown))),
      { numRuns: 150 },
    );
  });

  // BRG-20
  test('no letter or digit of a document is lost, and their order is kept', () => {
    const plainWords = fc.array(fc.constantFrom('alpha', 'бета', '伽马', 'دال', '👩🏽‍🚀x', 'eps1'), {
      minLength: 1,
      maxLength: 60,
    });
    const shapes = fc.constantFrom<(words: readonly string[]) => string>(
      (words) => words.join(' '),
      (words) => words.map((word) => `- ${word}`).join('\n'),
      (words) => words.map((word, i) => `${'  '.repeat(i % 6)}- **${word}**`).join('\n'),
      (words) => `> ${words.join('\n> ')}`,
      (words) => `\`\`\`\n${words.join('\n')}\n\`\`\``,
      (words) => words.map((word) => `# ${word}`).join('\n\n'),
      (words) => `| ${words.join(' | ')} |\n|${words.map(() => '---|').join('')}\n| ${words.join(' | ')} |`,
      (words) => words.map((word) => `[${word}](https://example.org/${word})`).join(' '),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(shapes, plainWords), { minLength: 1, maxLength: 5 }), (parts) => {
        const text = renderMarkdown(parts.map(([shape, words]) => shape(words)).join('\n\n')).text;
        let from = 0;
        for (const word of parts.flatMap(([, words]) => words)) {
          from = text.indexOf(word, from);
          expect(from, word).toBeGreaterThanOrEqual(0);
          from += word.length;
        }
      }),
      { numRuns: 100 },
    );
  });

  test('a nesting bomb stays text', () => {
    expect(renderMarkdown(`${'>'.repeat(5000)} deep`).text).toContain('deep');
    expect(renderMarkdown('- '.repeat(3000)).text.length).toBeGreaterThan(0);
    expect(renderMarkdown(`${'['.repeat(3000)}x`).text).toContain('x');
    expect(renderMarkdown(`${'*a '.repeat(3000)}`).text).toContain('a');
  });
});

// BRG-28
describe('an answer made to take long', () => {
  test('becomes no larger than its limit: wide, empty tables', () => {
    const table = `${'|a'.repeat(2000)}\n${'|-'.repeat(2000)}\n${'|\n'.repeat(6000)}`;
    expect(renderMarkdown(table).text).toBe(table.trimEnd());
    const small = `${'|a'.repeat(40)}\n${'|-'.repeat(40)}\n${'|\n'.repeat(60)}\n`;
    expect(renderMarkdown(small.repeat(200)).text.length).toBeLessThanOrEqual(LAID_OUT_TEXT_MAX);
  });

  test.each(['a* ', '~~a ', '[a](', 'a] ', '> ', '- '])('stays as it was written: %j', (part) => {
    const hostile = `x${part.repeat(65_000 / part.length)}`.trimEnd();
    expect(renderMarkdown(hostile)).toEqual(plain(hostile));
  });
});

describe('messages that a platform accepts', () => {
  // BRG-22
  test.each([
    ['4096', TELEGRAM_LIMIT],
    ['120', small],
  ] as const)('limit %s: no visible character is lost, every message fits', (_, limit) => {
    fc.assert(
      fc.property(documents, (markdown) => {
        const rich = renderMarkdown(markdown);
        const pieces = splitRich(rich, limit);
        expect(visible(pieces.map((piece) => piece.text).join(''))).toBe(visible(rich.text));
        for (const piece of pieces) {
          expectSound(piece);
          expect(piece.text.trim()).not.toBe('');
          expect(limit.sizeOf(piece)).toBeLessThanOrEqual(limit.sizeMax);
          expect(piece.spans.length).toBeLessThanOrEqual(limit.spansMax);
        }
      }),
      { numRuns: 100 },
    );
  });

  // BRG-23
  test('never cuts a character as people see it', () => {
    const family = '👨‍👩‍👧‍👦';
    const pieces = splitRich(plain(family.repeat(200)), small);
    for (const piece of pieces) expect(piece.text.replaceAll(family, '')).toBe('');
    const accents = splitRich(plain('e\u0301'.repeat(300)), small);
    for (const piece of accents) expect(piece.text.startsWith('e')).toBe(true);
  });

  test('divides a single character that is longer than a message, but no surrogate pair', () => {
    const monster = `a${'\u{1D165}'.repeat(400)}`;
    const pieces = splitRich(plain(monster), small);
    expect(pieces.map((piece) => piece.text).join('')).toBe(monster);
    for (const piece of pieces) expect(piece.text.isWellFormed()).toBe(true);
  });

  // BRG-24
  test('a code block that is cut goes on as one, with its indentation', () => {
    const lines = Array.from({ length: 40 }, (_, i) => `    line ${i}`);
    const rich = renderMarkdown(`before\n\n\`\`\`py\n${lines.join('\n')}\n\`\`\``);
    const pieces = splitRich(rich, small);
    for (const piece of pieces.filter((one) => one.text.includes('line'))) {
      const block = piece.spans.find((span) => span.style === 'pre');
      expect(block?.language).toBe('py');
      expect(piece.text.slice(block?.offset).startsWith('    line')).toBe(true);
    }
    const code = pieces.map((piece) => piece.text).join('\n');
    expect(code).toContain(lines.join('\n'));
  });

  test('prefers paragraphs, then lines, then sentences', () => {
    const text = `${'a '.repeat(40)}end.\n\n${'b '.repeat(40)}`;
    expect(splitRich(plain(text), small).map((piece) => piece.text)).toEqual([
      `${'a '.repeat(40)}end.`,
      'b '.repeat(40).trim(),
    ]);
  });
});
