// The counter hash: two rounds of MurmurHash3's finaliser, keyed; a permutation of the index.

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
export function hashx4(index: v128, k0: u32, k1: u32): v128 {
  return fmixx4(i32x4.add(fmixx4(v128.xor(index, i32x4.splat(k0))), i32x4.splat(k1)));
}
