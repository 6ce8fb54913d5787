// Merge kernels. AssemblyScript, SIMD128, no relaxed SIMD, no fused multiply-add: the same bits on every machine.
// Addresses are bytes; `n` counts elements; a lane is an array of f32. Nothing here allocates.
// Reductions keep eight f64 partial sums, element i of the tensor always landing in sum i mod 8 and sums being
// filled in order, so the result depends neither on the tile nor on the chunk nor on the worker.

export function heapBase(): usize {
  return __heap_base;
}

// ---- Exact mathematics for coefficients: compiled here, so no host's libm decides a bit ----

export function sin(x: f64): f64 {
  return NativeMath.sin(x);
}
export function cos(x: f64): f64 {
  return NativeMath.cos(x);
}
export function acos(x: f64): f64 {
  return NativeMath.acos(x);
}

// ---- Codecs ----

export function decodeBf16(src: usize, dst: usize, n: usize): void {
  const zero = i16x8.splat(0);
  let i: usize = 0;
  for (; i + 8 <= n; i += 8) {
    const v = v128.load(src + (i << 1));
    v128.store(dst + (i << 2), v128.shuffle<i16>(zero, v, 0, 8, 1, 9, 2, 10, 3, 11));
    v128.store(dst + (i << 2) + 16, v128.shuffle<i16>(zero, v, 4, 12, 5, 13, 6, 14, 7, 15));
  }
  for (; i < n; i++) store<u32>(dst + (i << 2), (<u32>load<u16>(src + (i << 1))) << 16);
}

// Round to nearest, ties to even; NaN stays a quiet NaN.
@inline
function bf16x4(bits: v128): v128 {
  const odd = v128.and(i32x4.shr_u(bits, 16), i32x4.splat(1));
  const rounded = i32x4.shr_u(i32x4.add(bits, i32x4.add(odd, i32x4.splat(0x7fff))), 16);
  const nan = i32x4.gt_s(v128.and(bits, i32x4.splat(0x7fffffff)), i32x4.splat(0x7f800000));
  return v128.bitselect(v128.or(i32x4.shr_u(bits, 16), i32x4.splat(0x40)), rounded, nan);
}

export function encodeBf16(src: usize, dst: usize, n: usize): void {
  let i: usize = 0;
  for (; i + 8 <= n; i += 8) {
    const low = bf16x4(v128.load(src + (i << 2)));
    const high = bf16x4(v128.load(src + (i << 2) + 16));
    v128.store(dst + (i << 1), i16x8.narrow_i32x4_u(low, high));
  }
  for (; i < n; i++) {
    const one = bf16x4(i32x4.splat(load<i32>(src + (i << 2))));
    store<u16>(dst + (i << 1), <u16>i32x4.extract_lane(one, 0));
  }
}

// Rounds up with a probability equal to the fraction cut off, drawn from the counter hash. Finite input only.
export function encodeBf16Stochastic(src: usize, dst: usize, n: usize, index: u32, k0: u32, k1: u32): void {
  for (let i: usize = 0; i < n; i++) {
    const noise = hash(index + <u32>i, k0, k1) & 0xffff;
    const bits = load<u32>(src + (i << 2));
    const kept = (bits & 0x7fffffff) + noise;
    const finite = min<u32>(kept, 0x7f7fffff);
    store<u16>(dst + (i << 1), <u16>(((bits & 0x80000000) | finite) >> 16));
  }
}

@inline
function f16x4(h: v128): v128 {
  const sign = i32x4.shl(v128.and(h, i32x4.splat(0x8000)), 16);
  const body = i32x4.shl(v128.and(h, i32x4.splat(0x7fff)), 13);
  // 2^112 moves the exponent bias from 15 to 127 and makes subnormals exact.
  const scaled = f32x4.mul(body, i32x4.splat(0x77800000));
  const special = v128.and(i32x4.ge_s(body, i32x4.splat(0x0f800000)), i32x4.splat(0x7f800000));
  return v128.or(v128.or(scaled, special), sign);
}

export function decodeF16(src: usize, dst: usize, n: usize): void {
  const zero = i16x8.splat(0);
  let i: usize = 0;
  for (; i + 8 <= n; i += 8) {
    const v = v128.load(src + (i << 1));
    v128.store(dst + (i << 2), f16x4(v128.shuffle<i16>(v, zero, 0, 8, 1, 9, 2, 10, 3, 11)));
    v128.store(dst + (i << 2) + 16, f16x4(v128.shuffle<i16>(v, zero, 4, 12, 5, 13, 6, 14, 7, 15)));
  }
  for (; i < n; i++) {
    const one = f16x4(i32x4.splat(<i32>load<u16>(src + (i << 1))));
    store<i32>(dst + (i << 2), i32x4.extract_lane(one, 0));
  }
}

@inline
function toF16x4(bits: v128): v128 {
  const sign = v128.and(i32x4.shr_u(bits, 16), i32x4.splat(0x8000));
  const abs = v128.and(bits, i32x4.splat(0x7fffffff));
  const odd = v128.and(i32x4.shr_u(abs, 13), i32x4.splat(1));
  const biased = i32x4.sub(i32x4.add(abs, i32x4.add(odd, i32x4.splat(0xfff))), i32x4.splat(0x38000000));
  const normal = i32x4.shr_u(biased, 13);
  // Adding one half lets the adder round a subnormal; its bits are then the difference.
  const small = i32x4.sub(f32x4.add(abs, i32x4.splat(0x3f000000)), i32x4.splat(0x3f000000));
  let out = v128.bitselect(small, normal, i32x4.lt_s(abs, i32x4.splat(0x38800000)));
  out = v128.bitselect(i32x4.splat(0x7c00), out, i32x4.ge_s(abs, i32x4.splat(0x47800000)));
  out = v128.bitselect(i32x4.splat(0x7e00), out, i32x4.gt_s(abs, i32x4.splat(0x7f800000)));
  return v128.or(out, sign);
}

export function encodeF16(src: usize, dst: usize, n: usize): void {
  let i: usize = 0;
  for (; i + 8 <= n; i += 8) {
    const low = toF16x4(v128.load(src + (i << 2)));
    const high = toF16x4(v128.load(src + (i << 2) + 16));
    v128.store(dst + (i << 1), i16x8.narrow_i32x4_u(low, high));
  }
  for (; i < n; i++) {
    const one = toF16x4(i32x4.splat(load<i32>(src + (i << 2))));
    store<u16>(dst + (i << 1), <u16>i32x4.extract_lane(one, 0));
  }
}

// ---- Lanes ----

export function subtract(dst: usize, a: usize, b: usize, n: usize): void {
  let i: usize = 0;
  for (; i + 4 <= n; i += 4) {
    const at = i << 2;
    v128.store(dst + at, f32x4.sub(v128.load(a + at), v128.load(b + at)));
  }
  for (; i < n; i++) {
    const at = i << 2;
    store<f32>(dst + at, load<f32>(a + at) - load<f32>(b + at));
  }
}

export function add(dst: usize, a: usize, b: usize, n: usize): void {
  let i: usize = 0;
  for (; i + 4 <= n; i += 4) {
    const at = i << 2;
    v128.store(dst + at, f32x4.add(v128.load(a + at), v128.load(b + at)));
  }
  for (; i < n; i++) {
    const at = i << 2;
    store<f32>(dst + at, load<f32>(a + at) + load<f32>(b + at));
  }
}

export function scale(lane: usize, n: usize, factor: f32): void {
  const f = f32x4.splat(factor);
  let i: usize = 0;
  for (; i + 4 <= n; i += 4) v128.store(lane + (i << 2), f32x4.mul(v128.load(lane + (i << 2)), f));
  for (; i < n; i++) store<f32>(lane + (i << 2), load<f32>(lane + (i << 2)) * factor);
}

export function multiply(lane: usize, factors: usize, n: usize): void {
  let i: usize = 0;
  for (; i + 4 <= n; i += 4) {
    const at = i << 2;
    v128.store(lane + at, f32x4.mul(v128.load(lane + at), v128.load(factors + at)));
  }
  for (; i < n; i++) {
    const at = i << 2;
    store<f32>(lane + at, load<f32>(lane + at) * load<f32>(factors + at));
  }
}

// Index of the first element whose bits without the sign are above `limit`, or -1. NaN and infinity are above all.
export function firstBeyond(lane: usize, n: usize, limit: u32): i32 {
  const magnitude = i32x4.splat(0x7fffffff);
  let top = i32x4.splat(0);
  let i: usize = 0;
  for (; i + 4 <= n; i += 4) top = i32x4.max_s(top, v128.and(v128.load(lane + (i << 2)), magnitude));
  let clean = !v128.any_true(i32x4.gt_s(top, i32x4.splat(limit)));
  for (; i < n; i++) clean = clean && (load<u32>(lane + (i << 2)) & 0x7fffffff) <= limit;
  if (clean) return -1;
  for (i = 0; i < n; i++) if ((load<u32>(lane + (i << 2)) & 0x7fffffff) > limit) return <i32>i;
  return -1;
}

// ---- Reductions: eight f64 sums at `acc` ----

@inline
function dotOne(a: usize, b: usize, i: usize, phase: u32, acc: usize): void {
  const at = acc + (((phase + <u32>i) & 7) << 3);
  store<f64>(at, load<f64>(at) + <f64>load<f32>(a + (i << 2)) * <f64>load<f32>(b + (i << 2)));
}

export function dot(a: usize, b: usize, n: usize, phase: u32, acc: usize): void {
  let i: usize = 0;
  for (; i < n && ((phase + <u32>i) & 7) != 0; i++) dotOne(a, b, i, phase, acc);
  let s0 = v128.load(acc);
  let s1 = v128.load(acc + 16);
  let s2 = v128.load(acc + 32);
  let s3 = v128.load(acc + 48);
  for (; i + 8 <= n; i += 8) {
    const at = i << 2;
    const x = v128.load(a + at);
    const y = v128.load(b + at);
    const u = v128.load(a + at + 16);
    const w = v128.load(b + at + 16);
    s0 = f64x2.add(s0, f64x2.mul(f64x2.promote_low_f32x4(x), f64x2.promote_low_f32x4(y)));
    s1 = f64x2.add(s1, f64x2.mul(highPair(x), highPair(y)));
    s2 = f64x2.add(s2, f64x2.mul(f64x2.promote_low_f32x4(u), f64x2.promote_low_f32x4(w)));
    s3 = f64x2.add(s3, f64x2.mul(highPair(u), highPair(w)));
  }
  v128.store(acc, s0);
  v128.store(acc + 16, s1);
  v128.store(acc + 32, s2);
  v128.store(acc + 48, s3);
  for (; i < n; i++) dotOne(a, b, i, phase, acc);
}

@inline
function highPair(v: v128): v128 {
  return f64x2.promote_low_f32x4(v128.shuffle<i64>(v, v, 1, 1));
}

export function absoluteSum(a: usize, n: usize, phase: u32, acc: usize): void {
  let i: usize = 0;
  for (; i < n && ((phase + <u32>i) & 7) != 0; i++) absoluteOne(a, i, phase, acc);
  for (; i + 8 <= n; i += 8) {
    const x = f32x4.abs(v128.load(a + (i << 2)));
    const y = f32x4.abs(v128.load(a + (i << 2) + 16));
    v128.store(acc, f64x2.add(v128.load(acc), f64x2.promote_low_f32x4(x)));
    v128.store(acc + 16, f64x2.add(v128.load(acc + 16), highPair(x)));
    v128.store(acc + 32, f64x2.add(v128.load(acc + 32), f64x2.promote_low_f32x4(y)));
    v128.store(acc + 48, f64x2.add(v128.load(acc + 48), highPair(y)));
  }
  for (; i < n; i++) absoluteOne(a, i, phase, acc);
}

@inline
function absoluteOne(a: usize, i: usize, phase: u32, acc: usize): void {
  const at = acc + (((phase + <u32>i) & 7) << 3);
  store<f64>(at, load<f64>(at) + <f64>abs<f32>(load<f32>(a + (i << 2))));
}

// One f64 sum per column of a row-major block, rows in order.
export function columnDot(a: usize, b: usize, columns: usize, acc: usize): void {
  for (let i: usize = 0; i < columns; i++) {
    const product = <f64>load<f32>(a + (i << 2)) * <f64>load<f32>(b + (i << 2));
    store<f64>(acc + (i << 3), load<f64>(acc + (i << 3)) + product);
  }
}

// ---- Counter hash: two rounds of MurmurHash3's finaliser, keyed; a permutation of the index ----

@inline
function fmix(h: u32): u32 {
  h ^= h >> 16;
  h *= 0x85ebca6b;
  h ^= h >> 13;
  h *= 0xc2b2ae35;
  return h ^ (h >> 16);
}

export function hash(index: u32, k0: u32, k1: u32): u32 {
  return fmix(fmix(index ^ k0) + k1);
}

@inline
function fmixx4(v: v128): v128 {
  v = v128.xor(v, i32x4.shr_u(v, 16));
  v = i32x4.mul(v, i32x4.splat(0x85ebca6b));
  v = v128.xor(v, i32x4.shr_u(v, 13));
  v = i32x4.mul(v, i32x4.splat(0xc2b2ae35));
  return v128.xor(v, i32x4.shr_u(v, 16));
}

@inline
function hashx4(index: v128, k0: u32, k1: u32): v128 {
  return fmixx4(i32x4.add(fmixx4(v128.xor(index, i32x4.splat(k0))), i32x4.splat(k1)));
}

// ---- Selection by magnitude: the key of an element is its f32 bits without the sign ----

export function histogramHigh(lane: usize, n: usize, bins: usize): void {
  for (let i: usize = 0; i < n; i++) {
    const bin = bins + (((load<u32>(lane + (i << 2)) & 0x7fffffff) >> 15) << 2);
    store<u32>(bin, load<u32>(bin) + 1);
  }
}

export function histogramLow(lane: usize, n: usize, bins: usize, high: u32): void {
  for (let i: usize = 0; i < n; i++) {
    const key = load<u32>(lane + (i << 2)) & 0x7fffffff;
    if (key >> 15 != high) continue;
    const bin = bins + ((key & 0x7fff) << 2);
    store<u32>(bin, load<u32>(bin) + 1);
  }
}

// Histogram of the hashes of the elements whose key is `tied`: first their high halves, then the low halves of one.
export function histogramTies(lane: usize, n: usize, bins: usize, tied: u32, index: u32, k0: u32, k1: u32, high: i32): void {
  for (let i: usize = 0; i < n; i++) {
    if ((load<u32>(lane + (i << 2)) & 0x7fffffff) != tied) continue;
    const h = hash(index + <u32>i, k0, k1);
    if (high >= 0 && h >> 16 != <u32>high) continue;
    const bin = bins + ((high < 0 ? h >> 16 : h & 0xffff) << 2);
    store<u32>(bin, load<u32>(bin) + 1);
  }
}

@inline
function selected(key: u32, index: u32, k0: u32, k1: u32, tied: u32, last: u32): bool {
  return <i32>key > <i32>tied || (key == tied && hash(index, k0, k1) <= last);
}

// Zeroes in `lane` every element that `keys` does not put inside the selection (key above `tied`, or equal with a
// hash up to `last`).
export function keepSelected(lane: usize, keys: usize, n: usize, tied: u32, last: u32, index: u32, k0: u32, k1: u32): void {
  const threshold = i32x4.splat(tied);
  let i: usize = 0;
  for (; i + 4 <= n; i += 4) {
    const at = i << 2;
    const key = v128.and(v128.load(keys + at), i32x4.splat(0x7fffffff));
    const equal = i32x4.eq(key, threshold);
    if (v128.any_true(equal)) {
      for (let j: usize = i; j < i + 4; j++) keepOne(lane, keys, j, tied, last, index, k0, k1);
    } else {
      v128.store(lane + at, v128.and(v128.load(lane + at), i32x4.gt_s(key, threshold)));
    }
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

// ---- Random masks ----

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

// ---- Rules over several lanes, `stride` bytes apart, in place ----

// Sign election: the sign of the sum wins (zero counts as plus); the others are zeroed. The rest is multiplied by
// `lambda`, divided by the summed weights of those kept when `normalize`.
export function elect(lanes: usize, stride: usize, count: u32, n: usize, weights: usize, lambda: f32, normalize: bool): void {
  for (let i: usize = 0; i < n; i += 4) {
    const at = lanes + (i << 2);
    let sum = v128.load(at);
    for (let m: u32 = 1; m < count; m++) sum = f32x4.add(sum, v128.load(at + m * stride));
    const negative = f32x4.lt(sum, f32x4.splat(0));
    let kept = f32x4.splat(0);
    for (let m: u32 = 0; m < count; m++) {
      const x = v128.load(at + m * stride);
      const agrees = v128.bitselect(f32x4.lt(x, f32x4.splat(0)), f32x4.gt(x, f32x4.splat(0)), negative);
      v128.store(at + m * stride, v128.and(x, agrees));
      kept = f32x4.add(kept, v128.and(agrees, f32x4.splat(load<f32>(weights + (m << 2)))));
    }
    const divisor = v128.bitselect(f32x4.splat(1), kept, f32x4.eq(kept, f32x4.splat(0)));
    const factor = normalize ? f32x4.div(f32x4.splat(lambda), divisor) : f32x4.splat(lambda);
    for (let m: u32 = 0; m < count; m++) {
      v128.store(at + m * stride, f32x4.mul(v128.load(at + m * stride), factor));
    }
  }
}

// Population variance over the lanes.
export function variance(lanes: usize, stride: usize, count: u32, n: usize, dst: usize): void {
  const models = f32x4.splat(<f32>count);
  for (let i: usize = 0; i < n; i += 4) {
    const at = lanes + (i << 2);
    let sum = v128.load(at);
    for (let m: u32 = 1; m < count; m++) sum = f32x4.add(sum, v128.load(at + m * stride));
    const mean = f32x4.div(sum, models);
    let squares = f32x4.splat(0);
    for (let m: u32 = 0; m < count; m++) {
      const d = f32x4.sub(v128.load(at + m * stride), mean);
      squares = f32x4.add(squares, f32x4.mul(d, d));
    }
    v128.store(dst + (i << 2), f32x4.div(squares, models));
  }
}

// Zeroes what is not above `epsilon` and divides the rest by how many lanes have it.
export function shareOut(lanes: usize, stride: usize, count: u32, n: usize, epsilon: f32): void {
  for (let i: usize = 0; i < n; i += 4) {
    const at = lanes + (i << 2);
    let owners = f32x4.splat(0);
    for (let m: u32 = 0; m < count; m++) {
      const x = v128.load(at + m * stride);
      const own = f32x4.gt(f32x4.abs(x), f32x4.splat(epsilon));
      v128.store(at + m * stride, v128.and(x, own));
      owners = f32x4.add(owners, v128.and(own, f32x4.splat(1)));
    }
    const divisor = f32x4.max(owners, f32x4.splat(1));
    for (let m: u32 = 0; m < count; m++) {
      v128.store(at + m * stride, f32x4.div(v128.load(at + m * stride), divisor));
    }
  }
}

// Multiplies each difference by clip(t / max(|difference|, 1e-6), 0, 1).
export function swapNear(lane: usize, n: usize, t: f32): void {
  for (let i: usize = 0; i < n; i += 4) {
    const x = v128.load(lane + (i << 2));
    const size = f32x4.max(f32x4.abs(x), f32x4.splat(1e-6));
    const share = f32x4.div(f32x4.splat(t), size);
    const clipped = f32x4.max(f32x4.min(share, f32x4.splat(1)), f32x4.splat(0));
    v128.store(lane + (i << 2), f32x4.mul(x, clipped));
  }
}

// Kullback-Leibler divergence of softmax(base + delta) from softmax(base) over one row.
export function rowDivergence(delta: usize, base: usize, n: usize): f64 {
  let topX: f64 = -Infinity;
  let topY: f64 = -Infinity;
  for (let i: usize = 0; i < n; i++) {
    const y = <f64>load<f32>(base + (i << 2));
    topY = max(topY, y);
    topX = max(topX, y + <f64>load<f32>(delta + (i << 2)));
  }
  let sumX: f64 = 0;
  let sumY: f64 = 0;
  let moved: f64 = 0;
  for (let i: usize = 0; i < n; i++) {
    const y = <f64>load<f32>(base + (i << 2));
    const d = <f64>load<f32>(delta + (i << 2));
    const p = NativeMath.exp(y + d - topX);
    sumX += p;
    moved += p * d;
    sumY += NativeMath.exp(y - topY);
  }
  return max<f64>(0, moved / sumX - (topX + NativeMath.log(sumX)) + (topY + NativeMath.log(sumY)));
}

// dst = |delta| * factor
export function importance(dst: usize, delta: usize, n: usize, factor: f32): void {
  for (let i: usize = 0; i < n; i++) store<f32>(dst + (i << 2), abs<f32>(load<f32>(delta + (i << 2))) * factor);
}
