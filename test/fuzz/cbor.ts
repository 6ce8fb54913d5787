/**
 * CBOR as a tree that can be bent and written again, sound or not. It is written from RFC 8949 and shares nothing
 * with the codec under test. Byte strings that hold records themselves are opened too, so that a change deep inside
 * a signed message leaves everything around it well-formed.
 */
import { concat } from '../../src/base/bytes.ts';

/** One data item. */
export interface Item {
  /** Major type, 0 to 7. */
  major: number;
  /** The head's argument: a number's magnitude, a length, a tag or a simple value. */
  argument: bigint;
  /** Content of a byte or text string without structure of its own. */
  bytes: Uint8Array;
  /** Members of an array, keys and values of a map in turn, or the one item inside a byte string. */
  items: Item[];
  /** How the head is bent when it is written. */
  flaw: 'none' | 'wide' | 'indefinite' | 'short' | 'reserved';
}

/** A sound item. */
export function itemOf(major: number, argument: bigint, parts: Partial<Item> = {}): Item {
  return { major, argument, bytes: new Uint8Array(0), items: [], flaw: 'none', ...parts };
}

const DEPTH_MAX = 64;

/** The item that `bytes` are, all of them; `undefined` when they are none. */
export function parseItem(bytes: Uint8Array): Item | undefined {
  const reader = { bytes, at: 0 };
  const item = read(reader, 0);
  return item !== undefined && reader.at === bytes.length ? item : undefined;
}

interface Cursor {
  readonly bytes: Uint8Array;
  at: number;
}

function read(cursor: Cursor, depth: number): Item | undefined {
  const first = cursor.bytes[cursor.at++];
  if (first === undefined || depth > DEPTH_MAX) return undefined;
  const major = first >> 5;
  const argument = readArgument(cursor, first & 0x1f);
  if (argument === undefined) return undefined;
  if (major === 2 || major === 3) return readString(cursor, major, argument);
  if (major === 4 || major === 5) {
    const count = major === 4 ? argument : 2n * argument;
    const items: Item[] = [];
    for (let i = 0n; i < count; i++) {
      const item = read(cursor, depth + 1);
      if (item === undefined) return undefined;
      items.push(item);
    }
    return itemOf(major, argument, { items });
  }
  return itemOf(major, argument);
}

function readArgument(cursor: Cursor, info: number): bigint | undefined {
  if (info < 24) return BigInt(info);
  const size = [1, 2, 4, 8][info - 24];
  if (size === undefined || cursor.at + size > cursor.bytes.length) return undefined;
  let argument = 0n;
  for (let i = 0; i < size; i++) argument = argument * 256n + BigInt(cursor.bytes[cursor.at++] ?? 0);
  return argument;
}

function readString(cursor: Cursor, major: number, length: bigint): Item | undefined {
  if (length > BigInt(cursor.bytes.length - cursor.at)) return undefined;
  const bytes = cursor.bytes.subarray(cursor.at, cursor.at + Number(length));
  cursor.at += Number(length);
  // A record is an array of two or more fields; keys and hashes hardly ever look like one.
  const inner =
    major === 2 && (bytes[0] ?? 0) > 0x81 && (bytes[0] ?? 0) < 0x9c ? parseItem(bytes) : undefined;
  return itemOf(major, length, inner ? { items: [inner] } : { bytes });
}

/** The encoding of `item`, with its flaws. */
export function writeItem(item: Item): Uint8Array {
  const { major, items } = item;
  if (major === 2 || major === 3) {
    const content = items.length > 0 ? concat(...items.map(writeItem)) : item.bytes;
    return concat(head(item, BigInt(content.length)), content);
  }
  if (major === 4 || major === 5) {
    const count = major === 4 ? items.length : Math.floor(items.length / 2);
    const ends = item.flaw === 'indefinite' ? [Uint8Array.of(0xff)] : [];
    return concat(head(item, BigInt(count)), ...items.map(writeItem), ...ends);
  }
  return head(item, item.argument);
}

function head({ major, flaw }: Item, argument: bigint): Uint8Array {
  const top = major << 5;
  if (flaw === 'indefinite') return Uint8Array.of(top | 31);
  if (flaw === 'reserved') return Uint8Array.of(top | 28);
  const said = flaw === 'short' && argument > 0n ? argument - 1n : argument;
  const least = said < 24n ? 0 : said < 0x100n ? 1 : said < 0x1_0000n ? 2 : said < 0x1_0000_0000n ? 4 : 8;
  const size = flaw === 'wide' ? Math.max(1, Math.min(8, 2 * least)) : least;
  if (size === 0) return Uint8Array.of(top | Number(said));
  const bytes = new Uint8Array(1 + size);
  bytes[0] = top | (24 + Math.log2(size));
  let left = BigInt.asUintN(64, said);
  for (let i = size; i > 0; i--) {
    bytes[i] = Number(left & 0xffn);
    left >>= 8n;
  }
  return bytes;
}
