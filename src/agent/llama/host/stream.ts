/**
 * From tokens to text: whole characters only, and nothing of a mark in it (a text at which the answer stops, or where
 * thoughts or calls begin or end). What may still become a mark is held back.
 */
import { PARTIAL_TOKENS_MAX } from '../limits.ts';

/** A text that means something. */
export interface Mark {
  readonly text: string;
  /** The end of the answer, the beginning of a call or of one more, the beginning and the end of thoughts. */
  readonly kind: 'stop' | 'call' | 'more' | 'think' | 'answer';
}

/** Text that can be shown, and the mark behind it, if there is one. */
export interface StreamPiece {
  readonly text: string;
  readonly mark?: Mark;
  /** What stood behind the mark in the same token. */
  readonly behind?: string;
}

/** Tokens in, text out. */
export class TokenStream {
  readonly #detokenize: (tokens: readonly number[], before: readonly number[]) => string;
  readonly #marks: readonly Mark[];
  #before: number[] = [];
  #pending: number[] = [];
  #held = '';

  constructor(
    detokenize: (tokens: readonly number[], before: readonly number[]) => string,
    marks: readonly Mark[],
  ) {
    this.#detokenize = detokenize;
    this.#marks = marks.filter(({ text }) => text !== '');
  }

  /** Takes a token. The pieces end with the first mark; `more` goes on behind it. */
  push(token: number): StreamPiece {
    this.#pending.push(token);
    const text = this.#detokenize(this.#pending, this.#before);
    // A character whose bytes are several tokens is not there before the last of them.
    if (text.endsWith('\ufffd') && this.#pending.length < PARTIAL_TOKENS_MAX) return { text: '' };
    this.#before = [...this.#before, ...this.#pending].slice(-PARTIAL_TOKENS_MAX);
    this.#pending = [];
    return this.#release(text);
  }

  /** Goes on with what stood behind a mark. */
  more(text: string): StreamPiece {
    return this.#release(text);
  }

  /** What was held back when nothing more comes. */
  finish(): StreamPiece {
    const text = this.#pending.length === 0 ? '' : this.#detokenize(this.#pending, this.#before);
    this.#pending = [];
    const piece = this.#release(text);
    if (piece.mark !== undefined) return piece;
    const rest = this.#held;
    this.#held = '';
    return { text: piece.text + rest };
  }

  #release(text: string): StreamPiece {
    const all = this.#held + text;
    this.#held = '';
    const [first] = this.#marks
      .map((mark) => ({ mark, at: all.indexOf(mark.text) }))
      .filter(({ at }) => at >= 0)
      // Of two that begin at one place the longer one is meant.
      .sort((a, b) => a.at - b.at || b.mark.text.length - a.mark.text.length);
    if (first !== undefined) {
      const { mark, at } = first;
      return { text: all.slice(0, at), mark, behind: all.slice(at + mark.text.length) };
    }
    const hold = Math.max(0, ...this.#marks.map((mark) => overlap(all, mark.text)));
    this.#held = all.slice(all.length - hold);
    return { text: all.slice(0, all.length - hold) };
  }
}

/** Length of the longest end of `text` with which `mark` begins. */
function overlap(text: string, mark: string): number {
  for (let length = Math.min(text.length, mark.length - 1); length > 0; length--) {
    if (text.endsWith(mark.slice(0, length))) return length;
  }
  return 0;
}
