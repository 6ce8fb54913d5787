/** The words of a text and where they stand, the same on every machine. */
import { scriptRuns } from './scripts.ts';

const WORD = /[\p{L}\p{N}\p{M}]+(?:['\u2019][\p{L}\p{N}\p{M}]+)*/gu;

/** A word of a text that is all ASCII. One object serves for all: it is another word at the next call. */
export interface Span {
  /** The text, and where the word stands in it; its length is that of the text or more. */
  bytes: Uint8Array;
  start: number;
  end: number;
  /** A 32-bit hash of the word. */
  hash: number;
}

/** Is told the words of a text with their positions. */
export interface WordVisitor {
  /** A word of a text that is all ASCII. */
  span(span: Span, position: number): void;
  /** A word of any other text. */
  word(word: string, position: number): void;
  /** Two East Asian characters that follow each other, or one by itself: a term as they are. */
  pair(pair: string, position: number): void;
}

/** Tells `visitor` every word of `text`. Of a run of East Asian characters each pair of neighbours is one. */
export function scanWords(text: string, visitor: WordVisitor): void {
  if (scratch.length < text.length) scratch = new Uint8Array(2 * text.length);
  // Reading characters out of a text is slow where it was put together or cut out of another; bytes are always flat.
  if (encoder.encodeInto(text, scratch.subarray(0, text.length)).read === text.length) {
    scanAscii(scratch, text.length, visitor);
    return;
  }
  let position = 0;
  for (const [found] of text.normalize('NFKC').matchAll(WORD)) {
    for (const { text: run, eastAsian } of runsOf(found)) {
      if (eastAsian) position = visitPairs(run, position, visitor);
      else visitor.word(run, position++);
    }
  }
}

const APOSTROPHE = 0x27;
/** One for each ASCII character of words. */
const IN_WORD = Uint8Array.from({ length: 128 }, (_, code) =>
  /[A-Za-z0-9]/.test(String.fromCharCode(code)) ? 1 : 0,
);

const encoder = new TextEncoder();
let scratch = new Uint8Array(4096);

/** What `WORD` finds in `length` bytes of ASCII, without an object or a text for each. */
function scanAscii(bytes: Uint8Array, length: number, visitor: WordVisitor): void {
  const span: Span = { bytes, start: 0, end: 0, hash: 0 };
  let position = 0;
  for (let at = 0; at < length; at++) {
    let code = bytes[at] ?? 0;
    if (IN_WORD[code] === 0) continue;
    span.start = at;
    let hash = 0;
    for (;;) {
      hash = (Math.imul(hash, 31) + code) | 0;
      at++;
      if (at >= length) break;
      code = bytes[at] ?? 0;
      if (IN_WORD[code] === 1) continue;
      // One between two characters of a word belongs to it.
      if (code !== APOSTROPHE || at + 1 >= length || IN_WORD[bytes[at + 1] ?? 0] === 0) break;
    }
    span.end = at;
    span.hash = hash;
    visitor.span(span, position++);
  }
}

/** The text of some bytes of ASCII. */
export function latin1(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
}

/** A word in memory of its own: one that was cut out of a text keeps the whole text in memory. */
export function ownText(word: string): string {
  return Buffer.from(word).toString();
}

/** How many words `text` has, for the size of chunks and the length of sentences: each CJK character is one. */
export function countWords(text: string): number {
  let count = 0;
  for (const [word] of text.matchAll(WORD)) {
    for (const { text: run, eastAsian } of runsOf(word)) count += eastAsian ? [...run].length : 1;
  }
  return count;
}

/** Most words are Latin and one run: only others are looked at character by character. */
function runsOf(word: string): readonly { readonly text: string; readonly eastAsian: boolean }[] {
  for (let i = 0; i < word.length; i++) if (word.charCodeAt(i) >= 0x1100) return scriptRuns(word);
  return [{ text: word, eastAsian: false }];
}

function visitPairs(run: string, start: number, visitor: WordVisitor): number {
  const characters = [...run];
  if (characters.length === 1) visitor.pair(run, start);
  for (let i = 0; i + 1 < characters.length; i++)
    visitor.pair(`${characters[i]}${characters[i + 1]}`, start + i);
  return start + characters.length;
}
