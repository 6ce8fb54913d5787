import { Level } from 'level';
import { SaharaError } from './errors.ts';
import type { Store } from './store.ts';

/**
 * Opens (or creates) a store in the folder `path`.
 * Errors: `store-locked` when another process holds it, `store-corrupt` when it cannot be read.
 */
export async function openLevelStore(path: string): Promise<Store> {
  const level = new Level<Uint8Array, Uint8Array>(path, { keyEncoding: 'view', valueEncoding: 'view' });
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
      for (const operation of operations) {
        if (operation.type === 'del') batch.del(operation.key);
        else batch.put(operation.key, operation.value);
      }
      await batch.write({ sync: options?.sync ?? false } as object);
    },
    async *entries(range = {}) {
      for await (const [key, value] of level.iterator(range)) yield [plain(key), plain(value)];
    },
    close: () => level.close(),
  };
}

// What comes from the library is a Buffer, whose `slice` shares memory where a Uint8Array's copies.
function plain(bytes: Uint8Array): Uint8Array;
function plain(bytes: Uint8Array | undefined): Uint8Array | undefined;
function plain(bytes: Uint8Array | undefined): Uint8Array | undefined {
  return bytes && new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function openFailure(path: string, error: unknown): SaharaError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const reason = cause instanceof Error ? cause.message : String(cause);
  const code = /lock|LEVEL_LOCKED|temporarily unavailable/i.test(reason) ? 'store-locked' : 'store-corrupt';
  return new SaharaError(code, { path, reason }, { cause });
}
