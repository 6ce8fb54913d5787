/**
 * What Telegram's own library makes of our text and entities. TDLib runs in this process, without a network: a text with
 * entities goes through the checks and the normalisation that a sent message goes through, and comes back.
 */
import fc from 'fast-check';
import { getTdjson } from 'prebuilt-tdlib';
import { configure, execute } from 'tdl';
import { beforeAll, describe, expect, test } from 'vitest';
import { renderMarkdown } from '../../src/bridges/core/markdown.ts';
import { plain, type Rich, styled } from '../../src/bridges/core/rich.ts';
import { splitRich } from '../../src/bridges/core/split.ts';
import { TELEGRAM_LIMIT, telegramEntities } from '../../src/bridges/telegram/content.ts';
import { documents } from '../bridges/documents.ts';

interface TdEntity {
  readonly offset: number;
  readonly length: number;
  readonly type: { readonly _: string };
}

interface TdText {
  readonly _: string;
  readonly text: string;
  readonly entities: readonly TdEntity[];
}

const TYPES: Readonly<Record<string, string>> = {
  bold: 'textEntityTypeBold',
  italic: 'textEntityTypeItalic',
  strikethrough: 'textEntityTypeStrikethrough',
  code: 'textEntityTypeCode',
  pre: 'textEntityTypePre',
  text_link: 'textEntityTypeTextUrl',
  blockquote: 'textEntityTypeBlockQuote',
};

/** The text and entities that Telegram shows for ours. Throws what TDLib refuses. */
function shownBy({ text, entities }: Pick<TdText, 'text' | 'entities'>): TdText {
  // The one request that gives entities back as they are kept also reads Markdown: none may be in the text.
  return called({ _: 'parseMarkdown', text: { _: 'formattedText', text: withoutMarkup(text), entities } });
}

function withoutMarkup(text: string): string {
  return text.replace(/[*_~`|[\]()]/g, 'x');
}

function called(request: object): TdText {
  const answer: unknown = Reflect.apply(execute, undefined, [request]);
  if (!isText(answer)) throw new Error(JSON.stringify(answer));
  return answer;
}

function isText(answer: unknown): answer is TdText {
  return answer instanceof Object && '_' in answer && answer._ === 'formattedText';
}

function ours(rich: Rich): Pick<TdText, 'text' | 'entities'> {
  const entities = telegramEntities(rich).map(({ type, offset, length, ...more }) => ({
    _: 'textEntity',
    offset,
    length,
    type: {
      _: type === 'pre' && 'language' in more ? 'textEntityTypePreCode' : (TYPES[type] ?? ''),
      ...('language' in more && { language: more.language }),
      ...('url' in more && { url: more.url }),
    },
  }));
  return { text: rich.text, entities };
}

/** Every visible character and how it looks. White space, control characters and three combining marks are Telegram's to change. */
function looks({ text, entities }: Pick<TdText, 'text' | 'entities'>): readonly string[] {
  const seen: string[] = [];
  let at = 0;
  for (const character of text) {
    const styles = entities
      .filter(({ offset, length }) => at >= offset && at < offset + length)
      .map(({ type }) => type._.replace('PreCode', 'Pre'));
    if (!/[\s\p{C}\u2800\u3164\uffa0]|\u030a|\u0333|\u033f/u.test(character))
      seen.push(`${character} ${[...new Set(styles)].sort().join(' ')}`);
    at += character.length;
  }
  return seen;
}

beforeAll(() => configure({ tdjson: getTdjson(), verbosityLevel: 0 }));

describe("Telegram's own library", () => {
  // BRG-20 BRG-21 BRG-22
  test('shows every message of a generated answer as it was meant', () => {
    let messages = 0;
    // Most documents fit one message; small ones make sure that divided ones are among what is tried.
    const limits = fc.constantFrom(TELEGRAM_LIMIT, { ...TELEGRAM_LIMIT, sizeMax: 64 });
    fc.assert(
      fc.property(documents, limits, (markdown, limit) => {
        for (const piece of splitRich(renderMarkdown(markdown), limit)) {
          messages += 1;
          const meant = ours(piece);
          const shown = shownBy(meant);
          expect(shown.entities.length).toBeLessThanOrEqual(100);
          expect(looks(shown)).toEqual(looks({ ...meant, text: withoutMarkup(meant.text) }));
        }
      }),
      { numRuns: 500 },
    );
    expect(messages).toBeGreaterThan(500);
  });

  // BRG-21
  test.each([
    ['a range that divides a character', { text: '😀x', entities: [{ offset: 1, length: 2 }] }],
    ['a range beyond the end', { text: 'x', entities: [{ offset: 0, length: 9 }] }],
  ])('refuses %s, so the comparison can fail', (_, { text, entities }) => {
    const bold = entities.map((range) => ({ _: 'textEntity', ...range, type: { _: 'textEntityTypeBold' } }));
    expect(() => shownBy({ text, entities: bold })).toThrow(/"code":400/);
  });

  // BRG-20
  test('keeps the links that we write', () => {
    const shown = ['https://example.org/', 'http://example.org/', 'mailto:a@example.org'].map((url) =>
      shownBy(ours(styled(plain('here'), 'link', { url }))),
    );
    expect(shown.map(({ text }) => text)).toEqual(['here', 'here', 'here']);
    expect(shown.map(({ entities }) => entities.length)).toEqual([1, 1, 1]);
  });
});
