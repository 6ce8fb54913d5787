/** Byte-string helpers that work alike in Node and in a browser. */
import { invariant } from './errors.ts';

/** Character codes of the digits. */
const DIGITS: readonly number[] = Array.from('0123456789abcdef', (digit) => digit.charCodeAt(0));
const PIECE_BYTES = 32;
/** Room for the digits of each length up to a piece. */
const pieces: readonly number[][] = Array.from({ length: PIECE_BYTES + 1 }, (_, length) =>
  new Array<number>(2 * length).fill(0),
);
const encoder = new TextEncoder();
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Lower-case hexadecimal text of `bytes`. */
export function toHex(bytes: Uint8Array): string {
  let text = '';
  // In pieces, not digit by digit: a text that grows by each leaves one behind for each.
  for (let from = 0; from < bytes.length; from += PIECE_BYTES) {
    const length = Math.min(PIECE_BYTES, bytes.length - from);
    const digits = pieces[length] as number[];
    for (let i = 0; i < length; i++) {
      const byte = bytes[from + i] as number;
      digits[2 * i] = DIGITS[byte >> 4] as number;
      digits[2 * i + 1] = DIGITS[byte & 15] as number;
    }
    const piece = String.fromCharCode.apply(undefined, digits);
    text = from === 0 ? piece : text + piece;
  }
  return text;
}

/** Bytes of an even-length hexadecimal text, or `undefined` if it is not one. */
export function fromHex(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) return undefined;
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

/** UTF-8 bytes of `text`. Lone surrogates become U+FFFD, as the Encoding standard says. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** Text of well-formed UTF-8, or `undefined`. */
export function fromUtf8(bytes: Uint8Array): string | undefined {
  try {
    return strictDecoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/** One array holding all `parts`, in order. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

/** Negative, zero or positive as `a` sorts before, with or after `b`, byte by byte, a prefix first. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Whether two byte strings are the same. Not constant-time: never for secrets. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && compareBytes(a, b) === 0;
}

/** Big-endian bytes of an unsigned 32-bit integer. Any other number is a defect of the caller. */
export function u32be(value: number): Uint8Array {
  invariant(Number.isInteger(value) && value >= 0 && value < 2 ** 32, 'an unsigned 32-bit integer');
  const bytes = new Uint8Array(4);
  putU32be(bytes, 0, value);
  return bytes;
}

function putU32be(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** Big-endian bytes of an unsigned 64-bit integer; sorts like the number it holds. Others are defects. */
export function u64be(value: bigint): Uint8Array {
  invariant(value >= 0n && value < 1n << 64n, 'an unsigned 64-bit integer');
  const bytes = new Uint8Array(8);
  putU32be(bytes, 0, Number(value >> 32n));
  putU32be(bytes, 4, Number(value & 0xffff_ffffn));
  return bytes;
}

/** The unsigned 64-bit big-endian integer at `offset`. */
export function readU64be(bytes: Uint8Array, offset = 0): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(offset);
}

/** The least byte string that sorts after every one starting with `prefix`; `undefined` when there is none. */
export function prefixEnd(prefix: Uint8Array): Uint8Array | undefined {
  for (let i = prefix.length - 1; i >= 0; i--) {
    if (prefix[i] === 0xff) continue;
    const end = prefix.slice(0, i + 1);
    end[i] = (end[i] as number) + 1;
    return end;
  }
  return undefined;
}
