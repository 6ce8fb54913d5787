/**
 * The state as a block in progress sees it: records read once through a synchronous reader, changes kept beside
 * them. A transaction that is refused is undone through a journal; a block that is refused is dropped whole.
 * Nothing here writes anywhere: `changes` says what a commit has to write.
 */
import { equalBytes } from '../base/bytes.ts';
import type { IdentityRecord } from '../protocol/identity.ts';
import { nameOf } from './names.ts';
import {
  ACCOUNTS,
  type AccountRecord,
  APPROVALS,
  type ApprovalRecord,
  ASSETS,
  type AssetRecord,
  CHANNELS,
  type ChannelRecord,
  CLOSINGS,
  type ClosingRecord,
  FAUCETS,
  type FaucetRecord,
  GRANTS,
  type GrantRecord,
  LANES,
  type LaneRecord,
  REVENUES,
  type RevenueRecord,
  stateKey,
  type Table,
  VERSIONS,
  type VersionRecord,
} from './records.ts';
import { AGENDA, type AgendaRecord, ENDED, type EndedRecord } from './records-channel.ts';
import {
  IDENTITIES,
  KEY_HOLDERS,
  type KeyHolderRecord,
  PACES,
  type PaceRecord,
  REVOCATIONS,
  type RevocationRecord,
} from './records-identity.ts';
import { RULES, type RulesRecord } from './records-rules.ts';
import { type StakeTables, stakeTables } from './state-stake.ts';

/** Reads the committed bytes under a state key. */
export type StateReader = (key: Uint8Array) => Uint8Array | undefined;

/** One record that a block changed; without a value it was deleted. */
export interface StateChange {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

interface Cell<T> {
  readonly id: Uint8Array;
  readonly before: T | undefined;
  now: T | undefined;
  changed: boolean;
}

type Journal = (() => void)[];

/** One table of the state with the block's changes on top. */
export class TableView<T> {
  readonly #table: Table<T>;
  readonly #read: StateReader;
  readonly #journal: Journal;
  readonly #cells = new Map<string, Cell<T>>();
  /** The cell asked for last: a record is mostly read and then set. */
  #last: Cell<T> | undefined;

  constructor(table: Table<T>, read: StateReader, journal: Journal) {
    this.#table = table;
    this.#read = read;
    this.#journal = journal;
  }

  /** The record under `id` as the block has left it. */
  get(id: Uint8Array): T | undefined {
    return this.#cell(id).now;
  }

  /** Takes a record from elsewhere in its stored form, if it is this table's; `malformed` when it is none. */
  load(key: Uint8Array, value: Uint8Array): boolean {
    if (key[0] !== this.#table.tag) return false;
    this.set(key.slice(1), this.#table.schema.decode(value));
    return true;
  }

  /** Replaces the record under `id`; `undefined` deletes it. Records are never changed in place. */
  set(id: Uint8Array, value: T | undefined): void {
    const cell = this.#cell(id);
    const { now, changed } = cell;
    this.#journal.push(() => {
      cell.now = now;
      cell.changed = changed;
    });
    cell.now = value;
    cell.changed = true;
  }

  /** Money that came into this table with the block's changes, grains; negative when it went out. */
  heldChange(): bigint {
    let change = 0n;
    for (const cell of this.#cells.values()) {
      if (!cell.changed) continue;
      if (cell.now !== undefined) change += this.#table.held(cell.now);
      if (cell.before !== undefined) change -= this.#table.held(cell.before);
    }
    return change;
  }

  /** Every record that the block changed: its id, how it was, how it is. */
  *changed(): Iterable<{
    readonly id: Uint8Array;
    readonly before: T | undefined;
    readonly now: T | undefined;
  }> {
    for (const cell of this.#cells.values()) if (cell.changed) yield cell;
  }

  /** Adds what a commit writes. */
  changesInto(changes: StateChange[]): void {
    for (const { id, before, now, changed } of this.#cells.values()) {
      if (!changed || (before === undefined && now === undefined)) continue;
      const value = now === undefined ? undefined : this.#table.schema.encode(now);
      changes.push({ key: stateKey(this.#table, id), value });
    }
  }

  #cell(id: Uint8Array): Cell<T> {
    if (this.#last !== undefined && equalBytes(this.#last.id, id)) return this.#last;
    const name = nameOf(id);
    let cell = this.#cells.get(name);
    if (cell === undefined) {
      const stored = this.#read(stateKey(this.#table, id));
      const before = stored === undefined ? undefined : this.#table.schema.decode(stored);
      cell = { id, before, now: before, changed: false };
      this.#cells.set(name, cell);
    }
    this.#last = cell;
    return cell;
  }
}

/** The whole state under one block. */
export class State {
  readonly #journal: Journal = [];
  readonly #views: Pick<TableView<unknown>, 'heldChange' | 'changesInto' | 'load'>[] = [];
  readonly accounts: TableView<AccountRecord>;
  readonly channels: TableView<ChannelRecord>;
  readonly lanes: TableView<LaneRecord>;
  readonly assets: TableView<AssetRecord>;
  readonly revenues: TableView<RevenueRecord>;
  readonly faucets: TableView<FaucetRecord>;
  readonly closings: TableView<ClosingRecord>;
  readonly agenda: TableView<AgendaRecord>;
  readonly ended: TableView<EndedRecord>;
  readonly grants: TableView<GrantRecord>;
  readonly approvals: TableView<ApprovalRecord>;
  readonly identities: TableView<IdentityRecord>;
  readonly revocations: TableView<RevocationRecord>;
  readonly keyHolders: TableView<KeyHolderRecord>;
  readonly paces: TableView<PaceRecord>;
  readonly versions: TableView<VersionRecord>;
  readonly rules: TableView<RulesRecord>;
  readonly stakes: StakeTables;

  constructor(read: StateReader) {
    const view = <T>(table: Table<T>): TableView<T> => {
      const made = new TableView(table, read, this.#journal);
      this.#views.push(made);
      return made;
    };
    this.accounts = view(ACCOUNTS);
    this.channels = view(CHANNELS);
    this.lanes = view(LANES);
    this.assets = view(ASSETS);
    this.revenues = view(REVENUES);
    this.faucets = view(FAUCETS);
    this.closings = view(CLOSINGS);
    this.agenda = view(AGENDA);
    this.ended = view(ENDED);
    this.grants = view(GRANTS);
    this.approvals = view(APPROVALS);
    this.identities = view(IDENTITIES);
    this.revocations = view(REVOCATIONS);
    this.keyHolders = view(KEY_HOLDERS);
    this.paces = view(PACES);
    this.versions = view(VERSIONS);
    this.rules = view(RULES);
    this.stakes = stakeTables(view);
  }

  /** Runs `step`; when `keep` says no to its outcome, the state is as before. */
  attempt<R>(step: () => R, keep: (outcome: R) => boolean): R {
    const mark = this.#journal.length;
    const outcome = step();
    if (!keep(outcome)) for (const undo of this.#journal.splice(mark).reverse()) undo();
    return outcome;
  }

  /** Money that the block's changes made (positive) or lost (negative). Anything but 0 is a defect. */
  heldChange(): bigint {
    let change = 0n;
    for (const view of this.#views) change += view.heldChange();
    return change;
  }

  /** Takes a record from elsewhere in its stored form; false when no table has such keys. Throws `malformed`. */
  load(key: Uint8Array, value: Uint8Array): boolean {
    return this.#views.some((view) => view.load(key, value));
  }

  /** What a commit writes: every changed record once. */
  changes(): readonly StateChange[] {
    const changes: StateChange[] = [];
    for (const view of this.#views) view.changesInto(changes);
    return changes;
  }
}

const NEW_ACCOUNT: AccountRecord = { balance: 0n, nonce: 0, drawn: 0n };

/** The account of a key; one that was never used is empty. */
export function accountOf(state: State, key: Uint8Array): AccountRecord {
  return state.accounts.get(key) ?? NEW_ACCOUNT;
}

/** Adds `amount` to a balance. The supply bounds every sum. */
export function credit(state: State, key: Uint8Array, amount: bigint): void {
  if (amount === 0n) return;
  const account = accountOf(state, key);
  state.accounts.set(key, { ...account, balance: account.balance + amount });
}

/** Takes `amount` from a balance; false, and nothing changed, when there is less. */
export function debit(state: State, key: Uint8Array, amount: bigint): boolean {
  const account = accountOf(state, key);
  if (account.balance < amount) return false;
  state.accounts.set(key, { ...account, balance: account.balance - amount });
  return true;
}
