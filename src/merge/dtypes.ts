/**
 * Element types of tensors: size, and how weights go to f32 lanes and back. Names are those of safetensors.
 * Floating types are merged; the others are only copied.
 */
import { SaharaError } from '../base/errors.ts';
import type { Kernels } from './kernels.ts';

/** A type that this engine merges. */
export type WeightType = 'F32' | 'F16' | 'BF16';

/** Reads `n` elements at `src` into the lane at `dst`. */
type Decode = (kernels: Kernels, memory: Uint8Array, move: Move) => void;

/** A move between raw elements and a lane: two addresses and a count. */
export interface Move {
  readonly src: number;
  readonly dst: number;
  readonly n: number;
}

/** How a weight type is stored and converted. */
export interface WeightCodec {
  readonly bytes: number;
  /** The f32 bits, without the sign, of the largest number that does not round to infinity. */
  readonly largestBits: number;
  readonly decode: Decode;
  readonly encode: Decode;
}

const copyWords: Decode = (_kernels, memory, { src, dst, n }) => {
  memory.copyWithin(dst, src, src + 4 * n);
};

/** The weight types: F32 is copied, the 16-bit ones are widened exactly and rounded to nearest, ties to even. */
export const WEIGHT_CODECS: Readonly<Record<WeightType, WeightCodec>> = {
  F32: { bytes: 4, largestBits: 0x7f7f_ffff, decode: copyWords, encode: copyWords },
  F16: {
    bytes: 2,
    largestBits: 0x477f_efff,
    decode: (kernels, _memory, { src, dst, n }) => kernels.decodeF16(src, dst, n),
    encode: (kernels, _memory, { src, dst, n }) => kernels.encodeF16(src, dst, n),
  },
  BF16: {
    bytes: 2,
    largestBits: 0x7f7f_7fff,
    decode: (kernels, _memory, { src, dst, n }) => kernels.decodeBf16(src, dst, n),
    encode: (kernels, _memory, { src, dst, n }) => kernels.encodeBf16(src, dst, n),
  },
};

/** Bits of one element of every type that safetensors knows. */
export const DTYPE_BITS: Readonly<Record<string, number>> = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
};

/** Whether `dtype` is one that this engine merges. */
export function isWeightType(dtype: string): dtype is WeightType {
  return Object.hasOwn(WEIGHT_CODECS, dtype);
}

const RECIPE_NAMES: Readonly<Record<string, WeightType>> = {
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
};

/** The names that a recipe may use for an output type. */
export const RECIPE_DTYPES: readonly string[] = Object.keys(RECIPE_NAMES);

/** The weight type that a recipe names, as mergekit spells it: `bfloat16`, `float16`, `float32`. */
export function recipeDtype(name: string): WeightType | undefined {
  return Object.hasOwn(RECIPE_NAMES, name) ? RECIPE_NAMES[name] : undefined;
}

/** Bytes of `elements` elements of `dtype`; `tensor-invalid` for an unknown type or a part of a byte. */
export function byteLength(dtype: string, elements: number): number {
  const bits = Object.hasOwn(DTYPE_BITS, dtype) ? DTYPE_BITS[dtype] : undefined;
  if (bits === undefined) throw new SaharaError('tensor-invalid', { reason: 'unknown element type', dtype });
  const total = elements * bits;
  if (total % 8 !== 0) throw new SaharaError('tensor-invalid', { reason: 'ends within a byte', dtype });
  return total / 8;
}
