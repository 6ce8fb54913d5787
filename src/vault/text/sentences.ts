/** Where sentences begin and end, by a fixed rule that is the same on every machine. */

import { countWords } from './scan.ts';

/** A part of a text, UTF-16 indexes, end excluded. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A piece of a passage that an answer may quote whole. */
export interface Unit extends Span {
  readonly kind: 'sentence' | 'item' | 'code' | 'row';
  /** Position of the block (text between blank lines) that the unit stands in, from 0. */
  readonly block: number;
}

const ABBREVIATIONS: ReadonlySet<string> = new Set(
  'e.g i.e etc vs cf mr mrs ms dr prof st no fig eq sec ch vol al approx resp ca jr sr inc ltd co dept est min max'.split(
    ' ',
  ),
);
const LEAD_WORDS_MAX = 3;
const ENDING = /[.!?\u2026]+["')\]\u201d\u2019\u00bb*_`]*(?=\s)|[\u3002\uff01\uff1f][\u300d\u300f\uff09]*/gu;
const ITEM = /^[ \t]*(?:[-*+\u2022]|\d{1,4}[.)])[ \t]+/;
const STARTS_SENTENCE = /^["'([\u201c\u2018\u00ab*_`]*[\p{Lu}\p{Lt}\p{Lo}\p{N}`$#<@/-]/u;

/** The sentences of one paragraph, in order, without the white space between them. */
export function sentences(text: string, from = 0, to: number = text.length): Span[] {
  const spans: Span[] = [];
  let start = from;
  const body = text.slice(from, to);
  for (const match of body.matchAll(ENDING)) {
    const end = from + match.index + match[0].length;
    if (!endsSentence(text, start, from + match.index, end, to)) continue;
    pushTrimmed(spans, text, start, end);
    start = end;
  }
  pushTrimmed(spans, text, start, to);
  return spans;
}

/** The quotable units of a passage: sentences of prose, items of lists, rows of tables, whole code blocks. */
export function unitsOf(text: string): Unit[] {
  const units: Unit[] = [];
  let number = 0;
  for (const block of blocksOf(text)) {
    const body = text.slice(block.start, block.end);
    if (body.startsWith('```')) units.push({ ...block, kind: 'code', block: number });
    else if (body.startsWith('| ')) {
      for (const row of linesOf(text, block)) units.push({ ...row, kind: 'row', block: number });
    } else if (ITEM.test(body)) {
      for (const item of itemsOf(text, block)) units.push({ ...item, kind: 'item', block: number });
    } else {
      for (const span of withLead(text, sentences(text, block.start, block.end))) {
        units.push({ ...span, kind: 'sentence', block: number });
      }
    }
    number++;
  }
  return units;
}

/** The blocks of a passage: what blank lines separate, a fenced code block being one. */
export function blocksOf(text: string): Span[] {
  const blocks: Span[] = [];
  let start: number | undefined;
  let last = 0;
  let fenced = false;
  for (let at = 0; at < text.length; ) {
    const newline = text.indexOf('\n', at);
    const end = newline === -1 ? text.length : newline;
    const line = text.slice(at, end);
    if (line.trim() !== '' || fenced) {
      if (line.startsWith('```')) fenced = !fenced;
      start ??= at;
      last = end;
    } else if (start !== undefined) {
      blocks.push({ start, end: last });
      start = undefined;
    }
    at = end + 1;
  }
  if (start !== undefined) blocks.push({ start, end: last });
  return blocks;
}

/** The lines of a block that hold anything. */
export function linesOf(text: string, block: Span): Span[] {
  const lines: Span[] = [];
  for (let at = block.start; at < block.end; ) {
    const newline = text.indexOf('\n', at);
    const end = newline === -1 || newline > block.end ? block.end : newline;
    if (end > at) lines.push({ start: at, end });
    at = end + 1;
  }
  return lines;
}

/** The items of a list block: each from its bullet to the next bullet, nested or not. */
export function itemsOf(text: string, block: Span): Span[] {
  const items: Span[] = [];
  let start = block.start;
  for (let at = block.start; at < block.end; ) {
    const newline = text.indexOf('\n', at);
    const end = newline === -1 || newline > block.end ? block.end : newline;
    if (at > block.start && ITEM.test(text.slice(at, end))) {
      pushTrimmed(items, text, start, at);
      start = at;
    }
    at = end + 1;
  }
  pushTrimmed(items, text, start, block.end);
  return items;
}

/** A short lead ("Watchtower. A role any peer can take.") belongs to the sentence behind it. */
function withLead(text: string, spans: readonly Span[]): readonly Span[] {
  const [lead, next, ...rest] = spans;
  if (lead === undefined || next === undefined) return spans;
  return countWords(text.slice(lead.start, lead.end)) > LEAD_WORDS_MAX
    ? spans
    : [{ start: lead.start, end: next.end }, ...rest];
}

function endsSentence(text: string, start: number, mark: number, end: number, to: number): boolean {
  if (/[\u3002\uff01\uff1f]/.test(text[mark] ?? '')) return true;
  const next = text.slice(end, Math.min(to, end + 12)).trimStart();
  if (next !== '' && !STARTS_SENTENCE.test(next)) return false;
  if (text[mark] !== '.' || text[mark + 1] === '.') return true;
  const before =
    /(\S+)$/.exec(text.slice(Math.max(start, mark - 16), mark))?.[1]?.replace(/^["'([]+/, '') ?? '';
  if (ABBREVIATIONS.has(before.toLowerCase())) return next === '';
  // An initial ("J. Doe") or the number of a heading or item ("3. Then").
  return !(
    /^\p{Lu}$/u.test(before) ||
    (/^\d{1,3}$/.test(before) && text.slice(start, mark).trim() === before)
  );
}

function pushTrimmed(spans: Span[], text: string, start: number, end: number): void {
  const body = text.slice(start, end);
  const lead = body.length - body.trimStart().length;
  const trimmed = body.trim().length;
  if (trimmed > 0) spans.push({ start: start + lead, end: start + lead + trimmed });
}
