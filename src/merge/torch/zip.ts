/**
 * Archives as PyTorch writes them: entries that are stored, not compressed, so that a tensor is a range of the file.
 * Read by the directory at the end, strictly: one directory, that ends the file; every entry named once, where its own
 * header says the same name; no two of them in the same bytes. What could be read in two ways is refused.
 */
import { fromUtf8 } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import { HEADER_BYTES_MAX, NAME_BYTES_MAX, TENSORS_MAX } from '../limits.ts';

/** Bytes that are read here and there. */
export interface ByteSource {
  readonly sizeBytes: number;
  /** `length` bytes from `offset` on; all of them lie within the size. */
  read(offset: number, length: number): Uint8Array;
}

/** A file in an archive: where its bytes lie. */
export interface ZipEntry {
  readonly name: string;
  readonly offset: number;
  readonly sizeBytes: number;
  /** CRC-32 that the directory states. */
  readonly crc32: number;
}

const END = { signature: 0x0605_4b50, bytes: 22 };
const END_64 = { signature: 0x0606_4b50, bytes: 56 };
const LOCATOR_64 = { signature: 0x0706_4b50, bytes: 20 };
const CENTRAL = { signature: 0x0201_4b50, bytes: 46 };
const LOCAL = { signature: 0x0403_4b50, bytes: 30 };
const WIDE = 0xffff_ffff;
const WIDE_COUNT = 0xffff;
const EXTRA_64 = 1;
const ENCRYPTED = 1;

/** Reads the directory of an archive. Fails with `tensor-invalid`. */
export function readZip(source: ByteSource): ReadonlyMap<string, ZipEntry> {
  const directory = findDirectory(source);
  const bytes = source.read(directory.offset, directory.sizeBytes);
  const view = viewOf(bytes);
  const entries = new Map<string, ZipEntry>();
  let at = 0;
  for (let i = 0; i < directory.entries; i++) {
    if (at + CENTRAL.bytes > bytes.length || view.getUint32(at, true) !== CENTRAL.signature) {
      throw invalid('the directory is not what its end says');
    }
    const lengths = [28, 30, 32].map((field) => view.getUint16(at + field, true));
    const [nameBytes = 0, extraBytes = 0, commentBytes = 0] = lengths;
    const end = at + CENTRAL.bytes + nameBytes + extraBytes + commentBytes;
    if (end > bytes.length || nameBytes > NAME_BYTES_MAX)
      throw invalid('an entry is longer than the directory');
    const entry = readEntry(source, bytes.subarray(at, end), directory.offset);
    if (entries.has(entry.name)) throw invalid('a name stands twice', entry.name);
    entries.set(entry.name, entry);
    at = end;
  }
  if (at !== bytes.length) throw invalid('the directory is longer than its entries');
  checkApart([...entries.values()]);
  return entries;
}

interface Directory {
  readonly offset: number;
  readonly sizeBytes: number;
  readonly entries: number;
}

// PyTorch writes no comment, so the archive ends with the end of the directory, and nothing can stand for it before.
function findDirectory(source: ByteSource): Directory {
  const start = source.sizeBytes - END.bytes;
  const end = start < 0 ? undefined : viewOf(source.read(start, END.bytes));
  if (end?.getUint32(0, true) !== END.signature || end.getUint16(20, true) !== 0) {
    throw invalid('is not an archive of PyTorch; files of before 1.6 have to be saved anew');
  }
  if (end.getUint16(4, true) !== 0 || end.getUint16(6, true) !== 0) throw invalid('is one part of several');
  const short = {
    entries: end.getUint16(10, true),
    sizeBytes: end.getUint32(12, true),
    offset: end.getUint32(16, true),
  };
  const wide = readEnd64(source, start);
  const same = (narrow: number, large: number, full: number): boolean => narrow === large || narrow === full;
  const agree =
    wide === undefined ||
    (same(short.entries, wide.entries, WIDE_COUNT) &&
      same(short.sizeBytes, wide.sizeBytes, WIDE) &&
      same(short.offset, wide.offset, WIDE));
  if (!agree) throw invalid('the directory has two ends that differ');
  const found = wide ?? short;
  const limit = wide === undefined ? start : start - END_64.bytes - LOCATOR_64.bytes;
  if (found.entries > TENSORS_MAX || found.sizeBytes > HEADER_BYTES_MAX)
    throw invalid('the directory is too long');
  if (found.offset + found.sizeBytes !== limit)
    throw invalid('something lies between the directory and its end');
  return found;
}

// PyTorch writes this end too, also where the short one would do.
function readEnd64(source: ByteSource, end: number): Directory | undefined {
  const start = end - LOCATOR_64.bytes - END_64.bytes;
  if (start < 0) return undefined;
  const view = viewOf(source.read(start, END_64.bytes + LOCATOR_64.bytes));
  if (view.getUint32(END_64.bytes, true) !== LOCATOR_64.signature) return undefined;
  if (view.getUint32(0, true) !== END_64.signature || count(view, END_64.bytes + 8) !== start) {
    throw invalid('the end of the directory is missing');
  }
  return { entries: count(view, 32), sizeBytes: count(view, 40), offset: count(view, 48) };
}

function readEntry(source: ByteSource, record: Uint8Array, limit: number): ZipEntry {
  const view = viewOf(record);
  const nameEnd = CENTRAL.bytes + view.getUint16(28, true);
  const name = fromUtf8(record.subarray(CENTRAL.bytes, nameEnd));
  if (name === undefined) throw invalid('a name is not UTF-8');
  if ((view.getUint16(8, true) & ENCRYPTED) !== 0 || view.getUint16(10, true) !== 0) {
    throw invalid('an entry is compressed or encrypted', name);
  }
  const extra = record.subarray(nameEnd, nameEnd + view.getUint16(30, true));
  const { sizeBytes, packedBytes, at } = widths(view, extra, name);
  if (sizeBytes !== packedBytes) throw invalid('an entry has two sizes', name);
  if (at + LOCAL.bytes > limit) throw invalid('an entry lies outside the archive', name);
  const local = viewOf(source.read(at, LOCAL.bytes));
  const [nameBytes, extraBytes] = [local.getUint16(26, true), local.getUint16(28, true)];
  const offset = at + LOCAL.bytes + nameBytes + extraBytes;
  if (local.getUint32(0, true) !== LOCAL.signature || offset + sizeBytes > limit) {
    throw invalid('an entry lies outside the archive', name);
  }
  if (local.getUint16(8, true) !== 0 || fromUtf8(source.read(at + LOCAL.bytes, nameBytes)) !== name) {
    throw invalid('an entry is called otherwise where it lies', name);
  }
  return { name, offset, sizeBytes, crc32: view.getUint32(16, true) };
}

// Sizes and place; those that do not fit into 32 bits stand in the extra field, in this order.
function widths(
  view: DataView,
  extra: Uint8Array,
  name: string,
): { readonly sizeBytes: number; readonly packedBytes: number; readonly at: number } {
  const fields = viewOf(extra);
  let [from, end] = [0, 0];
  for (let at = 0; at + 4 <= extra.length; at += 4 + fields.getUint16(at + 2, true)) {
    if (fields.getUint16(at, true) !== EXTRA_64) continue;
    [from, end] = [at + 4, at + 4 + fields.getUint16(at + 2, true)];
    break;
  }
  const wide = (short: number): number => {
    if (short !== WIDE) return short;
    if (from + 8 > Math.min(end, extra.length)) throw invalid('an entry has no size', name);
    from += 8;
    return count(fields, from - 8);
  };
  const [sizeBytes, packedBytes] = [wide(view.getUint32(24, true)), wide(view.getUint32(20, true))];
  return { sizeBytes, packedBytes, at: wide(view.getUint32(42, true)) };
}

function checkApart(entries: readonly ZipEntry[]): void {
  let end = 0;
  for (const entry of entries.toSorted((a, b) => a.offset - b.offset || a.sizeBytes - b.sizeBytes)) {
    if (entry.offset < end) throw invalid('entries overlap', entry.name);
    end = entry.offset + entry.sizeBytes;
  }
}

function count(view: DataView, at: number): number {
  const value = view.getBigUint64(at, true);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid('a count is too large');
  return Number(value);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function invalid(reason: string, name?: string): SaharaError {
  return new SaharaError('tensor-invalid', { reason, ...(name === undefined ? {} : { name }) });
}
