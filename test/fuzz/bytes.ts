/** Changes to byte strings that know nothing of what they mean. */
import type { Random } from './random.ts';

const EDGES: readonly number[] = [0x00, 0x01, 0x17, 0x18, 0x7f, 0x80, 0xa0, 0xf6, 0xfb, 0xff];

type Change = (bytes: Uint8Array, random: Random) => Uint8Array;

const CHANGES: readonly Change[] = [
  (bytes, random) => altered(bytes, random, (byte) => byte ^ (1 << random.below(8))),
  (bytes, random) => altered(bytes, random, () => random.below(256)),
  (bytes, random) => altered(bytes, random, () => random.pick(EDGES)),
  (bytes, random) => bytes.subarray(0, random.below(bytes.length + 1)),
  (bytes, random) => bytes.subarray(random.below(bytes.length + 1)),
  (bytes, random) => spliced(bytes, random.below(bytes.length + 1), 0, random.bytes(1 + random.below(8))),
  (bytes, random) => spliced(bytes, random.below(bytes.length + 1), 1 + random.below(8), new Uint8Array(0)),
  (bytes, random) => {
    const part = partOf(bytes, random);
    return spliced(bytes, random.below(bytes.length + 1), 0, part);
  },
  (bytes, random) => {
    const edge = new Uint8Array(random.pick([1, 2, 4, 8])).fill(random.pick([0x00, 0x7f, 0x80, 0xff]));
    return spliced(bytes, random.below(bytes.length + 1), edge.length, edge);
  },
  (bytes, random) => {
    const part = partOf(bytes, random).subarray(0, 64);
    const times = 2 ** (1 + random.below(9));
    const many = new Uint8Array(part.length * times);
    for (let i = 0; i < times; i++) many.set(part, i * part.length);
    return spliced(bytes, random.below(bytes.length + 1), 0, many);
  },
];

/** `bytes` after one to four changes. */
export function changedBytes(bytes: Uint8Array, random: Random): Uint8Array {
  let changed = bytes;
  for (let left = 1 + random.below(4); left > 0; left--) changed = random.pick(CHANGES)(changed, random);
  return changed.slice();
}

/** `bytes` with `removed` bytes at `at` replaced by `added`. */
export function spliced(bytes: Uint8Array, at: number, removed: number, added: Uint8Array): Uint8Array {
  const rest = bytes.subarray(Math.min(bytes.length, at + removed));
  const made = new Uint8Array(at + added.length + rest.length);
  made.set(bytes.subarray(0, at));
  made.set(added, at);
  made.set(rest, at + added.length);
  return made;
}

function altered(bytes: Uint8Array, random: Random, change: (byte: number) => number): Uint8Array {
  const copy = bytes.slice();
  const at = random.below(copy.length);
  const byte = copy[at];
  if (byte !== undefined) copy[at] = change(byte);
  return copy;
}

function partOf(bytes: Uint8Array, random: Random): Uint8Array {
  const from = random.below(bytes.length);
  return bytes.subarray(from, from + 1 + random.below(Math.min(256, bytes.length - from)));
}
