/** Waiting in tests: for something that shows after one of a service's requests. */
export interface Watch {
  /** A request was handled. */
  notify(): void;
  /** Resolves when `done` holds, looking again after each request; rejects after 20 seconds. */
  until(done: () => boolean, what: string): Promise<void>;
}

const GIVE_UP_MS = 20_000;
const LOOK_EVERY_MS = 50;

/** A watch over one service. */
export function createWatch(): Watch {
  const watchers = new Set<() => void>();
  return {
    notify() {
      for (const watcher of [...watchers]) watcher();
    },
    async until(done, what) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const look = (): void => {
        if (done()) resolve();
      };
      watchers.add(look);
      const timer = setInterval(look, LOOK_EVERY_MS);
      const giveUp = setTimeout(() => resolve(), GIVE_UP_MS);
      look();
      await promise;
      clearInterval(timer);
      clearTimeout(giveUp);
      watchers.delete(look);
      if (!done()) throw new Error(`never came: ${what}`);
    },
  };
}
