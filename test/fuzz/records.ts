/** Changes to encoded records that keep most of their structure. */
import { concat, utf8 } from '../../src/base/bytes.ts';
import { changedBytes } from './bytes.ts';
import { type Item, itemOf, parseItem, writeItem } from './cbor.ts';
import type { Random } from './random.ts';

const NUMBERS: readonly bigint[] = [
  0n,
  1n,
  2n,
  23n,
  24n,
  255n,
  256n,
  65_535n,
  65_536n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  10n ** 18n,
  10n ** 18n + 1n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n,
];

const TEXTS: readonly string[] = [
  '',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  '/',
  '../../x',
  'a/b',
  '\0',
  '\ufeff',
  'é',
  'e\u0301',
  '\u202e',
  '𝔘',
  ' ',
  '\n',
  'NaN',
  '-0',
  '1e400',
  'x'.repeat(64),
  'x'.repeat(65),
  'x'.repeat(1024),
  'é'.repeat(8192),
  'n',
  's',
  'l',
  'b',
];

/** Encodings that no text has. */
const NOT_UTF8: readonly Uint8Array[] = [
  Uint8Array.of(0xff),
  Uint8Array.of(0xc0, 0x80),
  Uint8Array.of(0xed, 0xa0, 0x80),
  Uint8Array.of(0xf4, 0x90, 0x80, 0x80),
  Uint8Array.of(0xe2, 0x82),
];

const FLAWS: readonly Item['flaw'][] = ['wide', 'indefinite', 'short', 'reserved'];

interface Place {
  readonly item: Item;
  readonly parent: Item | undefined;
}

function placesOf(item: Item, parent?: Item): Place[] {
  return [{ item, parent }, ...item.items.flatMap((inner) => placesOf(inner, item))];
}

/** `encoded` after one to four changes to its tree; bytes that are no tree, and every eighth, are changed as bytes. */
export function changedRecord(
  encoded: Uint8Array,
  random: Random,
  others: readonly Uint8Array[],
): Uint8Array {
  const root = parseItem(encoded);
  if (root === undefined || random.once(8)) return changedBytes(encoded, random);
  const donor = others.length > 0 ? parseItem(random.pick(others)) : undefined;
  for (let left = 1 + random.below(4); left > 0; left--) {
    change(random.pick(placesOf(root)), random, donor ?? root);
  }
  return writeItem(root);
}

function change({ item, parent }: Place, random: Random, donor: Item): void {
  const way = random.below(12);
  if (way === 0) item.flaw = random.pick(FLAWS);
  else if (way === 1) become(item, random.pick(placesOf(donor)).item);
  else if (way === 2) become(item, random.pick(ODD)(random));
  else if (way <= 5 && parent !== undefined) changeMembers(parent, item, random);
  else changeValue(item, random);
}

/** Items that a strict subset leaves out, and nulls and booleans, which have their places. */
const ODD: readonly ((random: Random) => Item)[] = [
  () => itemOf(7, 22n),
  () => itemOf(7, 22n),
  (random) => itemOf(7, BigInt(20 + random.below(2))),
  () => itemOf(7, 23n),
  (random) => itemOf(6, 42n, { items: [itemOf(0, BigInt(random.below(9)))] }),
  (random) => itemOf(7, BigInt(random.below(256))),
  (random) => nested(1 + random.below(40)),
  () => itemOf(1, 0n),
  () => itemOf(4, 0n),
  () => itemOf(5, 0n),
];

function nested(depth: number): Item {
  let item = itemOf(4, 0n);
  for (let i = 0; i < depth; i++) item = itemOf(4, 1n, { items: [item] });
  return item;
}

function changeMembers(parent: Item, item: Item, random: Random): void {
  const at = parent.items.indexOf(item);
  const way = random.below(4);
  if (way === 0) parent.items.splice(at, 1);
  else if (way === 1) parent.items.splice(at, 0, copyOf(item));
  else if (way === 2) {
    const other = random.below(parent.items.length);
    const swapped = parent.items[other];
    if (swapped === undefined) return;
    parent.items[other] = item;
    parent.items[at] = swapped;
  } else {
    const times = Math.min(2 ** random.below(12), Math.ceil(65_536 / (1 + writeItem(item).length)));
    parent.items.splice(at, 0, ...Array.from({ length: times }, () => copyOf(item)));
  }
}

function changeValue(item: Item, random: Random): void {
  if (item.major <= 1) {
    item.argument = random.once(2)
      ? random.pick(NUMBERS)
      : BigInt.asUintN(64, item.argument + BigInt(random.below(5) - 2));
    if (random.once(8)) item.major = 1 - item.major;
  } else if (item.major === 3) {
    const way = random.below(4);
    if (way === 0) item.bytes = changedBytes(item.bytes, random);
    else if (way === 1) item.bytes = random.pick(NOT_UTF8);
    else if (way === 2) item.bytes = concat(item.bytes, utf8(random.pick(TEXTS)));
    else item.bytes = utf8(random.pick(TEXTS));
  } else if (item.major === 2) {
    if (item.items.length > 0) return;
    const { length } = item.bytes;
    const way = random.below(4);
    if (way === 0) item.bytes = changedBytes(item.bytes, random);
    else if (way === 1) item.bytes = new Uint8Array(length).fill(random.pick([0, 0xff]));
    else if (way === 2) item.bytes = random.bytes(length);
    else item.bytes = random.bytes(random.pick([0, 1, 15, 16, 31, 32, 33, 63, 64, 65, 1024]));
  } else if (item.major >= 6) become(item, random.pick(ODD)(random));
}

function become(item: Item, other: Item): void {
  Object.assign(item, copyOf(other));
}

function copyOf(item: Item): Item {
  return { ...item, items: item.items.map(copyOf) };
}
