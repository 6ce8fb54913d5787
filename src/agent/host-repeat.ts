/** A call that has ended, told again from what is kept of it: the same frames and the same ending, for nothing. */
import { SaharaError } from '../base/errors.ts';
import { CALL_FRAME, chainNext, chainStart } from '../protocol/call.ts';
import type { Hash, Id } from '../protocol/ids.ts';
import type { Suite } from '../protocol/suite.ts';
import type { CallRecord } from './call-records.ts';
import type { CallFrame, CallStream } from './ports.ts';

/** Sends what `known` delivered from delivery `from` on, and its ending, as fast as the stream takes it. */
export async function repeatCall(stream: CallStream, known: CallRecord, from: number): Promise<void> {
  const ending = { kind: CALL_FRAME.ending, body: known.ending };
  for (const frame of [...known.deliveries.slice(from), ending]) {
    if (!stream.send(frame)) await stream.writable();
  }
  stream.end();
}

/**
 * Whether a caller that has `deliveries` frames with the chain `chain` over them can go on with `frames`. Throws
 * `call-conflict` with how many there are.
 */
export function checkHad(
  suite: Suite,
  call: { readonly callId: Id; readonly frames: readonly CallFrame[] },
  had: { readonly deliveries: number; readonly chain: Uint8Array },
): void {
  const { frames } = call;
  const facts = { deliveries: frames.length };
  if (had.deliveries > frames.length) {
    throw new SaharaError('call-conflict', { reason: 'more than was delivered', ...facts });
  }
  let chain: Hash = chainStart(suite, call.callId);
  for (const { kind, body } of frames.slice(0, had.deliveries)) chain = chainNext(suite, chain, kind, body);
  if (Buffer.compare(chain, had.chain) !== 0) {
    throw new SaharaError('call-conflict', { reason: 'other frames than were delivered', ...facts });
  }
}
