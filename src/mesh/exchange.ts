/** Questions and answers, each on a stream of its own: for cards, genesis, blocks and documents. */
import type { Connection, Stream } from '@libp2p/interface';
import type { Clock } from '../base/clock.ts';
import { asSaharaError, invariant, SaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { EXCHANGE_TYPES, type ExchangeMessage, ExchangeReader, exchangeHead } from '../protocol/exchange.ts';
import { failureSchema, fromWireFailure, toWireFailure } from '../protocol/failure.ts';
import type { Dialer } from './dialer.ts';
import type { PeerDoor } from './door.ts';
import type { Mesh, RequestHandler } from './interface.ts';
import { ANSWER_BYTES_MAX, REQUESTS_PER_PEER_MAX } from './limits.ts';
import type { MeshNode } from './node.ts';
import { sendableError } from './sendable.ts';
import { closeStream, onBytes, openStream } from './streams.ts';

/** Asks and answers. */
export interface Exchange {
  readonly request: Mesh['request'];
  readonly serve: Mesh['serve'];
}

/** What an exchange works with. */
export interface ExchangeParts {
  readonly node: MeshNode;
  readonly dialer: Dialer;
  readonly clock: Clock;
  readonly log: Log;
  readonly door: PeerDoor;
}

const SEND_PIECE_BYTES = 65_536;
const CLOSE_GRACE_MS = 2_000;

/** Exchanges over a started node; `timeoutMs` is the default deadline of a question. */
export function createExchange(parts: ExchangeParts, options: { readonly timeoutMs: number }): Exchange {
  const { node, dialer } = parts;
  return {
    async request(peerId, protocol, body, { signal, timeoutMs = options.timeoutMs, answerBytesMax }) {
      invariant(answerBytesMax <= ANSWER_BYTES_MAX, 'an answer has a bound');
      const deadline = AbortSignal.timeout(timeoutMs);
      const either = signal ? AbortSignal.any([signal, deadline]) : deadline;
      const stopped = (): SaharaError =>
        signal?.aborted
          ? new SaharaError('cancelled')
          : new SaharaError('deadline-exceeded', { what: protocol, peer: peerId, timeoutMs });
      if (either.aborted) throw stopped();
      const { stream } = await openStream(dialer, peerId, protocol, either).catch((error: unknown) => {
        throw either.aborted ? stopped() : error;
      });
      const abort = (): void => stream.abort(stopped());
      either.addEventListener('abort', abort, { once: true });
      try {
        const reader = new ExchangeReader([EXCHANGE_TYPES.answer, EXCHANGE_TYPES.failure], answerBytesMax);
        const answer = gather(stream, reader, peerId);
        // Whichever fails first is told; the other must not become an unhandled rejection.
        answer.catch(() => {});
        await sendMessage(stream, EXCHANGE_TYPES.question, body).catch(() => {});
        const message = await answer;
        closeStream(stream, parts.clock, CLOSE_GRACE_MS);
        if (message.type === EXCHANGE_TYPES.answer) return message.body;
        throw fromWireFailure(failureSchema.decode(message.body));
      } catch (error) {
        if (stream.status === 'open') stream.abort(asSaharaError(error));
        throw either.aborted ? stopped() : error;
      } finally {
        either.removeEventListener('abort', abort);
      }
    },
    serve(protocol, handler) {
      const serving = createServing(parts, handler, options.timeoutMs);
      const registered = node.handle(protocol, (stream, connection) => serving(stream, connection), {
        runOnLimitedConnection: true,
        maxInboundStreams: 2 * REQUESTS_PER_PEER_MAX,
      });
      registered.catch((error: unknown) => {
        parts.log.error('protocol not served', { protocol, reason: String(error) });
      });
      return () => {
        node.unhandle(protocol).catch(() => {});
      };
    },
  };
}

function createServing(
  parts: ExchangeParts,
  handler: RequestHandler,
  timeoutMs: number,
): (stream: Stream, connection: Connection) => Promise<void> {
  const perPeer = new Map<string, number>();
  let running = 0;

  const answered = async (stream: Stream, from: string): Promise<Uint8Array> => {
    const refusal = parts.door.question(from);
    if (refusal) throw refusal;
    const reader = new ExchangeReader([EXCHANGE_TYPES.question], handler.requestBytesMax);
    const cancel = parts.clock.after(timeoutMs, () =>
      stream.abort(new SaharaError('deadline-exceeded', { what: 'question', timeoutMs })),
    );
    const question = await gather(stream, reader, from).finally(cancel);
    const ofPeer = (perPeer.get(from) ?? 0) + 1;
    if (running >= handler.concurrencyMax || ofPeer > REQUESTS_PER_PEER_MAX) {
      parts.door.note(from, 'questions-refused');
      throw new SaharaError('overloaded', { limit: Math.min(handler.concurrencyMax, REQUESTS_PER_PEER_MAX) });
    }
    running++;
    perPeer.set(from, ofPeer);
    const gone = new AbortController();
    const onClose = (): void => gone.abort(new SaharaError('peer-gone', { peer: from }));
    stream.addEventListener('close', onClose, { once: true });
    try {
      const answer = await handler.handle(question.body, from, gone.signal);
      if (answer.length <= handler.answerBytesMax) return answer;
      throw new SaharaError('too-large', { what: 'answer', limitBytes: handler.answerBytesMax });
    } finally {
      stream.removeEventListener('close', onClose);
      running--;
      const left = (perPeer.get(from) ?? 1) - 1;
      if (left > 0) perPeer.set(from, left);
      else perPeer.delete(from);
    }
  };

  return async (stream, connection) => {
    const from = connection.remotePeer.toString();
    try {
      const answer = await answered(stream, from);
      await sendMessage(stream, EXCHANGE_TYPES.answer, answer);
    } catch (thrown) {
      const error = asSaharaError(thrown);
      parts.door.broke(from, 'question-broken', error);
      if (error.code === 'internal') parts.log.warn('question failed', { peer: from, reason: error.message });
      const body = failureSchema.encode(toWireFailure(sendableError(error), parts.clock.nowMs()));
      await sendMessage(stream, EXCHANGE_TYPES.failure, body).catch(() => {});
    }
    closeStream(stream, parts.clock, CLOSE_GRACE_MS);
  };
}

/** The one message that `stream` brings; `peer-gone` if it ends before. */
function gather(stream: Stream, reader: ExchangeReader, peerId: string): Promise<ExchangeMessage> {
  return new Promise((resolve, reject) => {
    const gone = (): void => {
      const reason = reader.begun ? 'the message was cut short' : 'the stream closed';
      reject(new SaharaError('peer-gone', { peer: peerId, reason }));
    };
    stream.addEventListener('remoteCloseWrite', gone);
    stream.addEventListener('close', gone);
    onBytes(stream, (bytes) => {
      try {
        const message = reader.push(bytes);
        if (message) resolve(message);
      } catch (error) {
        reject(error);
      }
    });
    // A stream over some limit is reset before anybody could listen.
    if (stream.status !== 'open') queueMicrotask(gone);
  });
}

async function sendMessage(stream: Stream, type: number, body: Uint8Array): Promise<void> {
  stream.send(exchangeHead(type, body.length));
  for (let offset = 0; offset < body.length; offset += SEND_PIECE_BYTES) {
    if (!stream.send(body.subarray(offset, offset + SEND_PIECE_BYTES))) await stream.onDrain();
  }
}
