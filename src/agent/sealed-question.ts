/**
 * Questions to the peer that hosts an agent, sealed like a call: what a payer asks its payee must stay hidden from the
 * gateway too.
 */
import { concat } from '../base/bytes.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import { CALL_FRAME } from '../protocol/call.ts';
import type { PublicKey } from '../protocol/ids.ts';
import { type CallQuestion, callQuestion } from '../protocol/sealed-message.ts';
import type { CallStream, CallTransport } from './ports.ts';

/** Bytes of one piece of an answer: what fills a padded size. */
const PIECE_BYTES = 65_530;

/** A question, and the agent by whose key it is sealed. */
export interface SealedQuestion {
  readonly peerId: string;
  readonly agent: PublicKey;
  readonly question: CallQuestion;
}

/**
 * The answer to a question. Throws what the transport throws, what the other side says, `too-large`, `malformed`, and
 * `cancelled`.
 */
export async function askSealed(
  transport: CallTransport,
  { peerId, agent, question }: SealedQuestion,
  options: { readonly answerBytesMax: number; readonly signal: AbortSignal },
): Promise<Uint8Array> {
  const { answerBytesMax: limitBytes, signal } = options;
  const stream = await transport.openCall(peerId, { signal, agent });
  const leave = (): void => stream.cancel();
  signal.addEventListener('abort', leave, { once: true });
  try {
    // It may have been given up while the stream was opened.
    if (signal.aborted) throw new SaharaError('cancelled');
    stream.send({ kind: CALL_FRAME.question, body: callQuestion.encode(question) });
    const pieces: Uint8Array[] = [];
    let sizeBytes = 0;
    for await (const { kind, body } of stream.frames()) {
      if (kind !== CALL_FRAME.question) throw new SaharaError('malformed', { reason: 'not an answer', kind });
      sizeBytes += body.length;
      if (sizeBytes > limitBytes)
        throw new SaharaError('too-large', { what: 'answer', sizeBytes, limitBytes });
      pieces.push(body);
    }
    stream.end();
    return concat(...pieces);
  } catch (error) {
    stream.cancel();
    throw error;
  } finally {
    signal.removeEventListener('abort', leave);
  }
}

/** Answers the question that `stream` began with. Never rejects: what is wrong is told to the asker. */
export async function answerSealed(
  stream: CallStream,
  body: Uint8Array,
  answer: (question: CallQuestion) => Promise<Uint8Array>,
): Promise<void> {
  try {
    const bytes = await answer(callQuestion.decode(body));
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      const piece = { kind: CALL_FRAME.question, body: bytes.subarray(at, at + PIECE_BYTES) };
      if (!stream.send(piece)) await stream.writable();
    }
    stream.end();
  } catch (error) {
    stream.fail(asSaharaError(error));
  }
}
