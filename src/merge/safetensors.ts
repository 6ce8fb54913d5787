/**
 * The safetensors format: a length, a JSON header, the data. Reading is strict: every byte of the data belongs to
 * exactly one tensor, offsets agree with shapes, names are unique. Writing makes what the official writer makes:
 * the header padded with spaces to 8 bytes, tensors by element size, largest first, then by name.
 */
import { concat, fromUtf8, utf8 } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import { byteLength, DTYPE_BITS } from './dtypes.ts';
import { duplicateKey } from './json.ts';
import {
  DIMENSIONS_MAX,
  HEADER_BYTES_MAX,
  NAME_BYTES_MAX,
  TENSOR_ELEMENTS_MAX,
  TENSORS_MAX,
} from './limits.ts';

/** Bytes before the header: its length, unsigned, little-endian. */
export const PREFIX_BYTES: number = 8;

/** A tensor within a file. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Number of elements: the product of `shape`. */
  readonly elements: number;
  /** Where its data starts, in bytes from the start of the file. */
  readonly offset: number;
  /** Bytes of its data. */
  readonly sizeBytes: number;
}

/** What a header says. */
export interface TensorHeader {
  readonly tensors: readonly TensorEntry[];
  readonly metadata: Readonly<Record<string, string>>;
}

/** The header's length from the first eight bytes of a file of `fileBytes`; `tensor-invalid` if it cannot be. */
export function headerLength(prefix: Uint8Array, fileBytes: number): number {
  if (prefix.length < PREFIX_BYTES) throw invalid('shorter than its length field');
  const length = new DataView(prefix.buffer, prefix.byteOffset, PREFIX_BYTES).getBigUint64(0, true);
  if (length > BigInt(HEADER_BYTES_MAX)) throw invalid('header too long', { bytesMax: HEADER_BYTES_MAX });
  if (BigInt(PREFIX_BYTES) + length > BigInt(fileBytes)) throw invalid('header ends after the file');
  return Number(length);
}

/** Parses the header's bytes, of a file of `fileBytes`. Fails with `tensor-invalid` and what is wrong where. */
export function parseHeader(bytes: Uint8Array, fileBytes: number): TensorHeader {
  const text = fromUtf8(bytes);
  if (text === undefined) throw invalid('header is not UTF-8');
  if (!text.startsWith('{')) throw invalid('header does not start with {');
  const parsed = parseObject(text);
  const metadata = readMetadata(parsed.__metadata__);
  const dataStart = PREFIX_BYTES + bytes.length;
  const tensors: TensorEntry[] = [];
  for (const [name, value] of Object.entries(parsed)) {
    if (name !== '__metadata__') tensors.push(readEntry(name, value, dataStart));
  }
  if (tensors.length > TENSORS_MAX) throw invalid('too many tensors', { tensorsMax: TENSORS_MAX });
  checkCover(tensors, dataStart, fileBytes);
  return { tensors, metadata };
}

/** What a writer needs to know of a tensor. */
export interface TensorShape {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
}

/** A header's bytes, length field included, and where each tensor goes, in file order. */
export interface HeaderLayout {
  readonly bytes: Uint8Array;
  readonly tensors: readonly TensorEntry[];
  readonly fileBytes: number;
}

/** Lays out a file that holds `shapes`; the same shapes and metadata give the same bytes in any order of `shapes`. */
export function layOut(
  shapes: readonly TensorShape[],
  metadata: Readonly<Record<string, string>>,
): HeaderLayout {
  const sorted = [...shapes].sort(inFileOrder);
  const header: Record<string, unknown> = Object.create(null);
  header.__metadata__ = metadata;
  const relative: { shape: TensorShape; elements: number; start: number; sizeBytes: number }[] = [];
  let end = 0;
  for (const shape of sorted) {
    const elements = elementCount(shape.shape);
    const sizeBytes = byteLength(shape.dtype, elements);
    header[shape.name] = { dtype: shape.dtype, shape: shape.shape, data_offsets: [end, end + sizeBytes] };
    relative.push({ shape, elements, start: end, sizeBytes });
    end += sizeBytes;
  }
  const json = utf8(JSON.stringify(header));
  const padded = concat(json, new Uint8Array((8 - (json.length % 8)) % 8).fill(0x20));
  const prefix = new Uint8Array(PREFIX_BYTES);
  new DataView(prefix.buffer).setBigUint64(0, BigInt(padded.length), true);
  const dataStart = PREFIX_BYTES + padded.length;
  const tensors = relative.map(({ shape, elements, start, sizeBytes }) => ({
    name: shape.name,
    dtype: shape.dtype,
    shape: shape.shape,
    elements,
    offset: dataStart + start,
    sizeBytes,
  }));
  return { bytes: concat(prefix, padded), tensors, fileBytes: dataStart + end };
}

/** Elements of a shape; `tensor-invalid` when it is not one or too large. A scalar has one. */
export function elementCount(shape: readonly number[]): number {
  if (shape.length > DIMENSIONS_MAX) throw invalid('too many dimensions', { dimensionsMax: DIMENSIONS_MAX });
  let elements = 1;
  for (const extent of shape) {
    if (!Number.isSafeInteger(extent) || extent < 0) throw invalid('a dimension is not a count');
    elements *= extent;
    if (elements > TENSOR_ELEMENTS_MAX)
      throw invalid('too many elements', { elementsMax: TENSOR_ELEMENTS_MAX });
  }
  return elements;
}

function inFileOrder(a: TensorShape, b: TensorShape): number {
  const bits = (DTYPE_BITS[b.dtype] ?? 0) - (DTYPE_BITS[a.dtype] ?? 0);
  return bits !== 0 ? bits : a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

function parseObject(text: string): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw invalid('header is not JSON');
  }
  if (!isRecord(parsed)) throw invalid('header is not an object');
  const twice = duplicateKey(text);
  if (twice !== undefined) throw invalid('a name stands twice', { name: twice });
  return parsed;
}

function readMetadata(value: unknown): Readonly<Record<string, string>> {
  if (value === undefined) return {};
  if (!isRecord(value)) throw invalid('metadata is not an object');
  const metadata: Record<string, string> = Object.create(null);
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') throw invalid('metadata is not text', { name: key });
    metadata[key] = text;
  }
  return metadata;
}

function readEntry(name: string, value: unknown, dataStart: number): TensorEntry {
  if (utf8(name).length > NAME_BYTES_MAX) throw invalid('name too long', { bytesMax: NAME_BYTES_MAX });
  if (!isRecord(value)) throw invalid('not a tensor', { name });
  const { dtype, shape, data_offsets: range } = value;
  if (typeof dtype !== 'string') throw invalid('no element type', { name });
  if (!isCounts(shape)) throw invalid('no shape', { name });
  if (!isCounts(range)) throw invalid('no offsets', { name });
  const [start, end] = range;
  if (start === undefined || end === undefined || range.length !== 2 || end < start) {
    throw invalid('no offsets', { name });
  }
  if (!Object.hasOwn(DTYPE_BITS, dtype)) throw invalid('unknown element type', { name, dtype });
  const elements = elementCount(shape);
  const sizeBytes = byteLength(dtype, elements);
  if (end - start !== sizeBytes) throw invalid('offsets disagree with the shape', { name });
  return { name, dtype, shape, elements, offset: dataStart + start, sizeBytes };
}

// Holes and overlaps both show as a tensor that does not start where the one before it ends.
function checkCover(tensors: readonly TensorEntry[], dataStart: number, fileBytes: number): void {
  let end = dataStart;
  for (const tensor of [...tensors].sort((a, b) => a.offset - b.offset || a.sizeBytes - b.sizeBytes)) {
    if (tensor.offset < end) throw invalid('overlaps another tensor', { name: tensor.name });
    if (tensor.offset > end) throw invalid('leaves a hole before it', { name: tensor.name });
    end = tensor.offset + tensor.sizeBytes;
  }
  if (end !== fileBytes) throw invalid('data and file differ in length', { expectedBytes: end, fileBytes });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

function invalid(reason: string, facts: Record<string, string | number> = {}): SaharaError {
  return new SaharaError('tensor-invalid', { reason, ...facts });
}
