/** What a statement that a model wrote and a passage have in common word for word: what can be cited of it. */
import { utf8 } from '../../base/bytes.ts';
import { wordSequence } from './duplicates.ts';
import { QUOTES_MAX, SPAN_WORDS_MIN } from './limits.ts';

/** A stretch that stands in both texts, UTF-16 indexes. */
interface Stretch {
  readonly statement: number;
  readonly passage: number;
  readonly length: number;
}

/** UTF-8 byte offsets, end excluded, of a stretch in both texts. */
export interface Quote {
  readonly start: number;
  readonly end: number;
  readonly passageStart: number;
  readonly passageEnd: number;
}

/**
 * The longest stretches of whole words, each with three content words or more, that stand in a statement and in a
 * passage alike, in the order of the statement; at most four.
 */
export function quotesOf(statement: string, passage: string): Quote[] {
  const found: Stretch[] = [];
  const search = (from: number, to: number): void => {
    if (found.length >= QUOTES_MAX) return;
    const best = longestCommon(statement.slice(from, to), passage);
    if (best === undefined) return;
    const start = from + best.statement;
    found.push({ ...best, statement: start });
    search(from, start);
    search(start + best.length, to);
  };
  search(0, statement.length);
  return found
    .sort((a, b) => a.statement - b.statement)
    .map(({ statement: at, passage: in_, length }) => ({
      ...bytesOf(statement, at, length),
      ...passageBytes(bytesOf(passage, in_, length)),
    }));
}

function passageBytes({ start, end }: { readonly start: number; readonly end: number }): {
  readonly passageStart: number;
  readonly passageEnd: number;
} {
  return { passageStart: start, passageEnd: end };
}

function bytesOf(text: string, at: number, length: number): { readonly start: number; readonly end: number } {
  const start = utf8(text.slice(0, at)).length;
  return { start, end: start + utf8(text.slice(at, at + length)).length };
}

/** The longest stretch that both have, cut to whole words; `undefined` when it says too little. */
function longestCommon(a: string, b: string): Stretch | undefined {
  let before = new Uint32Array(b.length + 1);
  let best: Stretch | undefined;
  for (let i = 1; i <= a.length; i++) {
    const row = new Uint32Array(b.length + 1);
    for (let j = 1; j <= b.length; j++) {
      if (a.charCodeAt(i - 1) !== b.charCodeAt(j - 1)) continue;
      const length = (before[j - 1] ?? 0) + 1;
      row[j] = length;
      if (length > (best?.length ?? 0)) best = { statement: i - length, passage: j - length, length };
    }
    before = row;
  }
  const cut = best && wholeWords(a, b, best);
  if (cut === undefined) return undefined;
  const words = wordSequence(a.slice(cut.statement, cut.statement + cut.length));
  return words.length >= SPAN_WORDS_MIN ? cut : undefined;
}

const INSIDE_WORD = /[\p{L}\p{N}\p{M}]/u;

function wholeWords(a: string, b: string, { statement, passage, length }: Stretch): Stretch | undefined {
  let [from, to] = [0, length];
  const inside = (text: string, at: number): boolean =>
    INSIDE_WORD.test(text[at - 1] ?? '') && INSIDE_WORD.test(text[at] ?? '');
  const breaks = (at: number): boolean => inside(a, statement + at) || inside(b, passage + at);
  while (from < to && (breaks(from) || /\s/.test(a[statement + from] ?? ''))) from++;
  while (to > from && (breaks(to) || /\s/.test(a[statement + to - 1] ?? ''))) to--;
  return from < to ? { statement: statement + from, passage: passage + from, length: to - from } : undefined;
}
