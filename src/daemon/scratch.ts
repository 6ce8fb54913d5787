/** Room on disk for a replay of the ledger, so that checking a large one does not take its size in memory. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openLevelStore } from '../base/level-store.ts';
import type { Scratch } from '../ledger/engines/serving.ts';
import type { Home } from './home.ts';

/** An empty store inside the home; what an earlier one left behind goes first. */
export async function openScratch(home: Home): Promise<Scratch> {
  const place = join(home.root, 'ledger-replay');
  const clear = (): Promise<void> => rm(place, { recursive: true, force: true });
  await clear();
  const store = await openLevelStore(place);
  return {
    // It is thrown away whatever happens, so nothing has to be on disk at any moment.
    store: { ...store, batch: (operations) => store.batch(operations) },
    async drop() {
      await store.close();
      await clear();
    },
  };
}
