/**
 * Pruning: the bodies of old blocks go, the ledger stays. A block goes in the same write that moves the base past it,
 * so a crash leaves it here or gone. What stays: the state and its tree, where each transaction is and what it gave (so
 * that nobody takes a transaction that took effect for one that did not), and the blocks that hold a transaction on a
 * channel that still exists, so that its parties can prove what happened on it.
 */
import type { Store, StoreOperation } from '../base/store.ts';
import { block } from '../protocol/block.ts';
import { type Hash, PROTOCOL_VERSION } from '../protocol/ids.ts';
import type { Signed } from '../protocol/signing.ts';
import type { Suite } from '../protocol/suite.ts';
import { channelId, claimsOf, type Transaction, transaction } from '../protocol/transaction.ts';
import { BASE, BLOCKS, chainBase, heightKey, RESULTS, UNDO } from './layout.ts';
import { CHANNELS, stateKey } from './records.ts';
import type { StateReader } from './state.ts';

/** How a chain is pruned. */
export interface PruneOptions {
  readonly signal?: AbortSignal;
  /** Blocks that one write drops at most. Default 64. */
  readonly stepBlocks?: number;
  /** For a chain that blocks are committed to meanwhile. */
  readonly live?: LivePrune;
}

/** How pruning goes along with blocks that come. */
interface LivePrune {
  /** Runs one write between two commits. */
  between<T>(job: () => Promise<T>): Promise<T>;
  /** Waits a little, while somebody holds the old blocks. */
  pause(): Promise<void>;
}

/** Nobody commits. */
export const ALONE: LivePrune = { between: (job) => job(), pause: async () => {} };

/** What pruning looks at. */
export interface PruneParts {
  readonly suite: Suite;
  readonly network: string;
  readonly store: Store;
  readonly readState: StateReader;
}

/** One write of pruning. */
export interface PruneStep {
  readonly operations: readonly StoreOperation[];
  /** Header of the new base. */
  readonly header: Signed;
  readonly removed: number;
}

/** The write that drops the blocks from `from` to `to`, which become the base. */
export async function pruneStep(parts: PruneParts, from: number, to: number): Promise<PruneStep | undefined> {
  const operations: StoreOperation[] = [];
  let header: Signed | undefined;
  let removed = 0;
  for (let height = from; height <= to; height++) {
    operations.push({ type: 'del', key: heightKey(UNDO, height) });
    const wire = await parts.store.get(heightKey(BLOCKS, height));
    if (wire === undefined) continue;
    const content = block.decode(wire);
    if (height === to) header = content.header;
    if (content.transactions.some(({ payload }) => isNeeded(parts, payload))) continue;
    operations.push({ type: 'del', key: heightKey(BLOCKS, height) });
    operations.push({ type: 'del', key: heightKey(RESULTS, height) });
    removed++;
  }
  if (header === undefined) return undefined;
  operations.push({ type: 'put', key: BASE, value: chainBase.encode({ header }) });
  return { operations, header, removed };
}

/** The writes that drop the blocks up to `base` that were kept for channels which have ended since, one for each. */
export async function* outlived(parts: PruneParts, base: number): AsyncIterable<readonly StoreOperation[]> {
  for await (const [key, wire] of parts.store.entries({ gte: BLOCKS, lt: heightKey(BLOCKS, base + 1) })) {
    if (block.decode(wire).transactions.some(({ payload }) => isNeeded(parts, payload))) continue;
    const height = key.subarray(BLOCKS.length);
    yield [
      { type: 'del', key },
      { type: 'del', key: new Uint8Array([...RESULTS, ...height]) },
    ];
  }
}

function isNeeded({ suite, network, readState }: PruneParts, payload: Uint8Array): boolean {
  const content = opened(payload);
  if (content === undefined || content.version !== PROTOCOL_VERSION) return false;
  return channelsIn(suite, network, content).some(
    (channel) => readState(stateKey(CHANNELS, channel)) !== undefined,
  );
}

/** The channels that a transaction is about. */
function channelsIn(suite: Suite, network: string, { sender, nonce, action }: Transaction): readonly Hash[] {
  if (action.type === 'open-channel') return [channelId(suite, network, sender, action.payee, nonce)];
  const named = 'channel' in action ? [action.channel] : [];
  return [...named, ...claimsOf(action).map(({ channel }) => channel)];
}

function opened(payload: Uint8Array): Transaction | undefined {
  try {
    return transaction.decode(payload);
  } catch {
    // A block may hold bytes that are no transaction; they are about no channel.
    return undefined;
  }
}
