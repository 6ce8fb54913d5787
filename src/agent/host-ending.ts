/** How a call ends at its host: what it cost, who earns it, and the receipt that says so. */
import { point } from '../base/points.ts';
import { callEnding } from '../protocol/call.ts';
import { isOnce } from '../protocol/once.ts';
import {
  callsAsset,
  chargeOf,
  type Finish,
  type ReceiptShare,
  receipt as receiptSchema,
} from '../protocol/payment.ts';
import type { Signed } from '../protocol/signing.ts';
import type { Suite } from '../protocol/suite.ts';
import type { CallTerms, ReadOpening } from './admission.ts';
import { splitCharge } from './attribution/apportion.ts';
import type { CallRecord } from './call-records.ts';
import type { Delivery } from './delivery.ts';
import { onceTerms } from './host-once.ts';
import type { AnswerShares, PayeeLease, ReceiptDraft } from './ports.ts';

/** A call that was answered. */
export interface CallOutcome {
  readonly read: Pick<ReadOpening, 'bytes' | 'envelope' | 'request'>;
  readonly terms: CallTerms;
  /** Absent for a free call. */
  readonly lease: PayeeLease | undefined;
  readonly delivery: Delivery;
  readonly finish: Finish;
  readonly earned: AnswerShares;
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
}

function draftOf(
  parts: { readonly suite: Suite; readonly network: string },
  call: CallOutcome,
): ReceiptDraft {
  const { delivery, finish, earned, terms } = call;
  const { envelope, request } = call.read;
  const { hosted, inputUnits, price } = terms;
  const { card } = hosted;
  const { units: outputUnits, expenses } = delivery;
  const paid = call.lease !== undefined;
  const own = paid && !isUncharged(call) ? chargeOf(price, inputUnits, outputUnits) : 0n;
  const repaid = paid ? expenses : 0n;
  const amounts = splitCharge(own, earned.shares);
  const shares = earned.shares.map((share, i): ReceiptShare => ({ ...share, amount: amounts[i] ?? 0n }));
  if (repaid > 0n) shares.push({ asset: callsAsset(parts.suite), role: 'calls', ppm: 0, amount: repaid });
  return {
    version: 1,
    network: parts.network,
    callId: envelope.id,
    agent: card.agent,
    payee: card.operator,
    payer: envelope.from,
    requestHash: envelope.bodyHash,
    responseHash: delivery.chain,
    deliveries: delivery.frames.length,
    cardHash: hosted.cardHash,
    manifestHash: card.manifestHash,
    modelDigest: card.model.digest,
    skill: request.skill,
    seed: request.seed,
    finish,
    inputUnits,
    outputUnits,
    price,
    expenses,
    amount: own + repaid,
    shares,
    attributionRule: earned.rule,
    startedAtMs: call.startedAtMs,
    finishedAtMs: Math.max(call.startedAtMs, call.finishedAtMs),
  };
}

/** Whether a call asks nothing for itself: nothing was found, or it ended early and only calls below were delivered. */
function isUncharged({ finish, delivery }: CallOutcome): boolean {
  return (
    finish === 'nothing-found' || ((finish === 'failed' || finish === 'cancelled') && delivery.deltas === 0)
  );
}

/**
 * Charges an answered call: receipt and, for a paid call, charge are signed and kept. Resolves with what is kept of the
 * call to be told again, ending included.
 */
export async function chargeCall(
  parts: { readonly suite: Suite; readonly network: string },
  call: CallOutcome,
): Promise<Omit<CallRecord, 'peerId'>> {
  const { read, terms, delivery, finish } = call;
  point('host:answered');
  const made = draftOf(parts, call);
  const draft = isOnce(read.envelope) ? { ...made, ...onceTerms(terms.hosted.card) } : made;
  const ending = call.lease
    ? await call.lease.commit(draft, terms.hosted.signer)
    : { receipt: await freeReceipt(terms, draft), charge: undefined };
  point('host:charged');
  return {
    side: 'host',
    callId: read.envelope.id,
    agent: terms.hosted.card.agent,
    caller: read.envelope.from,
    cardHash: terms.hosted.cardHash,
    requestHash: read.envelope.bodyHash,
    finish,
    amount: draft.amount,
    finishedAtMs: draft.finishedAtMs,
    opening: read.bytes,
    deliveries: delivery.frames,
    ending: callEnding.encode(ending),
  };
}

function freeReceipt({ hosted }: CallTerms, draft: ReceiptDraft): Promise<Signed> {
  const payload = receiptSchema.encode({ ...draft, channel: undefined, lane: 0, sequence: 0 });
  return hosted.signer.sign('receipt', payload);
}
