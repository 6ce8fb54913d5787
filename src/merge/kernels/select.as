// Masks: by magnitude, where the key of an element is its f32 bits without the sign, and at random.
import { hash, hashx4 } from './hash';

export function histogramHigh(lane: usize, n: usize, bins: usize): void {
  for (let i: usize = 0; i < n; i++) {
    const bin = bins + (((load<u32>(lane + (i << 2)) & 0x7fffffff) >> 15) << 2);
    store<u32>(bin, load<u32>(bin) + 1);
  }
}

export function histogramLow(lane: usize, n: usize, bins: usize, high: u32): void {
  const wanted = i32x4.splat(high);
  let i: usize = 0;
  for (; i + 4 <= n; i += 4) {
    const key = v128.and(v128.load(lane + (i << 2)), i32x4.splat(0x7fffffff));
    if (!v128.any_true(i32x4.eq(i32x4.shr_u(key, 15), wanted))) continue;
    for (let j = i; j < i + 4; j++) countLow(lane, j, bins, high);
  }
  for (; i < n; i++) countLow(lane, i, bins, high);
}

@inline
function countLow(lane: usize, i: usize, bins: usize, high: u32): void {
  const key = load<u32>(lane + (i << 2)) & 0x7fffffff;
  if (key >> 15 != high) return;
  const bin = bins + ((key & 0x7fff) << 2);
  store<u32>(bin, load<u32>(bin) + 1);
}

// Histogram of the hashes of the elements whose key is `tied`: first their high halves, then the low halves of one.
export function histogramTies(lane: usize, n: usize, bins: usize, tied: u32, index: u32, k0: u32, k1: u32, high: i32): void {
  const wanted = i32x4.splat(tied);
  let i: usize = 0;
  for (; i + 4 <= n; i += 4) {
    const key = v128.and(v128.load(lane + (i << 2)), i32x4.splat(0x7fffffff));
    let found = i32x4.bitmask(i32x4.eq(key, wanted));
    for (; found != 0; found &= found - 1) countTie(index + <u32>i + ctz<u32>(found), bins, k0, k1, high);
  }
  for (; i < n; i++) {
    if ((load<u32>(lane + (i << 2)) & 0x7fffffff) == tied) countTie(index + <u32>i, bins, k0, k1, high);
  }
}

@inline
function countTie(index: u32, bins: usize, k0: u32, k1: u32, high: i32): void {
  const h = hash(index, k0, k1);
  if (high >= 0 && h >> 16 != <u32>high) return;
  const bin = bins + ((high < 0 ? h >> 16 : h & 0xffff) << 2);
  store<u32>(bin, load<u32>(bin) + 1);
}

@inline
function selected(key: u32, index: u32, k0: u32, k1: u32, tied: u32, last: u32): bool {
  return <i32>key > <i32>tied || (key == tied && hash(index, k0, k1) <= last);
}

// Zeroes in `lane` every element that `keys` does not put inside the selection (key above `tied`, or equal with a
// hash up to `last`).
export function keepSelected(lane: usize, keys: usize, n: usize, tied: u32, last: u32, index: u32, k0: u32, k1: u32): void {
  const threshold = i32x4.splat(tied);
  const limit = i32x4.splat(last);
  let place = i32x4.add(i32x4.splat(index), i32x4(0, 1, 2, 3));
  let i: usize = 0;
  for (; i + 4 <= n; i += 4) {
    const at = i << 2;
    const key = v128.and(v128.load(keys + at), i32x4.splat(0x7fffffff));
    const equal = i32x4.eq(key, threshold);
    let kept = i32x4.gt_s(key, threshold);
    if (v128.any_true(equal)) kept = v128.or(kept, v128.and(equal, i32x4.le_u(hashx4(place, k0, k1), limit)));
    v128.store(lane + at, v128.and(v128.load(lane + at), kept));
    place = i32x4.add(place, i32x4.splat(4));
  }
  for (; i < n; i++) keepOne(lane, keys, i, tied, last, index, k0, k1);
}

@inline
function keepOne(lane: usize, keys: usize, i: usize, tied: u32, last: u32, index: u32, k0: u32, k1: u32): void {
  const key = load<u32>(keys + (i << 2)) & 0x7fffffff;
  if (!selected(key, index + <u32>i, k0, k1, tied, last)) store<f32>(lane + (i << 2), 0);
}

// The opposite: zeroes what is inside the selection. `keys` may be `lane`.
export function dropSelected(lane: usize, keys: usize, n: usize, tied: u32, last: u32, index: u32, k0: u32, k1: u32): void {
  for (let i: usize = 0; i < n; i++) {
    const key = load<u32>(keys + (i << 2)) & 0x7fffffff;
    if (selected(key, index + <u32>i, k0, k1, tied, last)) store<f32>(lane + (i << 2), 0);
  }
}

export function keepRandom(lane: usize, n: usize, threshold: u32, index: u32, k0: u32, k1: u32): void {
  let at = i32x4.add(i32x4.splat(index), i32x4(0, 1, 2, 3));
  const limit = i32x4.splat(threshold);
  let i: usize = 0;
  for (; i + 4 <= n; i += 4) {
    const keep = i32x4.lt_u(hashx4(at, k0, k1), limit);
    v128.store(lane + (i << 2), v128.and(v128.load(lane + (i << 2)), keep));
    at = i32x4.add(at, i32x4.splat(4));
  }
  for (; i < n; i++) if (hash(index + <u32>i, k0, k1) >= threshold) store<f32>(lane + (i << 2), 0);
}

// Keeps each element of a row with a probability that grows with the rank of its magnitude (equal ones by index):
// `least` for the smallest, `least + span` for the largest. `scratch` holds 16 n + 8192 bytes.
export function keepRanked(row: usize, n: usize, least: f64, span: f64, index: u32, k0: u32, k1: u32, scratch: usize): void {
  const counts = scratch;
  let from = scratch + 8192;
  let to = from + (n << 3);
  for (let i: usize = 0; i < n; i++) {
    store<u32>(from + (i << 3), load<u32>(row + (i << 2)) & 0x7fffffff);
    store<u32>(from + (i << 3) + 4, <u32>i);
  }
  for (let shift: u32 = 0; shift < 31; shift += 11) {
    sortPass(from, to, n, shift, counts);
    const swap = from;
    from = to;
    to = swap;
  }
  const step = n > 1 ? span / <f64>(n - 1) : 0;
  for (let rank: usize = 0; rank < n; rank++) {
    const i = load<u32>(from + (rank << 3) + 4);
    const threshold = (least + step * <f64>rank) * 4294967296.0;
    if (<f64>hash(index + i, k0, k1) >= threshold) store<f32>(row + (<usize>i << 2), 0);
  }
}

function sortPass(from: usize, to: usize, n: usize, shift: u32, counts: usize): void {
  memory.fill(counts, 0, 8192);
  for (let i: usize = 0; i < n; i++) {
    const at = counts + (((load<u32>(from + (i << 3)) >> shift) & 2047) << 2);
    store<u32>(at, load<u32>(at) + 1);
  }
  let start: u32 = 0;
  for (let bin: usize = 0; bin < 2048; bin++) {
    const count = load<u32>(counts + (bin << 2));
    store<u32>(counts + (bin << 2), start);
    start += count;
  }
  for (let i: usize = 0; i < n; i++) {
    const pair = load<u64>(from + (i << 3));
    const at = counts + (((<u32>pair >> shift) & 2047) << 2);
    const slot = load<u32>(at);
    store<u32>(at, slot + 1);
    store<u64>(to + (<usize>slot << 3), pair);
  }
}
