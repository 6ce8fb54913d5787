/**
 * Lists for queries, beside the state and not part of it: the channels of a key, the assets of an owner, what was made from an asset
 * and the bonds that a key has delegated to. A list
 * is dense and numbered, so that it can be read without an iterator and shrinks in one step: the last entry takes
 * the place of one that goes.
 */
import { concat, equalBytes, u32be } from '../base/bytes.ts';
import { invariant } from '../base/errors.ts';
import type { StoreOperation } from '../base/store.ts';
import type { Hash, PublicKey } from '../protocol/ids.ts';
import { nameOf } from './names.ts';
import type { State } from './state.ts';

/** What is listed under a key. */
export type ListKind = 'channels' | 'assets' | 'children' | 'delegations';

type Read = (key: Uint8Array) => Uint8Array | undefined;

const KIND: Readonly<Record<ListKind, number>> = { channels: 1, assets: 2, children: 3, delegations: 4 };
/** The kind of a number on the wire. */
export function listKindOf(number: number): ListKind | undefined {
  return LIST_KINDS.find((kind) => KIND[kind] === number);
}

/** The number of a kind on the wire. */
export function listNumberOf(kind: ListKind): number {
  return KIND[kind];
}

const LIST_KINDS: readonly ListKind[] = ['channels', 'assets', 'children', 'delegations'];
const COUNT = 0;
const ENTRY = 1;
const PLACE = 2;

function keyOf(
  kind: ListKind,
  what: number,
  owner: PublicKey,
  rest: Uint8Array = new Uint8Array(0),
): Uint8Array {
  return concat(Uint8Array.of(KIND[kind], what), owner, rest);
}

function readCount(bytes: Uint8Array | undefined): number {
  return bytes === undefined ? 0 : new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
}

/** The last `max` ids listed under a key, the most recent first as long as nothing was removed. */
export function readList(read: Read, kind: ListKind, owner: PublicKey, max: number): readonly Hash[] {
  const count = readCount(read(keyOf(kind, COUNT, owner)));
  const ids: Hash[] = [];
  for (let place = count - 1; place >= 0 && ids.length < max; place--) {
    const id = read(keyOf(kind, ENTRY, owner, u32be(place)));
    invariant(id !== undefined, 'a list is dense');
    ids.push(id);
  }
  return ids;
}

/** Store operations that bring the lists in step with a block's changes. */
export function listOperations(read: Read, state: State): readonly StoreOperation[] {
  const lists = new ListWriter(read);
  for (const { id, before, now } of state.channels.changed()) {
    if ((before === undefined) === (now === undefined)) continue;
    for (const key of now ? [now.payer, now.payee] : before ? [before.payer, before.payee] : []) {
      if (now) lists.add('channels', key, id);
      else lists.remove('channels', key, id);
    }
  }
  for (const { id, before, now } of state.stakes.delegations.changed()) {
    if ((before === undefined) === (now === undefined)) continue;
    const [to, owner] = [id.slice(0, 33), id.slice(33)];
    if (now) lists.add('delegations', owner, to);
    else lists.remove('delegations', owner, to);
  }
  for (const { id, before, now } of state.assets.changed()) {
    if (before !== undefined || now?.definition.type !== 'register-asset') continue;
    for (const { owner } of now.definition.owners) lists.add('assets', owner, id);
    for (const { asset } of now.definition.parents) lists.add('children', asset, id);
  }
  return lists.operations();
}

class ListWriter {
  readonly #read: Read;
  readonly #changes = new Map<string, { readonly key: Uint8Array; readonly value: Uint8Array | undefined }>();

  constructor(read: Read) {
    this.#read = read;
  }

  add(kind: ListKind, owner: PublicKey, id: Hash): void {
    const place = readCount(this.#get(keyOf(kind, COUNT, owner)));
    this.#put(keyOf(kind, ENTRY, owner, u32be(place)), id);
    this.#put(keyOf(kind, PLACE, owner, id), u32be(place));
    this.#put(keyOf(kind, COUNT, owner), u32be(place + 1));
  }

  remove(kind: ListKind, owner: PublicKey, id: Hash): void {
    const placeBytes = this.#get(keyOf(kind, PLACE, owner, id));
    const last = readCount(this.#get(keyOf(kind, COUNT, owner))) - 1;
    const moved = this.#get(keyOf(kind, ENTRY, owner, u32be(last)));
    invariant(placeBytes !== undefined && moved !== undefined, 'what is removed was listed');
    if (!equalBytes(moved, id)) {
      this.#put(keyOf(kind, ENTRY, owner, placeBytes), moved);
      this.#put(keyOf(kind, PLACE, owner, moved), placeBytes);
    }
    this.#put(keyOf(kind, ENTRY, owner, u32be(last)), undefined);
    this.#put(keyOf(kind, PLACE, owner, id), undefined);
    this.#put(keyOf(kind, COUNT, owner), last === 0 ? undefined : u32be(last));
  }

  operations(): readonly StoreOperation[] {
    return [...this.#changes.values()].map(({ key, value }) =>
      value === undefined ? { type: 'del', key } : { type: 'put', key, value },
    );
  }

  #get(key: Uint8Array): Uint8Array | undefined {
    const change = this.#changes.get(nameOf(key));
    return change === undefined ? this.#read(key) : change.value;
  }

  #put(key: Uint8Array, value: Uint8Array | undefined): void {
    this.#changes.set(nameOf(key), { key, value });
  }
}
