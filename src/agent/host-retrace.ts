/**
 * An answer made again after a restart: as long as it says what was delivered before, nothing of it is passed on; from
 * there on it is the rest of the answer. At the first difference it fails, and the call ends at what was kept.
 */
import { equalBytes } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import { CALL_FRAME, type Citation, delta, source } from '../protocol/call.ts';
import type { AnswerPart, CallFrame } from './ports.ts';

/** The parts of `answer` after what `frames` hold. Throws `backend-failed` when it is another answer. */
export async function* retrace(
  answer: AsyncIterable<AnswerPart>,
  frames: readonly CallFrame[],
): AsyncGenerator<AnswerPart> {
  const track = new Track(frames);
  for await (const part of answer) {
    if (part.type === 'end') {
      track.mustBeOver();
      yield part;
      continue;
    }
    const rest = part.type === 'delta' ? track.text(part) : track.whole(part);
    if (rest === undefined) continue;
    track.mustBeOver();
    yield rest;
  }
}

class Track {
  readonly #text: string;
  readonly #citations: readonly Citation[];
  readonly #whole: Readonly<Record<'source' | 'child' | 'attribution', readonly Uint8Array[]>>;
  readonly #at = { text: 0, citations: 0, source: 0, child: 0, attribution: 0 };

  constructor(frames: readonly CallFrame[]) {
    const deltas = frames
      .filter(({ kind }) => kind === CALL_FRAME.delta)
      .map(({ body }) => delta.decode(body));
    const bodies = (wanted: number): Uint8Array[] =>
      frames.filter(({ kind }) => kind === wanted).map(({ body }) => body);
    this.#text = deltas.map(({ text }) => text).join('');
    this.#citations = deltas.flatMap(({ citations }) => citations);
    this.#whole = {
      source: bodies(CALL_FRAME.source),
      child: bodies(CALL_FRAME.child),
      attribution: bodies(CALL_FRAME.attribution),
    };
  }

  /** What of a piece of text was not delivered yet. */
  text(part: Extract<AnswerPart, { type: 'delta' }>): AnswerPart | undefined {
    const known = part.text.slice(0, this.#text.length - this.#at.text);
    if (!this.#text.startsWith(known, this.#at.text)) throw another();
    this.#at.text += known.length;
    const text = part.text.slice(known.length);
    const citations = part.citations.filter((citation) => {
      const told = this.#citations[this.#at.citations];
      if (told === undefined) return true;
      if (!sameCitation(told, citation)) throw another();
      this.#at.citations++;
      return false;
    });
    return text === '' && citations.length === 0 ? undefined : { type: 'delta', text, citations };
  }

  /** A source, call below or attribution, unless it was delivered. */
  whole(part: Extract<AnswerPart, { type: 'source' | 'child' | 'attribution' }>): AnswerPart | undefined {
    const told = this.#whole[part.type][this.#at[part.type]];
    if (told === undefined) return part;
    const body = part.type === 'source' ? source.encode(part.source) : part.body;
    if (!equalBytes(told, body)) throw another();
    this.#at[part.type]++;
    return undefined;
  }

  mustBeOver(): void {
    const { text, citations, source: sources, child, attribution } = this.#at;
    const over =
      text === this.#text.length &&
      citations === this.#citations.length &&
      sources === this.#whole.source.length &&
      child === this.#whole.child.length &&
      attribution === this.#whole.attribution.length;
    if (!over) throw another();
  }
}

function sameCitation(a: Citation, b: Citation): boolean {
  return (
    a.start === b.start &&
    a.end === b.end &&
    a.source === b.source &&
    a.sourceStart === b.sourceStart &&
    a.sourceEnd === b.sourceEnd
  );
}

function another(): SaharaError {
  return new SaharaError('backend-failed', { reason: 'another answer than before the restart' });
}
