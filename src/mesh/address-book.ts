/**
 * Where peers were last found, kept across restarts. libp2p's own peer store forgets addresses and learns them
 * only from peers it is connected to; a peer that restarts alone needs somewhere to begin.
 */
import { fromUtf8, utf8 } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { prefixed, type Store } from '../base/store.ts';
import { list, record, type Schema, text, uint } from '../protocol/schema.ts';
import { ADDRESS_BOOK_PEERS_MAX, ADDRESS_CHARACTERS_MAX, PEER_ADDRESSES_MAX } from './limits.ts';

/** What is known of one peer. */
interface BookEntry {
  readonly addresses: readonly string[];
  /** When it was last connected, wall clock. */
  readonly seenAtMs: number;
}

/** Addresses of peers, newest first. */
export interface AddressBook {
  addressesOf(peerId: string): readonly string[];
  peerIds(): readonly string[];
  /** A peer was met at `addresses`; those known before are kept behind them as far as there is room. */
  met(peerId: string, addresses: readonly string[]): void;
  /** Waits for what was noted to be written. */
  close(): Promise<void>;
}

const entrySchema: Schema<BookEntry> = record('book-entry', {
  addresses: list(text(ADDRESS_CHARACTERS_MAX), PEER_ADDRESSES_MAX),
  seenAtMs: uint(),
});

/** The book kept in `store` under `mesh/peers/`. Entries that cannot be read are dropped. */
export async function openAddressBook(parts: {
  readonly store: Store;
  readonly clock: Clock;
}): Promise<AddressBook> {
  const store = prefixed(parts.store, utf8('mesh/peers/'));
  const entries = await readEntries(store);
  let written: Promise<void> = Promise.resolve();
  const write = (operations: Parameters<Store['batch']>[0]): void => {
    written = written.then(() => store.batch(operations)).catch(() => {});
  };
  return {
    addressesOf: (peerId) => entries.get(peerId)?.addresses ?? [],
    peerIds: () => [...entries.keys()].reverse(),
    met(peerId, addresses) {
      const known = entries.get(peerId);
      const usable = addresses.filter((address) => address.length <= ADDRESS_CHARACTERS_MAX);
      const merged = [...new Set([...usable, ...(known?.addresses ?? [])])].slice(0, PEER_ADDRESSES_MAX);
      if (merged.length === 0) return;
      const entry = { addresses: merged, seenAtMs: parts.clock.nowMs() };
      entries.delete(peerId);
      entries.set(peerId, entry);
      write([{ type: 'put', key: utf8(peerId), value: entrySchema.encode(entry) }]);
      if (entries.size <= ADDRESS_BOOK_PEERS_MAX) return;
      const oldest = entries.keys().next().value as string;
      entries.delete(oldest);
      write([{ type: 'del', key: utf8(oldest) }]);
    },
    close: () => written,
  };
}

async function readEntries(store: Store): Promise<Map<string, BookEntry>> {
  const found: (readonly [string, BookEntry])[] = [];
  for await (const [key, value] of store.entries()) {
    const peerId = fromUtf8(key);
    const entry = decoded(value);
    if (peerId !== undefined && entry) found.push([peerId, entry]);
  }
  found.sort(([, a], [, b]) => a.seenAtMs - b.seenAtMs);
  return new Map(found.slice(-ADDRESS_BOOK_PEERS_MAX));
}

function decoded(value: Uint8Array): BookEntry | undefined {
  try {
    return entrySchema.decode(value);
  } catch {
    return undefined;
  }
}
