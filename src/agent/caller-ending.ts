/** The end of a call at its caller: the ending is checked, its money settled, and everything kept that proves it. */
import { equalBytes } from '../base/bytes.ts';
import { timeoutSignal } from '../base/clock.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import { point } from '../base/points.ts';
import { type CallEnding, callEnding } from '../protocol/call.ts';
import { type Receipt, receipt as receiptSchema } from '../protocol/payment.ts';
import type { CallerShared, CallResult } from './caller.ts';
import { checkCallsBelow, checkedReceipt } from './caller-check.ts';
import { FAULTS, OUTCOME_TIMEOUT_MS } from './caller-limits.ts';
import type { CallerMeter } from './caller-meter.ts';
import type { Outgoing } from './caller-opening.ts';
import type { Incoming } from './incoming.ts';

/** What came of a call. */
export interface Arrived {
  readonly incoming: Incoming;
  /** Absent for a free call. */
  readonly meter: CallerMeter | undefined;
}

/** Checks an ending, settles its money and keeps the call. Throws `receipt-invalid`, `answer-invalid`, `malformed`. */
export async function settleEnding(
  { parts }: CallerShared,
  out: Outgoing,
  ending: CallEnding,
  { incoming, meter }: Arrived,
): Promise<CallResult> {
  point('caller:ending');
  const checking = meter?.settled();
  if (checking !== undefined) await checking;
  if (meter?.fault !== undefined) throw meter.fault;
  const receipt = checkedReceipt(parts, out, ending, incoming);
  const { text, sources, citations, children } = incoming.answer;
  if (children.length > 0) await checkCallsBelow(parts, out, receipt, children);
  if (out.lease === undefined) {
    const fault = await parts.verifier.check(parts.network, 'receipt', receipt.agent, ending.receipt);
    if (fault) throw new SaharaError('receipt-invalid', { reason: fault });
  } else {
    const { charge } = ending;
    if (charge === undefined) throw new SaharaError('receipt-invalid', { reason: 'no charge' });
    await out.lease.settle({ receipt: ending.receipt, charge });
  }
  point('caller:settled');
  return keep(parts, out, { receipt, ending, incoming, meter, text, sources, citations });
}

function keep(
  { records }: CallerShared['parts'],
  out: Outgoing,
  ended: Arrived &
    Pick<CallResult, 'text' | 'sources' | 'citations' | 'receipt'> & { readonly ending: CallEnding },
): CallResult {
  const { incoming, meter, receipt, ending, text, sources, citations } = ended;
  const { callId, opening } = out;
  const { finish, amount, agent, payer: caller, finishedAtMs } = receipt;
  const deliveries = incoming.frames;
  records.add({
    side: 'caller',
    callId,
    agent,
    caller,
    peerId: out.peerId,
    cardHash: out.known.hash,
    requestHash: out.requestHash,
    finish,
    amount,
    finishedAtMs,
    opening: out.bytes,
    deliveries,
    ending: callEnding.encode(ending),
  });
  const { checkpoints = [], topUp: voucher } = meter ?? {};
  const evidence = { card: out.card, opening, deliveries, ending, checkpoints, voucher };
  return { callId, text, sources, citations, finish, amount, receipt, evidence };
}

/** What is known of a call whose stream is gone for good. */
export type Aftermath =
  /** It ended, and everything that was delivered came. */
  | { readonly type: 'ended'; readonly ending: CallEnding }
  /** It ended and cost `amount` grains; a part of the answer is still to be had. */
  | { readonly type: 'charged'; readonly amount: bigint }
  /** Nothing was charged, and what was held is free. */
  | { readonly type: 'uncharged' }
  /** The payee shows something that is not what it must be. */
  | { readonly type: 'wrong'; readonly fault: SaharaError }
  /** It runs, or the payee cannot be asked, or the call was free. */
  | { readonly type: 'unknown' };

/** Asks the payee what became of a call (PAY-20). */
export async function lookUp(
  { parts: { clock } }: CallerShared,
  out: Outgoing,
  incoming: Incoming,
): Promise<Aftermath> {
  if (out.lease === undefined) return { type: 'unknown' };
  try {
    const outcome = await out.lease.outcome({ signal: timeoutSignal(clock, OUTCOME_TIMEOUT_MS) });
    if (outcome.state === 'running') return { type: 'unknown' };
    if (outcome.state === 'unknown') return { type: 'uncharged' };
    const receipt: Receipt = receiptSchema.decode(outcome.ending.receipt.payload);
    const whole =
      receipt.deliveries === incoming.frames.length &&
      equalBytes(receipt.responseHash, incoming.answer.chain);
    return whole ? { type: 'ended', ending: outcome.ending } : { type: 'charged', amount: receipt.amount };
  } catch (error) {
    const fault = asSaharaError(error);
    return FAULTS.has(fault.code) ? { type: 'wrong', fault } : { type: 'unknown' };
  }
}
