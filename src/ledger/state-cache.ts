/**
 * The records of the state that were used last, in their stored form, in front of the store. Bounded in bytes, whatever
 * the records are; what a block changed replaces what is there.
 */
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
  // The least recently used is the first of the map.
  const values = new Map<string, Uint8Array | undefined>();
  let sizeBytes = 0;
  const costOf = (name: string, value: Uint8Array | undefined): number =>
    ENTRY_BYTES + name.length + (value?.length ?? 0);
  const drop = (name: string): void => {
    if (!values.has(name)) return;
    sizeBytes -= costOf(name, values.get(name));
    values.delete(name);
  };
  const keep = (name: string, value: Uint8Array | undefined): void => {
    drop(name);
    if (value !== undefined && value.length > STATE_RECORD_CACHED_BYTES_MAX) return;
    values.set(name, value);
    sizeBytes += costOf(name, value);
    while (sizeBytes > bytesMax) drop(values.keys().next().value as string);
  };
  return {
    get sizeBytes() {
      return sizeBytes;
    },
    read(key) {
      const name = nameOf(key);
      const value = values.get(name);
      if (value !== undefined || values.has(name)) return value;
      const stored = read(key);
      keep(name, stored);
      return stored;
    },
    adopt(changes) {
      for (const { key, value } of changes) keep(nameOf(key), value);
    },
  };
}
