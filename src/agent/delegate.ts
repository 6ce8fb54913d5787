/**
 * An agent without knowledge of its own: it hands each question to the agents that its manifest lists, all at once,
 * and joins what they say under their names, with their sources and citations as they came. What it asks is paid from
 * the budget of the call; without one it can only ask agents that cost nothing.
 */
import { utf8 } from '../base/bytes.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import type { Citation, Source } from '../protocol/call.ts';
import type { Hash } from '../protocol/ids.ts';
import { PPM, SOURCES_MAX } from '../protocol/limits.ts';
import type { CallEvent } from './caller.ts';
import type { BelowCall, CallsBelow } from './calls-below.ts';
import type { Answerer, AnswerJob, AnswerPart, AnswerRun } from './ports.ts';

/** An agent to hand questions to. */
export interface Delegate {
  /** Name, DID, or the first characters of a DID's last part. */
  readonly agent: string;
  /** Which of its skills. Default none in particular. */
  readonly skill: string | undefined;
  /** Share of this agent's part of the budget that it may spend on calls of its own, millionths. Default 0: it makes none. */
  readonly budget: number;
}

/** How a delegating agent works. */
export interface DelegateOptions {
  /** 1 to 16, in the order of their answers. */
  readonly delegates: readonly Delegate[];
  /** The agent's own asset, which earns its price. */
  readonly asset: Hash;
}

/** Most agents that one hands questions to. */
export const DELEGATES_MAX = 16;

/** Name and version of what a delegating agent does, for its card. */
export const DELEGATE_MODEL = 'delegate/1';

/** An answerer that asks others. */
export function createDelegateAnswerer(options: DelegateOptions): Answerer {
  return {
    answer: (job): AnswerRun => ({
      parts: joined(job, options.delegates),
      shares: () => ({
        rule: DELEGATE_MODEL,
        shares: [{ asset: options.asset, role: 'agent', ppm: PPM }],
      }),
    }),
  };
}

async function* joined(job: AnswerJob, delegates: readonly Delegate[]): AsyncGenerator<AnswerPart> {
  const { calls, request } = job;
  if (calls === undefined)
    throw new SaharaError('budget-exceeded', { what: 'budget', left: '0', wanted: '1' });
  const shares = split(calls, delegates.length);
  const asked = delegates.map(({ agent, skill, budget }, i): BelowCall => {
    const part = shares[i] ?? 0n;
    const below = (part * BigInt(budget)) / BigInt(PPM);
    return calls.ask({
      agent,
      question: request.question,
      context: request.context,
      priceMax: part,
      ...(skill !== undefined && { skill }),
      ...(budget > 0 && { budget: below }),
    });
  });
  const joiner = new Joiner(delegates.length > 1);
  let failure: unknown;
  for (const [index, call] of asked.entries()) {
    try {
      // The first is passed on as it comes; the others wait for their turn, and by then are mostly complete.
      yield* joiner.take(call, index === 0 ? call.events() : eventsOf(call));
    } catch (error) {
      failure ??= error;
    }
  }
  // One that could not answer does not keep the others from it.
  if (!joiner.said && failure !== undefined) throw asSaharaError(failure);
  yield { type: 'end', finish: joiner.said ? 'done' : 'nothing-found' };
}

/** Equal parts of what is left, whole grains, so that no agent's price takes another's place. */
function split({ left }: CallsBelow, count: number): readonly bigint[] {
  return Array.from({ length: count }, () => left / BigInt(count));
}

type Said =
  | { readonly type: 'source'; readonly source: Source }
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'citation'; readonly citation: Citation };

/** A whole answer as it would have come. */
async function* eventsOf({ result }: BelowCall): AsyncGenerator<Said> {
  const { text, sources, citations } = await result;
  for (const source of sources) yield { type: 'source', source };
  if (text !== '') yield { type: 'text', text };
  for (const citation of citations) yield { type: 'citation', citation };
}

/** Puts answers one after the other: offsets into the text and numbers of sources are those of the whole. */
class Joiner {
  readonly #named: boolean;
  #bytes = 0;
  #sources = 0;

  /** `named`: whether each answer stands under its agent's name. */
  constructor(named: boolean) {
    this.#named = named;
  }

  /** Whether anybody said anything. */
  get said(): boolean {
    return this.#bytes > 0;
  }

  async *take(call: BelowCall, events: AsyncIterable<Said | CallEvent>): AsyncGenerator<AnswerPart> {
    const { name } = await call.card;
    const firstSource = this.#sources;
    let start: number | undefined;
    for await (const event of events) {
      if (event.type === 'source' && this.#sources < SOURCES_MAX) {
        this.#sources++;
        yield { type: 'source', source: event.source };
      } else if (event.type === 'text') {
        if (start === undefined) {
          const heading = `${this.said ? '\n\n' : ''}${this.#named ? `${name}:\n` : ''}`;
          if (heading !== '') yield this.#say(heading);
          start = this.#bytes;
        }
        yield this.#say(event.text);
      } else if (event.type === 'citation' && firstSource + event.citation.source < this.#sources) {
        yield { type: 'delta', text: '', citations: [moved(event.citation, start ?? 0, firstSource)] };
      }
    }
  }

  #say(text: string): AnswerPart {
    this.#bytes += utf8(text).length;
    return { type: 'delta', text, citations: [] };
  }
}

function moved(citation: Citation, bytes: number, sources: number): Citation {
  const { start, end, source } = citation;
  return { ...citation, start: start + bytes, end: end + bytes, source: source + sources };
}
