/**
 * Calls by way of a gateway peer, for a peer that does not reach others by itself or does not want them to see where
 * it is. Everything is sealed to the agent's key, so the gateway learns for which agent, when and roughly how much, and
 * nothing of what is said.
 */
import type { Clock } from '../base/clock.ts';
import { asSaharaError, invariant, SaharaError } from '../base/errors.ts';
import { CALL_FRAME } from '../protocol/call.ts';
import type { Sealer, SealSession } from '../protocol/seal.ts';
import { callVia } from '../protocol/sealed-message.ts';
import type { CallFrame, CallStream, CallTransport } from './ports.ts';
import { sealStream } from './sealed.ts';

/** Parts of a transport through gateways. */
export interface GatewayTransportParts {
  /** Reaches the gateways. */
  readonly direct: CallTransport;
  /** Peer ids of the gateways that can be reached, in the order in which to try them. */
  readonly gateways: (options: { readonly signal?: AbortSignal }) => AsyncIterable<string>;
  readonly sealer: Sealer;
  readonly clock: Clock;
  /** What a peer may be told of an error. */
  readonly sendable: (error: SaharaError) => SaharaError;
}

/** A transport whose calls all pass a gateway, the first that takes them. */
export function createGatewayTransport(parts: GatewayTransportParts): CallTransport {
  const { peerId: own } = parts.direct;
  return {
    ...(own !== undefined && { peerId: own }),
    async openCall(peerId, options = {}) {
      const { agent, signal } = options;
      invariant(agent, 'a sealed call is for an agent');
      const sealing = parts.sealer.to(agent);
      sealing.catch(() => {});
      let failure = new SaharaError('peer-unreachable', { peer: peerId, reason: 'no gateway' });
      for await (const gateway of parts.gateways(signal === undefined ? {} : { signal })) {
        // Nobody stands between when the gateway itself hosts the agent.
        if (gateway === peerId) return parts.direct.openCall(peerId, options);
        try {
          return await openThrough(parts, { gateway, peerId, sealing, ...(signal && { signal }) });
        } catch (error) {
          failure = asSaharaError(error);
          if (signal?.aborted || failure.code === 'seal-invalid') throw failure;
        }
      }
      throw failure;
    },
  };
}

interface Way {
  readonly gateway: string;
  readonly peerId: string;
  readonly sealing: Promise<SealSession>;
  readonly signal?: AbortSignal;
}

async function openThrough(parts: GatewayTransportParts, way: Way): Promise<CallStream> {
  const { gateway, peerId, signal } = way;
  const stream = await parts.direct.openCall(gateway, signal === undefined ? {} : { signal });
  const leave = (): void => stream.cancel();
  signal?.addEventListener('abort', leave, { once: true });
  try {
    // It may have been given up while the stream was opened.
    if (signal?.aborted) throw new SaharaError('cancelled');
    stream.send({ kind: CALL_FRAME.via, body: callVia.encode({ peerId }) });
    const source = stream.frames()[Symbol.asyncIterator]();
    const [session] = await Promise.all([way.sealing, answered(source)]);
    return sealStream({ ...parts, stream, source, session, seenAs: gateway });
  } catch (error) {
    stream.cancel();
    throw error;
  } finally {
    signal?.removeEventListener('abort', leave);
  }
}

/** Waits until the gateway has a way to the other peer: until then nothing of the call was sent. */
async function answered(source: AsyncIterator<CallFrame>): Promise<void> {
  const { value, done } = await source.next();
  if (done || value.kind !== CALL_FRAME.via || value.body.length > 0) {
    throw new SaharaError('malformed', { reason: 'a gateway answers with an empty frame' });
  }
}
