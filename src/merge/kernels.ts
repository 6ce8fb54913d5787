/**
 * The WASM kernels and the memory they work on. One instance per worker; its memory is of a fixed size, so views of
 * it never go stale. `kernels/*.as` are the sources, `scripts/build-kernels.ts` builds it.
 */
import { readFileSync } from 'node:fs';
import { invariant } from '../base/errors.ts';

// What is used of the WebAssembly interface, which the type library of Node leaves to that of browsers.
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array<ArrayBuffer>);
  }
  class Memory {
    constructor(size: { initial: number; maximum: number });
    readonly buffer: ArrayBuffer;
  }
  class Instance {
    constructor(module: Module, imports: { env: { memory: Memory } });
    readonly exports: object;
  }
}

const PAGE_BYTES = 65_536;

/** The functions of `kernels/*.as`: addresses in bytes, counts in elements, lanes of f32. */
export interface Kernels {
  heapBase(): number;
  sin(x: number): number;
  cos(x: number): number;
  acos(x: number): number;
  decodeBf16: Convert;
  decodeF16: Convert;
  encodeBf16: Convert;
  decodeBf16Delta(src: number, dst: number, n: number, base: number): void;
  /** 1 when all fit. */
  roundBf16(src: number, dst: number, n: number, change: number): number;
  /** 1 when all are finite. */
  finiteBf16(src: number, n: number): number;
  encodeBf16Stochastic(src: number, dst: number, n: number, index: number, k0: number, k1: number): void;
  encodeF16: Convert;
  decodeE4M3: Convert;
  decodeE5M2: Convert;
  encodeE4M3: Convert;
  encodeE5M2: Convert;
  decodeQ8_0: Convert;
  decodeQ4_0: Convert;
  decodeQ4_1: Convert;
  decodeQ5_0: Convert;
  decodeQ5_1: Convert;
  decodeQ2_K: Convert;
  decodeQ3_K: Convert;
  decodeQ4_K: Convert;
  decodeQ5_K: Convert;
  decodeQ6_K: Convert;
  decodeIQ4_NL: Convert;
  decodeIQ4_XS: Convert;
  encodeQ8_0: Convert;
  encodeQ4_0: Convert;
  encodeQ4_1: Convert;
  encodeQ5_0: Convert;
  encodeQ5_1: Convert;
  subtract(dst: number, a: number, b: number, n: number): void;
  add(dst: number, a: number, b: number, n: number): void;
  scale(lane: number, n: number, factor: number): void;
  divide(dst: number, src: number, n: number, divisor: number): void;
  greatest(lane: number, n: number): number;
  multiply(lane: number, factors: number, n: number): void;
  firstBeyond(lane: number, n: number, limit: number): number;
  dot(a: number, b: number, n: number, phase: number, acc: number): void;
  dotPair(a: number, b: number, n: number, phase: number, aa: number, ab: number, bb: number): void;
  absoluteSum(a: number, n: number, phase: number, acc: number): void;
  columnDot(a: number, b: number, columns: number, acc: number): void;
  hash(index: number, k0: number, k1: number): number;
  histogramHigh(lane: number, n: number, bins: number): void;
  histogramLow(lane: number, n: number, bins: number, high: number): void;
  histogramTies(
    lane: number,
    n: number,
    bins: number,
    tied: number,
    index: number,
    k0: number,
    k1: number,
    high: number,
  ): void;
  keepSelected: Select;
  dropSelected: Select;
  keepRandom(lane: number, n: number, threshold: number, index: number, k0: number, k1: number): void;
  keepRanked(
    row: number,
    n: number,
    least: number,
    span: number,
    index: number,
    k0: number,
    k1: number,
    scratch: number,
  ): void;
  elect(
    lanes: number,
    stride: number,
    count: number,
    n: number,
    weights: number,
    lambda: number,
    normalize: number,
  ): void;
  variance(lanes: number, stride: number, count: number, n: number, dst: number): void;
  shareOut(lanes: number, stride: number, count: number, n: number, epsilon: number): void;
  swapNear(lane: number, n: number, t: number): void;
  rowDivergence(delta: number, base: number, n: number): number;
  importance(dst: number, delta: number, n: number, factor: number): void;
}

/** Converts `n` elements between a lane and stored form. */
export type Convert = (src: number, dst: number, n: number) => void;

type Select = (
  lane: number,
  keys: number,
  n: number,
  tied: number,
  last: number,
  index: number,
  k0: number,
  k1: number,
) => void;

/** An instance of the kernels with its memory. */
export interface KernelInstance {
  readonly kernels: Kernels;
  /** All of its memory. */
  readonly bytes: Uint8Array;
  /** Size of the memory in bytes. */
  readonly sizeBytes: number;
  /** First address that the module itself does not use. */
  readonly free: number;
}

let compiled: WebAssembly.Module | undefined;

/** The module's checked-in bytes. */
export function kernelBytes(): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(new URL('./kernels/kernels.wasm', import.meta.url)));
}

/** An instance whose memory is `sizeBytes` large, rounded up to pages of 64 KiB. */
export function createKernels(sizeBytes: number): KernelInstance {
  compiled ??= new WebAssembly.Module(kernelBytes());
  const pages = Math.ceil(sizeBytes / PAGE_BYTES);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const instance = new WebAssembly.Instance(compiled, { env: { memory } });
  // The interface states what the sources export; a test calls every one of them.
  const kernels = instance.exports as unknown as Kernels;
  const bytes = new Uint8Array(memory.buffer);
  const free = kernels.heapBase();
  invariant(free < bytes.length, 'the memory holds the module');
  return { kernels, bytes, sizeBytes: bytes.length, free: (free + 63) & ~63 };
}

let trigonometry: Kernels | undefined;

/** Sine, cosine and arc cosine that give the same bits on every machine, unlike `Math`'s. */
export function exactMath(): Pick<Kernels, 'sin' | 'cos' | 'acos'> {
  trigonometry ??= createKernels(PAGE_BYTES).kernels;
  return trigonometry;
}
