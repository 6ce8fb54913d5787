/** The first step of a call: a stream to the agent's peer, and meanwhile the price, the cover and the signatures. */
import { CALL_FRAME } from '../protocol/call.ts';
import type { Id } from '../protocol/ids.ts';
import { callPayment } from '../protocol/once.ts';
import type { AskRequest, CallerShared } from './caller.ts';
import { type Outgoing, openCall } from './caller-opening.ts';
import type { CallStream } from './ports.ts';

/** A call that is about to be sent. */
export interface Begun {
  readonly out: Outgoing;
  readonly stream: CallStream;
}

/**
 * Opens a stream and what is to be sent on it. `stopped` throws once the call was stopped. Nothing is held, and no
 * stream left open, when it throws.
 */
export async function beginCall(
  shared: CallerShared,
  asked: AskRequest,
  call: { readonly callId: Id; readonly workBits: number; readonly stopped: () => void },
): Promise<Begun> {
  const { card, peerId } = asked.target;
  const found = shared.cardOf(card);
  const known = found instanceof Promise ? await found : found;
  const opening = shared.parts.transport.openCall(peerId, { agent: known.card.agent });
  // A failure is heard below; the signatures are under way meanwhile.
  opening.catch(() => {});
  let out: Outgoing;
  try {
    call.stopped();
    out = await openCall(shared, asked, { ...call, known });
  } catch (error) {
    // Nothing will be said on the stream: left open, its host would wait for an opening.
    opening.then(
      (unused) => unused.cancel(),
      () => {},
    );
    throw error;
  }
  try {
    const stream = await opening;
    try {
      call.stopped();
      if (asked.paid) stream.send({ kind: CALL_FRAME.payment, body: callPayment.encode(asked.paid) });
    } catch (error) {
      stream.cancel();
      throw error;
    }
    return { out, stream };
  } catch (error) {
    out.lease?.release();
    throw error;
  }
}
