// BF16 and F16 to f32 lanes and back.
import { f16x4, toF16x4 } from './half';
import { hash } from './hash';

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

// What `decodeBf16` gives, less `base`.
export function decodeBf16Delta(src: usize, dst: usize, n: usize, base: usize): void {
  const zero = i16x8.splat(0);
  let i: usize = 0;
  for (; i + 8 <= n; i += 8) {
    const at = i << 2;
    const v = v128.load(src + (i << 1));
    const low = v128.shuffle<i16>(zero, v, 0, 8, 1, 9, 2, 10, 3, 11);
    const high = v128.shuffle<i16>(zero, v, 4, 12, 5, 13, 6, 14, 7, 15);
    v128.store(dst + at, f32x4.sub(low, v128.load(base + at)));
    v128.store(dst + at + 16, f32x4.sub(high, v128.load(base + at + 16)));
  }
  for (; i < n; i++) {
    const value = reinterpret<f32>((<u32>load<u16>(src + (i << 1))) << 16);
    store<f32>(dst + (i << 2), value - load<f32>(base + (i << 2)));
  }
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

// `encodeBf16`, with what it changes left in `change`, of finite input; whether none is above what BF16 holds.
export function roundBf16(src: usize, dst: usize, n: usize, change: usize): bool {
  const low = i32x4.splat(0xffff0000);
  let top = i32x4.splat(0);
  let i: usize = 0;
  for (; i + 8 <= n; i += 8) {
    const at = i << 2;
    const x = v128.load(src + at);
    const y = v128.load(src + at + 16);
    const a = i32x4.add(x, i32x4.add(v128.and(i32x4.shr_u(x, 16), i32x4.splat(1)), i32x4.splat(0x7fff)));
    const b = i32x4.add(y, i32x4.add(v128.and(i32x4.shr_u(y, 16), i32x4.splat(1)), i32x4.splat(0x7fff)));
    v128.store(dst + (i << 1), v128.shuffle<i16>(a, b, 1, 3, 5, 7, 9, 11, 13, 15));
    v128.store(change + at, f32x4.sub(v128.and(a, low), x));
    v128.store(change + at + 16, f32x4.sub(v128.and(b, low), y));
    top = i32x4.max_u(top, i32x4.max_u(i32x4.shl(x, 1), i32x4.shl(y, 1)));
  }
  let fits = !v128.any_true(i32x4.gt_u(top, i32x4.splat(0xfefefffe)));
  for (; i < n; i++) {
    const bits = load<u32>(src + (i << 2));
    const rounded = bits + ((bits >> 16) & 1) + 0x7fff;
    store<u16>(dst + (i << 1), <u16>(rounded >> 16));
    store<f32>(change + (i << 2), reinterpret<f32>(rounded & 0xffff0000) - reinterpret<f32>(bits));
    fits = fits && bits << 1 <= 0xfefefffe;
  }
  return fits;
}

// Whether no number is infinite and none is NaN.
export function finiteBf16(src: usize, n: usize): bool {
  const magnitude = i16x8.splat(0x7fff);
  let top = i16x8.splat(0);
  let i: usize = 0;
  for (; i + 8 <= n; i += 8) top = i16x8.max_s(top, v128.and(v128.load(src + (i << 1)), magnitude));
  let finite = !v128.any_true(i16x8.gt_s(top, i16x8.splat(0x7f7f)));
  for (; i < n; i++) finite = finite && (load<u16>(src + (i << 1)) & 0x7fff) <= 0x7f7f;
  return finite;
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

// Eight bits: four of exponent and three of fraction, no infinity, the last pattern NaN.
export function decodeE4M3(src: usize, dst: usize, n: usize): void {
  for (let i: usize = 0; i < n; i++) {
    const bits = <u32>load<u8>(src + i);
    // 2^120 moves the exponent bias from 7 to 127 and makes subnormals exact.
    const size = reinterpret<f32>((bits & 0x7f) << 20) * reinterpret<f32>(0x7b800000);
    const value = (bits & 0x7f) == 0x7f ? f32.NaN : size;
    store<u32>(dst + (i << 2), reinterpret<u32>(value) | ((bits & 0x80) << 24));
  }
}

// The upper half of an F16.
export function decodeE5M2(src: usize, dst: usize, n: usize): void {
  for (let i: usize = 0; i < n; i++) {
    const one = f16x4(i32x4.splat(<i32>load<u8>(src + i) << 8));
    store<i32>(dst + (i << 2), i32x4.extract_lane(one, 0));
  }
}

// To nearest, ties to even; what is larger than the largest number becomes that. Finite input only.
@inline
function toE4M3x4(bits: v128): v128 {
  const abs = i32x4.min_s(v128.and(bits, i32x4.splat(0x7fffffff)), i32x4.splat(0x43e00000));
  const odd = v128.and(i32x4.shr_u(abs, 20), i32x4.splat(1));
  const biased = i32x4.sub(i32x4.add(abs, i32x4.add(odd, i32x4.splat(0x7ffff))), i32x4.splat(0x3c000000));
  // Adding 2^14 lets the adder round a subnormal; its bits are then the difference.
  const small = i32x4.sub(f32x4.add(abs, i32x4.splat(0x46800000)), i32x4.splat(0x46800000));
  const body = v128.bitselect(small, i32x4.shr_u(biased, 20), i32x4.lt_s(abs, i32x4.splat(0x3c800000)));
  return v128.or(body, v128.and(i32x4.shr_u(bits, 24), i32x4.splat(0x80)));
}

@inline
function toE5M2x4(bits: v128): v128 {
  const abs = i32x4.min_s(v128.and(bits, i32x4.splat(0x7fffffff)), i32x4.splat(0x47600000));
  const odd = v128.and(i32x4.shr_u(abs, 21), i32x4.splat(1));
  const biased = i32x4.sub(i32x4.add(abs, i32x4.add(odd, i32x4.splat(0xfffff))), i32x4.splat(0x38000000));
  const small = i32x4.sub(f32x4.add(abs, i32x4.splat(0x43000000)), i32x4.splat(0x43000000));
  const body = v128.bitselect(small, i32x4.shr_u(biased, 21), i32x4.lt_s(abs, i32x4.splat(0x38800000)));
  return v128.or(body, v128.and(i32x4.shr_u(bits, 24), i32x4.splat(0x80)));
}

export function encodeE4M3(src: usize, dst: usize, n: usize): void {
  let i: usize = 0;
  for (; i + 8 <= n; i += 8) {
    const low = toE4M3x4(v128.load(src + (i << 2)));
    const high = toE4M3x4(v128.load(src + (i << 2) + 16));
    const both = i16x8.narrow_i32x4_u(low, high);
    store<u64>(dst + i, i64x2.extract_lane(i8x16.narrow_i16x8_u(both, both), 0));
  }
  for (; i < n; i++) store<u8>(dst + i, <u8>i32x4.extract_lane(toE4M3x4(i32x4.splat(load<i32>(src + (i << 2)))), 0));
}

export function encodeE5M2(src: usize, dst: usize, n: usize): void {
  let i: usize = 0;
  for (; i + 8 <= n; i += 8) {
    const low = toE5M2x4(v128.load(src + (i << 2)));
    const high = toE5M2x4(v128.load(src + (i << 2) + 16));
    const both = i16x8.narrow_i32x4_u(low, high);
    store<u64>(dst + i, i64x2.extract_lane(i8x16.narrow_i16x8_u(both, both), 0));
  }
  for (; i < n; i++) store<u8>(dst + i, <u8>i32x4.extract_lane(toE5M2x4(i32x4.splat(load<i32>(src + (i << 2)))), 0));
}
