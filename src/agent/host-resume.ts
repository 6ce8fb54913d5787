/**
 * Goes on with a call over a new stream. Who presents the key of the call's caller gets what it has not: from a call
 * under way, which the new stream then carries, or from one that has ended. Nothing of it costs anything.
 */
import { equalBytes, toHex } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import { type CallResume, callResume, type ResumeRequest, resumeRequest } from '../protocol/checkpoint.ts';
import { type Envelope, envelope, openEnvelope } from '../protocol/envelope.ts';
import { CLOCK_SKEW_MS } from '../protocol/limits.ts';
import { type AdmissionParts, OPENING_BYTES_MAX } from './admission.ts';
import type { CallRecord } from './call-records.ts';
import type { HostState } from './host.ts';
import type { HostCall } from './host-call.ts';
import { checkHad } from './host-repeat.ts';

/** A resumption that passed every check. */
export interface ReadResume {
  readonly message: CallResume;
  readonly envelope: Envelope;
  readonly request: ResumeRequest;
}

/** The call that a resumption is for: one under way, or what is kept of one that has ended. */
export type FoundCall = { readonly call: HostCall } | { readonly record: CallRecord };

const NOBODY = new Uint8Array(0);

/**
 * Size, shape, version, network, recipient, expiry, binding of the body, and the peer that presents it. Throws
 * `too-large`, `malformed`, what `openEnvelope` throws, `wrong-recipient`.
 */
export function readResume(parts: AdmissionParts, bytes: Uint8Array, peerId: string): ReadResume {
  if (bytes.length > OPENING_BYTES_MAX) {
    const facts = { what: 'resumption', sizeBytes: bytes.length, limitBytes: OPENING_BYTES_MAX };
    throw new SaharaError('too-large', facts);
  }
  const message = callResume.decode(bytes);
  const request = resumeRequest.decode(message.body);
  const opened = openEnvelope(parts.suite, message.envelope, message.body, {
    network: parts.network,
    to: { kind: 'agent', name: agentOf(parts, message) },
    bodyType: 'resume',
    nowMs: parts.clock.nowMs(),
  });
  if (request.peer !== peerId) throw new SaharaError('wrong-recipient', { expected: 'peer' });
  return { message, envelope: opened, request };
}

function agentOf(parts: AdmissionParts, message: CallResume): Uint8Array {
  try {
    const { to } = envelope.decode(message.envelope.payload);
    const hosted = to.kind === 'agent' && to.name.length === 32 ? parts.agents.find(to.name) : undefined;
    return hosted?.card.agent ?? NOBODY;
  } catch {
    // `openEnvelope` says what is wrong, in its order.
    return NOBODY;
  }
}

/** The signature, and that it is new. Throws `signature-missing`, `signature-invalid`, `replayed`. */
export async function checkResume(parts: AdmissionParts, read: ReadResume): Promise<void> {
  const { from, id, expiresAtMs } = read.envelope;
  const fault = await parts.verifier.check(parts.network, 'resume', from, read.message.envelope);
  if (fault) throw new SaharaError(fault);
  if (!parts.replay.claim(id, expiresAtMs + CLOCK_SKEW_MS)) {
    throw new SaharaError('replayed', { id: toHex(id) });
  }
}

/** Finds the call and compares what its caller has. Throws `call-unknown`, `call-conflict`, `overloaded`. */
export async function findResumed(host: HostState, read: ReadResume): Promise<FoundCall> {
  const { suite } = host.parts;
  const { callId } = read.request;
  const found = await findCall(host, read);
  if (found === undefined) {
    // Else an opening that is still on its way would run, and cost something, after the caller was told otherwise.
    host.disown(callId, read.envelope.from);
    throw new SaharaError('call-unknown', { callId: toHex(callId) });
  }
  const frames = 'call' in found ? found.call.delivered : found.record.deliveries;
  checkHad(suite, { callId, frames }, read.request);
  return found;
}

async function findCall(host: HostState, read: ReadResume): Promise<FoundCall | undefined> {
  const { records } = host.parts;
  const { callId } = read.request;
  for (;;) {
    const call = host.byId.get(toHex(callId));
    if (call?.state === 'checking') {
      await call.changed();
      continue;
    }
    if (call?.attachable) {
      const { envelope: opened } = call.begun.read;
      const own =
        equalBytes(opened.from, read.envelope.from) && equalBytes(opened.to.name, read.envelope.to.name);
      return own ? { call } : undefined;
    }
    const waiting = host.recovering(callId);
    if (waiting === undefined) break;
    await waiting;
  }
  const record = await records.find('host', callId);
  const own =
    record !== undefined &&
    equalBytes(record.caller, read.envelope.from) &&
    equalBytes(record.agent, read.envelope.to.name);
  return own ? { record } : undefined;
}
