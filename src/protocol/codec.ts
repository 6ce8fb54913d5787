/**
 * The canonical binary encoding: a strict subset of DAG-CBOR (RFC 8949 section 4.2.1 with text-keyed maps in
 * DAG-CBOR's length-first key order). One value has one encoding, and the reader accepts no other: shortest
 * integer heads, definite lengths, no floats, no tags, no duplicate or unsorted keys, well-formed UTF-8.
 * What was signed is therefore always what was received; nothing is re-encoded to be verified.
 */
import { compareBytes, equalBytes, fromUtf8, utf8 } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';

const UINT = 0;
const NINT = 1;
const BYTES = 2;
const TEXT = 3;
const ARRAY = 4;
const MAP = 5;
const FALSE = 0xf4;
const TRUE = 0xf5;
const NULL = 0xf6;

/** Most levels of nesting that a reader follows. */
export const DEPTH_MAX = 16;

const U64_MAX: bigint = 2n ** 64n - 1n;

const SPACE_BYTES = 4096;
/** Largest space that is kept for the next writer, bytes. */
const SPARE_BYTES_MAX = 65_536;

interface Space {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView;
}

// Space for the next writer: making it costs more than most encodings. Writers inside others make their own.
let spare: Space | undefined;

function newSpace(): Space {
  const bytes = new Uint8Array(SPACE_BYTES);
  return { bytes, view: new DataView(bytes.buffer) };
}

const encoder = new TextEncoder();
const passingBytes = new Uint8Array(3 * SPACE_BYTES);

/** The bytes of a text, good until the next one: an array of its own for each would cost more than encoding it. */
function passing(value: string): Uint8Array {
  if (value.length > SPACE_BYTES) return utf8(value);
  return passingBytes.subarray(0, encoder.encodeInto(value, passingBytes).written);
}

/** Appends canonical encodings to a growing buffer. */
export class Writer {
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #length = 0;

  constructor() {
    const { bytes, view } = spare ?? newSpace();
    spare = undefined;
    this.#bytes = bytes;
    this.#view = view;
  }

  /** An unsigned integer, 0 to 2^64 - 1. */
  uint(value: number | bigint): void {
    this.#head(UINT, value);
  }

  /** A signed integer, -2^53 + 1 to 2^53 - 1. */
  int(value: number): void {
    if (value >= 0) this.#head(UINT, value);
    else this.#head(NINT, -1 - value);
  }

  bytes(value: Uint8Array): void {
    this.#head(BYTES, value.length);
    this.#append(value);
  }

  /** A text of at most `max` UTF-8 bytes. Lone surrogates are written as U+FFFD. */
  text(value: string, max: number = Number.MAX_SAFE_INTEGER): void {
    const encoded = passing(value);
    if (encoded.length > max) unwritable(`text of ${encoded.length} bytes, at most ${max}`);
    this.#head(TEXT, encoded.length);
    this.#append(encoded);
  }

  /** The head of an array of `length` items, which must follow. */
  array(length: number): void {
    this.#head(ARRAY, length);
  }

  /** A map of text keys; `write` is called for each in canonical order. Keys are distinct as UTF-8 too. */
  map<T>(entries: ReadonlyMap<string, T>, write: (value: T) => void): void {
    const sorted = [...entries].map(([key, value]) => [utf8(key), value] as const);
    sorted.sort(([a], [b]) => a.length - b.length || compareBytes(a, b));
    this.#head(MAP, sorted.length);
    let previous: Uint8Array | undefined;
    for (const [key, value] of sorted) {
      if (previous && equalBytes(previous, key)) unwritable('two map keys are the same as UTF-8');
      previous = key;
      this.#head(TEXT, key.length);
      this.#append(key);
      write(value);
    }
  }

  /** A value that is in its canonical encoding already. */
  encoded(value: Uint8Array): void {
    this.#append(value);
  }

  bool(value: boolean): void {
    this.#byte(value ? TRUE : FALSE);
  }

  null(): void {
    this.#byte(NULL);
  }

  /** What was written so far; the writer must not be used afterwards. */
  finish(): Uint8Array {
    return this.lend((written) => written.slice());
  }

  /** Gives `use` what was written so far, good until it returns; the writer must not be used afterwards. */
  lend<T>(use: (written: Uint8Array) => T): T {
    const used = use(this.#bytes.subarray(0, this.#length));
    if (this.#bytes.length <= SPARE_BYTES_MAX) spare = { bytes: this.#bytes, view: this.#view };
    this.#length = 0;
    return used;
  }

  #head(major: number, value: number | bigint): void {
    this.#reserve(9);
    const start = this.#length;
    const top = major << 5;
    if (typeof value === 'bigint' && value > BigInt(Number.MAX_SAFE_INTEGER)) {
      if (value > U64_MAX) unwritable('integer above 2^64');
      this.#bytes[start] = top | 27;
      this.#view.setBigUint64(start + 1, value);
      this.#length = start + 9;
      return;
    }
    const small = Number(value);
    if (!Number.isSafeInteger(small) || small < 0) unwritable('not an unsigned integer');
    if (small < 24) {
      this.#bytes[start] = top | small;
      this.#length = start + 1;
    } else if (small < 0x100) {
      this.#bytes[start] = top | 24;
      this.#bytes[start + 1] = small;
      this.#length = start + 2;
    } else if (small < 0x1_0000) {
      this.#bytes[start] = top | 25;
      this.#view.setUint16(start + 1, small);
      this.#length = start + 3;
    } else if (small < 0x1_0000_0000) {
      this.#bytes[start] = top | 26;
      this.#view.setUint32(start + 1, small);
      this.#length = start + 5;
    } else {
      this.#bytes[start] = top | 27;
      this.#view.setBigUint64(start + 1, BigInt(small));
      this.#length = start + 9;
    }
  }

  #byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  #append(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

/** Reads canonical encodings; anything else is a `malformed` error. */
export class Reader {
  readonly #bytes: Uint8Array;
  #offset = 0;
  #depth = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** How many bytes were read so far. */
  get offset(): number {
    return this.#offset;
  }

  /** An unsigned integer no greater than `max`, as a number. */
  uint(max: number): number {
    const value = this.#head(UINT);
    if (value > max) throw malformed('integer out of range');
    return Number(value);
  }

  /** An unsigned integer no greater than `max`, as a bigint. */
  bigUint(max: bigint): bigint {
    const value = BigInt(this.#head(UINT));
    if (value > max) throw malformed('integer out of range');
    return value;
  }

  /** A signed integer from `min` to `max`. */
  int(min: number, max: number): number {
    const negative = this.#major() === NINT;
    const magnitude = this.#head(negative ? NINT : UINT);
    if (magnitude > Number.MAX_SAFE_INTEGER) throw malformed('integer out of range');
    const value = negative ? -1 - Number(magnitude) : Number(magnitude);
    if (value < min || value > max) throw malformed('integer out of range');
    return value;
  }

  /** A byte string of `min` to `max` bytes; a view, not a copy. */
  bytes(min: number, max: number): Uint8Array {
    return this.#string(BYTES, min, max);
  }

  /** A text of at most `max` UTF-8 bytes. */
  text(max: number): string {
    const text = fromUtf8(this.#string(TEXT, 0, max));
    if (text === undefined) throw malformed('text is not UTF-8');
    return text;
  }

  /** The head of an array of at most `max` items; the caller reads them and then calls `leave`. */
  array(max: number): number {
    const length = this.#length(ARRAY, max);
    this.#enter();
    return length;
  }

  /** A map of at most `max` text keys, each at most `keyMax` bytes, in canonical order. */
  map<T>(max: number, keyMax: number, read: (key: string) => T): Map<string, T> {
    const length = this.#length(MAP, max);
    this.#enter();
    const entries = new Map<string, T>();
    let previous: Uint8Array | undefined;
    for (let i = 0; i < length; i++) {
      const key = this.#string(TEXT, 0, keyMax);
      if (previous && (previous.length - key.length || compareBytes(previous, key)) >= 0) {
        throw malformed('map keys not in canonical order');
      }
      previous = key;
      const name = fromUtf8(key);
      if (name === undefined) throw malformed('text is not UTF-8');
      entries.set(name, read(name));
    }
    this.leave();
    return entries;
  }

  bool(): boolean {
    const byte = this.#byte();
    if (byte !== TRUE && byte !== FALSE) throw malformed('expected a boolean');
    return byte === TRUE;
  }

  /** Consumes a null if one is next. */
  nullNext(): boolean {
    if (this.#bytes[this.#offset] !== NULL) return false;
    this.#offset++;
    return true;
  }

  /** Leaves an array entered by `array`. */
  leave(): void {
    this.#depth--;
  }

  /** Fails unless every byte was read. */
  end(): void {
    if (this.#offset !== this.#bytes.length) throw malformed('bytes after the end');
  }

  #enter(): void {
    if (++this.#depth > DEPTH_MAX) throw malformed('nested too deeply');
  }

  #major(): number {
    const byte = this.#bytes[this.#offset];
    if (byte === undefined) throw malformed('truncated');
    return byte >> 5;
  }

  #byte(): number {
    const byte = this.#bytes[this.#offset++];
    if (byte === undefined) throw malformed('truncated');
    return byte;
  }

  #string(major: number, min: number, max: number): Uint8Array {
    const length = this.#length(major, max);
    if (length < min) throw malformed('too short');
    const start = this.#offset;
    if (start + length > this.#bytes.length) throw malformed('truncated');
    this.#offset = start + length;
    return this.#bytes.subarray(start, start + length);
  }

  #length(major: number, max: number): number {
    const length = this.#head(major);
    if (length > max) throw malformed('too long');
    return Number(length);
  }

  #head(major: number): number | bigint {
    const byte = this.#byte();
    if (byte >> 5 !== major) throw malformed('unexpected type');
    const info = byte & 0x1f;
    if (info < 24) return info;
    const size = info === 24 ? 1 : info === 25 ? 2 : info === 26 ? 4 : info === 27 ? 8 : 0;
    if (size === 0) throw malformed('not a canonical head');
    const at = this.#offset;
    if (at + size > this.#bytes.length) throw malformed('truncated');
    this.#offset = at + size;
    return this.#argument(at, size);
  }

  #argument(at: number, size: number): number | bigint {
    if (size === 8) {
      const high = this.#unsigned(at, 4);
      const low = this.#unsigned(at + 4, 4);
      if (high === 0) throw malformed('integer not in shortest form');
      const value = high * 0x1_0000_0000 + low;
      return Number.isSafeInteger(value) ? value : (BigInt(high) << 32n) | BigInt(low);
    }
    const value = this.#unsigned(at, size);
    const floor = size === 1 ? 24 : size === 2 ? 0x100 : 0x1_0000;
    if (value < floor) throw malformed('integer not in shortest form');
    return value;
  }

  // Not by a view: making one moves a small array out of the heap, which costs more than reading a record.
  #unsigned(at: number, size: number): number {
    let value = 0;
    for (let i = at; i < at + size; i++) value = value * 256 + (this.#bytes[i] as number);
    return value;
  }
}

/** Stops a writer that was given what its reader would refuse: a defect of the caller. */
export function unwritable(reason: string): never {
  throw new SaharaError('internal', { reason: `cannot be encoded: ${reason}` });
}

/** The error for bytes that are not what they should be. */
export function malformed(reason: string): SaharaError {
  return new SaharaError('malformed', { reason });
}
