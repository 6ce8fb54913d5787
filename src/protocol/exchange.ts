/**
 * One question and one answer on a stream of its own (`spec/mesh.md`): each is a type byte, a 32-bit big-endian
 * length and that many bytes, so that an answer cut short is never taken for a whole one.
 */
import { SaharaError } from '../base/errors.ts';
import { malformed } from './codec.ts';

/** What a message of an exchange is. A failure's body is the record of `failure.ts`. */
export const EXCHANGE_TYPES = { question: 1, answer: 2, failure: 3 } as const;

/** Bytes before a message's body. */
const EXCHANGE_HEAD_BYTES = 5;

/** Largest failure, bytes. */
export const FAILURE_BYTES_MAX = 16_384;

/** A whole message. */
export interface ExchangeMessage {
  readonly type: number;
  readonly body: Uint8Array;
}

/** The bytes that go before a body. */
export function exchangeHead(type: number, bodyBytes: number): Uint8Array {
  const head = new Uint8Array(EXCHANGE_HEAD_BYTES);
  head[0] = type;
  new DataView(head.buffer).setUint32(1, bodyBytes);
  return head;
}

/** Gathers one message out of chunks. Errors: `too-large`, `malformed`. */
export class ExchangeReader {
  readonly #types: readonly number[];
  readonly #bodyBytesMax: number;
  readonly #head = new Uint8Array(EXCHANGE_HEAD_BYTES);
  #headFilled = 0;
  #body = new Uint8Array(0);
  #filled = 0;
  #length = 0;
  #message: ExchangeMessage | undefined;

  /** Takes one message of a type in `types`, of at most `bodyBytesMax` bytes unless it is a failure. */
  constructor(types: readonly number[], bodyBytesMax: number) {
    this.#types = types;
    this.#bodyBytesMax = bodyBytesMax;
  }

  /** Whether anything came. */
  get begun(): boolean {
    return this.#headFilled > 0;
  }

  /** The message once `chunk` completes it. */
  push(chunk: Uint8Array): ExchangeMessage | undefined {
    if (this.#message && chunk.length > 0) throw malformed('bytes after the message');
    let offset = 0;
    while (this.#headFilled < EXCHANGE_HEAD_BYTES && offset < chunk.length) {
      this.#head[this.#headFilled++] = chunk[offset++] as number;
      if (this.#headFilled === EXCHANGE_HEAD_BYTES) this.#begin();
    }
    if (this.#headFilled < EXCHANGE_HEAD_BYTES) return undefined;
    this.#append(chunk.subarray(offset));
    if (this.#filled < this.#length) return undefined;
    this.#message = { type: this.#head[0] as number, body: this.#body.subarray(0, this.#length) };
    return this.#message;
  }

  #begin(): void {
    const type = this.#head[0] as number;
    if (!this.#types.includes(type)) throw malformed('unexpected message');
    this.#length = new DataView(this.#head.buffer).getUint32(1);
    const limitBytes = type === EXCHANGE_TYPES.failure ? FAILURE_BYTES_MAX : this.#bodyBytesMax;
    if (this.#length > limitBytes) {
      throw new SaharaError('too-large', { what: 'message', sizeBytes: this.#length, limitBytes });
    }
  }

  #append(bytes: Uint8Array): void {
    const needed = this.#filled + bytes.length;
    if (needed > this.#length) throw malformed('bytes after the message');
    // Memory follows the bytes that came, not the length that was announced.
    if (this.#body.length < needed) {
      const grown = new Uint8Array(Math.min(this.#length, Math.max(needed, 2 * this.#body.length)));
      grown.set(this.#body.subarray(0, this.#filled));
      this.#body = grown;
    }
    this.#body.set(bytes, this.#filled);
    this.#filled = needed;
  }
}
