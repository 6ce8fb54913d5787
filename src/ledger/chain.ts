/**
 * A ledger on disk: state, tree, lists, blocks and where each transaction is, in one store. A block is one atomic
 * batch that is on disk when it counts, so a crash at any moment leaves the ledger before it or after it.
 */
import { concat, equalBytes } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import type { Store, StoreOperation } from '../base/store.ts';
import {
  blockHeader,
  type Genesis,
  genesis as genesisSchema,
  headerHash as hashOfHeader,
  headerIn,
  type TransactionResult,
  transactionResult,
} from '../protocol/block.ts';
import type { Hash } from '../protocol/ids.ts';
import { BLOCK_TRANSACTIONS_MAX } from '../protocol/limits.ts';
import { list, record, type Schema, schema, u32, uint } from '../protocol/schema.ts';
import type { Signed } from '../protocol/signing.ts';
import type { Suite } from '../protocol/suite.ts';
import type { ExecutedBlock } from './blocks.ts';
import { type ClaimSought, claimOperations, findClaim } from './claim-index.ts';
import { applyGenesis, genesisFault } from './genesis.ts';
import {
  BASE,
  BLOCKS,
  type ChainHead,
  chainBase,
  chainHead,
  GENESIS,
  HEAD,
  heightKey,
  LISTS,
  PAGES,
  PLACES,
  RESTORING,
  RESULTS,
  STATE,
} from './layout.ts';
import type { Inclusion } from './ledger.ts';
import { STATE_RECORD_CACHED_BYTES_MAX, STATE_RECORDS_CACHED_MAX } from './limits.ts';
import { listOperations } from './listings.ts';
import { demandMarked, demandUnbroken, type HeadMark, lostBlocks, type MarkedChain } from './mark.ts';
import { nameOf } from './names.ts';
import { State, type StateChange, type StateReader } from './state.ts';
import { createStateTree, type StateTree, type TreeUpdate, underPrefix } from './tree.ts';

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

/** The state at one height. Whoever takes one reads it to its end, or leaves the loop. */
export interface PinnedState {
  readonly head: ChainHead;
  readonly entries: AsyncIterable<readonly [Uint8Array, Uint8Array]>;
}

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
  /** The head and every record of the state, in key order, as both stand at this moment, whatever is written meanwhile. */
  pinned(): Promise<PinnedState>;
  /** Height of the snapshot that this ledger began from, without the blocks up to there; 0 for one from its genesis. */
  readonly base: number;
  /** The signed header of a height; `undefined` where its block is not here. */
  header(height: number): Promise<Signed | undefined>;
  block(height: number): Promise<Uint8Array | undefined>;
  results(height: number): Promise<readonly TransactionResult[] | undefined>;
  lookup(id: Hash): Inclusion | undefined;
  /** The transaction that settled a receipt, where its block is here. */
  claim(sought: ClaimSought): Promise<Hash | undefined>;
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
  if (store.getSync(RESTORING) !== undefined)
    throw new SaharaError('store-corrupt', {
      reason: 'Restoring a snapshot did not come to its end',
      advice: 'Restore the snapshot again',
    });
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
  const base = readBase(suite, store);
  await demandUnbroken({ suite, store, place: mark?.place, base }, head, { gte: BLOCKS, lt: RESULTS });
  if (mark && marked)
    await demandMarked(chainMarks(suite, store, { genesisBytes, head, base }), marked, mark.place);

  return {
    head: () => head,
    readState,
    readLists,
    tree,
    async *stateEntries() {
      const range = { gte: STATE, lt: PAGES };
      for await (const [key, value] of store.entries(range)) yield [key.subarray(STATE.length), value];
    },
    pinned: () => pinnedState(store),
    base: base.height,
    async header(height) {
      if (height === base.height) return base.header;
      const wire = await store.get(heightKey(BLOCKS, height));
      return wire && headerIn(wire);
    },
    block: (height) => store.get(heightKey(BLOCKS, height)),
    async results(height) {
      const stored = await store.get(heightKey(RESULTS, height));
      return stored && resultList.decode(stored);
    },
    lookup(id) {
      const stored = store.getSync(concat(PLACES, id));
      return stored && { id, ...place.decode(stored) };
    },
    claim: (sought) => findClaim(store, sought),
    async commit(executed) {
      const { header, headerHash, update, state } = executed;
      const { height, stateRoot, timeMs } = header;
      const next: ChainHead = { height, headerHash, stateRoot, timeMs };
      const operations = [
        ...stateOperations(executed.changes),
        ...pageOperations(tree, update),
        ...underPrefix(LISTS, listOperations(readLists, state)),
        ...blockOperations(executed),
        ...claimOperations((key) => store.getSync(key), executed),
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
  chain: { readonly genesisBytes: Uint8Array; readonly head: ChainHead; readonly base: Base },
): MarkedChain {
  const { genesisBytes, head, base } = chain;
  return {
    genesisHash: suite.sha256(genesisBytes),
    height: head.height,
    async headerHash(height) {
      if (height === head.height) return head.headerHash;
      if (height === base.height) return base.headerHash;
      const wire = await store.get(heightKey(BLOCKS, height));
      return wire && hashOfHeader(suite, headerIn(wire).payload);
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

/** What the stored blocks follow upon. */
interface Base {
  readonly height: number;
  readonly headerHash: Hash;
  /** Absent for the genesis. */
  readonly header: Signed | undefined;
}

function readBase(suite: Suite, store: Store): Base {
  const stored = store.getSync(BASE);
  if (stored === undefined) return { height: 0, headerHash: new Uint8Array(32), header: undefined };
  const { header } = chainBase.decode(stored);
  const { height } = blockHeader.decode(header.payload);
  return { height, headerHash: hashOfHeader(suite, header.payload), header };
}

/** One walk sees one moment: what is written meanwhile does not show in it. */
async function pinnedState(store: Store): Promise<PinnedState> {
  const walk = store.entries({ gte: HEAD, lt: PAGES })[Symbol.asyncIterator]();
  const first = await walk.next();
  if (first.done === true || !equalBytes(first.value[0], HEAD))
    throw new SaharaError('store-corrupt', { reason: 'the ledger has no head' });
  return { head: chainHead.decode(first.value[1]), entries: stateIn(walk) };
}

async function* stateIn(
  walk: AsyncIterator<readonly [Uint8Array, Uint8Array]>,
): AsyncGenerator<readonly [Uint8Array, Uint8Array]> {
  try {
    for (let next = await walk.next(); next.done !== true; next = await walk.next()) {
      const [key, value] = next.value;
      if (key[0] === STATE[0]) yield [key.subarray(STATE.length), value];
    }
  } finally {
    await walk.return?.();
  }
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
  const places = transactions.map(({ id }, index) => {
    // Every transaction has its result.
    const result = results[index] as TransactionResult;
    return put(concat(PLACES, id), place.encode({ height, index, result }));
  });
  const encoded = resultList.encode(results);
  return [put(heightKey(BLOCKS, height), wire), put(heightKey(RESULTS, height), encoded), ...places];
}
