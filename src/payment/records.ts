/** What the books keep on disk: one record per kind, one letter in front of each key. */
import { concat, u32be, u64be, utf8 } from '../base/bytes.ts';
import type { Hash, Id, PublicKey } from '../protocol/ids.ts';
import { type ReceiptTree, receiptTree } from '../protocol/receipt-tree.ts';
import { bool, bytes, grains, optional, record, type Schema, u32, uint } from '../protocol/schema.ts';
import { type Signed, signed } from '../protocol/signing.ts';

/** A lane as its payee keeps it. */
export interface PayeeLaneRecord {
  readonly payer: PublicKey;
  readonly voucher: Signed | undefined;
  readonly charge: Signed | undefined;
  readonly tree: ReceiptTree;
}

/** The stored form of a payee's lane. */
export const payeeLaneRecord: Schema<PayeeLaneRecord> = record('payee-lane', {
  payer: bytes(32),
  voucher: optional(signed),
  charge: optional(signed),
  tree: receiptTree,
});

/** How one call ended, under its id. */
export interface EndingRecord {
  readonly channel: Hash;
  readonly lane: number;
  readonly sequence: number;
  readonly payer: PublicKey;
  readonly requestHash: Hash;
  readonly receipt: Signed;
  readonly charge: Signed;
}

/** The stored form of an ending. */
export const endingRecord: Schema<EndingRecord> = record('ending', {
  channel: bytes(32),
  lane: u32,
  sequence: uint(),
  payer: bytes(32),
  requestHash: bytes(32),
  receipt: signed,
  charge: signed,
});

/** The lowest that a payee has released a channel's deposit to, for one revision of it. */
export interface ReleasedRecord {
  readonly depositAfter: bigint;
  readonly sequence: number;
}

/** The stored form of what was released. */
export const releasedRecord: Schema<ReleasedRecord> = record('released', {
  depositAfter: grains,
  sequence: uint(),
});

/** What one asset has earned on a lane, and how much of it the ledger has paid. Grains. */
export interface EarnedRecord {
  readonly amount: bigint;
  readonly settled: bigint;
}

/** The stored form of what an asset or agent has earned. */
export const earnedRecord: Schema<EarnedRecord> = record('earned', { amount: grains, settled: grains });

/** A lane as its payer keeps it. */
export interface PayerLaneRecord {
  readonly payee: PublicKey;
  /** No voucher with a higher ceiling or sequence than these was ever sent. */
  readonly ceilingMark: bigint;
  readonly sequenceMark: number;
  readonly tree: ReceiptTree;
  readonly charge: Signed | undefined;
  /** The payee's statements contradict each other: nothing more is paid on this channel. */
  readonly disputed: boolean;
  /** Its place among the channel's lanes, in the order in which they were in use, from 0. */
  readonly place: number;
  /** Most that the payee can claim on the lanes before it, grains. */
  readonly before: bigint;
}

/** The stored form of a payer's lane. */
export const payerLaneRecord: Schema<PayerLaneRecord> = record('payer-lane', {
  payee: bytes(32),
  ceilingMark: grains,
  sequenceMark: uint(),
  tree: receiptTree,
  charge: optional(signed),
  disputed: bool,
  place: u32,
  before: grains,
});

/** A call that is under way or whose end is unknown, at its payer. */
export interface OpenCallRecord {
  readonly channel: Hash;
  readonly lane: number;
  /** What its vouchers cover, grains. A top-up right before a crash may be missing. */
  readonly amountMax: bigint;
  /** Most that it may cost in the end, grains. */
  readonly limit: bigint;
  readonly reservedAtMs: number;
}

/** The stored form of an open call. */
export const openCallRecord: Schema<OpenCallRecord> = record('open-call', {
  channel: bytes(32),
  lane: u32,
  amountMax: grains,
  limit: grains,
  reservedAtMs: uint(),
});

/** What a payer takes out of a channel while nobody knows yet what became of it. */
export interface WithdrawalRecord {
  readonly payee: PublicKey;
  /** Grains. */
  readonly amount: bigint;
  /** The channel's while it began. */
  readonly revision: number;
  /** On the ledger, and not with the payee's release. */
  readonly announced: boolean;
}

/** The stored form of a withdrawal under way. */
export const withdrawalRecord: Schema<WithdrawalRecord> = record('withdrawal', {
  payee: bytes(32),
  amount: grains,
  revision: uint(),
  announced: bool,
});

/** A receipt's place in its lane's tree, at its payer. */
export interface LeafRecord {
  readonly callId: Id;
  readonly hash: Hash;
  readonly amount: bigint;
}

/** The stored form of a leaf. */
export const leafRecord: Schema<LeafRecord> = record('leaf', {
  callId: bytes(16),
  hash: bytes(32),
  amount: grains,
});

const LETTER = {
  lane: utf8('l'),
  asset: utf8('a'),
  agent: utf8('g'),
  ending: utf8('e'),
  order: utf8('s'),
  open: utf8('o'),
  released: utf8('w'),
  withdrawal: utf8('x'),
  contradicted: utf8('d'),
} as const;

/** Where a payee's book keeps which lane it serves. */
export const RUN_KEY: Uint8Array = utf8('r');

/** Keys of the books. */
export const bookKey = {
  lane: (channel: Hash, lane: number): Uint8Array => concat(LETTER.lane, channel, u32be(lane)),
  lanes: (): Uint8Array => LETTER.lane,
  lanesOf: (channel: Hash): Uint8Array => concat(LETTER.lane, channel),
  asset: (channel: Hash, lane: number, asset: Hash): Uint8Array =>
    concat(LETTER.asset, channel, u32be(lane), asset),
  assets: (channel: Hash, lane: number): Uint8Array => concat(LETTER.asset, channel, u32be(lane)),
  allAssets: (): Uint8Array => LETTER.asset,
  agent: (channel: Hash, lane: number, agent: PublicKey): Uint8Array =>
    concat(LETTER.agent, channel, u32be(lane), agent),
  agents: (channel: Hash, lane: number): Uint8Array => concat(LETTER.agent, channel, u32be(lane)),
  allAgents: (): Uint8Array => LETTER.agent,
  ending: (callId: Id): Uint8Array => concat(LETTER.ending, callId),
  order: (channel: Hash, lane: number, sequence: number): Uint8Array =>
    concat(LETTER.order, channel, u32be(lane), u64be(BigInt(sequence))),
  orders: (channel: Hash, lane: number): Uint8Array => concat(LETTER.order, channel, u32be(lane)),
  openCall: (callId: Id): Uint8Array => concat(LETTER.open, callId),
  openCalls: (): Uint8Array => LETTER.open,
  released: (channel: Hash): Uint8Array => concat(LETTER.released, channel),
  withdrawal: (channel: Hash): Uint8Array => concat(LETTER.withdrawal, channel),
  withdrawals: (): Uint8Array => LETTER.withdrawal,
  contradicted: (channel: Hash, lane: number, place: number): Uint8Array =>
    concat(LETTER.contradicted, channel, u32be(lane), u32be(place)),
  allContradicted: (channel: Hash, lane: number): Uint8Array =>
    concat(LETTER.contradicted, channel, u32be(lane)),
} as const;

/** The channel and lane inside a key that starts with a letter, a channel and a lane. */
export function laneOfKey(key: Uint8Array): { readonly channel: Hash; readonly lane: number } {
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
  return { channel: key.slice(1, 33), lane: view.getUint32(33) };
}

/** What stands in a key after the letter, the channel and the lane. */
export function restOfKey(key: Uint8Array): Uint8Array {
  return key.slice(37);
}
