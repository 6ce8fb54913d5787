/** Text of a PDF: lines from placed characters, headings by their size, page headers and footers left out. */
import { systemClock } from '../../base/clock.ts';
import { type Block, type Extracted, oneLine } from '../blocks.ts';
import { PDF_PAGES_MAX } from '../limits.ts';
import type { PdfLine } from './pdf-lines.ts';
import type { PdfRead } from './pdf-messages.ts';
import { createPdfReader, type PdfReader } from './pdf-process.ts';
import { tooMany, unreadable } from './refusals.ts';

const shared = createPdfReader({ clock: systemClock });
const HEADING_RATIO = 1.15;
const PARAGRAPH_GAP = 1.8;

/**
 * The blocks of a PDF with a text layer. Errors: `document-unreadable` (damaged, locked, only images, more memory or
 * time than it is given), `document-too-large` (pages).
 */
export async function extractPdf(
  name: string,
  bytes: Uint8Array,
  reader: PdfReader = shared,
): Promise<Extracted> {
  const pages = readPages(name, await reader.read(bytes));
  if (pages.every((page) => page.length === 0)) {
    const reason = `its ${pages.length} page(s) hold images and no text`;
    throw unreadable(name, reason, 'run text recognition (OCR) on it first');
  }
  const lines = withoutRunningLines(pages).flat();
  const body = bodySize(lines);
  return { title: undefined, blocks: blocksOf(lines, body) };
}

function readPages(name: string, read: PdfRead): readonly (readonly PdfLine[])[] {
  if (read.type === 'pages') return read.pages;
  if (read.type === 'many') throw tooMany(name, `${read.pages} pages`, PDF_PAGES_MAX);
  if (read.type === 'stopped') {
    const reason = `the PDF could not be read: ${oneLine(read.reason)}`;
    throw unreadable(name, reason, 'divide it into smaller ones, or save or print it as a new PDF');
  }
  if (/password/i.test(read.reason)) {
    throw unreadable(name, 'the PDF is locked by a password', 'save a copy without the password');
  }
  throw unreadable(
    name,
    `the PDF is damaged: ${oneLine(read.reason)}`,
    'open it and save or print it as a new PDF',
  );
}

/** Drops first and last lines that repeat, numbers aside, on more than half of at least four pages. */
function withoutRunningLines(pages: readonly (readonly PdfLine[])[]): PdfLine[][] {
  const seen = new Map<string, number>();
  const key = (line: PdfLine): string => line.text.replace(/\d+/g, '#');
  for (const line of pages.flat()) if (line.edge) seen.set(key(line), (seen.get(key(line)) ?? 0) + 1);
  const repeats = (line: PdfLine): boolean => line.edge && 2 * (seen.get(key(line)) ?? 0) > pages.length;
  const isNumber = (line: PdfLine): boolean => line.edge && /^\W*\d+\W*$/.test(line.text);
  return pages.map((page) => page.filter((line) => !isNumber(line) && !(pages.length >= 4 && repeats(line))));
}

/** The size in which most characters are set. */
function bodySize(lines: readonly PdfLine[]): number {
  const weights = new Map<number, number>();
  for (const line of lines) weights.set(line.size, (weights.get(line.size) ?? 0) + line.text.length);
  let best = 0;
  let weight = -1;
  for (const [size, total] of weights) {
    if (total > weight) [best, weight] = [size, total];
  }
  return best;
}

function blocksOf(lines: readonly PdfLine[], body: number): Block[] {
  const sizes = [...new Set(lines.map((line) => line.size))]
    .filter((size) => size >= body * HEADING_RATIO)
    .sort((a, b) => b - a);
  const blocks: Block[] = [];
  let paragraph: string[] = [];
  const flush = (): void => {
    if (paragraph.length > 0) blocks.push({ kind: kindOf(paragraph), text: join(paragraph) });
    paragraph = [];
  };
  for (const line of lines) {
    const level = sizes.indexOf(line.size) + 1;
    if (level > 0 && line.text.length <= 200) {
      flush();
      blocks.push({ kind: 'heading', level: Math.min(level, 6), text: line.text });
      continue;
    }
    const above = paragraph.at(-1);
    const opens = /^(?:[\u2022\u25cf\u25aa-]|\d{1,3}[.)])\s/.test(line.text);
    // A new page goes on with the paragraph unless a sentence has just ended.
    const pageBreak = line.gap <= 0 && above !== undefined && /[.!?:]$/.test(above);
    if (line.gap > PARAGRAPH_GAP || pageBreak || (opens !== isList(paragraph) && opens)) flush();
    paragraph.push(line.text);
  }
  flush();
  return blocks;
}

function isList(lines: readonly string[]): boolean {
  return /^(?:[\u2022\u25cf\u25aa-]|\d{1,3}[.)])\s/.test(lines[0] ?? '');
}

function kindOf(lines: readonly string[]): 'list' | 'prose' {
  return isList(lines) ? 'list' : 'prose';
}

/** One paragraph of lines, words broken at a line's end put together; items of a list keep their lines. */
function join(lines: readonly string[]): string {
  const list = isList(lines);
  let text = '';
  for (const line of lines) {
    const opens = list && isList([line]);
    const item = opens ? line.replace(/^[\u2022\u25cf\u25aa]\s/, '- ') : line;
    if (text === '') text = item;
    else if (opens) text += `\n${item}`;
    else if (/\p{Ll}-$/u.test(text) && /^\p{Ll}/u.test(item)) text = text.slice(0, -1) + item;
    else text += ` ${item}`;
  }
  return text;
}
