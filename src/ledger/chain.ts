/**
 * A ledger on disk: state, tree, lists, blocks and where each transaction is, in one store. A block is one atomic
 * batch that is on disk when it counts, so a crash at any moment leaves the ledger before it or after it.
 */
import { concat, equalBytes, u64be } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import type { Store, StoreOperation } from '../base/store.ts';
import {
  block,
  type Genesis,
  genesis as genesisSchema,
  headerHash as hashOfHeader,
  type TransactionResult,
  transactionResult,
} from '../protocol/block.ts';
import type { Hash } from '../protocol/ids.ts';
import { BLOCK_TRANSACTIONS_MAX } from '../protocol/limits.ts';
import { bytes, list, record, type Schema, schema, u32, uint } from '../protocol/schema.ts';
import type { Suite } from '../protocol/suite.ts';
import type { ExecutedBlock } from './blocks.ts';
import { applyGenesis, genesisFault } from './genesis.ts';
import type { Inclusion } from './ledger.ts';
import { STATE_RECORD_CACHED_BYTES_MAX, STATE_RECORDS_CACHED_MAX } from './limits.ts';
import { listOperations } from './listings.ts';
import { demandMarked, demandUnbroken, type HeadMark, lostBlocks, type MarkedChain } from './mark.ts';
import { nameOf } from './names.ts';
import { State, type StateChange, type StateReader } from './state.ts';
import { createStateTree, type StateTree, type TreeUpdate, underPrefix } from './tree.ts';

const HEAD = Uint8Array.of(0x01);
const GENESIS = Uint8Array.of(0x02);
const STATE = Uint8Array.of(0x10);
const PAGES = Uint8Array.of(0x11);
const LISTS = Uint8Array.of(0x12);
const BLOCKS = Uint8Array.of(0x20);
const RESULTS = Uint8Array.of(0x21);
const PLACES = Uint8Array.of(0x22);

/** Where a chain stands. */
export interface ChainHead {
  readonly height: number;
  readonly headerHash: Hash;
  readonly stateRoot: Hash;
  readonly timeMs: number;
}

const chainHead: Schema<ChainHead> = record('chain-head', {
  height: uint(),
  headerHash: bytes(32),
  stateRoot: bytes(32),
  timeMs: uint(),
});

interface Place {
  readonly height: number;
  readonly index: number;
  readonly result: TransactionResult;
}

const place: Schema<Place> = record('place', { height: uint(), index: u32, result: transactionResult });

const resultList: Schema<readonly TransactionResult[]> = schema(
  'results',
  list(transactionResult, BLOCK_TRANSACTIONS_MAX),
);

/** A ledger's stored data. One block is committed at a time. */
export interface Chain {
  head(): ChainHead;
  /** Committed state by state key. */
  readonly readState: StateReader;
  /** Committed lists for queries. */
  readonly readLists: StateReader;
  readonly tree: StateTree;
  /** Every committed record of the state, in key order. */
  stateEntries(): AsyncIterable<readonly [Uint8Array, Uint8Array]>;
  block(height: number): Promise<Uint8Array | undefined>;
  results(height: number): Promise<readonly TransactionResult[] | undefined>;
  lookup(id: Hash): Inclusion | undefined;
  /** Writes an executed block whole, synced, and moves the head. */
  commit(executed: ExecutedBlock): Promise<void>;
}

/**
 * Opens the chain in `store`, or begins it from `genesis`. Errors: `network-mismatch` when the store holds another
 * network, `config-invalid` for a genesis that cannot be, `store-corrupt` when head and tree disagree, when one of the
 * latest blocks is missing, or when the chain does not hold what `mark` remembers.
 */
export async function openChain(
  parts: { readonly suite: Suite; readonly store: Store; readonly mark?: HeadMark | undefined },
  genesis: Genesis,
): Promise<Chain> {
  const { suite, store, mark } = parts;
  const readUnder =
    (prefix: Uint8Array): StateReader =>
    (key) =>
      store.getSync(concat(prefix, key));
  const cached = createStateCache(readUnder(STATE));
  const readState = cached.read;
  const readLists = readUnder(LISTS);
  const tree = createStateTree(suite, readUnder(PAGES));
  const genesisBytes = genesisSchema.encode(genesis);
  const storedGenesis = store.getSync(GENESIS);
  const marked = await mark?.read();
  if (storedGenesis === undefined && marked !== undefined)
    throw lostBlocks(
      `The ledger's beginning is missing, but block ${marked.height} had been written`,
      mark?.place,
    );
  if (storedGenesis === undefined && store.getSync(HEAD) !== undefined)
    throw lostBlocks("The ledger's beginning is missing", mark?.place);
  if (storedGenesis === undefined)
    await begin({ ...parts, readState: readUnder(STATE), tree }, genesis, genesisBytes);
  else if (!equalBytes(storedGenesis, genesisBytes)) {
    throw new SaharaError('network-mismatch', { reason: 'the store holds the ledger of another network' });
  }
  let head = readHead(store);
  if (!equalBytes(tree.root(), head.stateRoot)) {
    throw new SaharaError('store-corrupt', { reason: 'state tree and head disagree', height: head.height });
  }
  await demandUnbroken({ suite, store, place: mark?.place }, head, { gte: BLOCKS, lt: RESULTS });
  if (mark && marked)
    await demandMarked(chainMarks(suite, store, { genesisBytes, head }), marked, mark.place);

  return {
    head: () => head,
    readState,
    readLists,
    tree,
    async *stateEntries() {
      const range = { gte: STATE, lt: PAGES };
      for await (const [key, value] of store.entries(range)) yield [key.subarray(STATE.length), value];
    },
    block: (height) => store.get(concat(BLOCKS, heightKey(height))),
    async results(height) {
      const stored = await store.get(concat(RESULTS, heightKey(height)));
      return stored && resultList.decode(stored);
    },
    lookup(id) {
      const stored = store.getSync(concat(PLACES, id));
      return stored && { id, ...place.decode(stored) };
    },
    async commit(executed) {
      const { header, headerHash, update, state } = executed;
      const { height, stateRoot, timeMs } = header;
      const next: ChainHead = { height, headerHash, stateRoot, timeMs };
      const operations = [
        ...stateOperations(executed.changes),
        ...pageOperations(tree, update),
        ...underPrefix(LISTS, listOperations(readLists, state)),
        ...blockOperations(executed),
        put(HEAD, chainHead.encode(next)),
      ];
      await store.batch(operations, { sync: true });
      tree.adopt(update);
      cached.adopt(executed.changes);
      head = next;
    },
  };
}

/** What a stored chain says to a mark. */
function chainMarks(
  suite: Suite,
  store: Store,
  { genesisBytes, head }: { readonly genesisBytes: Uint8Array; readonly head: ChainHead },
): MarkedChain {
  return {
    genesisHash: suite.sha256(genesisBytes),
    height: head.height,
    async headerHash(height) {
      if (height === head.height) return head.headerHash;
      const wire = height === 0 ? undefined : await store.get(concat(BLOCKS, heightKey(height)));
      if (wire === undefined) return height === 0 ? new Uint8Array(32) : undefined;
      return hashOfHeader(suite, block.decode(wire).header.payload);
    },
  };
}

/** Keeps the records read last in memory; what a block changed replaces what is there. */
function createStateCache(read: StateReader): {
  read: StateReader;
  adopt(changes: readonly StateChange[]): void;
} {
  const values = new Map<string, Uint8Array | undefined>();
  const keep = (name: string, value: Uint8Array | undefined): void => {
    values.delete(name);
    if (value !== undefined && value.length > STATE_RECORD_CACHED_BYTES_MAX) return;
    values.set(name, value);
    if (values.size > STATE_RECORDS_CACHED_MAX) values.delete(values.keys().next().value as string);
  };
  return {
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

async function begin(
  parts: {
    readonly suite: Suite;
    readonly store: Store;
    readonly readState: StateReader;
    readonly tree: StateTree;
  },
  genesis: Genesis,
  genesisBytes: Uint8Array,
): Promise<void> {
  const fault = genesisFault(genesis);
  if (fault !== undefined) throw new SaharaError('config-invalid', { reason: fault });
  const state = new State(parts.readState);
  applyGenesis(state, genesis);
  const changes = state.changes();
  const update = parts.tree.update(changes);
  const head: ChainHead = {
    height: 0,
    headerHash: new Uint8Array(32),
    stateRoot: update.root,
    timeMs: genesis.createdAtMs,
  };
  const operations = [
    ...stateOperations(changes),
    ...pageOperations(parts.tree, update),
    put(GENESIS, genesisBytes),
    put(HEAD, chainHead.encode(head)),
  ];
  await parts.store.batch(operations, { sync: true });
  parts.tree.adopt(update);
}

function readHead(store: Store): ChainHead {
  const stored = store.getSync(HEAD);
  if (stored === undefined) throw new SaharaError('store-corrupt', { reason: 'the ledger has no head' });
  return chainHead.decode(stored);
}

function heightKey(height: number): Uint8Array {
  return u64be(BigInt(height));
}

function put(key: Uint8Array, value: Uint8Array): StoreOperation {
  return { type: 'put', key, value };
}

function stateOperations(changes: ExecutedBlock['changes']): readonly StoreOperation[] {
  return changes.map(({ key, value }) => {
    const full = concat(STATE, key);
    return value === undefined ? { type: 'del', key: full } : put(full, value);
  });
}

function pageOperations(tree: StateTree, update: TreeUpdate): readonly StoreOperation[] {
  return underPrefix(PAGES, tree.operations(update));
}

function blockOperations({ header, wire, results, transactions }: ExecutedBlock): readonly StoreOperation[] {
  const { height } = header;
  const at = heightKey(height);
  const places = transactions.map(({ id }, index) => {
    // Every transaction has its result.
    const result = results[index] as TransactionResult;
    return put(concat(PLACES, id), place.encode({ height, index, result }));
  });
  return [put(concat(BLOCKS, at), wire), put(concat(RESULTS, at), resultList.encode(results)), ...places];
}
