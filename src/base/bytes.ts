/** Byte-string helpers that work alike in Node and in a browser. */
import { invariant } from './errors.ts';

const HEX: readonly string[] = Array.from({ length: 256 }, (_, value) => value.toString(16).padStart(2, '0'));
const encoder = new TextEncoder();
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Lower-case hexadecimal text of `bytes`. */
export function toHex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += HEX[byte];
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
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

/** Big-endian bytes of an unsigned 64-bit integer; sorts like the number it holds. Others are defects. */
export function u64be(value: bigint): Uint8Array {
  invariant(value >= 0n && value < 1n << 64n, 'an unsigned 64-bit integer');
  const bytes = new Uint8Array(8);
  bytes.set(u32be(Number(value >> 32n)));
  bytes.set(u32be(Number(value & 0xffff_ffffn)), 4);
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
