/** The payee's answers under `/sahara/payment/1`. Only a channel's payer learns anything, and it has to sign. */
import { equalBytes } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { SaharaError } from '../base/errors.ts';
import type { ReplayStore } from '../base/replay.ts';
import { CLOCK_SKEW_MS } from '../protocol/limits.ts';
import {
  PAYMENT_QUERY_BYTES_MAX,
  type PaymentAnswer,
  type PaymentQuery,
  paymentAnswer,
  paymentQuery,
} from '../protocol/payment-query.ts';
import { signed as signedSchema, type Verifier } from '../protocol/signing.ts';
import { STATE_ENDINGS_MAX } from './limits.ts';
import type { PayeeBook } from './payee-book.ts';

/** Parts of the service. */
export interface PaymentServiceParts {
  readonly book: PayeeBook;
  readonly verifier: Verifier;
  readonly clock: Clock;
  readonly replay: ReplayStore;
  readonly network: string;
}

/**
 * Answers one question. Refusals in this order: `too-large`, `malformed`, `network-mismatch`, `wrong-recipient`,
 * `expired`, `not-yet-valid`, `signature-missing`, `signature-invalid`, `replayed`, then `channel-unknown` when
 * the asker is not the channel's payer, and `funds-insufficient` for a release of what is not free. Only what a payer asks takes a place among the messages that are remembered, so that
 * strangers cannot fill it.
 */
export async function answerPaymentQuery(parts: PaymentServiceParts, body: Uint8Array): Promise<Uint8Array> {
  const { book, verifier, network, replay } = parts;
  if (body.length > PAYMENT_QUERY_BYTES_MAX) {
    throw new SaharaError('too-large', { what: 'payment query', limitBytes: PAYMENT_QUERY_BYTES_MAX });
  }
  const message = signedSchema.decode(body);
  const query = paymentQuery.decode(message.payload);
  if (query.network !== network) throw new SaharaError('network-mismatch', { found: query.network });
  if (!equalBytes(query.payee, book.payee)) throw new SaharaError('wrong-recipient');
  checkTime(query.issuedAtMs, parts.clock.nowMs());
  const fault = await verifier.check(network, 'payment-query', query.payer, message);
  if (fault) throw new SaharaError(fault);
  if (replay.has(query.id)) throw new SaharaError('replayed');
  const told = await answer(book, query);
  if (told.fromPayer && !replay.claim(query.id, query.issuedAtMs + 2 * CLOCK_SKEW_MS)) {
    throw new SaharaError('replayed');
  }
  return paymentAnswer.encode(told.answer);
}

/** What is told, and whether the asker has ever paid here: everybody else learns nothing that is worth a replay. */
interface Told {
  readonly answer: PaymentAnswer;
  readonly fromPayer: boolean;
}

function checkTime(issuedAtMs: number, receiverTimeMs: number): void {
  if (issuedAtMs + CLOCK_SKEW_MS < receiverTimeMs)
    throw new SaharaError('expired', { issuedAtMs, receiverTimeMs });
  if (issuedAtMs - CLOCK_SKEW_MS > receiverTimeMs) {
    throw new SaharaError('not-yet-valid', { issuedAtMs, receiverTimeMs });
  }
}

async function answer(book: PayeeBook, { ask, payer }: PaymentQuery): Promise<Told> {
  if (ask.type === 'ending') {
    const found = await book.endingOf(ask.callId);
    // It says nothing but that the call runs.
    if (found === 'running') {
      return { answer: { type: 'ending', state: 'running', ending: undefined }, fromPayer: false };
    }
    // Another payer's call is as good as unknown.
    if (found === undefined || !equalBytes(found.payer, payer)) {
      return { answer: { type: 'ending', state: 'unknown', ending: undefined }, fromPayer: false };
    }
    const { receipt, charge } = found;
    return { answer: { type: 'ending', state: 'ended', ending: { receipt, charge } }, fromPayer: true };
  }
  if (ask.type === 'release') {
    const release = await book.release({ ...ask, payer });
    return { answer: { type: 'release', release }, fromPayer: true };
  }
  const lane = await book.lanes.find(ask.channel, ask.lane);
  if (lane === undefined) {
    return {
      answer: { type: 'state', serves: book.lane, voucher: undefined, charge: undefined, endings: [] },
      fromPayer: false,
    };
  }
  if (!equalBytes(lane.payer, payer)) throw new SaharaError('channel-unknown');
  // Told is only what is written by then: what left must never be forgotten (PAY-50).
  const { charge } = lane.signed;
  const endings = await book.lanes.endings(lane, ask.fromSequence, STATE_ENDINGS_MAX);
  const answer: PaymentAnswer = {
    type: 'state',
    serves: book.lane,
    voucher: lane.voucher?.signed,
    charge,
    endings: endings.map(({ receipt, charge }) => ({ receipt, charge })),
  };
  return { answer, fromPayer: true };
}
