/**
 * The question of `/sahara/standing/1`: a peer asks what another thinks of it and of the key that it calls with. It
 * may ask about itself only, so the question is signed by that key and names the peer that presents it.
 */
import { NETWORK_NAME_BYTES_MAX } from './limits.ts';
import { bool, bytesUpTo, list, optional, record, type Schema, text, u32, uint } from './schema.ts';
import { type Signed, signed } from './signing.ts';

/** The protocol id of questions about standing. */
export const STANDING_PROTOCOL = '/sahara/standing/1';

/** Type of the question's envelope. */
export const STANDING_TYPE = 'standing';

/** Largest question, bytes. */
export const STANDING_QUESTION_BYTES_MAX = 4_096;

/** Largest answer, bytes. */
export const STANDING_ANSWER_BYTES_MAX = 65_536;

/** Most kinds of facts that are told of one name. */
export const STANDING_FACTS_MAX = 96;

/** What the question's envelope covers. */
export interface StandingRequest {
  /** The peer id of who asks; no other may present the question. */
  readonly peer: string;
}

/** The wire form of what the envelope covers. */
export const standingRequest: Schema<StandingRequest> = record('standing-request', { peer: text(128) });

/** A question about one's own standing. */
export interface StandingQuestion {
  /** To the asked peer, of type `standing`. */
  readonly envelope: Signed;
  /** A `StandingRequest` in its wire form. */
  readonly body: Uint8Array;
}

/** The wire form of a question. */
export const standingQuestion: Schema<StandingQuestion> = record('standing-question', {
  envelope: signed,
  body: bytesUpTo(256),
});

/** What a host thinks of one peer or key, with what follows from it. */
export interface StandingView {
  /** How many steps the limits were lowered; 0 is the best. */
  readonly step: number;
  /** What weighs against it. */
  readonly points: number;
  /** What was counted, as far as it has not decayed. */
  readonly facts: readonly { readonly fact: string; readonly count: number }[];
  /** The limits that follow: calls begun in a second, and calls at a time. */
  readonly limits: readonly { readonly what: string; readonly perSecond: number; readonly atOnce: number }[];
  /** Time without another fault until the limits rise; absent at the best step. */
  readonly betterAfterMs: number | undefined;
  /** Answered calls that would raise them at once. */
  readonly betterAfterCalls: number | undefined;
}

const view: Schema<StandingView> = record('standing-view', {
  step: uint(255),
  points: uint(),
  facts: list(record('standing-fact', { fact: text(80), count: uint() }), STANDING_FACTS_MAX),
  limits: list(record('standing-limit', { what: text(32), perSecond: u32, atOnce: u32 }), 8),
  betterAfterMs: optional(uint()),
  betterAfterCalls: optional(u32),
});

/** What a host answers. */
export interface StandingAnswer {
  readonly network: string;
  /** The host's wall clock, milliseconds since 1970. */
  readonly atMs: number;
  /** Whether the key is a stranger, who may be asked for work. */
  readonly stranger: boolean;
  readonly peer: StandingView;
  readonly caller: StandingView;
}

/** The wire form of an answer. */
export const standingAnswer: Schema<StandingAnswer> = record('standing-answer', {
  network: text(NETWORK_NAME_BYTES_MAX),
  atMs: uint(),
  stranger: bool,
  peer: view,
  caller: view,
});
