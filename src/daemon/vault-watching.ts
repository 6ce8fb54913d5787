/**
 * Folders that vaults follow. The system tells of changes, and a look every minute finds what it did not tell of;
 * rounds begin once a folder has been quiet for a moment, one round at a time. Which vaults follow something is in the
 * home's store, what they follow is sealed in them.
 */
import { type FSWatcher, watch } from 'node:fs';
import { fromUtf8, utf8 } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { asSaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Store } from '../base/store.ts';
import {
  addWatchedFolder,
  dropWatchedFolder,
  type SyncCounts,
  syncFolder,
  type WatchedFolder,
  watchedFolders,
} from '../vault/folder-sync.ts';
import type { VaultKeeper } from './vaults.ts';

/** How folders are watched. */
export interface WatchingOptions {
  /** Quiet after which a round begins, milliseconds. Default 500. */
  readonly quietMs: number;
  /** Longest that changes without quiet put a round off, milliseconds. Default 10,000. */
  readonly latestMs: number;
  /** Time between looks without being told of a change, milliseconds. Default 60,000. */
  readonly everyMs: number;
}

/** Values for every option. */
export const WATCHING_DEFAULTS: WatchingOptions = { quietMs: 500, latestMs: 10_000, everyMs: 60_000 };

/** A followed folder as it stands. */
export interface WatchState {
  readonly vault: string;
  readonly path: string;
  /** Files in it at the last look. */
  readonly files: number;
  /** Code of why the last look failed. */
  readonly fault: string | undefined;
}

/** Followed folders. */
export interface Watching {
  list(): readonly WatchState[];
  /** Follows a folder and resolves after the first round. Throws `file-missing`, `home-full`, `vault-unknown`. */
  add(vault: string, folder: WatchedFolder): Promise<WatchState>;
  /** Follows it no more; `undefined` when it was not followed. Throws `vault-unknown`. */
  drop(vault: string, path: string): Promise<WatchState | undefined>;
  /** Follows nothing of a vault that goes away. */
  dropAll(vault: string): Promise<void>;
  stop(): Promise<void>;
}

interface Follower {
  state: WatchState;
  readonly round: () => Promise<void>;
  readonly stop: () => void;
}

/** Follows what the vaults of `parts.vaults` follow. */
export async function startWatching(
  parts: { readonly vaults: VaultKeeper; readonly store: Store; readonly clock: Clock; readonly log: Log },
  options: Partial<WatchingOptions> = {},
): Promise<Watching> {
  const { vaults, store, log } = parts;
  const timing = { ...WATCHING_DEFAULTS, ...options };
  const followers = new Map<string, Follower>();
  const stopping = new AbortController();
  let queue: Promise<unknown> = Promise.resolve();
  const idOf = (vault: string, path: string): string => `${vault}\n${path}`;

  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = queue.then(work);
    queue = done.catch(() => {});
    return done;
  };
  const sync = async (vault: string, folder: WatchedFolder): Promise<SyncCounts> => {
    const opened = await vaults.open(vault);
    const counts = await syncFolder(opened, folder, { signal: stopping.signal });
    if (counts.kept + counts.removed > 0) {
      const count = counts.kept + counts.removed;
      await opened.accesses.add({ who: 'operator', action: 'import', purpose: 'watch', count, about: '' });
    }
    return counts;
  };
  const follow = (vault: string, folder: WatchedFolder): Follower => {
    const id = idOf(vault, folder.path);
    const follower: Follower = {
      state: { vault, path: folder.path, files: 0, fault: undefined },
      round: () =>
        inTurn(async () => {
          if (followers.get(id) !== follower || stopping.signal.aborted) return;
          try {
            const { files } = await sync(vault, folder);
            follower.state = { ...follower.state, files, fault: undefined };
          } catch (error) {
            const { code } = asSaharaError(error);
            if (follower.state.fault !== code) log.error('a watched folder was not read', { vault, code });
            follower.state = { ...follower.state, fault: code };
          }
        }),
      stop: tell(folder.path, { ...parts, ...timing }, () => follower.round()),
    };
    followers.get(id)?.stop();
    followers.set(id, follower);
    return follower;
  };
  const forget = (id: string): WatchState | undefined => {
    const follower = followers.get(id);
    follower?.stop();
    followers.delete(id);
    return follower?.state;
  };

  for await (const [key] of store.entries()) {
    const vault = fromUtf8(key) ?? '';
    try {
      for (const folder of await watchedFolders(await vaults.open(vault))) void follow(vault, folder).round();
    } catch (error) {
      log.error('a vault that follows folders was not opened', { vault, code: asSaharaError(error).code });
    }
  }
  return {
    list: () => [...followers.values()].map(({ state }) => state),
    async add(vault, folder) {
      const opened = await vaults.open(vault);
      await inTurn(() => sync(vault, folder));
      await addWatchedFolder(opened, folder);
      await store.batch([{ type: 'put', key: utf8(vault), value: new Uint8Array(0) }], { sync: true });
      const follower = follow(vault, folder);
      await follower.round();
      return follower.state;
    },
    async drop(vault, path) {
      const opened = await vaults.open(vault);
      return inTurn(async () => {
        const state = forget(idOf(vault, path));
        if (!(await dropWatchedFolder(opened, path))) return undefined;
        if ((await watchedFolders(opened)).length === 0) {
          await store.batch([{ type: 'del', key: utf8(vault) }], { sync: true });
        }
        return state ?? { vault, path, files: 0, fault: undefined };
      });
    },
    dropAll: (vault) =>
      inTurn(async () => {
        for (const [id, { state }] of [...followers]) if (state.vault === vault) forget(id);
        await store.batch([{ type: 'del', key: utf8(vault) }], { sync: true });
      }),
    async stop() {
      stopping.abort();
      for (const id of [...followers.keys()]) forget(id);
      await queue;
    },
  };
}

/** Calls `look` when the folder has changed and is quiet, and regularly. Returns how to end it. */
function tell(
  path: string,
  parts: { readonly clock: Clock; readonly log: Log } & WatchingOptions,
  look: () => Promise<void>,
): () => void {
  const { clock, log, quietMs, latestMs, everyMs } = parts;
  let stopped = false;
  let cancel = (): void => {};
  let changedAtMs: number | undefined;
  let watcher: FSWatcher | undefined;
  const later = (): void => {
    cancel();
    const wait =
      changedAtMs === undefined
        ? everyMs
        : Math.max(0, Math.min(quietMs, changedAtMs + latestMs - clock.monotonicMs()));
    cancel = clock.after(wait, () => {
      changedAtMs = undefined;
      look().finally(() => {
        if (stopped) return;
        attach();
        // A change that came during the round waits for its own.
        later();
      });
    });
  };
  const attach = (): void => {
    if (watcher !== undefined) return;
    try {
      watcher = watch(path, { recursive: true }, () => {
        changedAtMs ??= clock.monotonicMs();
        if (!stopped) later();
      });
      watcher.on('error', () => {
        watcher?.close();
        watcher = undefined;
      });
    } catch (error) {
      log.debug('a folder is only looked at from time to time', { code: asSaharaError(error).code });
    }
  };
  attach();
  later();
  return () => {
    stopped = true;
    cancel();
    watcher?.close();
  };
}
