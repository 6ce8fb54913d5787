/**
 * Takes up the calls that were under way when the process ended. Each waits for its caller like a call whose stream
 * is gone; one that was charged before the end is only put among the calls that are told again.
 */
import { equalBytes, toHex } from '../base/bytes.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import { point } from '../base/points.ts';
import { callEnding, callOpening, callRequest, chainNext, chainStart } from '../protocol/call.ts';
import { checkpoint as checkpointSchema } from '../protocol/checkpoint.ts';
import { envelope } from '../protocol/envelope.ts';
import { receipt as receiptSchema } from '../protocol/payment.ts';
import { HOLD_GRACE_MS } from './call-limits.ts';
import type { HostState } from './host.ts';
import { HostCall } from './host-call.ts';
import { Meter } from './host-meter.ts';
import type { PayeeLease, StoredEnding } from './ports.ts';
import type { KeptCall, RunningCalls } from './running-calls.ts';
import { HOST_EDGES, Session } from './session.ts';

/** Takes up every call that `running` has kept. A call that cannot go on or be charged is noted and forgotten. */
export async function recoverCalls(host: HostState, running: RunningCalls): Promise<void> {
  const { log } = host.parts;
  for (const kept of await running.left()) {
    const call = running.reopen(kept);
    try {
      const ending = await host.parts.payee.endingOf(kept.head.callId);
      if (typeof ending === 'object') {
        addRecord(host, kept, ending);
        call.forget();
      } else await takeUp(host, kept, call);
    } catch (error) {
      const { code, facts } = asSaharaError(error);
      log.warn('a call cannot go on after the restart', { call: toHex(kept.head.callId), code, facts });
      call.forget();
    }
  }
}

/** What was charged and delivered but not yet among the records. */
function addRecord(host: HostState, kept: KeptCall, { receipt, charge }: StoredEnding): void {
  const { parts } = host;
  const { head } = kept;
  const opening = callOpening.decode(head.opening);
  const opened = envelope.decode(opening.envelope.payload);
  const said = receiptSchema.decode(receipt.payload);
  const deliveries = kept.frames.slice(0, said.deliveries);
  let chain = chainStart(parts.suite, head.callId);
  for (const { kind, body } of deliveries) chain = chainNext(parts.suite, chain, kind, body);
  if (!equalBytes(chain, said.responseHash)) return;
  parts.records.add({
    side: 'host',
    callId: head.callId,
    agent: head.card.agent,
    caller: opened.from,
    peerId: head.peerId,
    cardHash: head.cardHash,
    requestHash: said.requestHash,
    finish: said.finish,
    amount: said.amount,
    finishedAtMs: said.finishedAtMs,
    opening: head.opening,
    deliveries,
    ending: callEnding.encode({ receipt, charge }),
  });
}

async function takeUp(
  host: HostState,
  kept: KeptCall,
  running: ReturnType<RunningCalls['reopen']>,
): Promise<void> {
  const { parts } = host;
  const { head, at } = kept;
  const opening = callOpening.decode(head.opening);
  const request = callRequest.decode(opening.request);
  const opened = envelope.decode(opening.envelope.payload);
  const current = parts.agents.find(opened.to.name);
  if (current === undefined) throw new SaharaError('agent-unknown', { agent: head.card.name });
  const hosted = { ...current, card: head.card, cardHash: head.cardHash };
  const { price, inputUnits, outputUnitsMax, amountMax, expensesMax, deadlineMs } = head;
  const terms = { hosted, price, inputUnits, outputUnitsMax, amountMax, expensesMax, deadlineMs };
  const meter = new Meter(terms, request.cover);
  meter.raise(at.cover);
  const { sequence, amount } = checkpointSchema.decode(at.checkpoint.payload);
  meter.restore(sequence, amount);
  const lease: PayeeLease = await parts.payee.admit({
    callId: opened.id,
    payer: opened.from,
    voucher: at.voucher,
    requestHash: opened.bodyHash,
    agentAsset: head.card.asset,
    amountMax: meter.cover,
    holdMs: Math.max(0, head.startedAtMs + deadlineMs - parts.clock.nowMs()) + HOLD_GRACE_MS,
    taken: true,
  });
  point('host:recovered');
  const session = new Session(HOST_EDGES, 'detached');
  const read = { bytes: head.opening, opening, envelope: opened, request, hosted };
  const begun = { read, session, stream: undefined, peerId: head.peerId, ticket: undefined };
  const call = new HostCall(host, begun);
  host.began(call);
  void call.goOn(kept, { terms, meter, lease, startedAtMs: head.startedAtMs }, running);
}
