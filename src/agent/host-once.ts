/**
 * Calls at their host that one transaction pays. What is wrong with such a call is said before anything is paid: an
 * opening without its payment goes through every check and is told what to pay. The answer uses the payment up, and is
 * kept before its ending leaves, so that whoever asks again under the same id gets it again.
 */
import { SaharaError } from '../base/errors.ts';
import { point } from '../base/points.ts';
import type { CallOpening } from '../protocol/call.ts';
import type { Card } from '../protocol/card.ts';
import type { Envelope } from '../protocol/envelope.ts';
import { didOf } from '../protocol/ids.ts';
import type { Offer } from '../protocol/offer.ts';
import { type CallPayment, callPayment, isOnce, ONCE_RULE, onceFault, onceShares } from '../protocol/once.ts';
import type { CallRecord, CallRecords } from './call-records.ts';
import type { OncePayee, ReceiptDraft } from './ports.ts';

/** What an opening says of the one transaction that pays it. */
export interface OnceOpening {
  /** Absent where the caller asks what it would have to pay. */
  readonly payment: CallPayment | undefined;
}

/**
 * What came with an opening of a call that one transaction pays; `undefined` for any other call. Throws `malformed`
 * for a payment beside a voucher, or of a call that is not paid so.
 */
export function readOnce(
  { voucher }: CallOpening,
  opened: Envelope,
  payment: Uint8Array | undefined,
): OnceOpening | undefined {
  if (!isOnce(opened)) {
    if (payment !== undefined) throw new SaharaError('malformed', { reason: 'a payment of another call' });
    return undefined;
  }
  if (voucher !== undefined) throw new SaharaError('malformed', { reason: 'a payment and a voucher' });
  return { payment: payment && callPayment.decode(payment) };
}

/** Whether a call can be paid by one transaction, if it is to be. Throws `payment-invalid`. */
export function checkOnce(
  { once, envelope }: { readonly once?: OnceOpening | undefined; readonly envelope: Envelope },
  { card, offer }: { readonly card: Card; readonly offer: Offer | undefined },
): void {
  if (once === undefined) return;
  const reason = onceFault({ card, offered: offer !== undefined, context: envelope.context });
  if (reason !== undefined) throw new SaharaError('payment-invalid', { reason });
}

/**
 * Whether a call was paid. Throws `payment-required` with what is to be paid, `payment-invalid`, and `replayed` for a
 * payment that has had its answer.
 */
export function checkPayment(
  payee: OncePayee | undefined,
  { once, envelope, card }: { readonly once: OnceOpening; readonly envelope: Envelope; readonly card: Card },
): void {
  const { id: callId, from: payer } = envelope;
  if (payee === undefined) {
    throw new SaharaError('payment-invalid', { reason: 'this peer takes no single payments' });
  }
  if (once.payment === undefined) {
    const { perCall } = card.price;
    throw new SaharaError('payment-required', {
      price: String(perCall),
      once: String(perCall),
      payee: didOf(card.operator),
    });
  }
  payee.check({ callId, payer, card }, once.payment);
  if (payee.isUsed(callId)) throw new SaharaError('replayed', { what: 'payment' });
}

/** What a receipt says of such a call besides what was delivered. */
export function onceTerms(card: Card): Pick<ReceiptDraft, 'amount' | 'shares' | 'attributionRule'> {
  return { amount: card.price.perCall, shares: onceShares(card), attributionRule: ONCE_RULE };
}

/** Keeps the answer, and that it has used its payment up. Throws `overloaded` where the answer cannot be kept now. */
export async function keepOnce(
  { records, once }: { readonly records: CallRecords; readonly once?: OncePayee },
  record: CallRecord,
  { payment }: OnceOpening,
): Promise<void> {
  if (once === undefined || payment === undefined) return;
  records.add(record);
  // The answer first: a payment that was used up and has no answer would be lost.
  await records.flushed();
  if (!records.has(record.side, record.callId)) {
    // Too much was waiting to be written, and now nothing is.
    records.add(record);
    await records.flushed();
    if (!records.has(record.side, record.callId))
      throw new SaharaError('overloaded', { reason: 'It cannot keep records right now' });
  }
  await once.use(record.callId, payment);
  point('once:used');
}
