import type { Dirent, Stats } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, join, sep } from 'node:path';
import { utf8 } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import { unreadable, unsupported } from './extract/refusals.ts';
import { FOLDER_DEPTH_MAX, NAME_BYTES_MAX } from './limits.ts';

/** A file to import, or one that cannot be, with the reason. */
export type Found =
  | {
      readonly type: 'file';
      readonly name: string;
      readonly path: string;
      readonly sizeBytes: number;
      /** When it was changed, and its number in the file system: whether it is as it was. */
      readonly changedAtMs: number;
      readonly inode: number;
    }
  | { readonly type: 'refused'; readonly name: string; readonly error: SaharaError };

/**
 * The files at `path` (a file, or a folder and what is below it) in order of their names. Hidden files are skipped,
 * links are followed while they stay inside the folder, a folder is entered once. Names are relative, with `/`,
 * and start with the folder's own.
 * Errors: `file-missing` for `path` itself; trouble below is reported as `refused`. Throws the signal's reason.
 */
export async function* walk(
  path: string,
  options: { readonly signal?: AbortSignal } = {},
): AsyncGenerator<Found> {
  let root: string;
  let stats: Stats;
  try {
    root = await realpath(path);
    stats = await stat(root);
  } catch (error) {
    throw new SaharaError('file-missing', { path, reason: codeOf(error) }, { cause: error });
  }
  if (!stats.isDirectory()) {
    yield file(basename(path), root, stats);
    return;
  }
  yield* folder(
    { root, name: basename(root), depth: 0, entered: new Set([root]), signal: options.signal },
    root,
  );
}

interface Place {
  readonly root: string;
  readonly name: string;
  readonly depth: number;
  readonly entered: Set<string>;
  readonly signal: AbortSignal | undefined;
}

async function* folder(place: Place, path: string): AsyncGenerator<Found> {
  let entries: Dirent[];
  try {
    entries = await readdir(path, { withFileTypes: true });
  } catch (error) {
    yield refused(place.name, unreadable(place.name, codeOf(error), 'check the permissions of the folder'));
    return;
  }
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    place.signal?.throwIfAborted();
    if (entry.name.startsWith('.')) continue;
    yield* item(
      { ...place, name: `${place.name}/${entry.name}`, depth: place.depth + 1 },
      join(path, entry.name),
    );
  }
}

async function* item(place: Place, path: string): AsyncGenerator<Found> {
  const { name } = place;
  let target: string;
  let stats: Stats;
  try {
    target = await realpath(path);
    stats = await stat(target);
  } catch (error) {
    yield refused(name, unreadable(name, codeOf(error), 'check the file or the link'));
    return;
  }
  if (target !== place.root && !target.startsWith(place.root + sep)) {
    yield refused(
      name,
      unreadable(name, 'the link leads out of the folder', 'import what it points to by itself'),
    );
  } else if (!stats.isDirectory()) {
    yield file(name, target, stats);
  } else if (place.depth > FOLDER_DEPTH_MAX) {
    const reason = `it is more than ${FOLDER_DEPTH_MAX} folders deep`;
    yield refused(name, unreadable(name, reason, 'import the inner folder by itself'));
  } else if (!place.entered.has(target)) {
    place.entered.add(target);
    yield* folder(place, target);
  }
}

function file(name: string, path: string, stats: Stats): Found {
  if (!stats.isFile()) return refused(name, unsupported(name, 'not a regular file'));
  if (utf8(name).length > NAME_BYTES_MAX) {
    return refused(
      name,
      unreadable(name, `its name is longer than ${NAME_BYTES_MAX} bytes`, 'shorten the name'),
    );
  }
  const { size: sizeBytes, mtimeMs, ctimeMs, ino: inode } = stats;
  // A copy may carry an older time of its content; the inode's own time cannot be set.
  const changedAtMs = Math.floor(Math.max(mtimeMs, ctimeMs));
  return { type: 'file', name, path, sizeBytes, changedAtMs, inode };
}

function refused(name: string, error: SaharaError): Found {
  return { type: 'refused', name, error };
}

/** The system's short word for a failed file operation. */
export function codeOf(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return error instanceof Error ? error.message : String(error);
}
