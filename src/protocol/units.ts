/**
 * Units of text, the same for every backend: what a caller can count from what was sent and delivered, without the
 * model. A unit is one word (a run of letters, digits and combining marks); each Chinese, Japanese or Korean
 * character is one; nothing else is any.
 */
import { isEastAsian } from './scripts.ts';

const WORD = /[\p{L}\p{N}\p{M}]/u;

/** What `WORD` says of each ASCII character. Asking the expression costs ten times as much, for every character. */
const ASCII_WORDS: readonly boolean[] = Array.from({ length: 128 }, (_, code) =>
  WORD.test(String.fromCharCode(code)),
);

/** Counts the units of a text that comes in pieces. */
export class UnitCounter {
  #count = 0;
  #inWord = false;

  /** Units so far. */
  get count(): number {
    return this.#count;
  }

  /** Adds `text`, which goes on where the last piece ended. A surrogate pair must not be split between pieces. */
  push(text: string): void {
    this.take(text, Number.POSITIVE_INFINITY);
  }

  /** Adds as much of `text` as keeps the count within `max`; returns how many UTF-16 units that was. */
  take(text: string, max: number): number {
    let at = 0;
    while (at < text.length) {
      const code = text.charCodeAt(at);
      const character = code < 128 ? undefined : String.fromCodePoint(text.codePointAt(at) ?? code);
      const word = character === undefined ? ASCII_WORDS[code] === true : WORD.test(character);
      const ideograph = word && character !== undefined && isEastAsian(character);
      if (ideograph || (word && !this.#inWord)) {
        if (this.#count >= max) return at;
        this.#count++;
      }
      this.#inWord = word && !ideograph;
      at += character?.length ?? 1;
    }
    return at;
  }
}

/** The units of a whole text. */
export function countUnits(text: string): number {
  const counter = new UnitCounter();
  counter.push(text);
  return counter.count;
}

/** Input units of a request: those of the question and of each turn of its context, each counted alone. */
export function inputUnits(request: {
  readonly question: string;
  readonly context: readonly { readonly text: string }[];
}): number {
  return request.context.reduce((sum, turn) => sum + countUnits(turn.text), countUnits(request.question));
}
