/**
 * The records of the state that were used last, in their stored form, in front of the store. Bounded in bytes, whatever
 * the records are; what a block changed replaces what is there.
 */
import { createRecent } from '../base/recent.ts';
import { STATE_CACHED_BYTES_MAX, STATE_RECORD_CACHED_BYTES_MAX } from './limits.ts';
import { nameOf } from './names.ts';
import type { StateChange, StateReader } from './state.ts';

/** What an entry takes besides its key and its value, bytes: map, text and array. */
const ENTRY_BYTES = 192;

/** A reader that remembers. */
export interface StateCache {
  readonly read: StateReader;
  /** Takes over what a block changed, once it is written. */
  adopt(changes: readonly StateChange[]): void;
  /** What it holds now, bytes by its own count. */
  readonly sizeBytes: number;
}

/** A cache in front of `read` that holds at most `bytesMax`. */
export function createStateCache(read: StateReader, bytesMax: number = STATE_CACHED_BYTES_MAX): StateCache {
  const values = createRecent<Uint8Array | null>({
    costMax: bytesMax,
    costOf: (name, value) => ENTRY_BYTES + name.length + (value?.length ?? 0),
  });
  const keep = (name: string, value: Uint8Array | undefined): void => {
    if (value !== undefined && value.length > STATE_RECORD_CACHED_BYTES_MAX) values.delete(name);
    else values.set(name, value ?? null);
  };
  return {
    get sizeBytes() {
      return values.cost;
    },
    read(key) {
      const name = nameOf(key);
      const known = values.get(name);
      if (known !== undefined) return known ?? undefined;
      const stored = read(key);
      keep(name, stored);
      return stored;
    },
    adopt(changes) {
      for (const { key, value } of changes) keep(nameOf(key), value);
    },
  };
}
