/**
 * A memory of the head outside the ledger's store. A store that drops damaged records by design would otherwise
 * begin the ledger anew, or go on from a head that the network has long passed, and a sequencer would sign other
 * blocks of heights that it signed before. The mark follows the head and never leads it: it is written after the block.
 */
import { equalBytes } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { SaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Store } from '../base/store.ts';
import { block, blockHeader, headerHash } from '../protocol/block.ts';
import { type Hash, shortHex } from '../protocol/ids.ts';
import type { Suite } from '../protocol/suite.ts';
import { RECENT_BLOCKS_BYTES_MAX } from './limits.ts';

/** A head that the ledger had reached. */
export interface MarkedHead {
  /** SHA-256 of the genesis' bytes. */
  readonly genesisHash: Hash;
  readonly height: number;
  readonly headerHash: Hash;
}

/** Keeps one head, outside the ledger's store. */
export interface HeadMark {
  /** Where it is kept, for the person who has to mend it. */
  readonly place: string;
  /** What was written last; `undefined` where nothing was. Throws `store-corrupt` when it cannot be read. */
  read(): Promise<MarkedHead | undefined>;
  /** Replaces it, whole or not at all, also across a crash. */
  write(head: MarkedHead): Promise<void>;
}

const LINGER_MS = 200;

/** What to do about a store that lost blocks; `place` is the mark's. */
export function lostBlocks(reason: string, place?: string): SaharaError {
  const advice =
    'Restore the whole home folder from its latest backup; a peer that only follows may instead move its store ' +
    `${place === undefined ? '' : `and ${place} `}away and fetch the ledger again`;
  return new SaharaError('store-corrupt', { reason, advice });
}

/** What a chain tells of itself to be compared with a mark. */
export interface MarkedChain {
  readonly genesisHash: Hash;
  readonly height: number;
  /** Blocks below it are not here. */
  readonly base: number;
  /** Hash of the header at a height from 0 to `height`; `undefined` when its block is missing. */
  headerHash(height: number): Promise<Hash | undefined>;
}

/** Throws `store-corrupt` unless the chain holds the header that the mark remembers. */
export async function demandMarked(chain: MarkedChain, marked: MarkedHead, place: string): Promise<void> {
  const { height } = marked;
  if (!equalBytes(marked.genesisHash, chain.genesisHash))
    throw lostBlocks(
      `The ledger begins with another genesis than the one it was at block ${height} of`,
      place,
    );
  if (chain.height < height)
    throw lostBlocks(`The ledger ends at block ${chain.height}, but block ${height} had been written`, place);
  // Only a chain that held what was marked is pruned further, so what lies below the base was there.
  if (height < chain.base) return;
  const found = await chain.headerHash(height);
  if (found !== undefined && equalBytes(found, marked.headerHash)) return;
  const other = found === undefined ? 'is missing' : `is ${shortHex(found)}`;
  throw lostBlocks(`Block ${height} ${other}, but ${shortHex(marked.headerHash)} had been written`, place);
}

/**
 * Throws `store-corrupt` unless the latest blocks in `range` lead to the head without a gap. A block is one
 * batch, so the batches of blocks that are all there are whole.
 */
export async function demandUnbroken(
  parts: {
    readonly suite: Suite;
    readonly store: Store;
    readonly place: string | undefined;
    /** What the first stored block follows upon. */
    readonly base: { readonly height: number; readonly headerHash: Hash };
  },
  head: { readonly height: number; readonly headerHash: Hash },
  range: { readonly gte: Uint8Array; readonly lt: Uint8Array },
): Promise<void> {
  const { base } = parts;
  let { height, headerHash: expected } = head;
  let left = RECENT_BLOCKS_BYTES_MAX;
  for await (const [, wire] of parts.store.entries({ ...range, reverse: true })) {
    // Further down stand single blocks that pruning left.
    if (height <= base.height) break;
    const { payload } = block.decode(wire).header;
    if (!equalBytes(headerHash(parts.suite, payload), expected)) break;
    expected = blockHeader.decode(payload).previous;
    height -= 1;
    left -= wire.length;
    if (left <= 0) return;
  }
  if (height > base.height || (height > 0 && !equalBytes(expected, base.headerHash)))
    throw lostBlocks(`Block ${height} of ${head.height} is missing`, parts.place);
}

/** Keeps a mark behind a head that moves. */
export interface MarkKeeper {
  /** The head has moved. */
  moved(): void;
  /** Writes the last head and ends. */
  stop(): Promise<void>;
}

/** Writes `head()` to the mark a moment after it moved, one write at a time. A write that fails is logged. */
export function keepMark(
  parts: { readonly mark: HeadMark; readonly clock: Clock; readonly log: Log },
  head: () => MarkedHead,
): MarkKeeper {
  const { mark, clock, log } = parts;
  let cancel: (() => void) | undefined;
  let last: Promise<void> = Promise.resolve();
  let written: number | undefined;
  const write = (): Promise<void> => {
    cancel?.();
    cancel = undefined;
    last = last.then(async () => {
      const next = head();
      if (next.height === written) return;
      try {
        await mark.write(next);
        written = next.height;
      } catch (error) {
        log.warn('head not marked', { height: next.height, place: mark.place, error: String(error) });
      }
    });
    return last;
  };
  return {
    moved() {
      cancel ??= clock.after(LINGER_MS, () => void write());
    },
    stop: write,
  };
}
