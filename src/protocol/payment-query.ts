/**
 * The questions of `/sahara/payment/1`: a payer asks its payee what a channel's last voucher and charge are, or
 * how one call ended, or for its word that a part of a deposit may leave. Only the payer may ask, so the question is signed; the answer proves itself, because
 * everything in it carries its own signature.
 */

import { type CallEnding, callEnding } from './call.ts';
import type { Hash, Id, PublicKey } from './ids.ts';
import { NETWORK_NAME_BYTES_MAX } from './limits.ts';
import {
  bytes,
  grains,
  list,
  oneOf,
  optional,
  record,
  type Schema,
  text,
  u32,
  uint,
  union,
} from './schema.ts';
import { type Signed, signed } from './signing.ts';

/** The protocol id of payment questions. */
export const PAYMENT_PROTOCOL = '/sahara/payment/1';

/** Largest question, bytes. */
export const PAYMENT_QUERY_BYTES_MAX = 4_096;

/** Largest answer, bytes. */
export const PAYMENT_ANSWER_BYTES_MAX = 4_194_304;

/** Most endings in one answer. */
export const PAYMENT_ENDINGS_MAX = 128;

/** What is asked. */
export type PaymentAsk =
  /** The last voucher and charge of a channel's lane, and its endings from `fromSequence` on. */
  | { readonly type: 'state'; readonly channel: Hash; readonly lane: number; readonly fromSequence: number }
  /** How the call `callId` ended. */
  | { readonly type: 'ending'; readonly callId: Id }
  /** The payee's `release` of `amount` grains of a channel's deposit as it stands. */
  | { readonly type: 'release'; readonly channel: Hash; readonly amount: bigint };

/** A question, signed by the payer under the type `payment-query`. */
export interface PaymentQuery {
  readonly network: string;
  readonly payer: PublicKey;
  readonly payee: PublicKey;
  /** Names the question; a payee answers each once. */
  readonly id: Id;
  readonly issuedAtMs: number;
  readonly ask: PaymentAsk;
}

/** The wire form of a question's signed body. */
export const paymentQuery: Schema<PaymentQuery> = record('payment-query', {
  network: text(NETWORK_NAME_BYTES_MAX),
  payer: bytes(32),
  payee: bytes(32),
  id: bytes(16),
  issuedAtMs: uint(),
  ask: union('payment-ask', {
    state: [1, record('payment-ask-state', { channel: bytes(32), lane: u32, fromSequence: uint() })],
    ending: [2, record('payment-ask-ending', { callId: bytes(16) })],
    release: [3, record('payment-ask-release', { channel: bytes(32), amount: grains })],
  }),
});

/** What a payee answers. */
export type PaymentAnswer =
  | {
      readonly type: 'state';
      /** The lane that the payee serves; vouchers for another are refused. */
      readonly serves: number;
      /** The highest voucher that the payee holds. */
      readonly voucher: Signed | undefined;
      /** The last charge that it signed. */
      readonly charge: Signed | undefined;
      /** Endings in the order of their sequence, from the one asked for. */
      readonly endings: readonly CallEnding[];
    }
  | {
      readonly type: 'ending';
      /** `ended`: here it is. `running`: ask later. `unknown`: the payee has charged nothing for it. */
      readonly state: 'ended' | 'running' | 'unknown';
      readonly ending: CallEnding | undefined;
    }
  /** Signed by the payee under the type `release`. */
  | { readonly type: 'release'; readonly release: Signed };

/** The wire form of an answer. */
export const paymentAnswer: Schema<PaymentAnswer> = union('payment-answer', {
  state: [
    1,
    record('payment-state', {
      serves: u32,
      voucher: optional(signed),
      charge: optional(signed),
      endings: list(callEnding, PAYMENT_ENDINGS_MAX),
    }),
  ],
  ending: [
    2,
    record('payment-ending', { state: oneOf('ended', 'running', 'unknown'), ending: optional(callEnding) }),
  ],
  release: [3, record('payment-release', { release: signed })],
});
