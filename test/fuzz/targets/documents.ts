/** Files of strangers that become knowledge, and answers of strangers that become chat messages. */
import { utf8 } from '../../../src/base/bytes.ts';
import { renderMarkdown } from '../../../src/bridges/core/markdown.ts';
import { splitRich } from '../../../src/bridges/core/split.ts';
import { printable } from '../../../src/cli/terminal.ts';
import { extractDocument } from '../../../src/vault/extract/extract.ts';
import { makePdf, makeZip } from '../../vault/fixtures.ts';
import { changedBytes } from '../bytes.ts';
import { checkWeight, holds, type Target, type TargetMaker } from '../target.ts';
import { changedText } from '../texts.ts';
import { CHATS, CODE, CSV, DOCX, DOCX_TEXTS, JSONS } from './document-samples.ts';

const DOCUMENT_BYTES_MAX = 131_072;

const MARKDOWN: readonly string[] = [
  '# Guide\n\nIntro *text* with `code`\nand a [link](http://x).\n\n## Setup\n\n```sh\nnpm start\n```\n\n- one **item**\n  - nested\n- two\n\n| a | b |\n|---|---|\n| 1 | ~~2~~ |\n\n> A quote.\n',
  '1. a\n   1. b\n\n[x]: http://y "t"\n\n![i](u) <b>html</b> &amp; [x]\n\n---\n\nTitle\n===\n\na\\\nb  \nc[^1]\n\n[^1]: note\n',
];
const HTML: readonly string[] = [
  '<!doctype html><html><head><title>Site &amp; more</title><style>p{}</style></head><body><nav>Menu</nav><h1>Caf&eacute;</h1><p>First <b>line</b>.<br>Second.</p><script>alert(1)</script><div hidden>x</div><ul><li>a<li>b<ol><li>c</ol></ul><pre>x = 1\ny</pre><table><tr><th>k</th><td>v</td></tr></table></body></html>',
  '<html><body><table><tr><td><table><p>a<svg><title>b</title></svg></table></td></tr></table><template><p>t</p></template><select><option>o</select></body></html>',
];
const PLAIN: readonly string[] = [
  'Title\n=====\n\nA paragraph\nover lines.\n\nNext part\n\nMore text follows here.\n\n- x\n- y\n',
  'El Sáhara es grande. ¿Cuánto? 9.2 millones km². Dr. Smith e.g. said so… 沙漠很大。水很少。\r\n\r\n1) one\r\n2) two',
];
const line = (text: string, y: number, size = 12) => ({ text, y, size });
const PDFS: readonly Uint8Array[] = [
  makePdf([[line('Rain', 700, 24), line('Rain is rare in the desert.', 660)]]),
  makePdf(
    [1, 2, 3, 4, 5].map((page) => [
      line('Header', 780),
      line(`Page ${page} has a sen-`, 700),
      line('tence.', 686),
    ]),
  ),
];

function documentTarget(
  name: string,
  file: string,
  corpus: readonly Uint8Array[],
  shortCount: number,
  bend: Target['bend'] = changedText,
  wrap: (input: Uint8Array) => Uint8Array = (input) => input,
): TargetMaker {
  return {
    name,
    shortCount,
    create: () => ({
      name,
      sizeBytesMax: DOCUMENT_BYTES_MAX,
      corpus,
      bend,
      async take(input) {
        const source = { name: file, bytes: wrap(input), consent: 'given' };
        const { text, chunks } = await extractDocument(source);
        const bytes = Buffer.from(text);
        for (const chunk of chunks) {
          const there = bytes.subarray(chunk.start, chunk.end).toString();
          holds(there === chunk.text, 'a passage is not where it says');
        }
        checkWeight({ text, chunks }, input.length);
      },
    }),
  };
}

/** An archive is mostly unsound once it is changed: some inputs stay as they are. */
const changedArchive: Target['bend'] = (seed, random) => (random.once(8) ? seed : changedBytes(seed, random));

const REPLY_CHARACTERS_MAX = 16_384;
const LIMIT = { sizeMax: 2000, spansMax: 100, sizeOf: ({ text }: { readonly text: string }) => text.length };

function takeReply(input: Uint8Array): void {
  const rich = renderMarkdown(Buffer.from(input).toString());
  for (const piece of splitRich(rich, LIMIT)) {
    holds(piece.text.length > 0 && piece.text.length <= LIMIT.sizeMax, `a message of ${piece.text.length}`);
    holds(piece.spans.length <= LIMIT.spansMax, `a message of ${piece.spans.length} spans`);
  }
  checkWeight(rich, input.length);
}

function takeTerminal(input: Uint8Array): void {
  const shown = printable(Buffer.from(input).toString());
  const bad = [...shown].find((character) => {
    const code = character.codePointAt(0) ?? 0;
    return (code < 32 && code !== 9 && code !== 10) || (code >= 127 && code < 160);
  });
  holds(bad === undefined, 'a control character reaches the terminal');
}

/** Documents. */
export const DOCUMENT_TARGETS: readonly TargetMaker[] = [
  documentTarget('markdown', 'a.md', MARKDOWN.map(utf8), 40),
  documentTarget('html', 'a.html', HTML.map(utf8), 40),
  documentTarget('plain', 'a.txt', PLAIN.map(utf8), 60),
  documentTarget('pdf', 'a.pdf', PDFS, 20),
  documentTarget('docx', 'a.docx', DOCX, 200, changedArchive),
  documentTarget('docx-text', 'a.docx', DOCX_TEXTS.map(utf8), 60, changedText, (xml) =>
    makeZip([['word/document.xml', xml]]),
  ),
  documentTarget('csv', 'a.csv', CSV.map(utf8), 60),
  documentTarget('json', 'a.json', JSONS.map(utf8), 60),
  documentTarget('json-lines', 'a.jsonl', JSONS.map(utf8), 40),
  documentTarget('chat', 'a.json', CHATS.map(utf8), 60),
  documentTarget('code', 'a.ts', CODE.map(utf8), 60),
  {
    name: 'reply',
    shortCount: 40,
    create: () => ({
      name: 'reply',
      sizeBytesMax: REPLY_CHARACTERS_MAX,
      corpus: [...MARKDOWN, ...PLAIN].map(utf8),
      bend: changedText,
      take: takeReply,
    }),
  },
  {
    name: 'terminal',
    create: () => ({
      name: 'terminal',
      sizeBytesMax: REPLY_CHARACTERS_MAX,
      corpus: [...MARKDOWN, ...PLAIN].map(utf8),
      bend: changedText,
      take: takeTerminal,
    }),
  },
];
