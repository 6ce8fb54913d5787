/** A model file as bytes: its header, and the hash of all of it. */
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { asSaharaError, SaharaError } from '../../base/errors.ts';
import { type GgufHeader, GgufTruncated, parseGguf } from '../../merge/gguf.ts';
import { unsound } from './gguf-error.ts';
import { GGUF_HEADER_BYTES_MAX, HASH_PIECE_BYTES } from './limits.ts';

/** A header with the size of its file. */
export interface ReadGguf {
  readonly header: GgufHeader;
  readonly sizeBytes: number;
}

const FIRST_READ_BYTES = 1024 * 1024;

/** Opens `path` for `read`. Throws `file-missing`, `model-invalid` for what is no file. */
export async function withFile<T>(
  path: string,
  read: (file: FileHandle, sizeBytes: number) => Promise<T>,
): Promise<T> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    throw missing ? new SaharaError('file-missing', { path }, { cause: error }) : asSaharaError(error);
  }
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw unsound('it is not a file');
    return await read(file, stats.size);
  } finally {
    await file.close();
  }
}

/** Reads and parses the header. Throws `model-invalid`. */
export async function readHeader(file: FileHandle, sizeBytes: number): Promise<ReadGguf> {
  let length = Math.min(sizeBytes, FIRST_READ_BYTES);
  for (;;) {
    const bytes = await readAt(file, 0, length);
    try {
      return { header: parseGguf(bytes, sizeBytes), sizeBytes };
    } catch (error) {
      const more = error instanceof GgufTruncated && length < sizeBytes && length < GGUF_HEADER_BYTES_MAX;
      if (!more) throw refusal(error, length);
    }
    length = Math.min(sizeBytes, GGUF_HEADER_BYTES_MAX, 4 * length);
  }
}

/** The same of bytes in memory. Throws `model-invalid`. */
export function parseHeader(bytes: Uint8Array, sizeBytes: number): ReadGguf {
  try {
    return { header: parseGguf(bytes, sizeBytes), sizeBytes };
  } catch (error) {
    throw refusal(error, bytes.length);
  }
}

function refusal(error: unknown, length: number): SaharaError {
  if (error instanceof GgufTruncated && length >= GGUF_HEADER_BYTES_MAX) {
    return unsound('the header is too long', { limitBytes: GGUF_HEADER_BYTES_MAX });
  }
  const known = asSaharaError(error);
  if (known.code !== 'tensor-invalid') return known;
  return new SaharaError('model-invalid', known.facts, { cause: error });
}

/** SHA-256 of the whole file. Throws `cancelled`; `model-invalid` when the file is shorter than it was. */
export async function hashFile(
  file: FileHandle,
  sizeBytes: number,
  { signal }: { readonly signal: AbortSignal },
): Promise<Uint8Array> {
  const hash = createHash('sha256');
  const piece = new Uint8Array(HASH_PIECE_BYTES);
  for (let at = 0; at < sizeBytes; ) {
    if (signal.aborted) throw new SaharaError('cancelled');
    const { bytesRead } = await file.read(piece, 0, Math.min(piece.length, sizeBytes - at), at);
    if (bytesRead === 0) throw unsound('the file became shorter while it was read');
    hash.update(piece.subarray(0, bytesRead));
    at += bytesRead;
  }
  return new Uint8Array(hash.digest());
}

async function readAt(file: FileHandle, at: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, length - done, at + done);
    if (bytesRead === 0) throw unsound('the file became shorter while it was read');
    done += bytesRead;
  }
  return bytes;
}
