/**
 * What may be in a block, as its proposer chooses it and everybody else looks it over. Both judge by structure and by
 * the pace of the ledger alone: whether a transaction takes effect is the business of execution.
 */
import { invariant } from '../../../base/errors.ts';
import { BLOCK_BYTES_MAX, BLOCK_TRANSACTIONS_MAX, TRANSACTION_BYTES_MAX } from '../../../protocol/limits.ts';
import type { BlockParts } from '../../blocks.ts';
import { nameOf } from '../../names.ts';
import { isPaced } from '../../pace.ts';
import type { Prepared } from '../../prepare.ts';
import { nonceOf } from '../../records.ts';
import { prepareBytes } from './execution.ts';
import { tickHeight } from './ticks.ts';

/** Room that a block keeps for its header and list heads, bytes. */
const HEADER_BYTES_MAX = 4_096;
/** Most bytes of transactions of one block. */
export const PROPOSED_BYTES_MAX: number = BLOCK_BYTES_MAX - HEADER_BYTES_MAX;

/** Whether a block with transactions at `timeMs` would come too early: delays run, and nobody shortens them by filling blocks. */
export function isEarly({ chain, genesis }: BlockParts, timeMs: number): boolean {
  const head = chain.head();
  if (!isPaced(chain.readState, head.height)) return false;
  return timeMs < head.timeMs + genesis.parameters.blockIntervalMs;
}

/** Of what waits, what the block at `timeMs` is to hold: each sender's numbers in order and without gaps. */
export function chooseTransactions(
  parts: BlockParts,
  waiting: readonly Uint8Array[],
  options: { readonly timeMs: number; readonly bytesMax: number },
): readonly Uint8Array[] {
  if (isEarly(parts, options.timeMs)) return [];
  const next = new Map<string, number>();
  const chosen: Uint8Array[] = [];
  let room = Math.min(options.bytesMax, PROPOSED_BYTES_MAX);
  for (const bytes of waiting) {
    if (chosen.length === BLOCK_TRANSACTIONS_MAX) break;
    // What CometBFT counts of a transaction besides its bytes: its tag and its length.
    const size = bytes.length + 8;
    const content = size > room ? undefined : structureOf(parts, bytes)?.content;
    if (content === undefined || content.fault !== undefined) continue;
    const { sender, nonce } = content.transaction;
    const name = nameOf(sender);
    if (nonce !== (next.get(name) ?? nonceOf(parts.chain.readState, sender))) continue;
    next.set(name, nonce + 1);
    chosen.push(bytes);
    room -= size;
  }
  return chosen;
}

/** Why nobody should vote for a block, if so. */
export function proposalFault(
  parts: BlockParts,
  transactions: readonly Uint8Array[],
  timeMs: number,
): string | undefined {
  if (transactions.length === 0) return undefined;
  if (transactions.length > BLOCK_TRANSACTIONS_MAX) return 'it has too many transactions';
  const sizeBytes = transactions.reduce((sum, { length }) => sum + length, 0);
  if (sizeBytes > PROPOSED_BYTES_MAX) return 'it is too large';
  if (isEarly(parts, timeMs)) return 'delays run, and it comes too early';
  const isTransaction = (bytes: Uint8Array): boolean => {
    const prepared = structureOf(parts, bytes);
    return prepared !== undefined && prepared.content.fault === undefined;
  };
  return transactions.every(isTransaction) ? undefined : 'it holds what is no transaction of this network';
}

/** A transaction, if these bytes can be one. */
function structureOf(parts: BlockParts, bytes: Uint8Array): Prepared | undefined {
  if (bytes.length > TRANSACTION_BYTES_MAX || tickHeight(bytes) !== undefined) return undefined;
  return prepareBytes(parts, bytes);
}

/** Milliseconds of a time of consensus. */
export function millisecondsOf({
  seconds,
  nanos,
}: {
  readonly seconds: bigint;
  readonly nanos: number;
}): number {
  const ms = Number(seconds) * 1000 + Math.floor(nanos / 1_000_000);
  invariant(Number.isSafeInteger(ms), 'a time of consensus is a number of milliseconds');
  return Math.max(0, ms);
}
