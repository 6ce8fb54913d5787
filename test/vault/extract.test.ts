import { describe, expect, test } from 'vitest';
import { SaharaError } from '../../src/base/errors.ts';
import { extractDocument } from '../../src/vault/extract/extract.ts';
import { extractMarkdown } from '../../src/vault/extract/markdown.ts';
import { extractPlain } from '../../src/vault/extract/plain.ts';
import { CHUNK_BYTES_MAX, MARKDOWN_BYTES_MAX } from '../../src/vault/limits.ts';
import { countWords } from '../../src/vault/text/scan.ts';
import { unitsOf } from '../../src/vault/text/sentences.ts';
import { makePdf } from './fixtures.ts';

const extract = (name: string, body: string | Uint8Array, mediaType?: string) =>
  extractDocument({ name, bytes: typeof body === 'string' ? Buffer.from(body) : body, mediaType });

async function refusal(name: string, body: string | Uint8Array): Promise<SaharaError> {
  try {
    await extract(name, body);
  } catch (error) {
    if (error instanceof SaharaError) return error;
    throw error;
  }
  throw new Error(`${name} was accepted`);
}

describe('documents', () => {
  test('KNOW-4: Markdown keeps its structure, headings become titles, offsets are verbatim', async () => {
    const source =
      '# Guide\n\nIntro *text* with `code`\nand a [link](http://x).\n\n## Setup\n\nRun this:\n\n```sh\nnpm start\n```\n\n- one **item**\n  - nested\n- two\n\n| a | b |\n|---|---|\n| 1 | ~~2~~ |\n\n### Empty fact\n\n## Next\n\n> A quote.\n';
    const { text, chunks, mediaType } = await extract('a.md', source);
    expect(mediaType).toBe('text/markdown');
    expect(chunks.map(({ title }) => title)).toEqual([
      'Guide',
      'Guide > Setup',
      'Guide > Setup',
      'Guide > Next',
    ]);
    expect(chunks[0]?.text).toBe('Intro text with code and a link.');
    expect(chunks[1]?.text).toBe(
      'Run this:\n\n```sh\nnpm start\n```\n\n- one item\n  - nested\n- two\n\n| a | b |\n| 1 | 2 |',
    );
    expect(chunks[2]?.text).toBe('Empty fact');
    expect(chunks[3]?.text).toBe('A quote.');
    const bytes = Buffer.from(text);
    for (const chunk of chunks) expect(bytes.subarray(chunk.start, chunk.end).toString()).toBe(chunk.text);
  });

  test('HTML is read as a browser reads it, without scripts, navigation and hidden parts', async () => {
    const source =
      '<!doctype html><html><head><title>Site &amp; more</title><style>p{}</style></head><body><nav>Menu</nav><h1>Caf&eacute;</h1><p>First <b>line</b>.<br>Second.</p><script>alert(1)</script><div hidden>secret</div><ul><li>a<li>b<ol><li>c</ol></ul><pre>x = 1\ny = 2</pre><table><tr><th>k</th><td>v</td></tr></table></body></html>';
    const { chunks, mediaType } = await extract('page', source);
    expect(mediaType).toBe('text/html');
    expect(chunks).toHaveLength(1);
    expect(chunks[0]?.title).toBe('Site & more > Café');
    expect(chunks[0]?.text).toBe(
      'First line. Second.\n\n- a\n- b\n  1. c\n\n```\nx = 1\ny = 2\n```\n\n| k | v |',
    );
  });

  test('plain text: underlined and lone headings, paragraphs, lists; other encodings', async () => {
    const { chunks } = await extract(
      'notes.txt',
      'Title\n=====\n\nA paragraph\nover lines.\n\nNext part\n\nMore text follows here.\n\n- x\n- y\n',
    );
    expect(chunks.map(({ title, text }) => [title, text])).toEqual([
      ['Title', 'A paragraph over lines.'],
      ['Title > Next part', 'More text follows here.\n\n- x\n- y'],
    ]);
    const utf16 = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from('Grüße aus Köln.', 'utf16le')]);
    expect((await extract('a.txt', utf16)).text).toBe('Grüße aus Köln.');
    expect((await extract('b.txt', Buffer.from('Gr\xfc\xdfe aus K\xf6ln.', 'latin1'))).text).toBe(
      'Grüße aus Köln.',
    );
  });

  test('PDF: lines join to paragraphs, larger type is a heading, page numbers go', async () => {
    const page = (n: number, y: number) => [
      { text: 'Annual Report', size: 9, y: 770 },
      { text: `Chapter ${n}`, size: 18, y: 740 },
      { text: 'A voucher is a signed ceil-', size: 11, y: 700 },
      { text: 'ing that the payer gives.', size: 11, y: 686 },
      { text: `Another paragraph number ${n}.`, size: 11, y },
      { text: String(n), size: 9, y: 40 },
    ];
    const { chunks, mediaType } = await extract(
      'r.pdf',
      makePdf([page(1, 640), page(2, 640), page(3, 640), page(4, 640)]),
    );
    expect(mediaType).toBe('application/pdf');
    expect(chunks.map(({ title }) => title)).toEqual(['Chapter 1', 'Chapter 2', 'Chapter 3', 'Chapter 4']);
    expect(chunks[1]?.text).toBe(
      'A voucher is a signed ceiling that the payer gives.\n\nAnother paragraph number 2.',
    );
  });

  test('KNOW-4: chunks stay near the target and split no sentence', async () => {
    const sentence = (i: number) =>
      `Sentence number ${i} says something of no great weight about vouchers and vaults.`;
    const paragraph = Array.from({ length: 60 }, (_, i) => sentence(i)).join(' ');
    const { chunks } = await extract('long.txt', paragraph);
    expect(chunks.length).toBeGreaterThan(4);
    for (const { text } of chunks) {
      expect(countWords(text)).toBeLessThanOrEqual(120);
      expect(text).toMatch(/^Sentence number \d+ .*vaults\.$/s);
    }
    expect(chunks.map(({ text }) => text).join(' ')).toBe(paragraph);
  });

  test('KNOW-4: what has no sentences is still bounded', async () => {
    const { chunks } = await extract('blob.txt', `${'x'.repeat(30_000)} ${'é😀'.repeat(9000)}`);
    for (const { text } of chunks) {
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(CHUNK_BYTES_MAX);
      expect(text.isWellFormed()).toBe(true);
    }
    expect(chunks.map(({ text }) => text.replace(/\s/g, '')).join('')).toBe(
      'x'.repeat(30_000) + 'é😀'.repeat(9000),
    );
  });

  test('a fence inside a code block cannot end it', async () => {
    const { chunks } = await extract('a.md', '# T\n\n````\n```\nx\n```\n````\n');
    expect(unitsOf(chunks[0]?.text ?? '').map(({ kind }) => kind)).toEqual(['code']);
  });
});

// KNOW-38
describe('Markdown made to take long', () => {
  test.each(['a* ', '~~a ', '[a](', '> ', '- '])('is read as plain text: 4 MiB of %j', async (part) => {
    const block = `${part.repeat(65_000 / part.length)}\n\n`;
    const source = `# Title\n\nSome words.\n\n${block.repeat(64)}`;
    const { blocks } = extractMarkdown(source);
    expect(blocks.slice(0, 2).map(({ text }) => text)).toEqual(
      extractPlain(source)
        .blocks.slice(0, 2)
        .map(({ text }) => text),
    );
    expect(blocks.length).toBeGreaterThanOrEqual(66);
  });

  test('deep lists are indented so far only', () => {
    const { blocks } = extractMarkdown(`${'- '.repeat(130)}x`);
    expect(blocks[0]?.text.length).toBeLessThan(130 * 40);
  });

  test('underlined lines without end are headings of a plain text', () => {
    const { blocks } = extractPlain('a\n---\n'.repeat(50_000));
    expect(blocks).toHaveLength(50_000);
  });
});

describe('refusals', () => {
  test.each([
    [
      'photo.txt',
      Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10),
      'document-unsupported',
      'a PNG image',
    ],
    ['a.md', Uint8Array.of(0, 1, 2, 3, 255), 'document-unsupported', 'binary data'],
    ['a.yaml', 'a: 1\n', 'document-unsupported', 'a data file (.yaml)'],
    ['a.txt', '<?xml version="1.0"?><a/>', 'document-unsupported', 'an XML document'],
  ])('KNOW-5: %s is told by its content', async (name, body, code, found) => {
    const error = await refusal(name, body);
    expect(error.code).toBe(code);
    expect(error.facts).toMatchObject({
      document: name,
      found,
      supported: expect.arrayContaining(['plain text', 'Word (.docx)', 'source code']),
    });
    expect(error.facts.advice).toContain('Convert');
  });

  test('KNOW-5: empty, textless, damaged and too large documents say what to do', async () => {
    expect(await refusal('a.txt', '')).toMatchObject({ code: 'document-unreadable' });
    expect(await refusal('a.md', '<!-- nothing -->\n\n---\n')).toMatchObject({ code: 'document-unreadable' });
    const scan = await refusal('scan.pdf', makePdf([[]]));
    expect(scan.code).toBe('document-unreadable');
    expect(scan.facts.advice).toContain('OCR');
    const damaged = await refusal('cut.pdf', Buffer.from('%PDF-1.4\ngarbage'));
    expect(damaged.code).toBe('document-unreadable');
    expect(damaged.facts.reason).toContain('damaged');
    const huge = await refusal('a.md', `# x\n\n${'word '.repeat(MARKDOWN_BYTES_MAX / 5)}`);
    expect(huge.code).toBe('document-too-large');
    expect(huge.facts).toMatchObject({ limitBytes: MARKDOWN_BYTES_MAX });
  });

  test('absurd nesting is read or refused, and never brings the process down', async () => {
    const deep = `${'<div>'.repeat(50_000)}core text${'</div>'.repeat(50_000)}`;
    const outcome = await extract('deep.html', `<!doctype html><p>outer text ${deep}`).catch(
      (error: unknown) => error,
    );
    const text = outcome instanceof SaharaError ? outcome.code : (outcome as { text: string }).text;
    expect(['outer text', 'document-unreadable']).toContain(text);
    const quotes = await extract('q.md', `${'>'.repeat(5000)} quoted\n\nplain\n`).catch(
      (error: unknown) => error,
    );
    expect(quotes instanceof SaharaError ? quotes.code : 'read').toMatch(/read|document-unreadable/);
  });
});
