import { Level } from 'level';
import { concat } from './bytes.ts';
import { type ErrorCode, SaharaError } from './errors.ts';
import type { KeySpan, Store, StoreOperation } from './store.ts';

/** How a store is kept. */
export interface LevelStoreOptions {
  /**
   * Files of the database that are open at a time, `fileBytes` each. An open one is mapped into memory, where what was read of
   * it counts as this process's until the system needs the room. Default 1,000, minimum 64.
   */
  readonly openFilesMax: number;
  /** What is gathered in memory before it is sorted into files, bytes; twice as much may be held. Default 4 MiB. */
  readonly writeBufferBytes: number;
  /** Size of a file of the database. Default 2 MiB. */
  readonly fileBytes: number;
  /** Whether what is written is compressed. Default true. */
  readonly compressed: boolean;
}

const MIB = 1_048_576;

const LEVEL_STORE_DEFAULTS: LevelStoreOptions = {
  openFilesMax: 1000,
  writeBufferBytes: 4 * MIB,
  fileBytes: 2 * MIB,
  compressed: true,
};

/**
 * A store that every call writes to, mostly signatures and hashes under names of no order: they hardly get smaller, and
 * each sorting of a small part of them writes most of the others anew.
 */
export const BUSY_STORE: Partial<LevelStoreOptions> = {
  writeBufferBytes: 16 * MIB,
  fileBytes: 8 * MIB,
  compressed: false,
};

/**
 * Opens (or creates) a store in the folder `path`.
 * Errors: `store-locked` when another process holds it, `home-unreadable` when this user may not use it,
 * `store-corrupt` when it cannot be read; also later `disk-full`.
 */
export async function openLevelStore(path: string, options: Partial<LevelStoreOptions> = {}): Promise<Store> {
  const { openFilesMax, writeBufferBytes, fileBytes, compressed } = { ...LEVEL_STORE_DEFAULTS, ...options };
  const level = new Level<Uint8Array, Uint8Array>(path, {
    keyEncoding: 'view',
    valueEncoding: 'view',
    maxOpenFiles: openFilesMax,
    writeBufferSize: writeBufferBytes,
    maxFileSize: fileBytes,
    compression: compressed,
  });
  try {
    await level.open();
  } catch (error) {
    throw openFailure(path, error);
  }
  return {
    get: async (key) => plain(await level.get(key)),
    getSync: (key) => plain(level.getSync(key)),
    async batch(operations, options) {
      if (operations.length === 0) return;
      const batch = level.batch();
      const packed = packer(operations);
      for (const operation of operations) {
        if (operation.type === 'del') batch.del(packed(operation.key));
        else batch.put(packed(operation.key), packed(operation.value));
      }
      try {
        // Level's types leave out the option that its LevelDB has.
        await batch.write({ sync: options?.sync ?? false } as object);
      } catch (error) {
        throw failure(path, error) ?? error;
      }
    },
    async *entries(range = {}) {
      for await (const [key, value] of level.iterator(range)) yield [plain(key), plain(value)];
    },
    erase: (ranges) => rewrite(level, ranges),
    close: () => level.close(),
  };
}

const END_BYTES = 8;

/**
 * Has the database write ranges anew, without what was deleted or replaced. By itself it leaves alone what lies in its
 * deepest level, and there it also puts what it writes when nothing overlaps it: so the first pass empties its log, and
 * in the second a write around each range makes all of it overlap.
 */
async function rewrite(level: Level<Uint8Array, Uint8Array>, ranges: readonly KeySpan[]): Promise<void> {
  // Level's types leave out what its LevelDB can.
  const native = level as unknown as {
    readonly compactRange: (start: Uint8Array, end: Uint8Array) => Promise<void>;
  };
  const around = ranges.map(({ gte, lt }) => [justBefore(gte), justBefore(lt)] as const);
  const compact = async (): Promise<void> => {
    for (const [start, end] of around) await native.compactRange(start, end);
  };
  await compact();
  await level.batch(around.flat().map((key) => ({ type: 'put', key, value: new Uint8Array(0) })));
  await compact();
  await level.batch(around.flat().map((key) => ({ type: 'del', key })));
}

/** A key before `key` and behind all others that are before it, unless they end in many bytes of 255. */
function justBefore(key: Uint8Array): Uint8Array {
  const at = key.findLastIndex((byte) => byte > 0);
  const behind = new Uint8Array(key.length - at - 1 + END_BYTES).fill(0xff);
  return at < 0 ? key : concat(key.subarray(0, at), Uint8Array.of((key[at] ?? 0) - 1), behind);
}

/** Longest bytes that are copied together with others. */
const PACKED_BYTES_MAX = 256;

/**
 * Lays the small keys and values of a batch side by side. The database reads memory outside the heap only, and moving
 * each small array there by itself costs several times more than writing it.
 */
function packer(operations: readonly StoreOperation[]): (bytes: Uint8Array) => Uint8Array {
  const room = (bytes: Uint8Array): number => (bytes.length <= PACKED_BYTES_MAX ? bytes.length : 0);
  let size = 0;
  for (const operation of operations)
    size += room(operation.key) + (operation.type === 'put' ? room(operation.value) : 0);
  const pack = new Uint8Array(size);
  let at = 0;
  return (bytes) => {
    if (bytes.length > PACKED_BYTES_MAX) return bytes;
    pack.set(bytes, at);
    at += bytes.length;
    return pack.subarray(at - bytes.length, at);
  };
}

// What comes from the library is a Buffer, whose `slice` shares memory where a Uint8Array's copies.
function plain(bytes: Uint8Array): Uint8Array;
function plain(bytes: Uint8Array | undefined): Uint8Array | undefined;
function plain(bytes: Uint8Array | undefined): Uint8Array | undefined {
  return bytes && new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Which failure of ours an error of the database is; `store-corrupt` while opening, else as it is. */
function failure(path: string, error: unknown): SaharaError | undefined {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const reason = cause instanceof Error ? cause.message : String(cause);
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  const make = (kind: ErrorCode): SaharaError => new SaharaError(kind, { path, reason }, { cause });
  if (code === 'LEVEL_LOCKED') return make('store-locked');
  if (code === 'ENOSPC' || /no space left/i.test(reason)) return make('disk-full');
  if (code === 'EACCES' || code === 'EPERM' || /permission denied/i.test(reason))
    return make('home-unreadable');
  return code === 'LEVEL_CORRUPTION' ? make('store-corrupt') : undefined;
}

function openFailure(path: string, error: unknown): SaharaError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return failure(path, error) ?? new SaharaError('store-corrupt', { path, reason }, { cause });
}
