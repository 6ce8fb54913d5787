/**
 * Element types of tensors: size, and how weights go to f32 lanes and back. Names are those of safetensors and, for
 * block formats, of GGUF. Weight types are merged; the others are only copied.
 */
import { invariant, SaharaError } from '../base/errors.ts';
import type { Convert, Kernels } from './kernels.ts';

/** How a weight type is stored and converted. */
export interface WeightCodec {
  /** Elements of a block; 1 for plain types. */
  readonly block: number;
  /** Bytes of a block. */
  readonly bytes: number;
  /** The f32 bits, without the sign, of the largest number that is sure to fit. */
  readonly largestBits: number;
  /** Whether it is a block format, which loses far more than a rounding. */
  readonly quantised: boolean;
  /** Its decoder and encoder among the kernels; F32 is copied. Without an encoder it is only read. */
  readonly decode?: DecoderName;
  readonly encode?: EncoderName;
}

type Names<Prefix extends string> = {
  [K in keyof Kernels]: Kernels[K] extends Convert ? (K extends `${Prefix}${string}` ? K : never) : never;
}[keyof Kernels];
type DecoderName = Names<'decode'>;
type EncoderName = Names<'encode'>;

const F16_LARGEST = 0x477f_efff;

function quantised(block: number, bytes: number, names: Pick<WeightCodec, 'decode' | 'encode'>): WeightCodec {
  // A block's scale is an F16 and never above its largest element.
  return { block, bytes, largestBits: F16_LARGEST, quantised: true, ...names };
}

/** A type that this engine merges. */
export type WeightType =
  | 'F32'
  | 'F16'
  | 'BF16'
  | 'F8_E4M3'
  | 'F8_E5M2'
  | 'Q8_0'
  | 'Q4_0'
  | 'Q4_1'
  | 'Q5_0'
  | 'Q5_1'
  | 'Q2_K'
  | 'Q3_K'
  | 'Q4_K'
  | 'Q5_K'
  | 'Q6_K'
  | 'IQ4_NL'
  | 'IQ4_XS';

/**
 * The weight types. F32 is copied; the 16-bit ones are widened exactly and rounded to nearest, ties to even; block
 * formats are converted as ggml's reference routines do.
 */
export const WEIGHT_CODECS: Readonly<Record<WeightType, WeightCodec>> = {
  F32: { block: 1, bytes: 4, largestBits: 0x7f7f_ffff, quantised: false },
  F16: {
    block: 1,
    bytes: 2,
    largestBits: F16_LARGEST,
    quantised: false,
    decode: 'decodeF16',
    encode: 'encodeF16',
  },
  BF16: {
    block: 1,
    bytes: 2,
    largestBits: 0x7f7f_7fff,
    quantised: false,
    decode: 'decodeBf16',
    encode: 'encodeBf16',
  },
  // Read with the scales beside them; what is written has other types.
  F8_E4M3: quantised(1, 1, { decode: 'decodeE4M3' }),
  F8_E5M2: quantised(1, 1, { decode: 'decodeE5M2' }),
  Q8_0: quantised(32, 34, { decode: 'decodeQ8_0', encode: 'encodeQ8_0' }),
  Q4_0: quantised(32, 18, { decode: 'decodeQ4_0', encode: 'encodeQ4_0' }),
  Q4_1: quantised(32, 20, { decode: 'decodeQ4_1', encode: 'encodeQ4_1' }),
  Q5_0: quantised(32, 22, { decode: 'decodeQ5_0', encode: 'encodeQ5_0' }),
  Q5_1: quantised(32, 24, { decode: 'decodeQ5_1', encode: 'encodeQ5_1' }),
  Q2_K: quantised(256, 84, { decode: 'decodeQ2_K' }),
  Q3_K: quantised(256, 110, { decode: 'decodeQ3_K' }),
  Q4_K: quantised(256, 144, { decode: 'decodeQ4_K' }),
  Q5_K: quantised(256, 176, { decode: 'decodeQ5_K' }),
  Q6_K: quantised(256, 210, { decode: 'decodeQ6_K' }),
  IQ4_NL: quantised(32, 18, { decode: 'decodeIQ4_NL' }),
  IQ4_XS: quantised(256, 136, { decode: 'decodeIQ4_XS' }),
};

/** Whether `dtype` is one that this engine merges. */
export function isWeightType(dtype: string): dtype is WeightType {
  return Object.hasOwn(WEIGHT_CODECS, dtype);
}

/** The codec of a type that the planner has made sure of. */
export function codecOf(dtype: string): WeightCodec {
  invariant(isWeightType(dtype), `${dtype} is a weight type`);
  return WEIGHT_CODECS[dtype];
}

/** Bytes of `n` elements: a whole number of blocks. */
export function codecBytes({ block, bytes }: Pick<WeightCodec, 'block' | 'bytes'>, n: number): number {
  return (n / block) * bytes;
}

/** A move between stored elements and a lane: two addresses and a count. */
export interface Move {
  readonly src: number;
  readonly dst: number;
  readonly n: number;
}

/** Converts stored elements into a lane. */
export function decodeLane(
  { decode }: WeightCodec,
  { kernels, memory }: { readonly kernels: Kernels; readonly memory: Uint8Array },
  { src, dst, n }: Move,
): void {
  if (decode === undefined) memory.copyWithin(dst, src, src + 4 * n);
  else kernels[decode](src, dst, n);
}

/** Converts a lane into stored elements. */
export function encodeLane(
  { encode }: WeightCodec,
  { kernels, memory }: { readonly kernels: Kernels; readonly memory: Uint8Array },
  { src, dst, n }: Move,
): void {
  if (encode === undefined) memory.copyWithin(dst, src, src + 4 * n);
  else kernels[encode](src, dst, n);
}

/** Whether results can be written in a type: the plain ones and those with an encoder. */
export function isWritable(dtype: WeightType): boolean {
  return dtype === 'F32' || WEIGHT_CODECS[dtype].encode !== undefined;
}

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

/** Block formats of GGUF that are told apart and measured, and neither read nor written: a merge refuses them. */
const MEASURED_BLOCKS: Readonly<Record<string, Pick<WeightCodec, 'block' | 'bytes'>>> = {
  IQ1_S: { block: 256, bytes: 50 },
  IQ1_M: { block: 256, bytes: 56 },
  IQ2_XXS: { block: 256, bytes: 66 },
  IQ2_XS: { block: 256, bytes: 74 },
  IQ2_S: { block: 256, bytes: 82 },
  IQ3_XXS: { block: 256, bytes: 98 },
  IQ3_S: { block: 256, bytes: 110 },
  MXFP4: { block: 32, bytes: 17 },
};

/** Whether `dtype` is a block format that is only measured. */
export function isMeasured(dtype: string): boolean {
  return Object.hasOwn(MEASURED_BLOCKS, dtype);
}

/** Elements of a block of any type; 1 for those without. */
export function blockOf(dtype: string): number {
  if (isWeightType(dtype)) return WEIGHT_CODECS[dtype].block;
  return (isMeasured(dtype) ? MEASURED_BLOCKS[dtype]?.block : undefined) ?? 1;
}

const RECIPE_NAMES: Readonly<Record<string, WeightType>> = {
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  // Of GGUF; mergekit has none.
  q8_0: 'Q8_0',
  q5_1: 'Q5_1',
  q5_0: 'Q5_0',
  q4_1: 'Q4_1',
  q4_0: 'Q4_0',
};

/** The names that a recipe may use for an output type. */
export const RECIPE_DTYPES: readonly string[] = Object.keys(RECIPE_NAMES);

/** The weight type that a recipe names: as mergekit spells it (`bfloat16`, `float16`, `float32`), or GGUF's block formats. */
export function recipeDtype(name: string): WeightType | undefined {
  return Object.hasOwn(RECIPE_NAMES, name) ? RECIPE_NAMES[name] : undefined;
}

/** Bytes of `elements` elements of any known type; `tensor-invalid` for an unknown type or a part of a byte or block. */
export function byteLength(dtype: string, elements: number): number {
  const bits = Object.hasOwn(DTYPE_BITS, dtype) ? DTYPE_BITS[dtype] : undefined;
  const measured = isMeasured(dtype) ? MEASURED_BLOCKS[dtype] : undefined;
  const codec = isWeightType(dtype) ? WEIGHT_CODECS[dtype] : measured;
  const total = bits === undefined ? codec && codecBytes(codec, elements) : (elements * bits) / 8;
  if (total === undefined) throw new SaharaError('tensor-invalid', { reason: 'unknown element type', dtype });
  if (!Number.isInteger(total))
    throw new SaharaError('tensor-invalid', { reason: 'ends within a block', dtype });
  return total;
}
