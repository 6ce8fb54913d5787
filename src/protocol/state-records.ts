/**
 * How records of the ledger's state read, for whoever checks them by proofs alone: the first byte of their keys and
 * their wire forms (LEDGER-5). The state machine writes the same forms.
 */
import { concat, u32be } from '../base/bytes.ts';
import { BOND_ROLES, type BondRole } from './actions-stake.ts';
import { IDENTITY_TAG, type IdentityRecord, identityRecord } from './identity.ts';
import type { Hash, PublicKey } from './ids.ts';
import {
  ASSET_OWNERS_MAX,
  ASSET_PARENTS_MAX,
  ASSET_VERSIONS_MAX,
  CLAIM_ASSETS_MAX,
  LINEAGE_DEPTH_MAX,
  PPM,
} from './limits.ts';
import { bytes, type Field, grains, list, optional, record, type Schema, u32, uint } from './schema.ts';
import { type Action, action } from './transaction.ts';

/** One kind of record: the first byte of its keys, and its form. */
export interface StateForm<T> {
  readonly tag: number;
  readonly schema: Schema<T>;
}

/** The value of a form. */
export type StateOf<F> = F extends StateForm<infer T> ? T : never;

const LANES_MAX = 64;
const VOUCHER_KEYS_MAX = 4;
const LEAVING_MAX = 8;
const CAUSES_LISTED_MAX = 8;
/** Whole subtrees of the tree over all claims of an earning, which has at most 2^32 - 1 leaves. */
const CAUSE_PEAKS_MAX = 32;
const COUNTER_MAX = 2n ** 63n - 1n;

/** Slots of epochs whose rewards are kept. */
export const REWARD_SLOTS = 16;

const counter: Field<bigint> = {
  write: (writer, value) => writer.uint(value),
  read: (reader) => reader.bigUint(COUNTER_MAX),
};

/** A key's money and how many of its transactions were executed. */
export const ACCOUNT: StateForm<{
  readonly balance: bigint;
  readonly nonce: number;
  readonly drawn: bigint;
}> = { tag: 0x01, schema: record('account', { balance: grains, nonce: uint(), drawn: grains }) };

/** A payer's deposit for one payee. */
export const CHANNEL: StateForm<{
  readonly payer: PublicKey;
  readonly payee: PublicKey;
  readonly deposit: bigint;
  readonly claimed: bigint;
  readonly closeAt: number | undefined;
  readonly lanes: readonly number[];
  readonly revision: number;
  readonly withdrawal: { readonly amount: bigint; readonly at: number } | undefined;
  readonly voucherKeys: readonly { readonly key: PublicKey; readonly until: number | undefined }[];
}> = {
  tag: 0x02,
  schema: record('channel', {
    payer: bytes(32),
    payee: bytes(32),
    deposit: grains,
    claimed: grains,
    closeAt: optional(uint()),
    lanes: list(u32, LANES_MAX),
    revision: uint(),
    withdrawal: optional(record('withdrawal', { amount: grains, at: uint() })),
    voucherKeys: list(record('voucher-key', { key: bytes(32), until: optional(uint()) }), VOUCHER_KEYS_MAX),
  }),
};

/** What a lane has paid to which assets. */
export const LANE: StateForm<{
  readonly paid: bigint;
  readonly total: bigint;
  readonly parts: readonly { readonly asset: Hash; readonly amount: bigint; readonly credited: bigint }[];
  readonly frozen: { readonly total: bigint; readonly returned: bigint } | undefined;
}> = {
  tag: 0x03,
  schema: record('lane', {
    paid: grains,
    total: grains,
    parts: list(
      record('lane-part', { asset: bytes(32), amount: grains, credited: grains }),
      CLAIM_ASSETS_MAX,
    ),
    frozen: optional(record('freeze', { total: grains, returned: grains })),
  }),
};

/** What never changes about an asset. */
export const ASSET: StateForm<{
  readonly registrant: PublicKey;
  readonly depth: number;
  readonly definition: Action;
}> = {
  tag: 0x04,
  schema: record('asset', { registrant: bytes(32), depth: uint(LINEAGE_DEPTH_MAX), definition: action }),
};

/** An asset's money. */
export const REVENUE: StateForm<{
  readonly received: bigint;
  readonly forwarded: readonly bigint[];
  readonly paid: readonly bigint[];
  readonly bounty: bigint;
}> = {
  tag: 0x05,
  schema: record('revenue', {
    received: counter,
    forwarded: list(counter, ASSET_PARENTS_MAX),
    paid: list(counter, ASSET_OWNERS_MAX),
    bounty: counter,
  }),
};

/** The keys of a DID. */
export const IDENTITY: StateForm<IdentityRecord> = { tag: IDENTITY_TAG, schema: identityRecord };

/** An asset's place among its versions. */
export const VERSION: StateForm<{
  readonly number: number;
  readonly first: Hash;
  readonly next: Hash | undefined;
}> = {
  tag: 0x22,
  schema: record('version', {
    number: uint(ASSET_VERSIONS_MAX),
    first: bytes(32),
    next: optional(bytes(32)),
  }),
};

/** What stands behind a role of a DID. */
export const BOND: StateForm<{
  readonly own: bigint;
  readonly leaving: readonly { readonly amount: bigint; readonly releaseAt: number }[];
  readonly delegated: bigint;
  readonly commission: number;
}> = {
  tag: 0x40,
  schema: record('bond', {
    own: grains,
    leaving: list(record('leaving', { amount: grains, releaseAt: uint() }), LEAVING_MAX),
    delegated: grains,
    commission: uint(PPM),
  }),
};

/** A claim by which a provider earned. */
export interface StateCause {
  readonly channel: Hash;
  readonly lane: number;
  readonly receiptRoot: Hash;
  readonly receipts: number;
  readonly amount: bigint;
}

const cause: Schema<StateCause> = record('reward-cause', {
  channel: bytes(32),
  lane: u32,
  receiptRoot: bytes(32),
  receipts: uint(),
  amount: grains,
});

/** What a provider earned in one epoch, and by which claims. */
export const EARNING: StateForm<{
  readonly epoch: number;
  readonly settled: bigint;
  readonly weight: bigint;
  readonly contributed: bigint;
  readonly claims: number;
  readonly causes: readonly StateCause[];
  readonly peaks: readonly Hash[];
  readonly paid: bigint | undefined;
}> & { readonly cause: Schema<StateCause> } = {
  tag: 0x45,
  cause,
  schema: record('earning', {
    epoch: uint(),
    settled: grains,
    weight: grains,
    contributed: grains,
    claims: u32,
    causes: list(cause, CAUSES_LISTED_MAX),
    peaks: list(bytes(32), CAUSE_PEAKS_MAX),
    paid: optional(grains),
  }),
};

/** The state's key of a record. */
export function keyOfState(form: StateForm<unknown>, id: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(form.tag), id);
}

/** The id of a lane's record. */
export function laneIdOf(channel: Hash, lane: number): Uint8Array {
  return concat(channel, u32be(lane));
}

/** The id of a bond. */
export function bondIdOf(did: PublicKey, role: BondRole): Uint8Array {
  return concat(did, Uint8Array.of(BOND_ROLES.indexOf(role)));
}
