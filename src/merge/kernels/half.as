// Half precision, four at a time: bits in the low halves of 32-bit lanes.

@inline
export function f16x4(h: v128): v128 {
  const sign = i32x4.shl(v128.and(h, i32x4.splat(0x8000)), 16);
  const body = i32x4.shl(v128.and(h, i32x4.splat(0x7fff)), 13);
  // 2^112 moves the exponent bias from 15 to 127 and makes subnormals exact.
  const scaled = f32x4.mul(body, i32x4.splat(0x77800000));
  const special = v128.and(i32x4.ge_s(body, i32x4.splat(0x0f800000)), i32x4.splat(0x7f800000));
  return v128.or(v128.or(scaled, special), sign);
}

// Round to nearest, ties to even.
@inline
export function toF16x4(bits: v128): v128 {
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
