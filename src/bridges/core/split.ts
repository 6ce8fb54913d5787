/**
 * Cuts a reply into messages that a platform accepts. A cut falls between paragraphs if it can, else between
 * lines, sentences, words, and last between characters as people see them (grapheme clusters); only a single cluster that is
 * larger than a message is divided, and then between code points. A span that a cut crosses goes on in the next message, so a code
 * block stays one in each. White space at a cut goes, except inside code, where only one line break does.
 */
import { normalised, type Rich, type Span, sliced } from './rich.ts';

/** How long a message may be. */
export interface SplitLimit {
  /** Greatest size of a message. */
  readonly sizeMax: number;
  /** Size of a message as the platform counts it; at least its text's length in UTF-16 units. */
  readonly sizeOf: (rich: Rich) => number;
  /** Most spans of a message. */
  readonly spansMax: number;
}

const segmenter = new Intl.Segmenter(undefined, { granularity: 'grapheme' });
const LOOK_AHEAD = 512;

/** The messages, in order: none is empty, each fits `limit`. A reply without visible text gives none. */
export function splitRich(rich: Rich, limit: SplitLimit): readonly Rich[] {
  const pieces: Rich[] = [];
  let start = 0;
  while (start < rich.text.length) {
    const end = fittingEnd(rich, start, limit);
    const at = end === rich.text.length ? end : bestCut(rich, start, end);
    pieces.push(...trimmed(sliced(rich, start, at)));
    start = afterCut(rich, at);
  }
  return pieces;
}

function fits(piece: Rich, limit: SplitLimit): boolean {
  return piece.spans.length <= limit.spansMax && limit.sizeOf(piece) <= limit.sizeMax;
}

/** Greatest end found such that `start..end` fits; always after `start`. */
function fittingEnd(rich: Rich, start: number, limit: SplitLimit): number {
  const whole = Math.min(rich.text.length, start + limit.sizeMax);
  if (fits(sliced(rich, start, whole), limit)) return whole;
  let low = start + 1;
  let high = whole;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (fits(sliced(rich, start, middle), limit)) low = middle;
    else high = middle - 1;
  }
  return low;
}

function bestCut(rich: Rich, start: number, end: number): number {
  const window = rich.text.slice(start, end + LOOK_AHEAD);
  const segments = segmenter.segment(window);
  const isBoundary = (at: number): boolean => segments.containing(at - start)?.index === at - start;
  const code = rich.spans.find((span) => span.style === 'pre' && span.offset < end && endOf(span) > end);
  const half = start + Math.floor((end - start) / 2);
  if (code && code.offset > half) return code.offset;
  const kinds: readonly RegExp[] = code ? [/\n/g] : [/\n\n/g, /\n/g, /[.!?…。！？।؟]["'”’)\]]?\s/g, /\s/g];
  for (const kind of kinds) {
    const at = lastMatch(rich.text, kind, half, end, isBoundary);
    if (at !== undefined) return at;
  }
  const boundary = start + (segments.containing(end - start)?.index ?? 0);
  return boundary > start ? boundary : codePointCut(rich.text, start, end);
}

function lastMatch(
  text: string,
  kind: RegExp,
  from: number,
  end: number,
  isBoundary: (at: number) => boolean,
): number | undefined {
  let found: number | undefined;
  for (const match of text.slice(from, end).matchAll(kind)) {
    const at = from + match.index + (/^\s/.test(match[0]) ? 0 : match[0].trimEnd().length);
    if (at > from && isBoundary(at)) found = at;
  }
  return found;
}

function codePointCut(text: string, start: number, end: number): number {
  const low = text.charCodeAt(end);
  const high = text.charCodeAt(end - 1);
  const divides = low >= 0xdc00 && low < 0xe000 && high >= 0xd800 && high < 0xdc00;
  return divides && end - 1 > start ? end - 1 : end;
}

/** Where the next message starts after a cut at `at`. */
function afterCut(rich: Rich, at: number): number {
  const inCode = rich.spans.some((span) => span.style === 'pre' && span.offset < at && endOf(span) > at);
  if (inCode) return rich.text[at] === '\n' ? at + 1 : at;
  const next =
    rich.spans.find((span) => span.style === 'pre' && span.offset >= at)?.offset ?? rich.text.length;
  let start = at;
  while (start < next && /\s/.test(rich.text[start] ?? '')) start++;
  return start;
}

function trimmed(piece: Rich): readonly Rich[] {
  const isFixed = (span: Span): boolean => span.style === 'pre';
  const last = Math.max(0, ...piece.spans.filter(isFixed).map(endOf));
  const first = Math.min(piece.text.length, ...piece.spans.filter(isFixed).map((span) => span.offset));
  let end = piece.text.length;
  while (end > last && /\s/.test(piece.text[end - 1] ?? '')) end--;
  let start = 0;
  while (start < Math.min(first, end) && /\s/.test(piece.text[start] ?? '')) start++;
  const kept = normalised(sliced(piece, start, end));
  return kept.text.trim() === '' ? [] : [kept];
}

function endOf(span: Span): number {
  return span.offset + span.length;
}
