/** The ledger's shared records: genesis, block headers, blocks and the results of transactions. */
import { toHex, utf8 } from '../base/bytes.ts';
import { invariant } from '../base/errors.ts';
import { malformed, Reader, Writer } from './codec.ts';
import type { Hash, PublicKey } from './ids.ts';
import { BLOCK_TRANSACTIONS_MAX, NETWORK_NAME_BYTES_MAX, PPM } from './limits.ts';
import { bytes, grains, list, optional, record, type Schema, text, u32, uint } from './schema.ts';
import { type Signed, signed } from './signing.ts';
import type { Suite } from './suite.ts';

/** Rules that a network starts with. */
export interface LedgerParameters {
  /** Fee of one transaction, grains: `rewardPpm` of it goes to the reward pool, the rest to the block's proposer. */
  readonly transactionFee: bigint;
  /** Least deposit of a channel, grains. */
  readonly depositMin: bigint;
  /** Blocks between a payer's request to close a channel and its end. */
  readonly closeDelayBlocks: number;
  /** Least and greatest time between blocks while channels are closing, milliseconds. */
  readonly blockIntervalMs: number;
  /** Blocks between taking back a bond and getting it: longer than the longest challenge, which is `closeDelayBlocks`. */
  readonly unbondDelayBlocks: number;
  /** Least bond for a role, grains. */
  readonly bondMin: bigint;
  /** Part of what is left of a bond after compensation that a proven offence costs, parts per million. */
  readonly slashPpm: number;
  /** Part of each fee that goes to the reward pool, parts per million. */
  readonly rewardPpm: number;
  /** Blocks of one epoch, whose fees are shared as rewards. */
  readonly epochBlocks: number;
}

/** Free money for whoever asks, on local networks only. */
export interface Faucet {
  /** Most that one account ever gets, grains. */
  readonly perAccount: bigint;
  /** What the faucet holds at the start, grains; part of the supply. */
  readonly supply: bigint;
}

/** Where a ledger begins. Its hash is part of the network's name. */
export interface Genesis {
  readonly version: number;
  /** What people call the network, such as `local`. */
  readonly name: string;
  readonly createdAtMs: number;
  /** Who orders transactions and signs blocks under the embedded engine. */
  readonly sequencer: PublicKey;
  readonly parameters: LedgerParameters;
  /** Present on local networks only. */
  readonly faucet: Faucet | undefined;
  readonly accounts: readonly { readonly owner: PublicKey; readonly balance: bigint }[];
}

/** The wire form of a genesis. */
export const genesis: Schema<Genesis> = record('genesis', {
  version: uint(255),
  name: text(32),
  createdAtMs: uint(),
  sequencer: bytes(32),
  parameters: record('ledger-parameters', {
    transactionFee: grains,
    depositMin: grains,
    closeDelayBlocks: u32,
    blockIntervalMs: u32,
    unbondDelayBlocks: u32,
    bondMin: grains,
    slashPpm: uint(PPM),
    rewardPpm: uint(PPM),
    epochBlocks: u32,
  }),
  faucet: optional(record('faucet-rules', { perAccount: grains, supply: grains })),
  accounts: list(record('genesis-account', { owner: bytes(32), balance: grains }), 1024),
});

const NETWORK_NAME = /^[a-z0-9][a-z0-9-]{0,31}$/;

/** The network's full name, which every signature covers: `<name>-<first 16 hex digits of the genesis hash>`. */
export function networkOf(suite: Suite, genesisBytes: Uint8Array): string {
  const { name } = genesis.decode(genesisBytes);
  if (!NETWORK_NAME.test(name)) throw malformed('network name: lower-case letters, digits and hyphens');
  const hash = suite.sha256(utf8('sahara/1/genesis'), genesisBytes);
  return `${name}-${toHex(hash.subarray(0, 8))}`;
}

/** What a proposer signs under the type `block-header`. */
export interface BlockHeader {
  readonly version: number;
  readonly network: string;
  /** The first block after genesis has height 1. */
  readonly height: number;
  /** Hash of the header before, zeros at height 1. */
  readonly previous: Hash;
  /** Merkle root of the signed transactions in their wire form. */
  readonly transactionsRoot: Hash;
  /** Merkle root of the results in their wire form. */
  readonly resultsRoot: Hash;
  /** Root of the state after this block. */
  readonly stateRoot: Hash;
  readonly proposer: PublicKey;
  readonly timeMs: number;
}

/** The wire form of a header. */
export const blockHeader: Schema<BlockHeader> = record('block-header', {
  version: uint(255),
  network: text(NETWORK_NAME_BYTES_MAX),
  height: uint(),
  previous: bytes(32),
  transactionsRoot: bytes(32),
  resultsRoot: bytes(32),
  stateRoot: bytes(32),
  proposer: bytes(32),
  timeMs: uint(),
});

/** A block: its signed header and the transactions that it executes, in order. */
export interface Block {
  readonly header: Signed;
  readonly transactions: readonly Signed[];
}

/** The wire form of a block. */
export const block: Schema<Block> = record('block', {
  header: signed,
  transactions: list(signed, BLOCK_TRANSACTIONS_MAX),
});

/** The wire form of a block over transactions that are in their wire form already. */
export function encodeBlock(header: Signed, transactions: readonly Uint8Array[]): Uint8Array {
  invariant(transactions.length <= BLOCK_TRANSACTIONS_MAX, 'a block of at most 2,000 transactions');
  const writer = new Writer();
  writer.array(2);
  signed.write(writer, header);
  writer.array(transactions.length);
  for (const wire of transactions) writer.encoded(wire);
  return writer.finish();
}

/** The signed header of a block in its wire form, without reading the transactions. Throws `malformed`. */
export function headerIn(wire: Uint8Array): Signed {
  const reader = new Reader(wire);
  if (reader.array(2) !== 2) throw malformed('block: wrong number of fields');
  return signed.read(reader);
}

/** Hash of a header, which the next block names. */
export function headerHash(suite: Suite, payload: Uint8Array): Hash {
  return suite.sha256(utf8('sahara/1/block'), payload);
}

/** What executing one transaction gave. Codes are part of consensus: `spec/ledger.md` lists them. */
export interface TransactionResult {
  /** 0 when it took effect, otherwise the reason of the refusal. */
  readonly code: number;
  /** What it moved: paid by a claim, forwarded and paid out by a collect, grains; 0 for others. */
  readonly moved: bigint;
}

/** The wire form of a result. */
export const transactionResult: Schema<TransactionResult> = record('transaction-result', {
  code: uint(65_535),
  moved: grains,
});
