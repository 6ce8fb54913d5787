/**
 * Calls of tools as a model writes them. Where its own form of a call begins, the rest of the form is written for it,
 * and what is left to it, the name and the arguments, is held to a grammar. So a call that leaves the host can be read,
 * whatever model wrote it; what it is worth is judged by whoever runs it.
 */
import type { Token } from 'node-llama-cpp';
import { Matcher, type Rule, type Work } from '../grammar.ts';
import { CALL_LENGTH_MAX } from '../limits.ts';
import type { MadeCall } from '../messages.ts';

/** How a model writes calls. */
export interface CallForm {
  /** What a call begins with, and, where there may be several, the ones behind the first. */
  readonly first: CallHead;
  readonly more: CallHead | undefined;
  /** Between calls, where there may be several. */
  readonly between: string;
  /** What ends a name where it may be the beginning of another one; empty otherwise. */
  readonly nameEnd: string;
  /** Between the name (with its end) and the arguments, and behind those. */
  beforeArguments(name: string): readonly Token[];
  behindArguments(name: string): readonly Token[];
}

/** What a call begins with. */
export interface CallHead {
  /** The text at which it is known. */
  readonly text: string;
  /** What follows it before the name: as tokens, and as text. */
  readonly rest: readonly Token[];
  readonly restText: string;
}

/** What writing calls needs. */
export interface CallParts {
  readonly form: CallForm;
  /** What may be called: arguments by name. */
  readonly tools: ReadonlyMap<string, Rule>;
  tokenize(text: string): readonly Token[];
  /** A token's text behind others; ends in U+FFFD where a character is not complete. */
  textOf(tokens: readonly Token[], before: readonly Token[]): string;
}

/** Most tokens of one character. */
const CHARACTER_TOKENS_MAX = 4;

/** One answer's calls while they are written. */
export class CallWriter {
  readonly calls: MadeCall[] = [];
  readonly #parts: CallParts;
  #name: string | undefined;
  #matcher: Matcher | undefined;
  #text = '';
  /** Tokens whose last character is not complete. */
  #pending: Token[] = [];

  constructor(parts: CallParts) {
    this.#parts = parts;
  }

  /** Whether what comes next is held to a grammar. */
  get writing(): boolean {
    return this.#matcher !== undefined;
  }

  /** How calls are written. */
  get form(): CallForm {
    return this.#parts.form;
  }

  /** Begins a call behind what it begins with; what is written for the model. */
  begin(): readonly Token[] {
    const { form, tools } = this.#parts;
    this.#name = undefined;
    this.#text = '';
    const names = [...tools.keys()].map((name): Rule => ({ kind: 'text', text: name + form.nameEnd }));
    this.#matcher = Matcher.of({ kind: 'any', rules: names });
    return this.#goOn();
  }

  /** Whether a token may come next, as far as `work` reaches. */
  allows(token: Token, before: readonly Token[], work: Work): boolean {
    const text = this.#parts.textOf([...this.#pending, token], before);
    const whole = wholeOf(text);
    if (text === '' || whole.includes('\ufffd')) return false;
    const behind = this.#matcher?.accept(whole, work);
    if (whole.length === text.length) return behind !== undefined;
    // It begins a character: any beyond ASCII is as good as any other.
    return this.#pending.length + 1 < CHARACTER_TOKENS_MAX && behind?.accept('\u{e9}', work) !== undefined;
  }

  /** Takes a token that is allowed; what is written for the model behind it. */
  take(token: Token, before: readonly Token[]): readonly Token[] {
    const tokens = [...this.#pending, token];
    const text = this.#parts.textOf(tokens, before);
    this.#pending = text.endsWith('\ufffd') ? tokens : [];
    if (this.#pending.length > 0) return [];
    this.#accept(text);
    return this.#text.length > CALL_LENGTH_MAX ? this.complete() : this.#goOn();
  }

  /** Ends the call in the shortest way: what is written for the model. */
  complete(): readonly Token[] {
    const tokens: Token[] = [];
    const { length } = this.calls;
    while (this.#matcher !== undefined && this.calls.length === length) {
      this.#pending = [];
      const text = this.#matcher.shortest();
      this.#accept(text);
      tokens.push(...this.#parts.tokenize(text), ...this.#goOn(true));
    }
    return tokens;
  }

  #accept(text: string): void {
    this.#matcher = this.#matcher?.accept(text);
    this.#text += text;
  }

  /** Writes what there is only one way to write, up to the next choice or the end of the call. */
  #goOn(ended = false): readonly Token[] {
    const { form, tools, tokenize } = this.#parts;
    const only = this.#matcher?.forced() ?? '';
    const tokens = [...tokenize(only)];
    this.#accept(only);
    const matcher = this.#matcher;
    const through = matcher === undefined || matcher.over || (ended && matcher.ends);
    if (!through) return tokens;
    if (this.#name !== undefined) {
      this.calls.push({ name: this.#name, arguments: this.#text });
      this.#matcher = undefined;
      return [...tokens, ...form.behindArguments(this.#name)];
    }
    const name = this.#text.slice(0, this.#text.length - form.nameEnd.length);
    const rule = tools.get(name);
    this.#name = name;
    this.#text = '';
    this.#matcher = rule && Matcher.of(rule);
    return [...tokens, ...form.beforeArguments(name), ...this.#goOn()];
  }
}

/** What of a text are whole characters. */
function wholeOf(text: string): string {
  let end = text.length;
  while (end > 0 && text[end - 1] === '\ufffd') end--;
  return text.slice(0, end);
}
