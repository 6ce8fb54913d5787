/**
 * Cuts a document into passages along its structure: a heading starts a new one, paragraphs are filled up to the
 * target, a sentence, a list item and a line of code stay whole, and what introduces a list or a code block ("...:")
 * stays with it. Headings travel as the title, not in the text.
 */
import { utf8 } from '../base/bytes.ts';
import { type Extracted, layOut, oneLine, type PlacedBlock } from './blocks.ts';
import { CHUNK_BYTES_MAX, CHUNK_WORDS_TARGET, TITLE_BYTES_MAX } from './limits.ts';
import { countWords } from './text/scan.ts';
import { itemsOf, linesOf, type Span, sentences } from './text/sentences.ts';

/** A passage before it has an owner. Offsets are UTF-8 bytes of the extracted text, end excluded. */
interface RawChunk {
  readonly title: string;
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** A document's extracted text, cut. */
export interface CutDocument {
  readonly text: string;
  readonly chunks: readonly RawChunk[];
}

interface Piece extends Span {
  readonly words: number;
  /** The next piece belongs to this one: it ends in a colon. */
  readonly introduces: boolean;
}

/** Stands between the headings of a title. */
export const TITLE_SEPARATOR = ' > ';

/** Cuts what an extractor found. A document without any text gives no chunks. */
export function cut(extracted: Extracted): CutDocument {
  const { text, blocks } = layOut(extracted.blocks);
  const spans: { readonly title: string; readonly span: Span }[] = [];
  const path: { readonly level: number; readonly text: string }[] = [];
  let section: Piece[] = [];
  let bare: PlacedBlock | undefined;
  const flush = (): void => {
    const title = titleOf(extracted.title, path);
    for (const span of fill(section)) spans.push({ title, span });
    section = [];
  };
  for (const block of blocks) {
    if (block.kind !== 'heading') {
      bare = undefined;
      section.push(...piecesOf(text, block));
      continue;
    }
    flush();
    // A heading with nothing below it is a statement of its own ("Dogs are not allowed").
    if (bare?.kind === 'heading' && block.level <= bare.level) spans.push(alone(extracted.title, path, bare));
    while (path.length > 0 && (path.at(-1)?.level ?? 0) >= block.level) path.pop();
    path.push({ level: block.level, text: oneLine(block.text) });
    bare = block;
  }
  flush();
  if (bare !== undefined) spans.push(alone(extracted.title, path, bare));
  return { text, chunks: place(text, spans) };
}

function alone(
  title: string | undefined,
  path: readonly { readonly text: string }[],
  heading: PlacedBlock,
): { readonly title: string; readonly span: Span } {
  return { title: titleOf(title, path.slice(0, -1)), span: heading };
}

function titleOf(documentTitle: string | undefined, path: readonly { readonly text: string }[]): string {
  const parts = path.map((heading) => heading.text);
  const own = documentTitle === undefined ? '' : oneLine(documentTitle);
  if (own !== '' && parts[0] !== own) parts.unshift(own);
  return clip(parts.join(TITLE_SEPARATOR), TITLE_BYTES_MAX);
}

/** At most `bytesMax` UTF-8 bytes of `text`, never half a character. */
function clip(text: string, bytesMax: number): string {
  let clipped = text.slice(0, bytesMax).toWellFormed();
  while (utf8(clipped).length > bytesMax) clipped = clipped.slice(0, -1).replace(/[\ud800-\udbff]$/, '');
  return clipped;
}

/** The smallest pieces that stay whole: a block that fits, otherwise its sentences, items or lines. */
function piecesOf(text: string, block: PlacedBlock): Piece[] {
  const words = countWords(block.text);
  const fits = words <= CHUNK_WORDS_TARGET && byteLength(text, block) <= CHUNK_BYTES_MAX;
  const whole = fits ? [block] : partsOf(text, block);
  return whole.flatMap((span) => bounded(text, span)).map((span) => piece(text, span));
}

function partsOf(text: string, block: PlacedBlock): Span[] {
  if (block.kind === 'list') return itemsOf(text, block);
  if (block.kind === 'code' || block.kind === 'table') return linesOf(text, block);
  return sentences(text, block.start, block.end);
}

/** Cuts what is longer than a chunk may be at white space, or anywhere when it has none. */
function bounded(text: string, span: Span): Span[] {
  const spans: Span[] = [];
  let start = span.start;
  while (byteLength(text, { start, end: span.end }) > CHUNK_BYTES_MAX) {
    let end = Math.min(span.end, start + CHUNK_BYTES_MAX);
    while (byteLength(text, { start, end }) > CHUNK_BYTES_MAX) end -= Math.ceil((end - start) / 16);
    const space = text.lastIndexOf(' ', end);
    if (space > start + (end - start) / 2) end = space;
    else if (/[\udc00-\udfff]/.test(text[end] ?? '')) end--;
    spans.push({ start, end });
    start = text[end] === ' ' ? end + 1 : end;
  }
  if (start < span.end) spans.push({ start, end: span.end });
  return spans;
}

function piece(text: string, span: Span): Piece {
  const body = text.slice(span.start, span.end);
  return { start: span.start, end: span.end, words: countWords(body), introduces: body.endsWith(':') };
}

function byteLength(text: string, span: Span): number {
  return Buffer.byteLength(text.slice(span.start, span.end));
}

/** Joins neighbouring pieces up to the target; an introduction may take its list or code over it, up to twice. */
function fill(pieces: readonly Piece[]): Span[] {
  const spans: Span[] = [];
  let open: { start: number; end: number; words: number; introduces: boolean } | undefined;
  for (const next of pieces) {
    const roof = open?.introduces ? 2 * CHUNK_WORDS_TARGET : CHUNK_WORDS_TARGET;
    const joins = open !== undefined && open.words + next.words <= roof;
    // UTF-16 lengths times three bound the bytes from above.
    if (open !== undefined && joins && 3 * (next.end - open.start) <= CHUNK_BYTES_MAX) {
      open = {
        start: open.start,
        end: next.end,
        words: open.words + next.words,
        introduces: next.introduces,
      };
      continue;
    }
    if (open !== undefined) spans.push(open);
    open = { ...next };
  }
  if (open !== undefined) spans.push(open);
  return spans;
}

/** Turns UTF-16 spans, which rise, into byte offsets in one pass over the text. */
function place(text: string, spans: readonly { readonly title: string; readonly span: Span }[]): RawChunk[] {
  const chunks: RawChunk[] = [];
  let index = 0;
  let bytes = 0;
  const bytesAt = (target: number): number => {
    bytes += Buffer.byteLength(text.slice(index, target));
    index = target;
    return bytes;
  };
  for (const { title, span } of spans) {
    const body = text.slice(span.start, span.end);
    const start = bytesAt(span.start);
    chunks.push({ title, text: body, start, end: bytesAt(span.end) });
  }
  return chunks;
}
