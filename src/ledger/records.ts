/** What the state holds: one table per kind of record, each with its key prefix, wire form and the money inside. */
import { concat, u32be, u64be } from '../base/bytes.ts';
import type { Hash, PublicKey } from '../protocol/ids.ts';
import { grains, optional, record, type Schema, uint } from '../protocol/schema.ts';
import { ACCOUNT, ASSET, CHANNEL, LANE, REVENUE, VERSION } from '../protocol/state-records.ts';
import type { Action } from '../protocol/transaction.ts';
import { AGENDA, ENDED, type Freeze } from './records-channel.ts';
import { IDENTITIES, KEY_HOLDERS, PACES, REVOCATIONS } from './records-identity.ts';
import { RULES } from './records-rules.ts';
import { BACKERS, BONDS, DELEGATIONS, EARNINGS, EPOCHS, OFFENCES } from './records-stake.ts';

/** A key's money and how many of its transactions were executed. */
export interface AccountRecord {
  readonly balance: bigint;
  readonly nonce: number;
  /** What it got from the faucet, grains. */
  readonly drawn: bigint;
}

/** A payer's deposit for one payee. */
export interface ChannelRecord {
  readonly payer: PublicKey;
  readonly payee: PublicKey;
  readonly deposit: bigint;
  /** What all lanes have paid out of the deposit, grains. */
  readonly claimed: bigint;
  /** Height at whose end the channel ends; absent while it is open. */
  readonly closeAt: number | undefined;
  /** Lanes that were claimed on or frozen. */
  readonly lanes: readonly number[];
  /** How often the deposit has changed since the channel was opened. */
  readonly revision: number;
  /** What leaves the deposit at the end of the block `at`, as far as claims leave it. */
  readonly withdrawal: { readonly amount: bigint; readonly at: number } | undefined;
  /** Keys that may sign vouchers besides the payer's: the present one without `until`, others up to that height. */
  readonly voucherKeys: readonly VoucherKey[];
}

/** A key that may sign vouchers of a channel. */
export interface VoucherKey {
  readonly key: PublicKey;
  /** Last height at which its vouchers count; absent for the present key. */
  readonly until: number | undefined;
}

/** What one asset has earned on a lane. */
export interface LanePart {
  readonly asset: Hash;
  /** Cumulative, as the last charge says. */
  readonly amount: bigint;
  /** Part of `amount` that was paid. */
  readonly credited: bigint;
}

/** Claims on one lane of a channel. */
export interface LaneRecord {
  /** Paid so far, grains: the sum of what is credited. */
  readonly paid: bigint;
  /** Total of the last charge, grains: the sum of the amounts. */
  readonly total: bigint;
  readonly parts: readonly LanePart[];
  /** Present once evidence was brought against the payee. */
  readonly frozen: Freeze | undefined;
}

/** What never changes about an asset. */
export interface AssetRecord {
  readonly registrant: PublicKey;
  /** 0 without parents, otherwise one more than the deepest parent. */
  readonly depth: number;
  /** The `register-asset` action as it was signed. */
  readonly definition: Action;
}

/** An asset's money: cumulative, in grains. */
export interface RevenueRecord {
  readonly received: bigint;
  /** Forwarded to each parent, in the definition's order. */
  readonly forwarded: readonly bigint[];
  /** Paid to each owner, in the definition's order. */
  readonly paid: readonly bigint[];
  /** Paid to those who collected. */
  readonly bounty: bigint;
}

/** Where an asset stands among its versions. Assets that neither replace one nor were replaced have none. */
export interface VersionRecord {
  /** From 1. */
  readonly number: number;
  readonly first: Hash;
  /** What replaced it. */
  readonly next: Hash | undefined;
}

/** What the faucet still holds, grains. */
export interface FaucetRecord {
  readonly left: bigint;
}

/** How many announced entries of the agenda are awaited, and which of its lists could not be finished in its block. */
export interface ClosingRecord {
  readonly count: number;
  /** Height of the earliest unfinished list. */
  readonly carry: number | undefined;
}

/** A licence that a key bought to an asset. */
export interface GrantRecord {
  /** Height from which on it counts no more; 0: it counts for ever. */
  readonly endsAt: number;
  /** What was paid for it in all, grains. */
  readonly paid: bigint;
}

/** The registrant of an asset allows a key to derive from it. */
export interface ApprovalRecord {
  /** Height at which it was given. */
  readonly since: number;
}

/** One kind of record in the state. */
export interface Table<T> {
  readonly name: string;
  /** First byte of its keys. */
  readonly tag: number;
  readonly schema: Schema<T>;
  /** Money that the record holds, part of the supply, grains. */
  held(value: T): bigint;
}

/** Accounts by public key. */
export const ACCOUNTS: Table<AccountRecord> = {
  name: 'account',
  ...ACCOUNT,
  held: (account) => account.balance,
};

/** Channels by id. */
export const CHANNELS: Table<ChannelRecord> = {
  name: 'channel',
  ...CHANNEL,
  held: (channel) => channel.deposit - channel.claimed,
};

/** Lanes by channel id and lane number. */
export const LANES: Table<LaneRecord> = {
  name: 'lane',
  ...LANE,
  held: () => 0n,
};

/** Assets by id. */
export const ASSETS: Table<AssetRecord> = {
  name: 'asset',
  ...ASSET,
  held: () => 0n,
};

/** Revenue by asset id. */
export const REVENUES: Table<RevenueRecord> = {
  name: 'revenue',
  ...REVENUE,
  held: (revenue) => revenue.received - total(revenue.forwarded) - total(revenue.paid) - revenue.bounty,
};

/** The faucet, under the empty key; local networks only. */
export const FAUCETS: Table<FaucetRecord> = {
  name: 'faucet',
  tag: 0x06,
  schema: record('faucet', { left: grains }),
  held: (faucet) => faucet.left,
};

/** The agenda in numbers, under the empty key. */
export const CLOSINGS: Table<ClosingRecord> = {
  name: 'closing',
  tag: 0x07,
  schema: record('closing', { count: uint(), carry: optional(uint()) }),
  held: () => 0n,
};

/** Bought licences by asset id and licensee. */
export const GRANTS: Table<GrantRecord> = {
  name: 'grant',
  tag: 0x20,
  schema: record('grant', { endsAt: uint(), paid: grains }),
  held: () => 0n,
};

/** Approvals by asset id and licensee. */
export const APPROVALS: Table<ApprovalRecord> = {
  name: 'approval',
  tag: 0x21,
  schema: record('approval', { since: uint() }),
  held: () => 0n,
};

/** Places among versions by asset id. */
export const VERSIONS: Table<VersionRecord> = {
  name: 'version',
  ...VERSION,
  held: () => 0n,
};

interface HeldMeter {
  readonly tag: number;
  readonly held: (value: Uint8Array) => bigint;
}

function meter<T>(table: Table<T>): HeldMeter {
  return { tag: table.tag, held: (value) => table.held(table.schema.decode(value)) };
}

const METERS: ReadonlyMap<number, HeldMeter> = new Map(
  [
    meter(ACCOUNTS),
    meter(CHANNELS),
    meter(LANES),
    meter(ASSETS),
    meter(REVENUES),
    meter(FAUCETS),
    meter(CLOSINGS),
    meter(AGENDA),
    meter(ENDED),
    meter(IDENTITIES),
    meter(REVOCATIONS),
    meter(KEY_HOLDERS),
    meter(PACES),
    meter(GRANTS),
    meter(APPROVALS),
    meter(VERSIONS),
    meter(BONDS),
    meter(DELEGATIONS),
    meter(BACKERS),
    meter(OFFENCES),
    meter(EPOCHS),
    meter(EARNINGS),
    meter(RULES),
  ].map((one) => [one.tag, one]),
);

/** Money in the stored record `value` under the state key `key`, grains. */
export function heldIn(key: Uint8Array, value: Uint8Array): bigint {
  const tag = key[0];
  return (tag === undefined ? undefined : METERS.get(tag))?.held(value) ?? 0n;
}

/** The key of a table's only record. */
export const ONLY: Uint8Array = new Uint8Array(0);

/** The state's key of a record. */
export function stateKey<T>(table: Table<T>, id: Uint8Array): Uint8Array {
  const key = new Uint8Array(1 + id.length);
  key[0] = table.tag;
  key.set(id, 1);
  return key;
}

/** The id of a lane's record. */
export function laneId(channel: Hash, lane: number): Uint8Array {
  return concat(channel, u32be(lane));
}

/** The id of a licensee's record about an asset. */
export function licenseeId(asset: Hash, licensee: PublicKey): Uint8Array {
  return concat(asset, licensee);
}

/** The id of a height's agenda. */
export function heightId(height: number): Uint8Array {
  return u64be(BigInt(height));
}

/** The sum of `amounts`. */
export function total(amounts: readonly bigint[]): bigint {
  let sum = 0n;
  for (const amount of amounts) sum += amount;
  return sum;
}

/** How many transactions of a key were executed, by the committed state. */
export function nonceOf(read: (key: Uint8Array) => Uint8Array | undefined, sender: PublicKey): number {
  const stored = read(stateKey(ACCOUNTS, sender));
  return stored === undefined ? 0 : ACCOUNTS.schema.decode(stored).nonce;
}
