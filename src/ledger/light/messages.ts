/** What a light client asks and what a node answers: signed headers, and proofs against the state root of one. */
import { type CertifiedHeader, certifiedHeader } from '../../protocol/certified-header.ts';
import {
  bytes,
  bytesUpTo,
  later,
  list,
  optional,
  record,
  type Schema,
  schema,
  u32,
  uint,
  union,
} from '../../protocol/schema.ts';
import { type StateProof, stateProof } from '../../protocol/state-proof.ts';
import { inclusionProof } from '../inclusion.ts';
import type { InclusionProof } from '../ledger.ts';
import {
  HEADERS_ANSWERED_MAX,
  LISTED_ID_BYTES_MAX,
  LISTED_MAX,
  STATE_KEY_BYTES_MAX,
  STATE_KEYS_ASKED_MAX,
  STATE_RECORD_BYTES_MAX,
} from '../limits.ts';

/** Asks for signed headers. */
export const HEADERS_PROTOCOL = '/sahara/headers/1';
/** Asks for proofs of records, or of a transaction. */
export const STATE_PROTOCOL = '/sahara/state/1';

/** Which headers are asked for. */
export interface HeadersQuestion {
  readonly fromHeight: number;
  readonly count: number;
  /** A height of consensus: the proof of the last header begins with its block. Absent: with the genesis' validators. */
  readonly consensusFrom?: number | undefined;
}

/** The wire form of a question for headers. */
export const headersQuestion: Schema<HeadersQuestion> = record('headers-question', {
  fromHeight: uint(),
  count: uint(HEADERS_ANSWERED_MAX),
  consensusFrom: later(uint()),
});

/**
 * The wire form of the answer: consecutive headers from the height asked for, as far as the node has them. Where validators
 * decide, the last one has the proof of that, which commits to all before it.
 */
export const headersAnswer: Schema<readonly CertifiedHeader[]> = schema(
  'headers',
  list(certifiedHeader, HEADERS_ANSWERED_MAX),
);

/** What is to be proved. Numbers that are not here are reserved. */
export type StateQuestion =
  /** Records by their state keys, in the state of `height` or a later one. */
  | { readonly type: 'records'; readonly height: number; readonly keys: readonly Uint8Array[] }
  | { readonly type: 'inclusion'; readonly id: Uint8Array }
  /** Ids that the node lists under a key: a hint, each to be proved by itself. */
  | { readonly type: 'listing'; readonly kind: number; readonly key: Uint8Array }
  /** The first claim on a lane whose charge counts at least `count` receipts. */
  | {
      readonly type: 'claim';
      readonly channel: Uint8Array;
      readonly lane: number;
      readonly count: number;
    };

/** The wire form of a question for proofs. */
export const stateQuestion: Schema<StateQuestion> = union('state-question', {
  records: [
    1,
    record('records-question', {
      height: uint(),
      keys: list(bytesUpTo(STATE_KEY_BYTES_MAX, 1), STATE_KEYS_ASKED_MAX),
    }),
  ],
  inclusion: [2, record('inclusion-question', { id: bytes(32) })],
  listing: [3, record('listing-question', { kind: uint(255), key: bytes(32) })],
  claim: [4, record('claim-question', { channel: bytes(32), lane: u32, count: uint() })],
});

/** What the state holds under a key, with its proof. Without a value: nothing. */
export interface ProvedEntry {
  readonly value: Uint8Array | undefined;
  readonly proof: StateProof;
}

/** Proofs. */
export type StateAnswer =
  /** In the order of the keys, against the state root of the header; without one, of the genesis. */
  | {
      readonly type: 'records';
      readonly header: CertifiedHeader | undefined;
      readonly entries: readonly ProvedEntry[];
    }
  /** Without a proof the node does not know the transaction. */
  | { readonly type: 'inclusion'; readonly proof: InclusionProof | undefined }
  | { readonly type: 'listing'; readonly ids: readonly Uint8Array[] };

/** The wire form of proofs. */
export const stateAnswer: Schema<StateAnswer> = union('state-answer', {
  records: [
    1,
    record('records-answer', {
      header: optional(certifiedHeader),
      entries: list(
        record('proved-entry', { value: optional(bytesUpTo(STATE_RECORD_BYTES_MAX)), proof: stateProof }),
        STATE_KEYS_ASKED_MAX,
      ),
    }),
  ],
  inclusion: [2, record('inclusion-answer', { proof: optional(inclusionProof) })],
  listing: [3, record('listing-answer', { ids: list(bytesUpTo(LISTED_ID_BYTES_MAX, 32), LISTED_MAX) })],
});
