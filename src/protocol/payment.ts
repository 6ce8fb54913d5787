/**
 * Money off the ledger: the payer's voucher (a ceiling), the payee's charge (what was used), and the receipt of
 * one call. Amounts are cumulative per channel and lane, so a later record replaces an earlier one.
 */
import { compareBytes, equalBytes, utf8 } from '../base/bytes.ts';
import { type PriceSchedule, priceSchedule } from './card.ts';
import type { Hash, Id, PublicKey } from './ids.ts';
import { CLAIM_ASSETS_MAX, NETWORK_NAME_BYTES_MAX, PPM, RECEIPT_ASSETS_MAX } from './limits.ts';
import {
  bytes,
  grains,
  list,
  oneOf,
  optional,
  record,
  type Schema,
  schema,
  text,
  u32,
  uint,
} from './schema.ts';
import type { Suite } from './suite.ts';

/** The payer's promise, signed under the type `voucher`: up to `ceiling` of what this lane has charged. */
export interface Voucher {
  readonly network: string;
  readonly channel: Hash;
  readonly lane: number;
  /** Cumulative, grains. Never falls. */
  readonly ceiling: bigint;
  /** Rises with every voucher of the lane. */
  readonly sequence: number;
  /** How many receipts the payer has accepted, and the root and total of their tree. */
  readonly receiptCount: number;
  readonly receiptRoot: Hash;
  readonly receiptTotal: bigint;
  /** After this the voucher backs no further service; it still backs claims. */
  readonly notAfterMs: number | undefined;
}

/** The wire form of a voucher. */
export const voucher: Schema<Voucher> = record('voucher', {
  network: text(NETWORK_NAME_BYTES_MAX),
  channel: bytes(32),
  lane: u32,
  ceiling: grains,
  sequence: uint(),
  receiptCount: uint(),
  receiptRoot: bytes(32),
  receiptTotal: grains,
  notAfterMs: optional(uint()),
});

/** The payee's statement, signed under the type `charge` by the operator's key. */
export interface Charge {
  readonly network: string;
  readonly channel: Hash;
  readonly lane: number;
  /** Cumulative, grains: the sum of the amounts of all receipts so far. */
  readonly total: bigint;
  /** How many receipts it covers: receipts 0 to `sequence` - 1. */
  readonly sequence: number;
  readonly receiptRoot: Hash;
  /** Commits to the cumulative amount of every asset: `attributionRoot`. */
  readonly attributionRoot: Hash;
}

/** The wire form of a charge. */
export const charge: Schema<Charge> = record('charge', {
  network: text(NETWORK_NAME_BYTES_MAX),
  channel: bytes(32),
  lane: u32,
  total: grains,
  sequence: uint(),
  receiptRoot: bytes(32),
  attributionRoot: bytes(32),
});

/**
 * The payee's word, signed under the type `release`, that the payer may take money out of a channel at once. It
 * counts for the deposit as it stands: any change of it in between, by a top-up too, makes it void.
 */
export interface Release {
  readonly network: string;
  readonly channel: Hash;
  /** What is left of the deposit, counted as the deposit is: with everything that was claimed of it. Grains. */
  readonly depositAfter: bigint;
  /** How often the channel's deposit had changed: its `revision`. */
  readonly sequence: number;
}

/** The wire form of a release. */
export const release: Schema<Release> = record('release', {
  network: text(NETWORK_NAME_BYTES_MAX),
  channel: bytes(32),
  depositAfter: grains,
  sequence: uint(),
});

/** What one asset has earned, in grains. */
export interface AssetAmount {
  readonly asset: Hash;
  readonly amount: bigint;
}

const assetAmount: Schema<AssetAmount> = record('asset-amount', { asset: bytes(32), amount: grains });

/** Cumulative amounts of a lane, sorted by asset, each asset once. */
export const attribution: Schema<readonly AssetAmount[]> = schema(
  'attribution',
  list(assetAmount, CLAIM_ASSETS_MAX),
);

/** Whether assets are sorted and distinct, as a commitment requires. */
export function isSortedAttribution(amounts: readonly AssetAmount[]): boolean {
  return amounts.every((entry, i) => {
    const previous = amounts[i - 1];
    return previous === undefined || compareBytes(previous.asset, entry.asset) < 0;
  });
}

/** What a charge commits to: the hash of the sorted cumulative amounts. */
export function attributionRoot(suite: Suite, amounts: readonly AssetAmount[]): Hash {
  return suite.sha256(utf8('sahara/1/attribution'), attribution.encode(amounts));
}

/** How a call ended, when it ended with a receipt. */
export type Finish = 'done' | 'length' | 'nothing-found' | 'cancelled' | 'failed';

/** What one party earned by one call. */
export interface ReceiptShare {
  readonly asset: Hash;
  /** Why it earned: a passage used, the agent itself, the model, the prompt, or calls that it paid for below. */
  readonly role: 'knowledge' | 'agent' | 'model' | 'prompt' | 'calls';
  readonly ppm: number;
  /** Grains. */
  readonly amount: bigint;
}

/** The agent's final statement on one call, signed under the type `receipt` by the agent's key. */
export interface Receipt {
  readonly version: number;
  readonly network: string;
  readonly callId: Id;
  readonly agent: PublicKey;
  /** The operator, whom the payer pays. */
  readonly payee: PublicKey;
  readonly payer: PublicKey;
  /** Absent for a free call. */
  readonly channel: Hash | undefined;
  readonly lane: number;
  /** Position among the lane's receipts, from 0; for a free call 0. */
  readonly sequence: number;
  /** SHA-256 of the request. */
  readonly requestHash: Hash;
  /** End of the hash chain over everything delivered. */
  readonly responseHash: Hash;
  /** How many frames the chain covers. */
  readonly deliveries: number;
  readonly cardHash: Hash;
  readonly manifestHash: Hash;
  readonly modelDigest: Hash;
  readonly skill: string | undefined;
  readonly seed: number | undefined;
  readonly finish: Finish;
  readonly inputUnits: number;
  readonly outputUnits: number;
  readonly price: PriceSchedule;
  /** What the calls made directly below this one cost, grains. */
  readonly expenses: bigint;
  /** What the call cost, grains: `chargeOf` its price and units, and its expenses; 0 for a free call. */
  readonly amount: bigint;
  /** Who earned it. Parts per million sum to exactly 1,000,000, amounts to exactly `amount`. */
  readonly shares: readonly ReceiptShare[];
  /** Name and version of the rule that made the shares. */
  readonly attributionRule: string;
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
}

/** The wire form of a receipt. */
export const receipt: Schema<Receipt> = record('receipt', {
  version: uint(255),
  network: text(NETWORK_NAME_BYTES_MAX),
  callId: bytes(16),
  agent: bytes(32),
  payee: bytes(32),
  payer: bytes(32),
  channel: optional(bytes(32)),
  lane: u32,
  sequence: uint(),
  requestHash: bytes(32),
  responseHash: bytes(32),
  deliveries: u32,
  cardHash: bytes(32),
  manifestHash: bytes(32),
  modelDigest: bytes(32),
  skill: optional(text(64)),
  seed: optional(u32),
  finish: oneOf('done', 'length', 'nothing-found', 'cancelled', 'failed'),
  inputUnits: u32,
  outputUnits: u32,
  price: priceSchedule,
  expenses: grains,
  amount: grains,
  shares: list(
    record('receipt-share', {
      asset: bytes(32),
      role: oneOf('knowledge', 'agent', 'model', 'prompt', 'calls'),
      ppm: uint(PPM),
      amount: grains,
    }),
    RECEIPT_ASSETS_MAX,
  ),
  attributionRule: text(64),
  startedAtMs: uint(),
  finishedAtMs: uint(),
});

/** The asset of the share that gives a payee back what calls below cost it. None on the ledger has this id. */
export function callsAsset(suite: Suite): Hash {
  return suite.sha256(utf8('sahara/1/calls-asset'));
}

/** What `inputUnits` and `outputUnits` cost under a price schedule, grains. */
export function chargeOf(price: PriceSchedule, inputUnits: number, outputUnits: number): bigint {
  return price.perCall + price.perInputUnit * BigInt(inputUnits) + price.perOutputUnit * BigInt(outputUnits);
}

/**
 * What a call costs whoever made it, with everything below it, grains. What an operator asks of an agent of their
 * own moves no money, so what that agent paid others is what it cost.
 */
export function costOf(final: Receipt): bigint {
  return final.channel === undefined && equalBytes(final.payer, final.payee) ? final.expenses : final.amount;
}
