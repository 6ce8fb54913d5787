/**
 * Looks through the blocks of a ledger, the latest first: whatever has to do with a sender, a kind, an asset or a channel.
 * It keeps no index of its own, so one look goes through a bounded number of blocks and says where the next one begins.
 */
import { equalBytes } from '../base/bytes.ts';
import { block, blockHeader } from '../protocol/block.ts';
import type { Hash, PublicKey } from '../protocol/ids.ts';
import type { Suite } from '../protocol/suite.ts';
import { type Action, assetId, channelId, claimsOf } from '../protocol/transaction.ts';
import type { Ledger, TransactionSummary } from './ledger.ts';
import { prepareTransaction } from './prepare.ts';

/** Where a look begins: at the transactions before this one. */
export interface ExplorerPlace {
  readonly height: number;
  /** Position among the block's transactions. */
  readonly index: number;
}

/** What is looked for; what is left out does not matter. */
export interface ExplorerQuery {
  readonly sender?: PublicKey;
  readonly kind?: string;
  /** Registered, replaced, used, paid or collected. */
  readonly asset?: Hash;
  readonly channel?: Hash;
  /** Only those that took effect. */
  readonly effective?: boolean;
  readonly before?: ExplorerPlace;
  /** Most transactions of one answer. */
  readonly limit: number;
}

/** What a look found. */
export interface ExplorerPage {
  readonly found: readonly TransactionSummary[];
  /** Where the next look goes on; absent at the first block that is here. */
  readonly next: ExplorerPlace | undefined;
}

/** Blocks that one look goes through. */
const BLOCKS_LOOKED_MAX = 4_096;
const CHUNK_BLOCKS = 64;

type Blocks = Pick<Ledger, 'network' | 'base' | 'head' | 'blocks' | 'lookup'>;

/** Looks through `ledger` for what `query` wants. */
export async function explore(suite: Suite, ledger: Blocks, query: ExplorerQuery): Promise<ExplorerPage> {
  const found: TransactionSummary[] = [];
  const start = query.before?.height ?? ledger.head().height;
  const last = Math.max(ledger.base, start - BLOCKS_LOOKED_MAX);
  for (let to = start; to > last; ) {
    const from = Math.max(last + 1, to - CHUNK_BLOCKS + 1);
    for (const wire of (await blocksBetween(ledger, from, to)).toReversed()) {
      for (const one of transactionsOf(suite, ledger, wire).toReversed()) {
        const { before } = query;
        if (before?.height === one.height && one.index >= before.index) continue;
        if (!fits(suite, ledger.network, one, query)) continue;
        if (found.length === query.limit) return { found, next: after(found) };
        found.push(one);
      }
    }
    to = from - 1;
  }
  return { found, next: last > ledger.base ? { height: last, index: Number.MAX_SAFE_INTEGER } : undefined };
}

function after(found: readonly TransactionSummary[]): ExplorerPlace | undefined {
  const last = found.at(-1);
  return last && { height: last.height, index: last.index };
}

/** The stored blocks of some heights, in order; those that are not here are left out. */
async function blocksBetween(ledger: Blocks, from: number, to: number): Promise<readonly Uint8Array[]> {
  const blocks: Uint8Array[] = [];
  while (blocks.length < to - from + 1) {
    const more = await ledger.blocks(from + blocks.length);
    if (more.length === 0) break;
    blocks.push(...more.slice(0, to - from + 1 - blocks.length));
  }
  return blocks;
}

/** The transactions of a stored block with their results, in order. */
export function transactionsOf(
  suite: Suite,
  ledger: Pick<Ledger, 'network' | 'lookup'>,
  wire: Uint8Array,
): readonly TransactionSummary[] {
  const { header, transactions } = block.decode(wire);
  const { height, timeMs } = blockHeader.decode(header.payload);
  return transactions.flatMap((message, index) => {
    const { id, content } = prepareTransaction(suite, ledger.network, message);
    const place = ledger.lookup(id);
    if (place === undefined) return [];
    const known = content.fault === undefined ? content.transaction : undefined;
    const { sender, nonce, action } = known ?? { sender: undefined, nonce: undefined, action: undefined };
    return [{ id, height, index, result: place.result, sender, nonce, action, timeMs }];
  });
}

function fits(suite: Suite, network: string, one: TransactionSummary, query: ExplorerQuery): boolean {
  const { action, sender, nonce, result } = one;
  if (query.effective === true && result.code !== 0) return false;
  if (query.kind !== undefined && action?.type !== query.kind) return false;
  if (query.sender !== undefined && !(sender && equalBytes(sender, query.sender))) return false;
  const { asset, channel } = query;
  if (asset === undefined && channel === undefined) return true;
  if (action === undefined || sender === undefined || nonce === undefined) return false;
  const made = { suite, network, sender, nonce };
  return (
    (asset === undefined || assetsIn(action, made).some((id) => equalBytes(id, asset))) &&
    (channel === undefined || channelsIn(action, made).some((id) => equalBytes(id, channel)))
  );
}

interface Made {
  readonly suite: Suite;
  readonly network: string;
  readonly sender: PublicKey;
  readonly nonce: number;
}

/** Every asset that an action names or makes. */
function assetsIn(action: Action, { suite, network, sender, nonce }: Made): readonly Hash[] {
  const claimed = claimsOf(action).flatMap(({ attribution }) => attribution.map(({ asset }) => asset));
  if (action.type === 'collect-path') return action.assets;
  if (action.type === 'register-asset') {
    const own = assetId(suite, network, sender, nonce);
    return [own, ...action.parents.map(({ asset }) => asset), ...(action.replaces ? [action.replaces] : [])];
  }
  return 'asset' in action && action.asset !== undefined ? [action.asset] : claimed;
}

/** Every channel that an action names or opens. */
function channelsIn(action: Action, { suite, network, sender, nonce }: Made): readonly Hash[] {
  if (action.type === 'open-channel') return [channelId(suite, network, sender, action.payee, nonce)];
  return 'channel' in action ? [action.channel] : claimsOf(action).map(({ channel }) => channel);
}
