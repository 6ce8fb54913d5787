/**
 * Keeps a vault as a folder is: new and changed files are imported, what is no more there goes. What was seen of each
 * file is written down after the vault has it, so a round that was cut short is simply made again: nothing is kept
 * twice, and files that are as they were are not even read. A folder that cannot be looked at changes nothing.
 */
import { concat, utf8 } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import { bool, bytes, optional, record, type Schema, text, uint } from '../protocol/schema.ts';
import type { BookChange } from './books.ts';
import type { Provenance } from './chunk.ts';
import { sha256 } from './hash.ts';
import { type ImportEvent, importFiles } from './import.ts';
import {
  CONSENT_BYTES_MAX,
  LICENCE_BYTES_MAX,
  NAME_BYTES_MAX,
  WATCHED_FILES_MAX,
  WATCHES_MAX,
} from './limits.ts';
import type { Vault } from './vault.ts';
import { type Found, walk } from './walk.ts';

/** A folder that a vault follows, and the terms under which its files come. */
export interface WatchedFolder extends Provenance {
  readonly path: string;
  readonly consent: string;
}

const folderRecord: Schema<WatchedFolder> = record('vault-watch', {
  path: text(4096),
  contributor: bytes(32),
  contribution: optional(bytes(32)),
  licence: text(LICENCE_BYTES_MAX),
  consent: text(CONSENT_BYTES_MAX),
});

interface SeenFile {
  readonly name: string;
  readonly sizeBytes: number;
  readonly changedAtMs: number;
  readonly inode: number;
  readonly kept: boolean;
}

const seenRecord: Schema<SeenFile> = record('vault-seen-file', {
  name: text(NAME_BYTES_MAX),
  sizeBytes: uint(),
  changedAtMs: uint(),
  inode: uint(),
  kept: bool,
});

/** What a round changed. */
export interface SyncCounts {
  readonly kept: number;
  readonly removed: number;
  readonly refused: number;
  /** Files that are known now. */
  readonly files: number;
}

const NAME_BYTES = 16;
const placeOf = (path: string): Uint8Array => sha256(utf8(path)).subarray(0, NAME_BYTES);
const fileKey = (place: Uint8Array, name: string): Uint8Array =>
  concat(place, sha256(utf8(name)).subarray(0, NAME_BYTES));

/** The folders that a vault follows. */
export async function watchedFolders(vault: Pick<Vault, 'books'>): Promise<readonly WatchedFolder[]> {
  const found: WatchedFolder[] = [];
  for await (const [, value] of vault.books.entries('w')) found.push(folderRecord.decode(value));
  return found;
}

/** Has a vault follow a folder from now on. Throws `home-full` above `WATCHES_MAX`. */
export async function addWatchedFolder(vault: Pick<Vault, 'books'>, folder: WatchedFolder): Promise<void> {
  const others = (await watchedFolders(vault)).filter(({ path }) => path !== folder.path);
  if (others.length >= WATCHES_MAX) {
    throw new SaharaError('home-full', { what: 'watched folders of a vault', limit: WATCHES_MAX });
  }
  const change = { book: 'w' as const, name: placeOf(folder.path), value: folderRecord.encode(folder) };
  await vault.books.write([change], { sync: true });
}

/** Has a vault follow a folder no more; its documents stay. False when it did not. */
export async function dropWatchedFolder(vault: Pick<Vault, 'books'>, path: string): Promise<boolean> {
  const place = placeOf(path);
  if ((await vault.books.get('w', place)) === undefined) return false;
  const changes: BookChange[] = [{ book: 'w', name: place, value: undefined }];
  for await (const [name] of vault.books.entries('f', place)) {
    changes.push({ book: 'f', name, value: undefined });
  }
  await vault.books.write(changes, { sync: true });
  return true;
}

/** One round. Throws `file-missing` when the folder is not there, `cancelled`. */
export async function syncFolder(
  vault: Vault,
  folder: WatchedFolder,
  options: {
    readonly signal: AbortSignal;
    readonly onEvent?: (event: Extract<ImportEvent, { type: 'kept' | 'refused' }>) => void;
  },
): Promise<SyncCounts> {
  const { signal, onEvent } = options;
  const place = placeOf(folder.path);
  const before = new Map<string, SeenFile>();
  for await (const [, value] of vault.books.entries('f', place)) {
    const seen = seenRecord.decode(value);
    before.set(seen.name, seen);
  }
  const now = new Map<string, Extract<Found, { type: 'file' }>>();
  const there = new Set<string>();
  const changed = async function* (): AsyncGenerator<Found> {
    for await (const found of walk(folder.path, { signal })) {
      there.add(found.name);
      if (there.size > WATCHED_FILES_MAX) {
        throw new SaharaError('home-full', { what: 'files of a watched folder', limit: WATCHED_FILES_MAX });
      }
      if (found.type === 'refused' || isAsBefore(before.get(found.name), found)) continue;
      now.set(found.name, found);
      yield found;
    }
  };
  const counts = { kept: 0, removed: 0, refused: 0 };
  const { path: _path, consent, ...provenance } = folder;
  for await (const event of importFiles(vault, changed(), { provenance, consent })) {
    signal.throwIfAborted();
    const found = now.get(event.name);
    if (found !== undefined) await note(vault, place, found, event.type === 'kept');
    if (event.type === 'refused') counts.refused++;
    else if (event.outcome !== 'unchanged') counts.kept++;
    // What could be read before and cannot now is not what the folder holds any more.
    if (event.type === 'refused' && before.get(event.name)?.kept) await vault.remove(event.name);
    onEvent?.(event);
  }
  for (const { name } of before.values()) {
    if (there.has(name)) continue;
    signal.throwIfAborted();
    if (await vault.remove(name)) counts.removed++;
    await vault.books.write([{ book: 'f', name: fileKey(place, name), value: undefined }]);
  }
  return { ...counts, files: there.size };
}

function isAsBefore(seen: SeenFile | undefined, found: Extract<Found, { type: 'file' }>): boolean {
  return (
    seen !== undefined &&
    seen.sizeBytes === found.sizeBytes &&
    seen.changedAtMs === found.changedAtMs &&
    seen.inode === found.inode
  );
}

async function note(
  vault: Vault,
  place: Uint8Array,
  { name, sizeBytes, changedAtMs, inode }: Extract<Found, { type: 'file' }>,
  kept: boolean,
): Promise<void> {
  const value = seenRecord.encode({ name, sizeBytes, changedAtMs, inode, kept });
  await vault.books.write([{ book: 'f', name: fileKey(place, name), value }]);
}
