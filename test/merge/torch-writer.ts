/** Writes what PyTorch's `torch.save` writes of a dictionary of tensors, and broken versions of it. */
import { crc32 } from 'node:zlib';
import { concat, utf8 } from '../../src/base/bytes.ts';

/** A tensor as a view of a storage. */
export interface TorchTensor {
  readonly name: string;
  /** Class of the storage, such as `FloatStorage`. */
  readonly type: string;
  /** Key of the storage; tensors may share one. Default: one of its own. */
  readonly key?: string;
  readonly elements: number;
  readonly start?: number;
  readonly shape: readonly number[];
  readonly strides?: readonly number[];
}

/** A file in an archive. */
export interface ZipFile {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Other things than the truth to say about it. */
  readonly lies?: {
    readonly localName?: string;
    readonly method?: number;
    readonly flags?: number;
    readonly crc?: number;
    readonly sizeBytes?: number;
    readonly at?: number;
  };
}

const u16 = (value: number): Uint8Array => Uint8Array.of(value & 255, value >> 8);
const u32 = (value: number): Uint8Array => {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
};

/** An archive of stored entries; with `wide` it has the end of large archives too, as PyTorch always writes it. */
export function zip(files: readonly ZipFile[], wide?: { readonly entries?: number }): Uint8Array {
  const parts: Uint8Array[] = [];
  const records: Uint8Array[] = [];
  let at = 0;
  for (const { name, bytes, lies = {} } of files) {
    const [flags, method] = [u16(lies.flags ?? 0), u16(lies.method ?? 0)];
    const sum = u32(lies.crc ?? crc32(bytes));
    const size = u32(lies.sizeBytes ?? bytes.length);
    const local = utf8(lies.localName ?? name);
    const head = [
      u32(0x04034b50),
      u16(20),
      flags,
      method,
      u32(0),
      sum,
      size,
      size,
      u16(local.length),
      u16(0),
      local,
    ];
    const central = [u32(0x02014b50), u16(20), u16(20), flags, method, u32(0), sum, size, size];
    const tail = [u16(0), u16(0), u16(0), u16(0), u32(0), u32(lies.at ?? at), utf8(name)];
    records.push(concat(...central, u16(utf8(name).length), ...tail));
    parts.push(...head, bytes);
    at += concat(...head).length + bytes.length;
  }
  const directory = concat(...records);
  const count = u16(files.length);
  const end = concat(u32(0x06054b50), u16(0), u16(0), count, count, u32(directory.length), u32(at), u16(0));
  if (!wide) return concat(...parts, directory, end);
  const total = u64(wide.entries ?? files.length);
  const head = [u32(0x06064b50), u64(44), u16(45), u16(45), u32(0), u32(0), total, total];
  const far = concat(...head, u64(directory.length), u64(at));
  const locator = concat(u32(0x07064b50), u32(0), u64(at + directory.length), u32(1));
  return concat(...parts, directory, far, locator, end);
}

const u64 = (value: number): Uint8Array => concat(u32(value), u32(0));
const text = (value: string): Uint8Array => concat(Uint8Array.of(0x58), u32(utf8(value).length), utf8(value));
const integer = (value: number): Uint8Array => concat(Uint8Array.of(0x4a), u32(value));
const global = (module: string, name: string): Uint8Array => utf8(`c${module}\n${name}\n`);
const op = (letters: string): Uint8Array => utf8(letters);

/** The pickle of a dictionary of `tensors`; `before` goes in front of the end. */
export function pickle(tensors: readonly TorchTensor[], before: Uint8Array = new Uint8Array()): Uint8Array {
  const items = tensors.flatMap(({ name, type, key = name, elements, start = 0, shape, strides }) => [
    text(name),
    global('torch._utils', '_rebuild_tensor_v2'),
    op('(('),
    ...[text('storage'), global('torch', type), text(key), text('cpu'), integer(elements), op('tQ')],
    integer(start),
    op('('),
    ...shape.map(integer),
    op('t('),
    ...(strides ?? shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1))).map(integer),
    op('t'),
    Uint8Array.of(0x89),
    global('collections', 'OrderedDict'),
    op(')Rt'),
    op('R'),
  ]);
  const head = [
    Uint8Array.of(0x80, 2),
    global('collections', 'OrderedDict'),
    op(')R'),
    Uint8Array.of(0x71, 0),
    op('('),
  ];
  return concat(...head, ...items, op('u'), before, op('.'));
}

/** A whole file. */
export function torchFile(
  tensors: readonly TorchTensor[],
  data: Readonly<Record<string, Uint8Array>>,
): Uint8Array {
  return zip([
    { name: 'archive/data.pkl', bytes: pickle(tensors) },
    { name: 'archive/byteorder', bytes: utf8('little') },
    ...Object.entries(data).map(([key, bytes]) => ({ name: `archive/data/${key}`, bytes })),
    { name: 'archive/version', bytes: utf8('3\n') },
  ]);
}
