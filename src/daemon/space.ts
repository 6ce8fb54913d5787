/**
 * A full disk. A store that could not be written may end in half a record, and the books in memory are ahead of it,
 * so they refuse everything from then on. What is on disk is whole, as after a kill: once there is space again the
 * daemon is started anew over it, and nothing of this needs a hand.
 */
import { statfs } from 'node:fs/promises';
import type { Clock } from '../base/clock.ts';
import { asSaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Store } from '../base/store.ts';
import type { Tail } from '../base/tail.ts';

/** Free bytes from which on a disk that was full counts as usable again. */
const SPACE_BYTES_MIN = 4_194_304;
const LOOK_EVERY_MS = 1_000;

/** Whether what was written found space. */
export interface SpaceWatch {
  /** The store, watched. */
  store(store: Store): Store;
  /** The tail, watched. */
  tail(tail: Tail): Tail;
  /** Resolves when something found no space and there is space again. */
  readonly regained: Promise<void>;
  stop(): void;
}

/** Watches what is written under the folder `path`. `freeBytes` default: what the file system says. */
export function watchSpace(
  parts: { readonly clock: Clock; readonly log: Log; readonly path: string },
  freeBytes: (path: string) => Promise<number> = freeUnder,
): SpaceWatch {
  const { clock, log, path } = parts;
  const regained = Promise.withResolvers<void>();
  let cancel: (() => void) | undefined;
  let stopped = false;
  const look = async (): Promise<void> => {
    const free = await freeBytes(path).catch(() => 0);
    if (stopped) return;
    if (free < SPACE_BYTES_MIN) cancel = clock.after(LOOK_EVERY_MS, () => void look());
    else regained.resolve();
  };
  const note = (error: unknown): void => {
    const { code, facts } = asSaharaError(error);
    if (code !== 'disk-full' || cancel !== undefined || stopped) return;
    log.error('the disk is full; nothing is charged or paid until there is space', facts);
    cancel = clock.after(LOOK_EVERY_MS, () => void look());
  };
  return {
    store: (store) => ({
      ...store,
      async batch(operations, options) {
        try {
          await store.batch(operations, options);
        } catch (error) {
          note(error);
          throw error;
        }
      },
    }),
    tail: (tail) => ({
      get sizeBytes() {
        return tail.sizeBytes;
      },
      append(operations) {
        try {
          tail.append(operations);
        } catch (error) {
          note(error);
          throw error;
        }
      },
      batches: () => tail.batches(),
      clear: () => tail.clear(),
      close: () => tail.close(),
    }),
    regained: regained.promise,
    stop() {
      stopped = true;
      cancel?.();
    },
  };
}

async function freeUnder(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}
