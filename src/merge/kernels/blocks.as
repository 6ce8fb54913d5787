// Block formats of GGUF. Layouts and arithmetic are those of ggml's reference routines, every operation in f32 and
// rounded by itself. `n` is a whole number of blocks.
import { f16x4, toF16x4 } from './half';

@inline
function half(at: usize): f32 {
  return f32x4.extract_lane(f16x4(i32x4.splat(<i32>load<u16>(at))), 0);
}

@inline
function storeHalf(at: usize, value: f32): void {
  store<u16>(at, <u16>i32x4.extract_lane(toF16x4(f32x4.splat(value)), 0));
}

@inline
function put(dst: usize, i: usize, value: f32): void {
  store<f32>(dst + (i << 2), value);
}

// ---- 32 elements: a scale, perhaps a minimum, 4, 5 or 8 bits each; low nibbles are the first sixteen ----

export function decodeQ8_0(src: usize, dst: usize, n: usize): void {
  for (let at: usize = 0; at < n; at += 32, src += 34) {
    const d = half(src);
    for (let i: usize = 0; i < 32; i++) put(dst, at + i, <f32>load<i8>(src + 2 + i) * d);
  }
}

export function decodeQ4_0(src: usize, dst: usize, n: usize): void {
  for (let at: usize = 0; at < n; at += 32, src += 18) {
    const d = half(src);
    for (let i: usize = 0; i < 16; i++) {
      const pair = load<u8>(src + 2 + i);
      put(dst, at + i, d * <f32>(<i32>(pair & 15) - 8));
      put(dst, at + 16 + i, d * <f32>(<i32>(pair >> 4) - 8));
    }
  }
}

export function decodeQ4_1(src: usize, dst: usize, n: usize): void {
  for (let at: usize = 0; at < n; at += 32, src += 20) {
    const d = half(src);
    const m = half(src + 2);
    for (let i: usize = 0; i < 16; i++) {
      const pair = load<u8>(src + 4 + i);
      put(dst, at + i, d * <f32>(pair & 15) + m);
      put(dst, at + 16 + i, d * <f32>(pair >> 4) + m);
    }
  }
}

export function decodeQ5_0(src: usize, dst: usize, n: usize): void {
  for (let at: usize = 0; at < n; at += 32, src += 22) {
    const d = half(src);
    const fifth = load<u32>(src + 2);
    for (let i: usize = 0; i < 32; i++) put(dst, at + i, d * <f32>(five(src + 6, fifth, i) - 16));
  }
}

export function decodeQ5_1(src: usize, dst: usize, n: usize): void {
  for (let at: usize = 0; at < n; at += 32, src += 24) {
    const d = half(src);
    const m = half(src + 2);
    const fifth = load<u32>(src + 4);
    for (let i: usize = 0; i < 32; i++) put(dst, at + i, d * <f32>five(src + 8, fifth, i) + m);
  }
}

@inline
function nibble(at: usize, i: usize): i32 {
  return (<i32>load<u8>(at + (i & 15)) >> (i >= 16 ? 4 : 0)) & 15;
}

@inline
function five(at: usize, fifth: u32, i: usize): i32 {
  return nibble(at, i) | (<i32>((fifth >> <u32>i) & 1) << 4);
}

// The element of the largest magnitude, the first of equal ones.
function extreme(src: usize): f32 {
  let best: f32 = load<f32>(src);
  for (let i: usize = 1; i < 32; i++) {
    const value = load<f32>(src + (i << 2));
    if (abs<f32>(value) > abs<f32>(best)) best = value;
  }
  return best;
}

function least(src: usize): f32 {
  let best: f32 = load<f32>(src);
  for (let i: usize = 1; i < 32; i++) best = min<f32>(best, load<f32>(src + (i << 2)));
  return best;
}

function most(src: usize): f32 {
  let best: f32 = load<f32>(src);
  for (let i: usize = 1; i < 32; i++) best = max<f32>(best, load<f32>(src + (i << 2)));
  return best;
}

@inline
function inverse(d: f32): f32 {
  return d == 0 ? 0 : <f32>1 / d;
}

@inline
function level(value: f32, top: i32): u8 {
  return <u8>min<i32>(max<i32>(<i32>value, 0), top);
}

export function encodeQ8_0(src: usize, dst: usize, n: usize): void {
  for (let at: usize = 0; at < n; at += 32, src += 128, dst += 34) {
    const d = abs<f32>(extreme(src)) / 127;
    const id = inverse(d);
    storeHalf(dst, d);
    for (let i: usize = 0; i < 32; i++) {
      const x = load<f32>(src + (i << 2)) * id;
      // Half away from zero.
      const whole = floor<f32>(abs<f32>(x));
      const rounded = whole + floor<f32>(2 * (abs<f32>(x) - whole));
      store<i8>(dst + 2 + i, <i8>(x < 0 ? -rounded : rounded));
    }
  }
}

export function encodeQ4_0(src: usize, dst: usize, n: usize): void {
  for (let at: usize = 0; at < n; at += 32, src += 128, dst += 18) {
    const d = extreme(src) / -8;
    const id = inverse(d);
    storeHalf(dst, d);
    for (let i: usize = 0; i < 16; i++) {
      const low = level(load<f32>(src + (i << 2)) * id + 8.5, 15);
      const high = level(load<f32>(src + (i << 2) + 64) * id + 8.5, 15);
      store<u8>(dst + 2 + i, low | (high << 4));
    }
  }
}

export function encodeQ4_1(src: usize, dst: usize, n: usize): void {
  for (let at: usize = 0; at < n; at += 32, src += 128, dst += 20) {
    const m = least(src);
    const d = (most(src) - m) / 15;
    const id = inverse(d);
    storeHalf(dst, d);
    storeHalf(dst + 2, m);
    for (let i: usize = 0; i < 16; i++) {
      const low = level((load<f32>(src + (i << 2)) - m) * id + 0.5, 15);
      const high = level((load<f32>(src + (i << 2) + 64) - m) * id + 0.5, 15);
      store<u8>(dst + 4 + i, low | (high << 4));
    }
  }
}

export function encodeQ5_0(src: usize, dst: usize, n: usize): void {
  for (let at: usize = 0; at < n; at += 32, src += 128, dst += 22) {
    const d = extreme(src) / -16;
    const id = inverse(d);
    storeHalf(dst, d);
    let fifth: u32 = 0;
    for (let i: usize = 0; i < 16; i++) {
      const low = level(load<f32>(src + (i << 2)) * id + 16.5, 31);
      const high = level(load<f32>(src + (i << 2) + 64) * id + 16.5, 31);
      store<u8>(dst + 6 + i, (low & 15) | (high << 4));
      fifth |= (<u32>(low >> 4) << <u32>i) | (<u32>(high >> 4) << (<u32>i + 16));
    }
    store<u32>(dst + 2, fifth);
  }
}

export function encodeQ5_1(src: usize, dst: usize, n: usize): void {
  for (let at: usize = 0; at < n; at += 32, src += 128, dst += 24) {
    const m = least(src);
    const d = (most(src) - m) / 31;
    const id = inverse(d);
    storeHalf(dst, d);
    storeHalf(dst + 2, m);
    let fifth: u32 = 0;
    for (let i: usize = 0; i < 16; i++) {
      const low = level((load<f32>(src + (i << 2)) - m) * id + 0.5, 31);
      const high = level((load<f32>(src + (i << 2) + 64) - m) * id + 0.5, 31);
      store<u8>(dst + 8 + i, (low & 15) | (high << 4));
      fifth |= (<u32>(low >> 4) << <u32>i) | (<u32>(high >> 4) << (<u32>i + 16));
    }
    store<u32>(dst + 4, fifth);
  }
}

// ---- 256 elements in sub-blocks with scales of their own ----

export function decodeQ2_K(src: usize, dst: usize, n: usize): void {
  for (let at: usize = 0; at < n; at += 256, src += 84) {
    const d = half(src + 80);
    const dmin = half(src + 82);
    for (let e: usize = 0; e < 256; e++) {
      const scales = load<u8>(src + (e >> 4));
      const dl = d * <f32>(scales & 15);
      const ml = dmin * <f32>(scales >> 4);
      put(dst, at + e, dl * <f32>two(src + 16, e) - ml);
    }
  }
}

// Two bits each: 32 bytes hold 128 elements, the lowest bits the first 32 of them.
@inline
function two(at: usize, e: usize): i32 {
  return (<i32>load<u8>(at + ((e >> 7) << 5) + (e & 31)) >> (<i32>((e >> 5) & 3) << 1)) & 3;
}

export function decodeQ3_K(src: usize, dst: usize, n: usize): void {
  for (let at: usize = 0; at < n; at += 256, src += 110) {
    const d = half(src + 108);
    for (let e: usize = 0; e < 256; e++) {
      const s = e >> 4;
      const low = (<i32>load<u8>(src + 96 + (s & 7)) >> (s >= 8 ? 4 : 0)) & 15;
      const high = (<i32>load<u8>(src + 104 + (s & 3)) >> (<i32>(s >> 2) << 1)) & 3;
      const dl = d * <f32>((low | (high << 4)) - 32);
      const third = (<i32>load<u8>(src + (e & 31)) >> <i32>(e >> 5)) & 1;
      put(dst, at + e, dl * <f32>(two(src + 32, e) - ((third ^ 1) << 2)));
    }
  }
}

// Six-bit scales and minima of eight sub-blocks in twelve bytes.
@inline
function scaleOf(at: usize, s: usize): i32 {
  if (s < 4) return <i32>load<u8>(at + s) & 63;
  return (<i32>load<u8>(at + 4 + s) & 15) | ((<i32>load<u8>(at + s - 4) >> 2) & 0x30);
}

@inline
function minimumOf(at: usize, s: usize): i32 {
  if (s < 4) return <i32>load<u8>(at + 4 + s) & 63;
  return (<i32>load<u8>(at + 4 + s) >> 4) | ((<i32>load<u8>(at + s) >> 2) & 0x30);
}

// Four bits each: 32 bytes hold 64 elements, the low nibbles the first 32 of them.
@inline
function four(at: usize, e: usize): i32 {
  return (<i32>load<u8>(at + ((e >> 6) << 5) + (e & 31)) >> (<i32>((e >> 5) & 1) << 2)) & 15;
}

export function decodeQ4_K(src: usize, dst: usize, n: usize): void {
  for (let at: usize = 0; at < n; at += 256, src += 144) {
    const d = half(src);
    const dmin = half(src + 2);
    for (let e: usize = 0; e < 256; e++) {
      const dl = d * <f32>scaleOf(src + 4, e >> 5);
      const dm = dmin * <f32>minimumOf(src + 4, e >> 5);
      put(dst, at + e, dl * <f32>four(src + 16, e) - dm);
    }
  }
}

export function decodeQ5_K(src: usize, dst: usize, n: usize): void {
  for (let at: usize = 0; at < n; at += 256, src += 176) {
    const d = half(src);
    const dmin = half(src + 2);
    for (let e: usize = 0; e < 256; e++) {
      const dl = d * <f32>scaleOf(src + 4, e >> 5);
      const dm = dmin * <f32>minimumOf(src + 4, e >> 5);
      const fifth = (<i32>load<u8>(src + 16 + (e & 31)) >> <i32>(e >> 5)) & 1;
      put(dst, at + e, dl * <f32>(four(src + 48, e) | (fifth << 4)) - dm);
    }
  }
}

export function decodeQ6_K(src: usize, dst: usize, n: usize): void {
  for (let at: usize = 0; at < n; at += 256, src += 210) {
    const d = half(src + 208);
    for (let e: usize = 0; e < 256; e++) {
      const chunk = e >> 7;
      const low = (<i32>load<u8>(src + (chunk << 6) + (e & 63)) >> (<i32>((e >> 6) & 1) << 2)) & 15;
      const dl = d * <f32>load<i8>(src + 192 + (e >> 4));
      put(dst, at + e, dl * <f32>((low | (two(src + 128, e) << 4)) - 32));
    }
  }
}

// ---- 4-bit indices into a fixed table ----

@inline
function tabled(index: i32): f32 {
  return <f32>load<i8>(memory.data<i8>([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]) + <usize>index);
}

export function decodeIQ4_NL(src: usize, dst: usize, n: usize): void {
  for (let at: usize = 0; at < n; at += 32, src += 18) {
    const d = half(src);
    for (let i: usize = 0; i < 32; i++) put(dst, at + i, d * tabled(nibble(src + 2, i)));
  }
}

export function decodeIQ4_XS(src: usize, dst: usize, n: usize): void {
  for (let at: usize = 0; at < n; at += 256, src += 136) {
    const d = half(src);
    const high = <i32>load<u16>(src + 2);
    for (let e: usize = 0; e < 256; e++) {
      const s = <i32>(e >> 5);
      const low = (<i32>load<u8>(src + 4 + <usize>(s >> 1)) >> ((s & 1) << 2)) & 15;
      const dl = d * <f32>((low | (((high >> (s << 1)) & 3) << 4)) - 32);
      put(dst, at + e, dl * tabled(nibble(src + 8 + (<usize>s << 4), e & 31)));
    }
  }
}
