/**
 * A key of its own for every document. It is random, stands wrapped under the key of the epoch in which the document
 * came, and seals the document's record and passages. Deleting that one record makes them unreadable wherever copies
 * of them are left. `spec/knowledge.md` (KNOW-104 to KNOW-106) is normative.
 */
import { concat, u32be } from '../../base/bytes.ts';
import type { Dice } from '../../base/random.ts';
import type { StoreOperation } from '../../base/store.ts';
import type { VaultCodec } from '../codec.ts';
import { itemKey } from '../item-keys.ts';
import { open, seal } from './aead.ts';
import { notSound } from './codec.ts';
import { VAULT_KEY_BYTES, type VaultKeys, wrappingContext, wrappingKey } from './key-tree.ts';

/** Unwrapped keys of items that are kept in memory. */
const KEYS_KEPT_MAX = 1024;
const ITEM_BYTES = 4;

/** Reads a stored value as it lies there. */
export type RawRead = (key: Uint8Array) => Promise<Uint8Array | undefined>;

/** An item of which values are being written. */
export interface OpenItem {
  /** The write of its wrapped key; none where nothing is sealed. */
  readonly operation: StoreOperation | undefined;
  /** The stored form of a value under `key`. */
  seal(key: Uint8Array, plain: Uint8Array): Uint8Array;
}

/** Seals what belongs to single documents. */
export interface Items {
  /** A new item: its number is that of its first chunk, which no other has. */
  create(item: number, epoch: number): OpenItem;
  /** An item that is there. Throws `store-corrupt`. */
  reopen(item: number, read: RawRead): Promise<OpenItem>;
  /** A value out of its stored form. Throws `store-corrupt`. */
  open(key: Uint8Array, stored: Uint8Array, read: RawRead): Promise<Uint8Array>;
  /** The epoch in which an item came; `undefined` when it is not there. */
  epochOf(item: number, read: RawRead): Promise<number | undefined>;
  /** Forgets the key of an item in memory. */
  drop(item: number): void;
}

/** Items of a vault without keys: values stand as its codec has them. */
export function plainItems(codec: VaultCodec): Items {
  const item = { operation: undefined, seal: codec.seal };
  return {
    create: () => item,
    reopen: async () => item,
    open: async (key, stored) => codec.open(key, stored),
    epochOf: async () => 0,
    drop: () => {},
  };
}

/** Items under the keys of one vault. */
export function sealedItems(parts: { readonly keys: VaultKeys; readonly dice: Dice }): Items {
  const { keys, dice } = parts;
  const known = new Map<number, Uint8Array>();
  const wrapping = new Map<number, Uint8Array>();

  const wrappingOf = (epoch: number): Uint8Array => {
    const kept = wrapping.get(epoch) ?? wrappingKey(keys.epoch(epoch));
    if (wrapping.size >= KEYS_KEPT_MAX) wrapping.clear();
    wrapping.set(epoch, kept);
    return kept;
  };
  const remember = (item: number, secret: Uint8Array): void => {
    known.delete(item);
    known.set(item, secret);
    if (known.size > KEYS_KEPT_MAX) for (const oldest of known.keys()) return void known.delete(oldest);
  };
  const secretOf = async (item: number, read: RawRead): Promise<Uint8Array> => {
    const kept = known.get(item);
    if (kept !== undefined) return kept;
    const place = itemKey(item);
    const stored = await read(place);
    if (stored === undefined) throw notSound();
    const epoch = numberIn(stored);
    const secret = open(wrappingOf(epoch), wrappingContext(place, epoch), stored.subarray(4));
    if (secret === undefined) throw notSound();
    remember(item, secret);
    return secret;
  };
  const under = (item: number, secret: Uint8Array, operation?: StoreOperation): OpenItem => ({
    operation,
    seal: (key, plain) => concat(u32be(item), seal(secret, concat(key, u32be(item)), plain, dice)),
  });
  return {
    create(item, epoch) {
      const secret = dice.bytes(VAULT_KEY_BYTES);
      const place = itemKey(item);
      const wrapped = seal(wrappingOf(epoch), wrappingContext(place, epoch), secret, dice);
      remember(item, secret);
      return under(item, secret, { type: 'put', key: place, value: concat(u32be(epoch), wrapped) });
    },
    reopen: async (item, read) => under(item, await secretOf(item, read)),
    async open(key, stored, read) {
      if (stored.length < ITEM_BYTES) throw notSound();
      const secret = await secretOf(numberIn(stored), read);
      const plain = open(secret, concat(key, stored.subarray(0, ITEM_BYTES)), stored.subarray(ITEM_BYTES));
      if (plain === undefined) throw notSound();
      return plain;
    },
    async epochOf(item, read) {
      const stored = await read(itemKey(item));
      return stored === undefined ? undefined : numberIn(stored);
    },
    drop: (item) => void known.delete(item),
  };
}

/** The number in front of a stored value: the epoch of a wrapped key, the item of a sealed value. */
function numberIn(stored: Uint8Array): number {
  if (stored.length < ITEM_BYTES) throw notSound();
  return new DataView(stored.buffer, stored.byteOffset).getUint32(0);
}
