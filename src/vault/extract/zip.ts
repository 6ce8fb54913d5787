/**
 * Reads single files out of a ZIP archive that may be hostile: sizes are bounded by what is really inflated, not by
 * what the archive says; entries that are encrypted, split, oversized or twice there are refused.
 */
import { inflateRawSync } from 'node:zlib';
import { ZIP_ENTRIES_MAX, ZIP_ENTRY_BYTES_MAX, ZIP_TOTAL_BYTES_MAX } from '../limits.ts';
import { tooLarge, tooMany, unreadable } from './refusals.ts';

interface Entry {
  readonly method: number;
  readonly flags: number;
  readonly packed: number;
  readonly size: number;
  readonly at: number;
}

/** An opened archive. */
export interface Zip {
  /** Names of its files. */
  readonly names: readonly string[];
  /** A file of it; `undefined` when there is none. Errors: `document-unreadable`, `document-too-large`. */
  read(name: string): Uint8Array | undefined;
}

const END = 0x06054b50;
const END_BYTES = 22;
const COMMENT_BYTES_MAX = 65_535;
const CENTRAL = 0x02014b50;
const CENTRAL_BYTES = 46;
const LOCAL = 0x04034b50;
const LOCAL_BYTES = 30;
const ENCRYPTED = 1;

/** Opens the archive in `bytes`. Errors: `document-unreadable` for one that is damaged, `document-too-large`. */
export function openZip(document: string, bytes: Uint8Array): Zip {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries = readDirectory(document, view);
  let total = 0;
  return {
    names: [...entries.keys()],
    read(name) {
      const entry = entries.get(name);
      if (entry === undefined) return undefined;
      const content = readEntry(document, view, entry);
      total += content.length;
      if (total > ZIP_TOTAL_BYTES_MAX) throw tooLarge(document, total, ZIP_TOTAL_BYTES_MAX);
      return content;
    },
  };
}

function readDirectory(document: string, view: DataView): Map<string, Entry> {
  const end = findEnd(view);
  if (end === undefined) throw damaged(document, 'it has no directory');
  const count = view.getUint16(end + 10, true);
  if (count > ZIP_ENTRIES_MAX) throw tooMany(document, `${count} files inside`, ZIP_ENTRIES_MAX);
  const entries = new Map<string, Entry>();
  let at = view.getUint32(end + 16, true);
  for (let i = 0; i < count; i++) {
    if (at + CENTRAL_BYTES > end || view.getUint32(at, true) !== CENTRAL) {
      throw damaged(document, 'its directory is cut short');
    }
    const nameLength = view.getUint16(at + 28, true);
    const next =
      at + CENTRAL_BYTES + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
    if (next > end) throw damaged(document, 'its directory is cut short');
    const name = textAt(view, at + CENTRAL_BYTES, nameLength);
    if (entries.has(name)) throw damaged(document, 'a file is in it twice');
    entries.set(name, {
      flags: view.getUint16(at + 8, true),
      method: view.getUint16(at + 10, true),
      packed: view.getUint32(at + 20, true),
      size: view.getUint32(at + 24, true),
      at: view.getUint32(at + 42, true),
    });
    at = next;
  }
  return entries;
}

function findEnd(view: DataView): number | undefined {
  const least = Math.max(0, view.byteLength - END_BYTES - COMMENT_BYTES_MAX);
  for (let at = view.byteLength - END_BYTES; at >= least; at--) {
    if (view.getUint32(at, true) === END) return at;
  }
  return undefined;
}

function readEntry(document: string, view: DataView, entry: Entry): Uint8Array {
  const { at, packed, size, method } = entry;
  if ((entry.flags & ENCRYPTED) !== 0) {
    throw unreadable(document, 'it is locked by a password', 'save a copy without the password');
  }
  if (size > ZIP_ENTRY_BYTES_MAX) throw tooLarge(document, size, ZIP_ENTRY_BYTES_MAX);
  if (at + LOCAL_BYTES > view.byteLength || view.getUint32(at, true) !== LOCAL) {
    throw damaged(document, 'a file in it is missing');
  }
  const start = at + LOCAL_BYTES + view.getUint16(at + 26, true) + view.getUint16(at + 28, true);
  if (start + packed > view.byteLength) throw damaged(document, 'a file in it is cut short');
  const stored = new Uint8Array(view.buffer, view.byteOffset + start, packed);
  const content = method === 0 ? stored : inflate(document, stored, method);
  if (content.length !== size) throw damaged(document, 'a file in it has another size than stated');
  return content;
}

function inflate(document: string, stored: Uint8Array, method: number): Uint8Array {
  if (method !== 8) throw damaged(document, 'it is compressed in a way that is not read');
  try {
    return inflateRawSync(stored, { maxOutputLength: ZIP_ENTRY_BYTES_MAX });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE') {
      throw tooLarge(document, ZIP_ENTRY_BYTES_MAX + 1, ZIP_ENTRY_BYTES_MAX);
    }
    throw damaged(document, 'a file in it does not unpack');
  }
}

function textAt(view: DataView, at: number, length: number): string {
  return Buffer.from(view.buffer, view.byteOffset + at, length).toString('utf8');
}

function damaged(document: string, reason: string): ReturnType<typeof unreadable> {
  return unreadable(
    document,
    `the archive is damaged: ${reason}`,
    'save it again from the program that made it',
  );
}
