/** One turn of a model: its thoughts, its answer and its calls, until the model, a stop or a limit ends it. */
import type { Token } from 'node-llama-cpp';
import type { SaharaError } from '../../../base/errors.ts';
import { TOOL_CALLS_MAX } from '../../tools/limits.ts';
import { Work } from '../grammar.ts';
import {
  CALL_TOKENS_MAX,
  CANDIDATES_MAX,
  PARTIAL_TOKENS_MAX,
  RULES_PER_TOKEN_MAX,
  THOUGHT_TOKENS_MAX,
} from '../limits.ts';
import type { GenerateMessage, HostFinish, MadeCall, TextKind } from '../messages.ts';
import { candidatesOf, candidatesWanted, drawToken, randomOf, type SamplingOptions } from '../sampler.ts';
import type { CallHead, CallWriter } from './calling.ts';
import { type Chosen, chooserOf } from './choosers.ts';
import type { JobEvents } from './jobs.ts';
import type { GoingOnJob } from './lockstep.ts';
import type { Scores } from './next-scores.ts';
import type { StreamPiece, TokenStream } from './stream.ts';

/** What a generation tells besides. */
export interface GenerationEvents extends JobEvents {
  text(text: string, tokens: number, kind: TextKind): void;
  ended(finish: HostFinish, tokens: number, calls: readonly MadeCall[]): void;
}

/** Parts of a generation. */
export interface GenerationParts {
  readonly prompt: readonly Token[];
  /** Tokens that there is room for. */
  readonly room: number;
  readonly stream: TokenStream;
  /** Whether it begins within thoughts, and what ends them. */
  readonly thinking: boolean;
  readonly thoughtEnd: readonly Token[];
  /** Writes calls, where there are tools. */
  readonly writer: CallWriter | undefined;
  /** Whether the model ends with this token. */
  isEnd(token: Token): boolean;
  /** The tokens of a token's text without what stood behind a mark in it. */
  without(token: Token, before: readonly Token[], behind: string): readonly Token[];
  readonly events: GenerationEvents;
}

/** Goes on from a prompt. */
export class Generation implements GoingOnJob {
  readonly prompt: readonly Token[];
  readonly reusable: number;
  cancelled = false;
  paused = false;
  readonly #parts: GenerationParts;
  readonly #sampling: SamplingOptions;
  readonly #tokensMax: number;
  readonly #chosen: Chosen;
  readonly #wanted: number;
  readonly #random: () => number;
  readonly #tokens: Token[];
  /** What is written for the model next. */
  readonly #forced: Token[] = [];
  #generated = 0;
  #thinking: boolean;
  /** Whether blanks are shown: not those between thoughts and the answer. */
  #begun: boolean;
  /** Whether anything of the answer is shown: thoughts come before it, or are none. */
  #shown = false;
  /** Whether behind calls something came that is no call. */
  #betweenIsOver = false;
  readonly #thoughtMax: number;
  #thought = 0;
  #answered = 0;
  #called = 0;
  #finish: HostFinish = 'cancelled';

  constructor(
    parts: GenerationParts,
    request: Pick<GenerateMessage, 'sampling' | 'tokensMax' | 'watermark'>,
  ) {
    this.prompt = parts.prompt;
    // The last token is read again even when all is known: its scores are not kept.
    this.reusable = parts.prompt.length - 1;
    this.#parts = parts;
    this.#sampling = request.sampling;
    this.#tokensMax = request.tokensMax;
    this.#chosen = chooserOf(request);
    this.#wanted = candidatesWanted(request.sampling, this.#chosen.wantsMany);
    this.#random = randomOf(request.sampling.seed);
    this.#tokens = [...parts.prompt];
    this.#thinking = parts.thinking;
    this.#begun = !parts.thinking;
    this.#thoughtMax = Math.min(THOUGHT_TOKENS_MAX, Math.floor(parts.room / 2));
  }

  get best(): number {
    return this.#parts.writer?.writing === true ? CANDIDATES_MAX : this.#wanted;
  }

  begin(reused: number): void {
    this.#parts.events.started(this.prompt.length, reused);
  }

  next(scores: Scores): readonly Token[] | undefined {
    const { writer, room } = this.#parts;
    if (writer?.writing === true) this.#write(writer, scores);
    else if (!this.#say(scores)) return undefined;
    const tokens = this.#forced.splice(0).slice(0, room - this.#generated);
    if (tokens.length === 0) return this.#over('calls');
    this.#tokens.push(...tokens);
    this.#generated += tokens.length;
    return this.#generated < room ? tokens : this.#over('length');
  }

  end(): void {
    const { stream, events, writer } = this.#parts;
    if (!this.cancelled) this.#show(stream.finish());
    const calls = this.#finish === 'calls' ? (writer?.calls ?? []) : [];
    events.ended(this.cancelled ? 'cancelled' : this.#finish, this.#generated, calls);
  }

  fail(error: SaharaError): void {
    this.#parts.events.failed(error);
  }

  #over(finish: HostFinish): undefined {
    this.#finish = finish;
    return undefined;
  }

  /** The next token of a call: the best that its grammar allows, or what ends it. */
  #write(writer: CallWriter, scores: Scores): void {
    const before = this.#tokens.slice(-PARTIAL_TOKENS_MAX);
    const ordered = scores.toSorted((a, b) => b[1] - a[1] || a[0] - b[0]);
    const drawn = this.#sampling.temperature > 0;
    const allowed: (readonly [Token, number])[] = [];
    const work = new Work(RULES_PER_TOKEN_MAX);
    for (const one of this.#called < CALL_TOKENS_MAX ? ordered : []) {
      if (writer.allows(one[0], before, work)) allowed.push(one);
      if (allowed.length > 0 && !drawn) break;
    }
    const [best] = allowed;
    if (best === undefined) this.#forced.push(...writer.complete());
    else {
      const token = drawn ? this.#draw(allowed, drawToken) : best[0];
      this.#forced.push(token, ...writer.take(token, before));
    }
    this.#called += this.#forced.length;
    if (!writer.writing) this.#ended(writer);
  }

  /** A call is written. Where there may be only one, nothing behind it has to be read. */
  #ended(writer: CallWriter): void {
    if (writer.form.more === undefined || writer.calls.length >= TOOL_CALLS_MAX) this.#forced.length = 0;
  }

  /** The next token of thoughts or answer; whether it goes on. */
  #say(scores: Scores): boolean {
    const { stream, isEnd, writer, thoughtEnd } = this.#parts;
    if (this.#thinking && ++this.#thought > this.#thoughtMax) {
      this.#forced.push(...thoughtEnd);
      this.#thinking = false;
      this.#begun = false;
      if (thoughtEnd.length === 0) this.#over('length');
      return thoughtEnd.length > 0;
    }
    const called = writer !== undefined && writer.calls.length > 0;
    const token = this.#draw(scores, this.#chosen.choose);
    if (isEnd(token)) {
      this.#over(called ? 'calls' : 'stop');
      return false;
    }
    this.#forced.push(token);
    let piece = stream.push(token);
    for (;;) {
      this.#show(piece, this.#generated + 1);
      const goesOn = this.#pass(piece, token);
      if (goesOn === undefined) break;
      if (!goesOn) return false;
      piece = stream.more(piece.behind ?? '');
    }
    if (called && this.#betweenIsOver) {
      this.#over('calls');
      return false;
    }
    const calling = writer !== undefined && (writer.writing || writer.calls.length > 0);
    if (!this.#thinking && !calling && ++this.#answered >= this.#tokensMax) {
      this.#tokens.push(token);
      this.#generated++;
      this.#over('length');
      return false;
    }
    return true;
  }

  /** What a mark means: whether it goes on behind it; `undefined` where nothing is left to look at. */
  #pass({ mark, behind = '' }: StreamPiece, token: Token): boolean | undefined {
    const { writer, without } = this.#parts;
    if (mark === undefined) return undefined;
    if (mark.kind === 'think' || mark.kind === 'answer') {
      // Inside an answer they are words like others.
      if (this.#shown && !this.#thinking) this.#show({ text: mark.text }, this.#generated + 1);
      else {
        this.#thinking = mark.kind === 'think';
        this.#begun = false;
      }
      return true;
    }
    if (mark.kind === 'stop') {
      const called = writer !== undefined && writer.calls.length > 0;
      this.#over(called ? 'calls' : 'stop');
      this.#generated++;
      return false;
    }
    const head = this.#headOf(mark.kind);
    if (head === undefined || writer === undefined) {
      this.#show({ text: mark.text }, this.#generated + 1);
      return true;
    }
    this.#thinking = false;
    const before = this.#tokens.slice(-PARTIAL_TOKENS_MAX);
    const written = behind === head.restText ? [token] : [...without(token, before, behind), ...head.rest];
    this.#forced.splice(0, this.#forced.length, ...written, ...writer.begin());
    if (!writer.writing) this.#ended(writer);
    return undefined;
  }

  /** What a call begins with at this mark; nothing where the mark means nothing there. */
  #headOf(kind: 'call' | 'more'): CallHead | undefined {
    const { writer } = this.#parts;
    if (writer === undefined) return undefined;
    if (kind === 'call') return writer.form.first;
    return writer.calls.length > 0 ? writer.form.more : undefined;
  }

  #show({ text }: StreamPiece, tokens = this.#generated): void {
    const { events, writer } = this.#parts;
    if (writer !== undefined && writer.calls.length > 0) {
      this.#betweenIsOver ||= !writer.form.between.includes(text.trim());
      return;
    }
    if (this.#thinking) {
      if (text !== '') events.text(text, tokens, 'thought');
      return;
    }
    const shown = this.#begun ? text : text.trimStart();
    if (shown === '') return;
    this.#begun = true;
    this.#shown ||= shown.trim() !== '';
    events.text(shown, tokens, 'answer');
  }

  #draw(scores: Scores, choose: Chosen['choose']): Token {
    const candidates = candidatesOf(scores, this.#sampling);
    const context = { tokens: this.#tokens, generated: this.#generated, random: this.#random };
    // Tokens are numbers with a brand that this project does not carry around.
    return choose(candidates, context) as Token;
  }
}
