import { SaharaError } from '../../src/base/errors.ts';
import { createMemoryStore, type Store } from '../../src/base/store.ts';

/** A store that loses its disk at the n-th batch: that one and all later ones fail, and nothing of them is kept. */
export interface FailingStore extends Store {
  /** What survives: opened again after the crash. */
  readonly disk: Store;
  readonly batches: number;
}

export function failingAt(batch: number, disk: Store = createMemoryStore()): FailingStore {
  let batches = 0;
  return {
    ...disk,
    disk,
    get batches() {
      return batches;
    },
    async batch(operations, options) {
      if (operations.length === 0) return;
      if (++batches >= batch) throw new SaharaError('disk-full');
      await disk.batch(operations, options);
    },
  };
}
