// Merge kernels. AssemblyScript, SIMD128, no relaxed SIMD, no fused multiply-add: the same bits on every machine.
// Addresses are bytes; `n` counts elements; a lane is an array of f32. Nothing here allocates.
// Reductions keep eight f64 partial sums, element i of the tensor always landing in sum i mod 8 and sums being
// filled in order, so the result depends neither on the tile nor on the chunk nor on the worker.

export * from './blocks';
export * from './codecs';
export { hash } from './hash';
export * from './lanes';
export * from './rules';
export * from './select';

export function heapBase(): usize {
  return __heap_base;
}

// Exact mathematics for factors: compiled here, so no host's libm decides a bit.

export function sin(x: f64): f64 {
  return NativeMath.sin(x);
}
export function cos(x: f64): f64 {
  return NativeMath.cos(x);
}
export function acos(x: f64): f64 {
  return NativeMath.acos(x);
}
