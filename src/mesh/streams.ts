/** Opening libp2p streams, with failures in our words. */
import type { Connection, Stream } from '@libp2p/interface';
import type { Clock } from '../base/clock.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import { reasonOf } from './addresses.ts';
import type { Dialer } from './dialer.ts';

/** Streams of one protocol on one connection, opened by this side. */
const OUTBOUND_STREAMS_MAX = 1_024;

/**
 * A stream to a peer, dialled first if needed. Throws `peer-unreachable`, `version-unsupported` when the peer
 * does not speak `protocol`, or `cancelled`.
 */
export async function openStream(
  dialer: Dialer,
  peerId: string,
  protocol: string,
  signal: AbortSignal,
): Promise<{ readonly stream: Stream; readonly connection: Connection }> {
  const connection = await dialer.connect(peerId, { signal });
  try {
    const stream = await connection.newStream(protocol, {
      signal,
      runOnLimitedConnection: true,
      maxOutboundStreams: OUTBOUND_STREAMS_MAX,
    });
    return { stream, connection };
  } catch (error) {
    if (signal.aborted) throw new SaharaError('cancelled', {}, { cause: error });
    if (error instanceof Error && error.name === 'UnsupportedProtocolError') {
      throw new SaharaError('version-unsupported', { peer: peerId, protocol }, { cause: error });
    }
    throw new SaharaError('peer-unreachable', { peer: peerId, reason: reasonOf(error) }, { cause: error });
  }
}

/** Tells `take` every piece of bytes that `stream` brings, as views. */
export function onBytes(stream: Stream, take: (bytes: Uint8Array) => void): void {
  stream.addEventListener('message', (event) => {
    const { data } = event;
    if (data instanceof Uint8Array) take(plainBytes(data));
    else for (const piece of data) take(plainBytes(piece));
  });
}

/** A plain view of bytes that may be a Node `Buffer`, whose `slice` does not copy. */
export function plainBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Closes for writing, lets the rest leave, and gives the stream up after `graceMs` if the peer does not. */
export function closeStream(stream: Stream, clock: Clock, graceMs: number): void {
  if (stream.status === 'closed' || stream.status === 'aborted' || stream.status === 'reset') return;
  const giveUp = clock.after(graceMs, () =>
    stream.abort(new SaharaError('deadline-exceeded', { what: 'closing a stream', timeoutMs: graceMs })),
  );
  stream.addEventListener('close', giveUp, { once: true });
  stream.close().catch((error: unknown) => stream.abort(asSaharaError(error)));
}
