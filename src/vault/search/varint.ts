import { utf8 } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';

const NUMBER_MAX = Number.MAX_SAFE_INTEGER;

/** Most bytes that a number takes. */
export const VARINT_BYTES_MAX = 8;
const BITS_MAX = 0x7fff_ffff;

/** Takes numbers and bytes, one behind the other. */
export interface ByteSink {
  /** A number in base 128, least significant group first. */
  uint(value: number): void;
  /** The bytes from `start` (default: the first) to `end` (default: the last). */
  raw(bytes: Uint8Array, start?: number, end?: number): void;
}

/** Writes a number at `at`, where `VARINT_BYTES_MAX` bytes have room; answers where it ends. */
export function putVarint(bytes: Uint8Array, at: number, value: number): number {
  let end = at;
  let rest = value;
  for (; rest > BITS_MAX; rest = Math.floor(rest / 0x80)) bytes[end++] = (rest % 0x80) | 0x80;
  for (; rest >= 0x80; rest >>>= 7) bytes[end++] = (rest & 0x7f) | 0x80;
  bytes[end] = rest;
  return end + 1;
}

/** Appends unsigned integers in base 128, least significant group first, and raw bytes. */
export class VarintWriter implements ByteSink {
  #bytes = new Uint8Array(64);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  uint(value: number): void {
    if (this.#length + VARINT_BYTES_MAX > this.#bytes.length) this.#reserve(VARINT_BYTES_MAX);
    this.#length = putVarint(this.#bytes, this.#length, value);
  }

  raw(bytes: Uint8Array, start = 0, end: number = bytes.length): void {
    this.#reserve(end - start);
    this.#bytes.set(bytes.subarray(start, end), this.#length);
    this.#length += end - start;
  }

  /** A text, from its character `from` on, with its length in bytes before it. */
  text(text: string, from = 0): void {
    if (!isAscii(text, from, text.length)) {
      const encoded = utf8(text.slice(from));
      this.uint(encoded.length);
      this.raw(encoded);
      return;
    }
    this.uint(text.length - from);
    this.#reserve(text.length - from);
    for (let i = from; i < text.length; i++) this.#bytes[this.#length++] = text.charCodeAt(i);
  }

  /** Begins anew in the same memory: what `finish` gave before is overwritten. */
  clear(): void {
    this.#length = 0;
  }

  /** What was written, without a copy. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#length + more, 2 * this.#bytes.length));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

/** Reads what `VarintWriter` wrote; `store-corrupt` for anything else. */
export class VarintReader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  /** Reads from the byte `offset` on. */
  constructor(bytes: Uint8Array, offset = 0) {
    this.#bytes = bytes;
    this.#offset = offset;
  }

  /** Where the next byte stands. */
  get offset(): number {
    return this.#offset;
  }

  get atEnd(): boolean {
    return this.#offset >= this.#bytes.length;
  }

  uint(): number {
    const first = this.#bytes[this.#offset];
    if (first !== undefined && first < 0x80) {
      this.#offset++;
      return first;
    }
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.#bytes[this.#offset++];
      if (byte === undefined || scale > NUMBER_MAX) throw corrupt();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
      scale *= 0x80;
    }
    if (value > NUMBER_MAX) throw corrupt();
    return value;
  }

  raw(length: number): Uint8Array {
    const start = this.#offset;
    if (start + length > this.#bytes.length) throw corrupt();
    this.#offset += length;
    return this.#bytes.subarray(start, start + length);
  }

  rest(): Uint8Array {
    return this.raw(this.#bytes.length - this.#offset);
  }
}

/** Bytes of a text in UTF-8, up to its character `to`. */
export function textBytes(text: string, to: number): number {
  return isAscii(text, 0, to) ? to : utf8(text.slice(0, to)).length;
}

function isAscii(text: string, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (text.charCodeAt(i) >= 0x80) return false;
  return true;
}

function corrupt(): SaharaError {
  return new SaharaError('store-corrupt', { reason: 'the search index is damaged', advice: 'import again' });
}
