/** The words of a text and where they stand, the same on every machine. */
import { scriptRuns } from './scripts.ts';

const WORD = /[\p{L}\p{N}\p{M}]+(?:['\u2019][\p{L}\p{N}\p{M}]+)*/gu;

/** Is told the words of a text with their positions. */
export interface WordVisitor {
  /** A word of a text that is all ASCII: where it stands in `bytes`, which are others after the call. */
  span(bytes: Uint8Array, start: number, end: number, position: number): void;
  /** A word of any other text. */
  word(word: string, position: number): void;
  /** Two East Asian characters that follow each other, or one by itself: a term as they are. */
  pair(pair: string, position: number): void;
}

/**
 * The words of a text that is all ASCII: each is as many numbers as `PLACE`, and its position is its number. One object
 * serves for all texts: it is of another one after the next call.
 */
export interface AsciiWords {
  /** The text, from the first byte on. */
  bytes: Uint8Array;
  /** For each word where it begins and ends in `bytes`, and its 32-bit hash. */
  places: Int32Array;
  count: number;
}

/** Numbers of one word in the `places` of `AsciiWords`. */
export const PLACE = 3;

/** Longest text that is read as ASCII, characters: the room for its words stays. Of a longer one the same words come, slower. */
const ASCII_LENGTH_MAX = 131_072;

/** The words of `text`; `undefined` where it is not all ASCII, or too long for the room that is kept. */
export function asciiWords(text: string): AsciiWords | undefined {
  if (text.length > ASCII_LENGTH_MAX) return undefined;
  // A code unit takes at most three bytes.
  if (found.bytes.length < 3 * text.length) found.bytes = new Uint8Array(6 * text.length);
  // Reading characters out of a text is slow where it was put together or cut out of another; bytes are always flat.
  if (encoder.encodeInto(text, found.bytes).written !== text.length) return undefined;
  // Between two words there is a character that is in none.
  const most = PLACE * Math.ceil(text.length / 2);
  if (found.places.length < most) found.places = new Int32Array(2 * most);
  found.count = placeWords(found.bytes, text.length, found.places);
  return found;
}

/** Tells `visitor` every word of `text`. Of a run of East Asian characters each pair of neighbours is one. */
export function scanWords(text: string, visitor: WordVisitor): void {
  const plain = asciiWords(text);
  if (plain !== undefined) {
    const { bytes, places, count } = plain;
    for (let word = 0; word < count; word++)
      visitor.span(bytes, places[PLACE * word] ?? 0, places[PLACE * word + 1] ?? 0, word);
    return;
  }
  let position = 0;
  for (const [word] of text.normalize('NFKC').matchAll(WORD)) {
    for (const { text: run, eastAsian } of runsOf(word)) {
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
const found: AsciiWords = { bytes: new Uint8Array(4096), places: new Int32Array(4096), count: 0 };

/** Notes in `places` what `WORD` finds in `length` bytes of ASCII, and answers how many words that is. */
function placeWords(bytes: Uint8Array, length: number, places: Int32Array): number {
  let place = 0;
  for (let at = 0; at < length; at++) {
    let code = bytes[at] ?? 0;
    if (IN_WORD[code] === 0) continue;
    places[place] = at;
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
    places[place + 1] = at;
    places[place + 2] = hash;
    place += PLACE;
  }
  return place / PLACE;
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
