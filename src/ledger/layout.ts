/** Where things stand in a ledger's store: one prefix byte each. */
import { concat, u64be } from '../base/bytes.ts';
import type { Hash } from '../protocol/ids.ts';
import { bytes, bytesUpTo, list, optional, record, type Schema, schema, uint } from '../protocol/schema.ts';
import { type Signed, signed } from '../protocol/signing.ts';
import { STATE_KEY_BYTES_MAX, STATE_RECORD_BYTES_MAX, UNDO_RECORDS_MAX } from './limits.ts';

/** The head. It sorts before everything else, so that one walk sees head and state of the same moment. */
export const HEAD: Uint8Array = Uint8Array.of(0x01);
/** The genesis' bytes. */
export const GENESIS: Uint8Array = Uint8Array.of(0x02);
/** The signed header from which on all blocks are here: a restored ledger began from it, a pruned one dropped what came before. */
export const BASE: Uint8Array = Uint8Array.of(0x03);
/** Stands while a snapshot is being restored: nothing else in the store may be used. */
export const RESTORING: Uint8Array = Uint8Array.of(0x04);
/** How far consensus has come, where CometBFT orders the transactions. */
export const CONSENSUS: Uint8Array = Uint8Array.of(0x05);
/** Records by state key. */
export const STATE: Uint8Array = Uint8Array.of(0x10);
/** Pages of the state tree by path. */
export const PAGES: Uint8Array = Uint8Array.of(0x11);
/** Lists for queries. */
export const LISTS: Uint8Array = Uint8Array.of(0x12);
/** While a tree is built over many records: hashes of their values by hashes of their keys. */
export const HASHED: Uint8Array = Uint8Array.of(0x13);
/** Blocks by height. */
export const BLOCKS: Uint8Array = Uint8Array.of(0x20);
/** Results by height. */
export const RESULTS: Uint8Array = Uint8Array.of(0x21);
/** Places of transactions by id. */
export const PLACES: Uint8Array = Uint8Array.of(0x22);
/** By height, what stood under the keys that a block changed. */
export const UNDO: Uint8Array = Uint8Array.of(0x24);

/** What consensus said of a block, by height. */
export const DECISIONS: Uint8Array = Uint8Array.of(0x25);

/** Claims that settled, by channel, lane and number of receipts. */
export const CLAIMS: Uint8Array = Uint8Array.of(0x23);

/** Where a chain stands. */
export interface ChainHead {
  readonly height: number;
  readonly headerHash: Hash;
  readonly stateRoot: Hash;
  readonly timeMs: number;
}

/** The stored form of a head. */
export const chainHead: Schema<ChainHead> = record('chain-head', {
  height: uint(),
  headerHash: bytes(32),
  stateRoot: bytes(32),
  timeMs: uint(),
});

/** The stored form of a base. */
export const chainBase: Schema<{ readonly header: Signed }> = record('chain-base', { header: signed });

/** What stood under a key before a block; without a value, nothing did. */
export const undoList: Schema<
  readonly { readonly key: Uint8Array; readonly value: Uint8Array | undefined }[]
> = schema(
  'undo',
  list(
    record('undo-entry', {
      key: bytesUpTo(STATE_KEY_BYTES_MAX, 1),
      value: optional(bytesUpTo(STATE_RECORD_BYTES_MAX)),
    }),
    UNDO_RECORDS_MAX,
  ),
);

/** The key of a height under `prefix`. */
export function heightKey(prefix: Uint8Array, height: number): Uint8Array {
  return concat(prefix, u64be(BigInt(height)));
}
