/** Copies of files, and names that are on disk. */
import { constants, copyFile, open, rm } from 'node:fs/promises';
import { SaharaError } from '../../base/errors.ts';
import type { ModelEvent } from './download.ts';

/** Copies a file: as a second name for the same blocks where the file system can, otherwise piece by piece. */
export async function copyModel(
  from: string,
  to: string,
  options: {
    readonly signal: AbortSignal;
    readonly tell: (event: ModelEvent) => void;
    readonly totalBytes: number;
  },
): Promise<void> {
  const { signal, tell, totalBytes } = options;
  const cloned = await copyFile(from, to, constants.COPYFILE_FICLONE_FORCE).then(
    () => true,
    () => false,
  );
  if (cloned) return;
  await rm(to, { force: true });
  const source = await open(from, 'r');
  const target = await open(to, 'wx', 0o600);
  try {
    const buffer = new Uint8Array(COPY_BYTES);
    for (let bytes = 0; ; ) {
      if (signal.aborted) throw new SaharaError('cancelled');
      const { bytesRead } = await source.read(buffer, 0, buffer.length, bytes);
      if (bytesRead === 0) break;
      await target.writeFile(buffer.subarray(0, bytesRead));
      bytes += bytesRead;
      tell({ type: 'progress', stage: 'copy', bytes, totalBytes });
    }
    await target.datasync();
  } finally {
    await target.close();
    await source.close();
  }
}

/** Bytes that are copied at a time. */
const COPY_BYTES = 1_048_576;

/** Has the names of a folder on disk. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
