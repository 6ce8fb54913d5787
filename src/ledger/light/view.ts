/**
 * What a light ledger knows without asking: the records that it follows, as peers proved them at one block, in memory and
 * on disk. It begins with the genesis' own state, which nobody has to prove.
 */
import { equalBytes } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import { point } from '../../base/points.ts';
import type { Store } from '../../base/store.ts';
import type { Genesis } from '../../protocol/block.ts';
import type { Hash } from '../../protocol/ids.ts';
import { bytes, bytesUpTo, list, optional, record, type Schema, uint } from '../../protocol/schema.ts';
import { applyGenesis } from '../genesis.ts';
import type { LedgerHead } from '../ledger.ts';
import { STATE_KEY_BYTES_MAX, STATE_KEYS_READ_MAX, STATE_RECORD_BYTES_MAX } from '../limits.ts';
import { nameOf } from '../names.ts';
import type { ReadRecord } from '../queries.ts';
import { CHANNELS, stateKey, type Table } from '../records.ts';
import { State } from '../state.ts';

/** A record that is followed, in its stored form; without a value it is proved to be absent. */
export interface Followed {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

/** Records at one block. */
export type FollowedRecords = ReadonlyMap<string, Followed>;

interface StoredView {
  readonly height: number;
  readonly headerHash: Uint8Array;
  readonly stateRoot: Uint8Array;
  readonly timeMs: number;
  readonly records: readonly Followed[];
}

const storedView: Schema<StoredView> = record('light-view', {
  height: uint(),
  headerHash: bytes(32),
  stateRoot: bytes(32),
  timeMs: uint(),
  records: list(
    record('light-record', {
      key: bytesUpTo(STATE_KEY_BYTES_MAX, 1),
      value: optional(bytesUpTo(STATE_RECORD_BYTES_MAX)),
    }),
    STATE_KEYS_READ_MAX,
  ),
});

const VIEW = Uint8Array.of(1);

/** The followed records. */
export class View {
  readonly #store: Store;
  readonly #decoded = new Map<string, unknown>();
  #head: LedgerHead;
  #records: FollowedRecords;

  /** Opens what `store` keeps; before anything was proved, `begin` with the genesis' `head`. */
  constructor(store: Store, begin: { readonly head: LedgerHead; readonly records: FollowedRecords }) {
    this.#store = store;
    const stored = store.getSync(VIEW);
    if (stored === undefined) {
      this.#head = begin.head;
      this.#records = begin.records;
      return;
    }
    const { records, ...head } = storedView.decode(stored);
    this.#head = head;
    this.#records = new Map(records.map((one) => [nameOf(one.key), one]));
  }

  /** The block at which they were proved. */
  get head(): LedgerHead {
    return this.#head;
  }

  get records(): FollowedRecords {
    return this.#records;
  }

  /** Reads a followed record. Throws `state-unproven` for any other. */
  readonly read: ReadRecord = <T>(table: Table<T>, id: Uint8Array): T | undefined => {
    const name = nameOf(stateKey(table, id));
    const found = this.#records.get(name);
    if (found === undefined) throw new SaharaError('state-unproven', { reason: 'It is not followed here' });
    if (found.value === undefined) return undefined;
    const known = this.#decoded.get(name);
    // What stands under a record's name was decoded by the table that its key begins with.
    if (known !== undefined) return known as T;
    const value = table.schema.decode(found.value);
    this.#decoded.set(name, value);
    return value;
  };

  /** Takes what was proved later. On disk first: who is told of it may count on it after a crash. */
  async adopt(head: LedgerHead, records: FollowedRecords): Promise<void> {
    const { height, headerHash, stateRoot, timeMs } = head;
    const stored = { height, headerHash, stateRoot, timeMs, records: [...records.values()] };
    await this.#store.batch([{ type: 'put', key: VIEW, value: storedView.encode(stored) }]);
    point('light:viewed');
    this.#head = { height, headerHash, stateRoot, timeMs };
    this.#records = records;
    this.#decoded.clear();
  }
}

/** The channels among followed records that are there. */
export function channelsIn(records: FollowedRecords): readonly Hash[] {
  const ids: Hash[] = [];
  for (const { key, value } of records.values())
    if (key[0] === CHANNELS.tag && value !== undefined) ids.push(key.subarray(1));
  return ids;
}

/** Reads through `read` and gathers every record that was read. */
export function gathering(read: ReadRecord, into: Map<string, Followed>): ReadRecord {
  return (table, id) => {
    const found = read(table, id);
    const key = stateKey(table, id);
    into.set(nameOf(key), { key, value: found && table.schema.encode(found) });
    return found;
  };
}

/** Reads the state that a genesis begins with. */
export function genesisReader(genesis: Genesis): ReadRecord {
  const state = new State(() => undefined);
  applyGenesis(state, genesis);
  const values = new Map(state.changes().map(({ key, value }) => [nameOf(key), value]));
  return (table, id) => {
    const value = values.get(nameOf(stateKey(table, id)));
    return value && table.schema.decode(value);
  };
}

/** Whether two values are the same, absence too. */
export function same(one: Uint8Array | undefined, other: Uint8Array | undefined): boolean {
  return one === undefined || other === undefined ? one === other : equalBytes(one, other);
}

/** Whether two sets of records are the same. */
export function sameRecords(one: FollowedRecords, other: FollowedRecords): boolean {
  if (one.size !== other.size) return false;
  return [...one].every(([name, { value }]) => other.has(name) && same(value, other.get(name)?.value));
}
