/**
 * What a reader has already seen of an answer that is told again from some delivery on, because the agent's peer was
 * restarted and has less than was delivered. What is the same is passed over, however it is divided into frames; what
 * goes beyond is new; and an answer that says something else cannot go on (CALL-49).
 */
import { equalBytes } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import { type Citation, type Source, source as sourceSchema } from '../protocol/call.ts';
import type { CallEvent } from './caller.ts';
import type { Incoming } from './incoming.ts';

interface Seen {
  readonly text: string;
  readonly sources: readonly Source[];
  readonly citations: readonly Citation[];
  readonly children: number;
}

/** An answer that is being told again. */
export class Retelling {
  readonly #seen: Seen;
  #text: number;
  #citations: number;
  #children: number;

  /** `seen`: everything that came before; `from`: the part of it that counts. */
  constructor(seen: Incoming, from: Incoming, before: Retelling | undefined) {
    const { text, sources, citations, children } = seen.answer;
    const had = before?.ahead(text.length) ? before.#seen : undefined;
    this.#seen = had ?? { text, sources, citations, children: children.length };
    this.#text = from.answer.text.length;
    this.#citations = from.answer.citations.length;
    this.#children = from.answer.children.length;
  }

  /** Whether a reader has seen more text than `length`, in UTF-16 units. */
  ahead(length: number): boolean {
    return this.#seen.text.length > length;
  }

  /** Those of `events` that a reader has not seen. Throws `answer-invalid` when they say something else. */
  fresh(events: readonly CallEvent[]): readonly CallEvent[] {
    return events.flatMap((event) => this.#fresh(event) ?? []);
  }

  #fresh(event: CallEvent): CallEvent | undefined {
    if (event.type === 'text') return this.#freshText(event.text);
    if (event.type === 'source') {
      const seen = this.#seen.sources[event.index];
      if (seen === undefined) return event;
      return must(equalBytes(sourceSchema.encode(seen), sourceSchema.encode(event.source)), 'another source');
    }
    if (event.type === 'citation') {
      const seen = this.#seen.citations[this.#citations++];
      if (seen === undefined) return event;
      return must(sameCitation(seen, event.citation), 'another citation');
    }
    if (event.type !== 'child') return event;
    return this.#children++ < this.#seen.children ? undefined : event;
  }

  #freshText(text: string): CallEvent | undefined {
    const seen = this.#seen.text.slice(this.#text, this.#text + text.length);
    must(text.startsWith(seen), 'another answer');
    this.#text += text.length;
    const rest = text.slice(seen.length);
    return rest === '' ? undefined : { type: 'text', text: rest };
  }
}

function sameCitation(a: Citation, b: Citation): boolean {
  const at = ({ start, end, source, sourceStart, sourceEnd }: Citation): string =>
    [start, end, source, sourceStart, sourceEnd].join();
  return at(a) === at(b);
}

function must(same: boolean, what: string): undefined {
  if (!same)
    throw new SaharaError('answer-invalid', { reason: `${what} after the agent's peer was restarted` });
}
