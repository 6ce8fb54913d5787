// Rules over several lanes, `stride` bytes apart, in place; and the importance that arcee_fusion weighs by.

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
