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
