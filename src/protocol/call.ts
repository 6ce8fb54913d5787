/**
 * What a call says: the request, what the agent delivers, and how it ends. These bodies travel in the frames of
 * `frames.ts`. Everything delivered enters a hash chain whose end the receipt signs.
 */
import { utf8 } from '../base/bytes.ts';
import { CERTIFICATE_BYTES_MAX } from './frames.ts';
import type { Hash, Id, PublicKey } from './ids.ts';
import {
  CALL_DEADLINE_MS_MAX,
  CALL_DEPTH_MAX,
  CITATIONS_MAX,
  CONTEXT_TURN_BYTES_MAX,
  CONTEXT_TURNS_MAX,
  DELTA_TEXT_BYTES_MAX,
  QUESTION_BYTES_MAX,
  SOURCE_TEXT_BYTES_MAX,
  WORK_BYTES_MAX,
} from './limits.ts';
import {
  bytes,
  bytesUpTo,
  grains,
  list,
  oneOf,
  optional,
  record,
  type Schema,
  text,
  u32,
  uint,
} from './schema.ts';
import { type Signed, signed } from './signing.ts';
import type { Suite } from './suite.ts';

/** Kinds of call-layer frames. Numbers that are not here are reserved by `spec/calls.md`. */
export const CALL_FRAME = {
  /** Caller to agent, first and once: `CallOpening`. */
  opening: 1,
  /** Agent to caller: `Delta`. */
  delta: 2,
  /** Agent to caller, before the first citation of it: `Source`. */
  source: 3,
  /** Agent to caller, last: `CallEnding`. */
  ending: 4,
  /** Caller to agent, empty: stop here and send the ending for what was delivered. */
  stop: 5,
  /** Agent to caller, any time before the ending, outside the hash chain: `Progress`. */
  progress: 6,
  /** Agent to caller, outside the hash chain: a signed `Checkpoint`. */
  checkpoint: 9,
  /** Caller to agent: `CallVoucher`, which pays for more. */
  voucher: 10,
  /** Caller to agent, first and once, in place of an opening: `CallResume`. */
  resume: 11,
  /** Agent to caller, a delivery: `CallChild`. */
  child: 12,
  /** Both ways, and nothing else, in a sealed call; the caller's first is a `CallSealed`. */
  sealed: 13,
  /** Caller to a gateway peer, first and once: `CallVia`; back, empty, once the way is open. */
  via: 14,
  /** Inside a seal, both ways: a `CallQuestion` in place of an opening, and the pieces of its answer. */
  question: 15,
  /** Caller to agent, once and before the opening of a call that one transaction pays: `CallPayment`. */
  payment: 16,
  /** Agent to caller, a delivery, once and behind all text: who the answer rests on, so that others can repeat it. */
  attribution: 17,
} as const;

/** What an agent says while it is not delivering yet. */
export interface Progress {
  readonly stage: 'queued' | 'answering' | 'paused';
  /** Calls before this one in the queue. */
  readonly ahead: number;
}

/** The wire form of progress. */
export const progress: Schema<Progress> = record('progress', {
  stage: oneOf('queued', 'answering', 'paused'),
  ahead: u32,
});

/** One earlier turn of the conversation. */
export interface Turn {
  readonly role: 'user' | 'agent';
  readonly text: string;
}

/** The body of a call's envelope; its type name is `call`. */
export interface CallRequest {
  /** SHA-256 of the signed card that the caller read; its price is the price. */
  readonly cardHash: Hash;
  readonly skill: string | undefined;
  readonly question: string;
  readonly context: readonly Turn[];
  /** Most that this call may cost, grains. */
  readonly priceMax: bigint;
  /** How much of it the opening's voucher covers, grains; says nothing without one. */
  readonly cover: bigint;
  /** Most units of answer that are wanted. */
  readonly outputUnitsMax: number;
  /** How long the caller waits, from the request's issue, milliseconds. */
  readonly deadlineMs: number;
  readonly seed: number | undefined;
}

/** The wire form of a request. */
export const callRequest: Schema<CallRequest> = record('call-request', {
  cardHash: bytes(32),
  skill: optional(text(64)),
  question: text(QUESTION_BYTES_MAX),
  context: list(
    record('turn', { role: oneOf('user', 'agent'), text: text(CONTEXT_TURN_BYTES_MAX) }),
    CONTEXT_TURNS_MAX,
  ),
  priceMax: grains,
  cover: grains,
  outputUnitsMax: u32,
  deadlineMs: uint(CALL_DEADLINE_MS_MAX),
  seed: optional(u32),
});

/** Largest request in its wire form, bytes. */
export const CALL_REQUEST_BYTES_MAX = 786_432;

/** A call above another one in its tree, as who makes the one below shows it. */
export interface CallParent {
  /** Its envelope, signed by its caller. */
  readonly envelope: Signed;
  /** Certificates from the operator who makes the call below to the agent that the envelope is for. */
  readonly certificate: Uint8Array;
}

/** First frame of a call: a signed envelope, its body, and what pays for it. */
export interface CallOpening {
  readonly envelope: Signed;
  readonly request: Uint8Array;
  /** Covers `cover` of the request; absent for a free call. */
  readonly voucher: Signed | undefined;
  /** The agent's offer that prices the call in place of its card. */
  readonly offer: Signed | undefined;
  /** Proof of work, where the agent asks strangers for one. */
  readonly work: Uint8Array | undefined;
  /** The calls above this one, the root first. */
  readonly parents: readonly CallParent[];
}

/** The wire form of an opening. */
export const callOpening: Schema<CallOpening> = record('call-opening', {
  envelope: signed,
  request: bytesUpTo(CALL_REQUEST_BYTES_MAX),
  voucher: optional(signed),
  offer: optional(signed),
  work: optional(bytesUpTo(WORK_BYTES_MAX)),
  parents: list(
    record('call-parent', { envelope: signed, certificate: bytesUpTo(CERTIFICATE_BYTES_MAX) }),
    CALL_DEPTH_MAX,
  ),
});

/** A passage that the answer rests on, quoted so that its citations can be checked. */
export interface Source {
  /** Content id of the chunk. */
  readonly chunk: Hash;
  /** Name of the document that it comes from. */
  readonly document: string;
  /** Headings above it. */
  readonly title: string;
  /** The passage, verbatim. */
  readonly text: string;
  readonly contributor: PublicKey;
  /** The asset that earns its part. */
  readonly asset: Hash;
  readonly licence: string;
}

/** The wire form of a source. */
export const source: Schema<Source> = record('source', {
  chunk: bytes(32),
  document: text(512),
  title: text(1024),
  text: text(SOURCE_TEXT_BYTES_MAX),
  contributor: bytes(32),
  asset: bytes(32),
  licence: text(128),
});

/** A part of the answer that a passage supports. Offsets are UTF-8 bytes, start included, end excluded. */
export interface Citation {
  /** Offsets into the whole answer. */
  readonly start: number;
  readonly end: number;
  /** Position of the source among those delivered, from 0. */
  readonly source: number;
  /** Offsets into the source's text. */
  readonly sourceStart: number;
  readonly sourceEnd: number;
}

/** A piece of the answer. */
export interface Delta {
  /** Counts everything delivered in the call, from 0. */
  readonly sequence: number;
  readonly text: string;
  readonly citations: readonly Citation[];
}

/** The wire form of a delta. */
export const delta: Schema<Delta> = record('delta', {
  sequence: u32,
  text: text(DELTA_TEXT_BYTES_MAX),
  citations: list(
    record('citation', { start: u32, end: u32, source: u32, sourceStart: u32, sourceEnd: u32 }),
    CITATIONS_MAX,
  ),
});

/** Last frame of a call: the agent's signed receipt, and for a paid call the payee's signed charge. */
export interface CallEnding {
  readonly receipt: Signed;
  readonly charge: Signed | undefined;
}

/** The wire form of an ending. */
export const callEnding: Schema<CallEnding> = record('call-ending', {
  receipt: signed,
  charge: optional(signed),
});

/** Start of a call's hash chain. */
export function chainStart(suite: Suite, callId: Id): Hash {
  return suite.sha256(utf8('sahara/1/delivery-start'), callId);
}

/** The chain after one more delivered frame (its kind and body). */
export function chainNext(suite: Suite, chain: Hash, kind: number, body: Uint8Array): Hash {
  return suite.sha256(utf8('sahara/1/delivery'), chain, Uint8Array.of(kind), suite.sha256(body));
}
