// Arithmetic on lanes, and reductions into eight f64 sums at `acc`.

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

export function divide(dst: usize, src: usize, n: usize, divisor: f32): void {
  const d = f32x4.splat(divisor);
  let i: usize = 0;
  for (; i + 4 <= n; i += 4) v128.store(dst + (i << 2), f32x4.div(v128.load(src + (i << 2)), d));
  for (; i < n; i++) store<f32>(dst + (i << 2), load<f32>(src + (i << 2)) / divisor);
}

// The largest magnitude. No NaN.
export function greatest(lane: usize, n: usize): f32 {
  let top = f32x4.splat(0);
  let i: usize = 0;
  for (; i + 4 <= n; i += 4) top = f32x4.max(top, f32x4.abs(v128.load(lane + (i << 2))));
  let most = max(max(f32x4.extract_lane(top, 0), f32x4.extract_lane(top, 1)), max(f32x4.extract_lane(top, 2), f32x4.extract_lane(top, 3)));
  for (; i < n; i++) most = max<f32>(most, abs<f32>(load<f32>(lane + (i << 2))));
  return most;
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

// The three inner products of two lanes, as `dot` sums them, each element widened once. Four of the eight sums at a
// time: all at once are more than the registers hold.
export function dotPair(a: usize, b: usize, n: usize, phase: u32, aa: usize, ab: usize, bb: usize): void {
  let start: usize = 0;
  for (; start < n && ((phase + <u32>start) & 7) != 0; start++) pairOne(a, b, start, phase, aa, ab, bb);
  const end = start + ((n - start) & ~7);
  pairHalf(a, b, start, end, aa, ab, bb);
  pairHalf(a + 16, b + 16, start, end, aa + 32, ab + 32, bb + 32);
  for (let i = end; i < n; i++) pairOne(a, b, i, phase, aa, ab, bb);
}

@inline
function pairOne(a: usize, b: usize, i: usize, phase: u32, aa: usize, ab: usize, bb: usize): void {
  dotOne(a, a, i, phase, aa);
  dotOne(a, b, i, phase, ab);
  dotOne(b, b, i, phase, bb);
}

@inline
function pairHalf(a: usize, b: usize, start: usize, end: usize, aa: usize, ab: usize, bb: usize): void {
  let aa0 = v128.load(aa);
  let aa1 = v128.load(aa + 16);
  let ab0 = v128.load(ab);
  let ab1 = v128.load(ab + 16);
  let bb0 = v128.load(bb);
  let bb1 = v128.load(bb + 16);
  for (let i = start; i < end; i += 8) {
    const x = v128.load(a + (i << 2));
    const y = v128.load(b + (i << 2));
    const x0 = f64x2.promote_low_f32x4(x);
    const x1 = highPair(x);
    const y0 = f64x2.promote_low_f32x4(y);
    const y1 = highPair(y);
    aa0 = f64x2.add(aa0, f64x2.mul(x0, x0));
    aa1 = f64x2.add(aa1, f64x2.mul(x1, x1));
    ab0 = f64x2.add(ab0, f64x2.mul(x0, y0));
    ab1 = f64x2.add(ab1, f64x2.mul(x1, y1));
    bb0 = f64x2.add(bb0, f64x2.mul(y0, y0));
    bb1 = f64x2.add(bb1, f64x2.mul(y1, y1));
  }
  v128.store(aa, aa0);
  v128.store(aa + 16, aa1);
  v128.store(ab, ab0);
  v128.store(ab + 16, ab1);
  v128.store(bb, bb0);
  v128.store(bb + 16, bb1);
}

@inline
function highPair(v: v128): v128 {
  return f64x2.promote_low_f32x4(v128.shuffle<i64>(v, v, 1, 1));
}

export function absoluteSum(a: usize, n: usize, phase: u32, acc: usize): void {
  let i: usize = 0;
  for (; i < n && ((phase + <u32>i) & 7) != 0; i++) absoluteOne(a, i, phase, acc);
  let s0 = v128.load(acc);
  let s1 = v128.load(acc + 16);
  let s2 = v128.load(acc + 32);
  let s3 = v128.load(acc + 48);
  for (; i + 8 <= n; i += 8) {
    const x = f32x4.abs(v128.load(a + (i << 2)));
    const y = f32x4.abs(v128.load(a + (i << 2) + 16));
    s0 = f64x2.add(s0, f64x2.promote_low_f32x4(x));
    s1 = f64x2.add(s1, highPair(x));
    s2 = f64x2.add(s2, f64x2.promote_low_f32x4(y));
    s3 = f64x2.add(s3, highPair(y));
  }
  v128.store(acc, s0);
  v128.store(acc + 16, s1);
  v128.store(acc + 32, s2);
  v128.store(acc + 48, s3);
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
