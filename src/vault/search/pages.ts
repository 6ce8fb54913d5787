/**
 * A segment's postings and positions are two streams of bytes cut into pages of one size, each sealed under its own
 * number. No key of the store names a term, not even blinded, and no size tells how often one occurs: what can be
 * seen is how many pages there are.
 */
import { invariant } from '../../base/errors.ts';
import { type ByteSink, putVarint, VARINT_BYTES_MAX } from './varint.ts';

/** Bytes of a page before it is sealed. */
export const PAGE_BYTES = 8192;
/** The last page of a stream is as long as the least power of two from here on that holds it. */
const LAST_PAGE_BYTES_MIN = 256;
/** Pages of one stretch that are read at a time. */
const READ_AHEAD = 64;

/** Bytes up to which a copy one by one takes less than a view of them. */
const COPIED_ONE_BY_ONE_MAX = 48;
const scratch = new Uint8Array(VARINT_BYTES_MAX);

/** Cuts what it is given into pages and hands each to `put`, which keeps no reference to the bytes. */
export class PageWriter implements ByteSink {
  readonly #put: (page: number, bytes: Uint8Array) => void;
  #page = new Uint8Array(PAGE_BYTES);
  #filled = 0;
  #number = 0;

  constructor(put: (page: number, bytes: Uint8Array) => void) {
    this.#put = put;
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#number * PAGE_BYTES + this.#filled;
  }

  uint(value: number): void {
    if (this.#filled + VARINT_BYTES_MAX < PAGE_BYTES) {
      this.#filled = putVarint(this.#page, this.#filled, value);
    } else this.raw(scratch, 0, putVarint(scratch, 0, value));
  }

  raw(bytes: Uint8Array, start = 0, end: number = bytes.length): void {
    if (end - start <= COPIED_ONE_BY_ONE_MAX && this.#filled + end - start < PAGE_BYTES) {
      const page = this.#page;
      let to = this.#filled;
      for (let at = start; at < end; at++) page[to++] = bytes[at] ?? 0;
      this.#filled = to;
      return;
    }
    for (let at = start; at < end; ) {
      const part = bytes.subarray(at, Math.min(end, at + PAGE_BYTES - this.#filled));
      this.#page.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled === PAGE_BYTES) this.#close(PAGE_BYTES);
    }
  }

  /** Writes the last page; nothing may follow. */
  finish(): void {
    if (this.#filled === 0) return;
    let size = LAST_PAGE_BYTES_MIN;
    while (size < this.#filled) size *= 2;
    this.#close(size);
  }

  #close(size: number): void {
    this.#put(this.#number++, this.#page.subarray(0, size));
    this.#page = new Uint8Array(PAGE_BYTES);
    this.#filled = 0;
  }
}

/** `length` bytes of a stream from `at` on; `read` gives the content of one page. */
export async function readStretch(
  read: (page: number) => Promise<Uint8Array>,
  at: number,
  length: number,
): Promise<Uint8Array> {
  const first = Math.floor(at / PAGE_BYTES);
  const start = at - first * PAGE_BYTES;
  if (start + length <= PAGE_BYTES) return (await read(first)).subarray(start, start + length);
  const stretch = new Uint8Array(length);
  const last = Math.floor((at + length - 1) / PAGE_BYTES);
  for (let from = first; from <= last; from += READ_AHEAD) {
    const count = Math.min(READ_AHEAD, last + 1 - from);
    const pages = await Promise.all(Array.from({ length: count }, (_, i) => read(from + i)));
    for (const [i, page] of pages.entries()) {
      const to = (from + i) * PAGE_BYTES - at;
      const part = page.subarray(Math.max(0, -to), Math.min(PAGE_BYTES, length - to));
      invariant(Math.max(0, to) + part.length <= length, 'a page is inside its stretch');
      stretch.set(part, Math.max(0, to));
    }
  }
  return stretch;
}

/** Reads stretches of a stream one behind the other, keeping the page that it stands in. */
export class PageReader {
  /** Bytes that hold the stretch that was read last, from `start` on: a view of each would cost more than reading it. */
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  readonly #read: (page: number) => Uint8Array;
  #number = -1;
  #page: Uint8Array = new Uint8Array(0);

  constructor(read: (page: number) => Uint8Array) {
    this.#read = read;
  }

  /** Puts `length` bytes from `at` on into `bytes`. */
  stretch(at: number, length: number): void {
    const first = Math.floor(at / PAGE_BYTES);
    this.start = at - first * PAGE_BYTES;
    if (this.start + length <= PAGE_BYTES) {
      this.bytes = this.#at(first);
      invariant(this.start + length <= this.bytes.length, 'a page reaches to its end');
      return;
    }
    this.start = 0;
    const stretch = new Uint8Array(length);
    this.bytes = stretch;
    for (let done = 0; done < length; ) {
      const from = (at + done) % PAGE_BYTES;
      const part = this.#at(Math.floor((at + done) / PAGE_BYTES)).subarray(from, from + length - done);
      invariant(part.length > 0, 'a page reaches to its end');
      stretch.set(part, done);
      done += part.length;
    }
  }

  #at(page: number): Uint8Array {
    if (page !== this.#number) {
      this.#page = this.#read(page);
      this.#number = page;
    }
    return this.#page;
  }
}
