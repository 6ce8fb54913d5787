/** Checks of what was delivered: the hash chain that the receipt signs, and every citation against its source. */
import { equalBytes, utf8 } from '../base/bytes.ts';
import type { Delivery } from './bundle.ts';
import { CALL_FRAME, type Citation, chainNext, chainStart, delta, type Source, source } from './call.ts';
import { type CallChild, callChild } from './checkpoint.ts';
import { must, refuse } from './evidence.ts';
import type { Hash, Id } from './ids.ts';
import { ATTRIBUTION_BYTES_MAX, SOURCES_MAX } from './limits.ts';
import type { Suite } from './suite.ts';

/** What the deliveries of a call add up to. */
export interface Answer {
  readonly text: string;
  readonly sources: readonly Source[];
  readonly citations: readonly Citation[];
  /** Calls made below. */
  readonly children: readonly CallChild[];
  /** The agent's statement of who the answer rests on, in its wire form. */
  readonly attribution: Uint8Array | undefined;
  /** End of the hash chain. */
  readonly chain: Hash;
}

/** Reads the deliveries of call `callId` in order and links them. Throws `malformed` or `bundle-invalid`. */
export function readAnswer(suite: Suite, callId: Id, deliveries: readonly Delivery[]): Answer {
  const sources: Source[] = [];
  const citations: Citation[] = [];
  const texts: string[] = [];
  const children: CallChild[] = [];
  let attribution: Uint8Array | undefined;
  let chain = chainStart(suite, callId);
  for (const [index, { kind, body }] of deliveries.entries()) {
    chain = chainNext(suite, chain, kind, body);
    if (kind === CALL_FRAME.source) {
      sources.push(source.decode(body));
      continue;
    }
    if (kind === CALL_FRAME.child) {
      children.push(callChild.decode(body));
      continue;
    }
    must(attribution === undefined, `delivery ${index} stands behind the attribution`);
    if (kind === CALL_FRAME.attribution) {
      must(body.length <= ATTRIBUTION_BYTES_MAX, 'the attribution is too large');
      attribution = body;
      continue;
    }
    must(kind === CALL_FRAME.delta, `delivery ${index} is neither text, source, call nor attribution`);
    const piece = delta.decode(body);
    must(piece.sequence === index, `delivery ${index} carries the number ${piece.sequence}`);
    for (const citation of piece.citations) {
      must(citation.source < sources.length, `delivery ${index} cites a source that did not come before`);
    }
    texts.push(piece.text);
    citations.push(...piece.citations);
  }
  must(sources.length <= SOURCES_MAX, `more than ${SOURCES_MAX} sources`);
  return { text: texts.join(''), sources, citations, children, attribution, chain };
}

/** Checks that every cited stretch of the answer stands word for word in its source. */
export function checkCitations(answer: Answer): void {
  const text = utf8(answer.text);
  const passages = answer.sources.map((from) => utf8(from.text));
  for (const [index, citation] of answer.citations.entries()) {
    const said = slice(text, citation.start, citation.end);
    const passage = passages[citation.source];
    const quoted = passage && slice(passage, citation.sourceStart, citation.sourceEnd);
    if (!said || !quoted) refuse(`citation ${index} points outside of the answer or its source`);
    must(equalBytes(said, quoted), `citation ${index} is not what its source says`);
  }
}

function slice(bytes: Uint8Array, start: number, end: number): Uint8Array | undefined {
  return start < end && end <= bytes.length ? bytes.subarray(start, end) : undefined;
}
