/**
 * An append-only file in front of a store. What was appended survives the end of the process at the cost of a copy
 * into the system's page cache, without waiting for a thread or the disk; the store takes it over in groups and
 * the file is emptied. Only what was not forced to disk before a loss of power can be missing.
 */
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { asSaharaError, SaharaError } from './errors.ts';
import { point } from './points.ts';
import type { StoreOperation } from './store.ts';

/** An append-only file. */
export interface Tail {
  /** Bytes appended since the last `clear`. */
  readonly sizeBytes: number;
  /** Appends one batch; when this returns it survives the end of the process. Throws `disk-full`. */
  append(operations: readonly StoreOperation[]): void;
  /** Whole batches that were appended and not cleared, oldest first. A batch that was cut off is left out. */
  batches(): readonly (readonly StoreOperation[])[];
  /** Forgets everything. */
  clear(): void;
  close(): void;
}

const HEAD_BYTES = 8;

/** Opens the tail in the file `path`, made if it is not there, readable for its owner only. */
export function openFileTail(path: string): Tail {
  const file = openSync(path, 'a+', 0o600);
  let sizeBytes = readFileSync(path).length;
  return {
    get sizeBytes() {
      return sizeBytes;
    },
    append(operations) {
      const bytes = encodeBatch(operations);
      try {
        let written = 0;
        while (written < bytes.length) written += writeSync(file, bytes, written);
      } catch (error) {
        const { message } = asSaharaError(error);
        throw new SaharaError('disk-full', { path, reason: message }, { cause: error });
      }
      sizeBytes += bytes.length;
      point('tail:appended');
    },
    // A copy, because slices of a Node `Buffer` are views.
    batches: () => decodeBatches(new Uint8Array(readFileSync(path))),
    clear() {
      ftruncateSync(file, 0);
      sizeBytes = 0;
    },
    close: () => closeSync(file),
  };
}

/** A batch as length, sum and operations: [kind, key length, value length, key, value] each. */
function encodeBatch(operations: readonly StoreOperation[]): Uint8Array {
  let length = HEAD_BYTES;
  for (const operation of operations) {
    length += 9 + operation.key.length + (operation.type === 'put' ? operation.value.length : 0);
  }
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  let at = HEAD_BYTES;
  for (const operation of operations) {
    const value = operation.type === 'put' ? operation.value : undefined;
    bytes[at] = value ? 1 : 0;
    view.setUint32(at + 1, operation.key.length);
    view.setUint32(at + 5, value?.length ?? 0);
    bytes.set(operation.key, at + 9);
    if (value) bytes.set(value, at + 9 + operation.key.length);
    at += 9 + operation.key.length + (value?.length ?? 0);
  }
  view.setUint32(0, length - HEAD_BYTES);
  view.setUint32(4, sumOf(bytes.subarray(HEAD_BYTES)));
  return bytes;
}

function decodeBatches(bytes: Uint8Array): readonly (readonly StoreOperation[])[] {
  const batches: StoreOperation[][] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + HEAD_BYTES <= bytes.length; ) {
    const length = view.getUint32(at);
    const body = bytes.subarray(at + HEAD_BYTES, at + HEAD_BYTES + length);
    // A crash inside an append leaves a piece that nobody was told of.
    if (body.length < length || sumOf(body) !== view.getUint32(at + 4)) break;
    batches.push(decodeBatch(body));
    at += HEAD_BYTES + length;
  }
  return batches;
}

function decodeBatch(body: Uint8Array): StoreOperation[] {
  const operations: StoreOperation[] = [];
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  for (let at = 0; at < body.length; ) {
    const keyEnd = at + 9 + view.getUint32(at + 1);
    const valueEnd = keyEnd + view.getUint32(at + 5);
    const key = body.slice(at + 9, keyEnd);
    if (body[at] === 1) operations.push({ type: 'put', key, value: body.slice(keyEnd, valueEnd) });
    else operations.push({ type: 'del', key });
    at = valueEnd;
  }
  return operations;
}

/** FNV-1a, 32 bits: finds a torn write, not an attacker, who could change the store as well. */
function sumOf(bytes: Uint8Array): number {
  // By index and as a signed number: walking the bytes, and a number above 2^31, each make an object per byte.
  let sum = 0x811c9dc5 | 0;
  for (let i = 0; i < bytes.length; i++) sum = Math.imul(sum ^ (bytes[i] as number), 0x01000193);
  return sum >>> 0;
}
