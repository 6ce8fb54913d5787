/** Bytes of tensors in files, for a worker: positional, synchronous, all or an error. */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import type { TensorIo } from './task.ts';

// Far below any system's limit, and more than a merge reads from at once.
const OPEN_FILES_MAX = 64;

/** A `TensorIo` over files that closes what it opened. */
export interface FileIo extends TensorIo {
  close(): void;
}

/** Reads from the paths that tasks name and writes below `root`; without a root, what is written goes nowhere. */
export function createFileIo(root: string | undefined): FileIo {
  const open = new Map<string, number>();
  const close = (): void => {
    for (const file of open.values()) closeSync(file);
    open.clear();
  };
  const fileAt = (path: string, flags: 'r' | 'r+'): number => {
    const key = `${flags} ${path}`;
    const known = open.get(key);
    if (known !== undefined) return known;
    if (open.size >= OPEN_FILES_MAX) close();
    const file = attempt(path, () => openSync(path, flags));
    open.set(key, file);
    return file;
  };
  return {
    read: ({ path, offset: start }, offset, into) => {
      const file = fileAt(path, 'r');
      for (let done = 0; done < into.length; ) {
        const at = start + offset + done;
        const count = attempt(path, () => readSync(file, into, done, into.length - done, at));
        if (count === 0) throw new SaharaError('tensor-invalid', { reason: 'file ends too early', path });
        done += count;
      }
    },
    write: (target, offset, bytes) => {
      if (root === undefined) return;
      const path = join(root, target.path);
      const file = fileAt(path, 'r+');
      for (let done = 0; done < bytes.length; ) {
        const at = target.offset + offset + done;
        done += attempt(path, () => writeSync(file, bytes, done, bytes.length - done, at));
      }
    },
    close,
  };
}

function attempt<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw ioError(error, path);
  }
}

/** The error for a failed file operation: `disk-full`, `file-missing`, or what it says. */
export function ioError(error: unknown, path: string): SaharaError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOSPC' || code === 'EDQUOT') return new SaharaError('disk-full', { path }, { cause: error });
  if (code === 'ENOENT') return new SaharaError('file-missing', { path }, { cause: error });
  return asSaharaError(error);
}
