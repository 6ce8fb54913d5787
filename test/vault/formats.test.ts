import { describe, expect, it } from 'vitest';
import { SaharaError } from '../../src/base/errors.ts';
import { extractDocument } from '../../src/vault/extract/extract.ts';
import { JSON_VALUES_MAX, ZIP_ENTRY_BYTES_MAX } from '../../src/vault/limits.ts';
import { makeDocx, makeZip } from './fixtures.ts';

const CONSENT = 'announced in #rules on 2 May 2026';

const read = (name: string, body: string | Uint8Array, consent = CONSENT) =>
  extractDocument({ name, bytes: Buffer.from(body), consent });

async function refusal(name: string, body: string | Uint8Array, consent = CONSENT): Promise<SaharaError> {
  const outcome = await read(name, body, consent).catch((error: unknown) => error);
  if (outcome instanceof SaharaError) return outcome;
  throw new Error(`${name} was accepted`);
}

const passages = async (name: string, body: string | Uint8Array): Promise<[title: string, text: string][]> =>
  (await read(name, body)).chunks.map(({ title, text }) => [title, text]);

const paragraph = (text: string, properties = ''): string =>
  `<w:p><w:pPr>${properties}</w:pPr><w:r><w:t xml:space="preserve">${text}</w:t></w:r></w:p>`;

describe('Word documents', () => {
  it('KNOW-119: keep headings by style, lists, tables and notes; what was deleted is left out', async () => {
    const body = [
      paragraph('Camels', '<w:pStyle w:val="berschrift1"/>'),
      '<w:p><w:r><w:t>They walk</w:t></w:r><w:del><w:r><w:delText>never</w:delText></w:r></w:del><w:r><w:tab/><w:t>far &#233;t&amp;.</w:t></w:r></w:p>',
      paragraph('Food', '<w:pStyle w:val="X2"/>'),
      paragraph('thorns', '<w:numPr><w:ilvl w:val="0"/></w:numPr>'),
      paragraph('dry ones', '<w:numPr><w:ilvl w:val="1"/></w:numPr>'),
      `<w:tbl><w:tr><w:tc>${paragraph('Kind')}</w:tc><w:tc>${paragraph('Humps')}</w:tc></w:tr><w:tr><w:tc>${paragraph('Bactrian')}</w:tc><w:tc>${paragraph('two')}</w:tc></w:tr></w:tbl>`,
    ].join('');
    const notes: [string, string] = [
      'word/footnotes.xml',
      `<w:footnotes>${paragraph('A note on water.')}</w:footnotes>`,
    ];
    const document = await read('a.docx', makeDocx(body, [notes]));
    expect(document.mediaType).toContain('wordprocessingml');
    expect(document.chunks.map(({ title, text }) => [title, text])).toEqual([
      ['Camels & dunes > Camels', 'They walk far ét&.'],
      [
        'Camels & dunes > Camels > Food',
        '- thorns\n  - dry ones\n\n| Kind | Humps |\n| Bactrian | two |\n\nA note on water.',
      ],
    ]);
  });

  it('KNOW-119: rows of a large table say what their values are', async () => {
    const row = (cells: readonly string[]): string =>
      `<w:tr>${cells.map((cell) => `<w:tc>${paragraph(cell)}</w:tc>`).join('')}</w:tr>`;
    const rows = Array.from({ length: 120 }, (_, i) => row([`animal ${i}`, `${i} kg`]));
    const found = await passages(
      'a.docx',
      makeDocx(`<w:tbl>${row(['Name', 'Weight'])}${rows.join('')}</w:tbl>`),
    );
    expect(found.length).toBeGreaterThan(2);
    expect(found.at(-1)?.[1]).toContain('Name: animal 119; Weight: 119 kg');
  });

  it.each([
    [
      'a bomb',
      () => makeZip([['word/document.xml', Buffer.alloc(ZIP_ENTRY_BYTES_MAX + 1)]]),
      'document-too-large',
    ],
    [
      'a bomb that says it is small',
      () =>
        makeZip([['word/document.xml', Buffer.alloc(ZIP_ENTRY_BYTES_MAX + 1)]], (record) =>
          record.writeUInt32LE(9, 24),
        ),
      'document-too-large',
    ],
    [
      'a wrong size',
      () => makeZip([['word/document.xml', 'abc']], (record) => record.writeUInt32LE(9, 24)),
      'document-unreadable',
    ],
    [
      'a password',
      () => makeZip([['word/document.xml', 'abc']], (record) => record.writeUInt16LE(1, 8)),
      'document-unreadable',
    ],
    [
      'a file twice',
      () =>
        makeZip([
          ['word/document.xml', 'a'],
          ['word/document.xml', 'b'],
        ]),
      'document-unreadable',
    ],
    ['no directory', () => makeDocx('').subarray(0, 60), 'document-unreadable'],
    [
      'an entry that points nowhere',
      () => makeZip([['word/document.xml', 'a']], (record) => record.writeUInt32LE(1e9, 42)),
      'document-unreadable',
    ],
    [
      'entities of its own',
      () => makeZip([['word/document.xml', '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>']]),
      'document-unreadable',
    ],
    ['absurd nesting', () => makeDocx('<w:p>'.repeat(5000)), 'document-unreadable'],
    ['tags that do not close', () => makeDocx('<w:p><w:r></w:p></w:r>'), 'document-unreadable'],
    ['a workbook', () => makeZip([['xl/workbook.xml', '<a/>']]), 'document-unsupported'],
  ])('KNOW-120: with %s are refused', async (_what, make, code) => {
    expect((await refusal('a.docx', make())).code).toBe(code);
  });
});

describe('tables of text', () => {
  it('KNOW-119: each row of a CSV says what its values are; quotations, delimiters and empty cells are seen', async () => {
    const found = await passages(
      'a.csv',
      'Name;Notes;Age\r\n"Ann ""A"" Bo";"two\nlines; here";31\r\n;;\r\nCy;;7\r\n',
    );
    expect(found).toEqual([['', 'Name: Ann "A" Bo; Notes: two lines; here; Age: 31\nName: Cy; Age: 7']]);
    expect(await passages('b.csv', '1,2\n3,4\n')).toEqual([['', '1; 2\n3; 4']]);
    expect(await passages('c.tsv', 'a\tb\nx\ty')).toEqual([['', 'a: x; b: y']]);
    expect((await refusal('d.csv', 'a,b\n"open,1\n2,3')).facts.reason).toContain('row 2');
    expect((await refusal('e.csv', ','.repeat(2000))).code).toBe('document-too-large');
  });
});

describe('JSON', () => {
  it('KNOW-119: each record is a passage of paths and values, lists of objects under their name', async () => {
    const faq = {
      source: 'handbook',
      entries: [{ question: 'Why?', tags: ['a', 'b'], by: { name: 'Ann' } }, { question: 'How?' }],
    };
    expect(await passages('faq.json', JSON.stringify(faq))).toEqual([
      ['', 'source: handbook'],
      ['entries', 'question: Why?\ntags: a, b\nby.name: Ann\n\nquestion: How?'],
    ]);
    expect(await passages('a.jsonl', '{"a": 1}\n\n{"b": "x"}\n')).toEqual([['', 'a: 1\n\nb: x']]);
    expect(await passages('unnamed', '[{"a": true}]')).toEqual([['', 'a: true']]);
    expect((await refusal('b.jsonl', '{"a": 1}\nnot')).facts.document).toBe('b.jsonl line 2');
    expect((await refusal('b.json', '{"a": ')).code).toBe('document-unreadable');
  });

  it('KNOW-120: that is nested deeply or has too many values is refused before it is built', async () => {
    expect((await refusal('a.json', '['.repeat(1e6))).facts.reason).toContain('nested');
    expect((await refusal('a.json', `[${'[],'.repeat(JSON_VALUES_MAX / 2)}1]`)).code).toBe(
      'document-too-large',
    );
    expect((await refusal('a.json', `{"a": "${'x'.repeat(20_000_000)}"}`)).code).toBe('document-too-large');
  });
});

describe('chats', () => {
  const discord = {
    guild: { name: 'Oasis' },
    channel: { name: 'help', topic: 'Ask about wells.' },
    messages: [
      {
        id: '1',
        type: 'Default',
        timestamp: '2024-05-01T10:00:00+00:00',
        content: 'Where is the well?',
        author: { name: 'ann', nickname: 'Ann' },
      },
      {
        id: '2',
        type: 'Reply',
        timestamp: '2024-05-01T10:01:00+00:00',
        content: 'Behind the dune.',
        author: { name: 'bo' },
        reference: { messageId: '1' },
        attachments: [{ fileName: 'map.png' }],
      },
      {
        id: '3',
        type: 'GuildMemberJoin',
        timestamp: '2024-05-01T10:02:00+00:00',
        content: 'joined',
        author: { name: 'cy' },
      },
      {
        id: '4',
        type: 'Default',
        timestamp: '2024-05-02T10:00:00+00:00',
        content: 'Is it dry?',
        author: { name: 'cy' },
      },
    ],
  };
  const telegram = {
    name: 'Wells',
    type: 'private_supergroup',
    id: 7,
    messages: [
      {
        id: 1,
        type: 'message',
        date: '2024-05-01T10:00:00',
        from: 'Ann',
        text: ['See ', { type: 'link', text: 'here' }, '.'],
      },
      { id: 2, type: 'service', date: '2024-05-01T10:01:00', text: '' },
      {
        id: 3,
        type: 'message',
        date: '2024-05-01T10:05:00',
        from: 'Bo',
        text: 'Thanks.',
        reply_to_message_id: 1,
      },
    ],
  };

  it('KNOW-121: of Discord: conversations by day and silence, answers with what they answer', async () => {
    const document = await read('help.json', JSON.stringify(discord));
    expect(document.mediaType).toContain('discord');
    expect(document.chunks.map(({ title, text }) => [title, text])).toEqual([
      ['', 'Ask about wells.'],
      [
        'Oasis #help > 2024-05-01',
        'Ann: Where is the well?\nbo (to Ann: “Where is the well?”): Behind the dune. [map.png]',
      ],
      ['Oasis #help > 2024-05-02', 'cy: Is it dry?'],
    ]);
  });

  it('KNOW-121: of Telegram: one chat or many', async () => {
    const one: [string, string] = ['Wells > 2024-05-01', 'Ann: See here.\nBo (to Ann: “See here.”): Thanks.'];
    expect(await passages('result.json', JSON.stringify(telegram))).toEqual([one]);
    const all = { chats: { list: [telegram, { ...telegram, name: 'Dunes' }] } };
    expect(await passages('result.json', JSON.stringify(all))).toEqual([one, ['Dunes > 2024-05-01', one[1]]]);
  });

  it('KNOW-121: need a statement of consent', async () => {
    for (const chat of [discord, telegram]) {
      const error = await refusal('a.json', JSON.stringify(chat), ' ');
      expect(error.facts.advice).toContain('--consent');
    }
  });
});

describe('source code', () => {
  it('KNOW-119: is taken apart at functions and classes, with their lines and what they stand in', async () => {
    const long = Array.from({ length: 40 }, (_, i) => `    const value${i} = compute(${i}, other${i});`).join(
      '\n',
    );
    const source = [
      "import { a } from './a.ts';",
      '',
      '/** Finds wells. */',
      'export function findWells(map: Map): Well[] {',
      '  return map.wells;',
      '}',
      '',
      'export class Caravan {',
      '  /** Walks. */',
      '  walk(): void {',
      long,
      '  }',
      '',
      '  rest(): void {',
      long,
      '  }',
      '}',
    ].join('\n');
    const found = await passages('src/desert.ts', source);
    expect(found[0]?.[0]).toBe("desert.ts > lines 1-6: import { a } from './a.ts';");
    expect(found[0]?.[1]).toContain('/** Finds wells. */\nexport function findWells');
    const titles = found.map(([title]) => title);
    for (const method of ['walk', 'rest']) {
      const own = titles.filter((title) =>
        title.includes(`export class Caravan > ${method}(): void > lines`),
      );
      expect(own.length).toBeGreaterThan(1);
    }
    for (const [title, text] of found) {
      const [, first = '', last = first] = /lines? (\d+)(?:-(\d+))?/.exec(title) ?? [];
      const inside = text.replace(/^```ts\n|\n```$/g, '');
      const there = source
        .split('\n')
        .slice(Number(first) - 1, Number(last))
        .join('\n');
      expect(there.trim()).toBe(inside.trim());
    }
  });

  it('KNOW-119: in a language of indentation too', async () => {
    const body = Array.from({ length: 60 }, (_, i) => `        total = total + item_${i} * price_${i}`).join(
      '\n',
    );
    const source = `import os\n\n\n@decorated\ndef small():\n    return 1\n\n\nclass Shop:\n    def buy(self):\n${body}\n\n    def sell(self):\n${body}\n`;
    const titles = (await passages('shop.py', source)).map(([title]) => title);
    for (const method of ['buy', 'sell']) {
      expect(titles.some((title) => title.includes(`class Shop > def ${method}(self) > lines`))).toBe(true);
    }
    expect(titles[0]).toContain('import os');
  });

  it('KNOW-120: with absurdly long lines is refused', async () => {
    expect((await refusal('a.js', `x="${'a'.repeat(30_000)}"`)).facts.found).toContain('long lines');
  });
});

describe('what is not seen', () => {
  it('KNOW-122: is left out, and the rest has the form NFKC', async () => {
    const hidden =
      'wa\u200bter\u{e0069}\u{e0067} \ufb01ne \u202eevil\u202c ca\u0301fe\ufe0f 1\u2060\u00ad2\n';
    const [chunk] = (await read('a.txt', `T\u200bitle\n=====\n\n${hidden}`)).chunks;
    expect(chunk).toMatchObject({ title: 'Title', text: 'water fine evil c\u00e1fe 12' });
    const html = await read('a.html', '<html><title>a\u200bb</title><p>c\u200bd</p></html>');
    expect(html.chunks[0]).toMatchObject({ title: 'ab', text: 'cd' });
  });
});
