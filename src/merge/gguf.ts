/**
 * The GGUF format, version 3 (version 2 reads the same): metadata, tensor descriptions, aligned data. Reading is
 * strict: tensors follow each other in order, each padded to the alignment, as llama.cpp itself demands. Metadata is
 * kept as it is stored, so that what a merge does not change is written back byte for byte.
 */
import { concat, fromUtf8, utf8 } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import { byteLength } from './dtypes.ts';
import { GGUF_STRING_BYTES_MAX, METADATA_KEYS_MAX, NAME_BYTES_MAX, TENSORS_MAX } from './limits.ts';
import { elementCount, type HeaderLayout, type TensorEntry, type TensorShape } from './safetensors.ts';

const MAGIC = 0x4655_4747;
const VERSIONS = [2, 3];
const ALIGNMENT_DEFAULT = 32;
const ALIGNMENT_MAX = 65_536;

const TYPES: ReadonlyMap<number, string> = new Map([
  [0, 'F32'],
  [1, 'F16'],
  [2, 'Q4_0'],
  [3, 'Q4_1'],
  [6, 'Q5_0'],
  [7, 'Q5_1'],
  [8, 'Q8_0'],
  [10, 'Q2_K'],
  [11, 'Q3_K'],
  [12, 'Q4_K'],
  [13, 'Q5_K'],
  [14, 'Q6_K'],
  [16, 'IQ2_XXS'],
  [17, 'IQ2_XS'],
  [18, 'IQ3_XXS'],
  [19, 'IQ1_S'],
  [20, 'IQ4_NL'],
  [21, 'IQ3_S'],
  [22, 'IQ2_S'],
  [23, 'IQ4_XS'],
  [24, 'I8'],
  [25, 'I16'],
  [26, 'I32'],
  [27, 'I64'],
  [28, 'F64'],
  [29, 'IQ1_M'],
  [30, 'BF16'],
  [39, 'MXFP4'],
]);

/** Types of metadata values. */
const U32 = 4;
const F32 = 6;
const STRING = 8;
const ARRAY = 9;
const SCALAR_BYTES: readonly (number | undefined)[] = [1, 1, 2, 2, 4, 4, 4, 1, undefined, undefined, 8, 8, 8];

// By type: unsigned and signed bytes, 16 and 32 bits, f32, flag, text, array, unsigned and signed 64 bits, f64.
const SCALARS: readonly (((view: DataView, at: number) => number | bigint | boolean) | undefined)[] = [
  (view, at) => view.getUint8(at),
  (view, at) => view.getInt8(at),
  (view, at) => view.getUint16(at, true),
  (view, at) => view.getInt16(at, true),
  (view, at) => view.getUint32(at, true),
  (view, at) => view.getInt32(at, true),
  (view, at) => view.getFloat32(at, true),
  (view, at) => view.getUint8(at) !== 0,
  undefined,
  undefined,
  (view, at) => view.getBigUint64(at, true),
  (view, at) => view.getBigInt64(at, true),
  (view, at) => view.getFloat64(at, true),
];

/** A metadata value: numbers and texts are read; of arrays only the length is. */
export interface GgufValue {
  readonly type: number;
  /** The value, if it is a number, a flag or a text. */
  readonly value: number | bigint | boolean | string | undefined;
  /** Items of an array. */
  readonly length: number | undefined;
  /** As stored, without key and type. */
  readonly bytes: Uint8Array;
}

/** What stands before the data. */
export interface GgufHeader {
  readonly version: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: readonly TensorEntry[];
}

/** More bytes are needed than there are; the file may have them. */
export class GgufTruncated extends SaharaError {
  constructor() {
    super('tensor-invalid', { reason: 'header ends after the file' });
  }
}

/**
 * Parses the header at the start of `bytes`, which is a file of `fileBytes` or its beginning. Fails with
 * `GgufTruncated` when it goes on beyond `bytes`, with `tensor-invalid` when it is wrong.
 */
export function parseGguf(bytes: Uint8Array, fileBytes: number): GgufHeader {
  const cursor = new Cursor(bytes);
  if (cursor.u32() !== MAGIC) throw invalid('is not GGUF');
  const version = cursor.u32();
  if (!VERSIONS.includes(version)) throw invalid('unknown version', { version });
  const tensorCount = cursor.count(TENSORS_MAX);
  const keyCount = cursor.count(METADATA_KEYS_MAX);
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < keyCount; i++) {
    const key = cursor.text(NAME_BYTES_MAX);
    if (metadata.has(key)) throw invalid('a key stands twice', { name: key });
    metadata.set(key, readValue(cursor));
  }
  const described = Array.from({ length: tensorCount }, () => readDescription(cursor));
  const alignment = alignmentOf(metadata);
  const dataStart = alignUp(cursor.offset, alignment);
  return { version, metadata, tensors: placeTensors(described, { dataStart, alignment, fileBytes }) };
}

/** Lays out a file with this metadata and these tensors, in their order. */
export function layOutGguf(
  shapes: readonly TensorShape[],
  metadata: ReadonlyMap<string, GgufValue>,
): HeaderLayout {
  const alignment = alignmentOf(metadata);
  const parts: Uint8Array[] = [u32(MAGIC), u32(3), u64(shapes.length), u64(metadata.size)];
  for (const [key, { type, bytes }] of metadata) parts.push(text(key), u32(type), bytes);
  const placed: { shape: TensorShape; elements: number; sizeBytes: number; start: number }[] = [];
  let end = 0;
  for (const shape of shapes) {
    const elements = elementCount(shape.shape);
    const sizeBytes = byteLength(shape.dtype, elements);
    placed.push({ shape, elements, sizeBytes, start: end });
    parts.push(text(shape.name), u32(shape.shape.length), ...shape.shape.toReversed().map(u64));
    parts.push(u32(typeNumber(shape.dtype)), u64(end));
    end += alignUp(sizeBytes, alignment);
  }
  const header = concat(...parts);
  const dataStart = alignUp(header.length, alignment);
  const tensors = placed.map(({ shape, elements, sizeBytes, start }) => {
    return { ...shape, elements, sizeBytes, offset: dataStart + start };
  });
  return { bytes: header, tensors, fileBytes: dataStart + end };
}

/** A metadata value of an unsigned 32-bit number. */
export function ggufU32(value: number): GgufValue {
  return { type: U32, value, length: undefined, bytes: u32(value) };
}

/** A metadata value of a 32-bit floating-point number. */
export function ggufF32(value: number): GgufValue {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return { type: F32, value: Math.fround(value), length: undefined, bytes };
}

/** A metadata value of a text. */
export function ggufText(value: string): GgufValue {
  return { type: STRING, value, length: undefined, bytes: text(value) };
}

interface Description {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly start: number;
}

function readDescription(cursor: Cursor): Description {
  const name = cursor.text(NAME_BYTES_MAX);
  const dimensions = cursor.u32();
  if (dimensions > 4) throw invalid('too many dimensions', { name });
  // Innermost first in the file, outermost first here.
  const shape = Array.from({ length: dimensions }, () => cursor.count(Number.MAX_SAFE_INTEGER)).reverse();
  const type = cursor.u32();
  const dtype = TYPES.get(type);
  if (dtype === undefined) throw invalid('unknown element type', { name, type });
  return { name, dtype, shape, start: cursor.count(Number.MAX_SAFE_INTEGER) };
}

function placeTensors(
  described: readonly Description[],
  file: { readonly dataStart: number; readonly alignment: number; readonly fileBytes: number },
): TensorEntry[] {
  const names = new Set<string>();
  let expected = 0;
  let end = 0;
  const tensors = described.map(({ name, dtype, shape, start }) => {
    if (names.has(name)) throw invalid('a name stands twice', { name });
    names.add(name);
    const elements = elementCount(shape);
    const sizeBytes = byteLength(dtype, elements);
    // Blocks run along the innermost dimension and do not cross rows.
    byteLength(dtype, shape.at(-1) ?? 1);
    if (start !== expected) throw invalid('does not start where the one before it ends', { name });
    end = start + sizeBytes;
    expected = alignUp(end, file.alignment);
    return { name, dtype, shape, elements, offset: file.dataStart + start, sizeBytes };
  });
  const dataBytes = file.fileBytes - file.dataStart;
  if (described.length > 0 && (dataBytes < end || dataBytes > expected)) {
    throw invalid('data and file differ in length', {
      expectedBytes: file.dataStart + end,
      fileBytes: file.fileBytes,
    });
  }
  return tensors;
}

function readValue(cursor: Cursor): GgufValue {
  const type = cursor.u32();
  const start = cursor.offset;
  if (type === ARRAY) {
    const item = cursor.u32();
    const length = cursor.count(GGUF_STRING_BYTES_MAX);
    const size = SCALAR_BYTES[item];
    if (size !== undefined) cursor.skip(size * length);
    else if (item === STRING)
      for (let i = 0; i < length; i++) cursor.skip(cursor.count(GGUF_STRING_BYTES_MAX));
    else throw invalid('metadata of an unknown type', { type: item });
    return { type, value: undefined, length, bytes: cursor.since(start) };
  }
  const value = type === STRING ? cursor.text(GGUF_STRING_BYTES_MAX) : cursor.scalar(type);
  return { type, value, length: undefined, bytes: cursor.since(start) };
}

function alignmentOf(metadata: ReadonlyMap<string, GgufValue>): number {
  const value = metadata.get('general.alignment')?.value ?? ALIGNMENT_DEFAULT;
  const sound = typeof value === 'number' && value >= 8 && value <= ALIGNMENT_MAX && value % 8 === 0;
  if (!sound) throw invalid('impossible alignment');
  return value;
}

function typeNumber(dtype: string): number {
  for (const [number, name] of TYPES) if (name === dtype) return number;
  throw invalid('a type that GGUF does not have', { dtype });
}

class Cursor {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  /** A 64-bit count of at most `max`. */
  count(max: number): number {
    const value = this.#view.getBigUint64(this.#take(8), true);
    if (value > BigInt(max)) throw invalid('a count is too large', { max });
    return Number(value);
  }

  text(bytesMax: number): string {
    const length = this.count(bytesMax);
    const start = this.#take(length);
    const value = fromUtf8(this.#bytes.subarray(start, start + length));
    if (value === undefined) throw invalid('text is not UTF-8');
    return value;
  }

  scalar(type: number): number | bigint | boolean {
    const size = SCALAR_BYTES[type];
    const read = SCALARS[type];
    if (size === undefined || read === undefined) throw invalid('metadata of an unknown type', { type });
    const at = this.#take(size);
    return read(this.#view, at);
  }

  skip(bytes: number): void {
    this.#take(bytes);
  }

  since(start: number): Uint8Array {
    return this.#bytes.slice(start, this.offset);
  }

  #take(bytes: number): number {
    const start = this.offset;
    if (start + bytes > this.#bytes.length) throw new GgufTruncated();
    this.offset = start + bytes;
    return start;
  }
}

function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

function u64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}

function text(value: string): Uint8Array {
  const bytes = utf8(value);
  return concat(u64(bytes.length), bytes);
}

function invalid(reason: string, facts: Record<string, string | number> = {}): SaharaError {
  return new SaharaError('tensor-invalid', { reason, ...facts });
}
