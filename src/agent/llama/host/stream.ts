/**
 * From tokens to text: whole characters only, and nothing of a text at which the answer stops. What may still become
 * one of them is held back.
 */
import { PARTIAL_TOKENS_MAX } from '../limits.ts';

/** What a token came to. */
export interface StreamStep {
  /** Text that can be shown. */
  readonly text: string;
  /** Whether a stop was reached. */
  readonly stopped: boolean;
}

/** Tokens in, text out. */
export class TokenStream {
  readonly #detokenize: (tokens: readonly number[], before: readonly number[]) => string;
  readonly #stops: readonly string[];
  #before: number[] = [];
  #pending: number[] = [];
  #held = '';

  constructor(
    detokenize: (tokens: readonly number[], before: readonly number[]) => string,
    stops: readonly string[],
  ) {
    this.#detokenize = detokenize;
    this.#stops = stops.filter((stop) => stop !== '');
  }

  /** Takes a token. */
  push(token: number): StreamStep {
    this.#pending.push(token);
    const text = this.#detokenize(this.#pending, this.#before);
    // A character whose bytes are several tokens is not there before the last of them.
    if (text.endsWith('\ufffd') && this.#pending.length < PARTIAL_TOKENS_MAX)
      return { text: '', stopped: false };
    this.#before = [...this.#before, ...this.#pending].slice(-PARTIAL_TOKENS_MAX);
    this.#pending = [];
    return this.#release(text);
  }

  /** What was held back when nothing more comes. */
  finish(): string {
    const text = this.#pending.length === 0 ? '' : this.#detokenize(this.#pending, this.#before);
    this.#pending = [];
    const { text: shown, stopped } = this.#release(text);
    const rest = stopped ? '' : this.#held;
    this.#held = '';
    return shown + rest;
  }

  #release(text: string): StreamStep {
    const all = this.#held + text;
    const at = Math.min(...this.#stops.map((stop) => all.indexOf(stop)).filter((found) => found >= 0));
    if (Number.isFinite(at)) {
      this.#held = '';
      return { text: all.slice(0, at), stopped: true };
    }
    const hold = Math.max(0, ...this.#stops.map((stop) => overlap(all, stop)));
    this.#held = all.slice(all.length - hold);
    return { text: all.slice(0, all.length - hold), stopped: false };
  }
}

/** Length of the longest end of `text` with which `stop` begins. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
