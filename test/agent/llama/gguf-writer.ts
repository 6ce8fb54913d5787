import { writeFile } from 'node:fs/promises';
import { concat } from '../../../src/base/bytes.ts';
import { type GgufValue, ggufText, ggufU32, layOutGguf } from '../../../src/merge/gguf.ts';

/** A tensor to write: its shape outermost first, as this project counts. */
export interface WrittenTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
  /** Default F32. Of another type all is zero. */
  readonly dtype?: string;
}

/** A file to write. */
export interface WrittenGguf {
  readonly metadata: Map<string, GgufValue>;
  readonly tensors: WrittenTensor[];
}

const F32 = 6;
const FLAG = 7;
const STRING = 8;
const ARRAY = 9;
const I32 = 5;

export const u32: (value: number) => GgufValue = ggufU32;
export const text: (value: string) => GgufValue = ggufText;

export function f32(value: number): GgufValue {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return { type: F32, value, length: undefined, bytes };
}

export function flag(value: boolean): GgufValue {
  return { type: FLAG, value, length: undefined, bytes: Uint8Array.of(value ? 1 : 0) };
}

export function texts(items: readonly string[]): GgufValue {
  const parts = items.map((item) => ggufText(item).bytes);
  return array(STRING, items.length, concat(...parts));
}

export function floats(items: readonly number[]): GgufValue {
  return array(F32, items.length, new Uint8Array(Float32Array.from(items).buffer));
}

export function ints(items: readonly number[]): GgufValue {
  return array(I32, items.length, new Uint8Array(Int32Array.from(items).buffer));
}

function array(item: number, length: number, items: Uint8Array): GgufValue {
  const head = new Uint8Array(12);
  const view = new DataView(head.buffer);
  view.setUint32(0, item, true);
  view.setBigUint64(4, BigInt(length), true);
  return { type: ARRAY, value: undefined, length, bytes: concat(head, items) };
}

/** The bytes of a file. */
export function ggufBytes({ metadata, tensors }: WrittenGguf): Uint8Array {
  const shapes = tensors.map(({ name, shape, dtype = 'F32' }) => ({ name, shape, dtype }));
  const layout = layOutGguf(shapes, metadata);
  const bytes = new Uint8Array(layout.fileBytes);
  bytes.set(layout.bytes);
  layout.tensors.forEach(({ offset }, i) => {
    const { values = new Float32Array(), dtype = 'F32' } = tensors[i] ?? {};
    if (dtype !== 'F32') return;
    bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), offset);
  });
  return bytes;
}

/** Writes a file and gives its path back. */
export async function writeGguf(path: string, gguf: WrittenGguf): Promise<string> {
  await writeFile(path, ggufBytes(gguf));
  return path;
}
