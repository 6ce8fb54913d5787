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
import { applyGenesis, genesisFault, networkNameOf } from './genesis.ts';
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
  UNDO,
  undoList,
} from './layout.ts';
import type { Inclusion } from './ledger.ts';
import { PRUNE_STEP_BLOCKS } from './limits.ts';
import { listOperations } from './listings.ts';
import { demandMarked, demandUnbroken, type HeadMark, lostBlocks, type MarkedChain } from './mark.ts';
import { ALONE, outlived, type PruneOptions, type PruneStep, pruneStep } from './prune.ts';
import { State, type StateChange, type StateReader } from './state.ts';
import { createStateCache } from './state-cache.ts';
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
  /** Every committed record of the state, in key order; or those of one table, by its tag. */
  stateEntries(tag?: number): AsyncIterable<readonly [Uint8Array, Uint8Array]>;
  /** The head and every record of the state, in key order, as both stand at this moment, whatever is written meanwhile. */
  pinned(): Promise<PinnedState>;
  /** Blocks up to this height need not be here: it began from a snapshot there, or was pruned. 0: all are here. */
  readonly base: number;
  /** The signed header of a height; `undefined` where its block is not here. */
  header(height: number): Promise<Signed | undefined>;
  block(height: number): Promise<Uint8Array | undefined>;
  results(height: number): Promise<readonly TransactionResult[] | undefined>;
  lookup(id: Hash): Inclusion | undefined;
  /** The transaction that settled a receipt, where its block is here. */
  claim(sought: ClaimSought): Promise<Hash | undefined>;
  /** What a block above the base changed, as it was before. */
  undo(height: number): Promise<readonly StateChange[] | undefined>;
  /** Writes an executed block whole, synced, with what its engine keeps beside it, and moves the head. */
  commit(executed: ExecutedBlock, beside?: readonly StoreOperation[]): Promise<void>;
  /**
   * Drops all but the last `keep` blocks, and what `prune.ts` says stays; answers how many went. Not during a commit,
   * unless `live` says how to come between two.
   */
  prune(keep: number, options?: PruneOptions): Promise<number>;
  /** Until the answer is called, new blocks drop no old ones. */
  hold(): () => void;
}

/** What a chain is opened with. */
export interface ChainParts {
  readonly suite: Suite;
  readonly store: Store;
  readonly mark?: HeadMark | undefined;
  /** Blocks that stay when new ones come, at least 1. Default: all. */
  readonly keepBlocks?: number | undefined;
}

/**
 * Opens the chain in `store`, or begins it from `genesis`. Errors: `network-mismatch` when the store holds another
 * network, `config-invalid` for a genesis that cannot be, `store-corrupt` when head and tree disagree, when one of the
 * latest blocks is missing, or when the chain does not hold what `mark` remembers.
 */
export async function openChain(parts: ChainParts, genesis: Genesis): Promise<Chain> {
  const { suite, store, mark, keepBlocks } = parts;
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
  let base = readBase(suite, store);
  await demandUnbroken({ suite, store, place: mark?.place, base }, head, { gte: BLOCKS, lt: RESULTS });
  if (mark && marked)
    await demandMarked(chainMarks(suite, store, { genesisBytes, head, base }), marked, mark.place);

  const pruning = { suite, network: networkNameOf(suite, genesis), store, readState };
  let holders = 0;
  /** What goes with the block of `height`, a few blocks at a time while it catches up. */
  const outdated = async (height: number): Promise<PruneStep | undefined> => {
    if (keepBlocks === undefined || holders > 0) return undefined;
    const to = Math.min(height - keepBlocks, base.height + PRUNE_STEP_BLOCKS);
    return to > base.height ? pruneStep(pruning, base.height + 1, to) : undefined;
  };

  return {
    head: () => head,
    readState,
    readLists,
    tree,
    async *stateEntries(tag) {
      const range = tag === undefined ? { gte: STATE, lt: PAGES } : tableRange(tag);
      for await (const [key, value] of store.entries(range)) yield [key.subarray(STATE.length), value];
    },
    pinned: () => pinnedState(store),
    get base() {
      return base.height;
    },
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
    async undo(height) {
      const stored = await store.get(heightKey(UNDO, height));
      return stored && undoList.decode(stored);
    },
    async prune(keep, options = {}) {
      const { signal, stepBlocks = PRUNE_STEP_BLOCKS, live = ALONE } = options;
      const demandWanted = (): void => {
        if (signal?.aborted) throw new SaharaError('cancelled');
      };
      const last = head.height - Math.max(keep, 1);
      const step = async (): Promise<number> => {
        // Blocks that come may have moved the base too.
        if (holders > 0 || base.height >= last) return 0;
        const to = Math.min(last, base.height + stepBlocks);
        const next = await pruneStep(pruning, base.height + 1, to);
        if (next === undefined) throw new SaharaError('store-corrupt', { reason: `Block ${to} is missing` });
        await store.batch(next.operations, { sync: true });
        base = baseOf(suite, next.header);
        return next.removed;
      };
      let removed = 0;
      for await (const operations of outlived(pruning, base.height)) {
        demandWanted();
        await live.between(() => store.batch(operations));
        removed++;
      }
      while (base.height < last) {
        demandWanted();
        if (holders > 0) await live.pause();
        removed += await live.between(step);
      }
      return removed;
    },
    hold() {
      holders++;
      return () => holders--;
    },
    async commit(executed, beside = []) {
      const { header, headerHash, update, state } = executed;
      const { height, stateRoot, timeMs } = header;
      const next: ChainHead = { height, headerHash, stateRoot, timeMs };
      const step = await outdated(height);
      const operations = [
        ...stateOperations(executed.changes),
        ...pageOperations(tree, update),
        ...underPrefix(LISTS, listOperations(readLists, state)),
        ...blockOperations(executed),
        ...claimOperations((key) => store.getSync(key), executed),
        put(heightKey(UNDO, height), undoList.encode(undoOf(readState, executed.changes))),
        ...(step?.operations ?? []),
        ...beside,
        put(HEAD, chainHead.encode(next)),
      ];
      await store.batch(operations, { sync: true });
      if (step) base = baseOf(suite, step.header);
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
    base: base.height,
    async headerHash(height) {
      if (height === head.height) return head.headerHash;
      if (height === base.height) return base.headerHash;
      const wire = await store.get(heightKey(BLOCKS, height));
      return wire && hashOfHeader(suite, headerIn(wire).payload);
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
  return baseOf(suite, chainBase.decode(stored).header);
}

function baseOf(suite: Suite, header: Signed): Base {
  const { height } = blockHeader.decode(header.payload);
  return { height, headerHash: hashOfHeader(suite, header.payload), header };
}

function tableRange(tag: number): { readonly gte: Uint8Array; readonly lt: Uint8Array } {
  return { gte: concat(STATE, Uint8Array.of(tag)), lt: concat(STATE, Uint8Array.of(tag + 1)) };
}

function undoOf(read: StateReader, changes: readonly StateChange[]): readonly StateChange[] {
  return changes.map(({ key }) => ({ key, value: read(key) }));
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
