/** What the ledger is told: one record per kind of transaction, signed by its sender under the type `transaction`. */
import { concat, u64be } from '../base/bytes.ts';
import { type CollectPathAction, collectPath } from './actions-asset.ts';
import { CHANNEL_ACTIONS, type ChannelAction, type ClaimBody, claimBody } from './actions-channel.ts';
import { IDENTITY_ACTIONS, type IdentityAction } from './actions-identity.ts';
import { type ApproveUpgradeAction, RULES_ACTIONS } from './actions-rules.ts';
import { STAKE_ACTIONS, type StakeAction } from './actions-stake.ts';
import { domainHash, type Hash, type PublicKey } from './ids.ts';
import { type LicenceTerms, licenceTerms, type ParentRelation } from './licence.ts';
import {
  ASSET_OWNERS_MAX,
  ASSET_PARENTS_MAX,
  BOUNTY_PPM_MAX,
  NETWORK_NAME_BYTES_MAX,
  PPM,
} from './limits.ts';
import { bytes, grains, list, oneOf, optional, record, type Schema, text, uint, union } from './schema.ts';
import type { Suite } from './suite.ts';

/** Kinds of assets, in their order on the wire. */
export const ASSET_KINDS = [
  'dataset',
  'contribution',
  'adapter',
  'model',
  'merge',
  'index',
  'agent',
  'template',
  'eval-set',
] as const;

/** One of `ASSET_KINDS`. */
export type AssetKind = (typeof ASSET_KINDS)[number];

/** An owner and what part of the asset's own revenue is theirs, in parts per million. */
export interface OwnerShare {
  readonly owner: PublicKey;
  readonly ppm: number;
}

/** A parent asset and what part of everything received goes on to it, in parts per million. */
export interface ParentShare {
  readonly asset: Hash;
  readonly relation: ParentRelation;
  readonly ppm: number;
}

/** What an asset consists of: a commitment under a named scheme. */
export interface Commitment {
  /**
   * `sha256-merkle-1mib` for a file, `sahara-folder-1` for a folder of them, `sahara-chunks-1` for a vault's chunks,
   * `sahara-manifest-1` for a manifest.
   */
  readonly scheme: string;
  readonly root: Hash;
  readonly sizeBytes: number;
}

/** The wire form of a commitment. */
export const commitment: Schema<Commitment> = record('commitment', {
  scheme: text(32),
  root: bytes(32),
  sizeBytes: uint(),
});

/** Sends money. Ids of channels and assets derive from the sender's nonce, so no action names its own. */
export interface TransferAction {
  readonly type: 'transfer';
  readonly to: PublicKey;
  readonly amount: bigint;
  readonly memo: string | undefined;
}

/** Asks a local network's faucet for money. */
export interface FaucetAction {
  readonly type: 'faucet';
  readonly to: PublicKey;
  readonly amount: bigint;
}

/** Registers an asset: who owns it, what it was made from, what it consists of. */
export interface RegisterAssetAction {
  readonly type: 'register-asset';
  readonly kind: AssetKind;
  readonly name: string;
  readonly owners: readonly OwnerShare[];
  readonly parents: readonly ParentShare[];
  readonly commitment: Commitment;
  /** What the licence is called, for people. */
  readonly licence: string;
  /** What it says; absent: the asset binds nobody who makes something from it. */
  readonly terms: LicenceTerms | undefined;
  /** The asset of the same registrant that this one is a newer version of. */
  readonly replaces: Hash | undefined;
  /** Part of what the owners are due that goes to who collects, parts per million. */
  readonly bounty: number;
}

/** Opens a channel from the sender to `payee`. */
export interface OpenChannelAction {
  readonly type: 'open-channel';
  readonly payee: PublicKey;
  readonly deposit: bigint;
}

/** Raises an open channel's deposit; anyone may. */
export interface TopUpAction {
  readonly type: 'top-up';
  readonly channel: Hash;
  readonly amount: bigint;
}

/** Pays the payee what a voucher and a charge prove. */
export type ClaimAction = { readonly type: 'claim' } & ClaimBody;

/** The payee claims, refunds the rest and ends the channel. */
export interface CloseByPayeeAction {
  readonly type: 'close-by-payee';
  readonly channel: Hash;
  readonly claim: ClaimBody | undefined;
}

/** The payer announces that the channel ends after the network's delay. */
export interface RequestCloseAction {
  readonly type: 'request-close';
  readonly channel: Hash;
}

/** The payer takes the announcement back. */
export interface CancelCloseAction {
  readonly type: 'cancel-close';
  readonly channel: Hash;
}

/** Moves what an asset has received on to its parents and owners; anyone may. */
export interface CollectAction {
  readonly type: 'collect';
  readonly asset: Hash;
}

/** Buys a licence to an asset for the sender, at the price that its terms name. */
export interface BuyLicenceAction {
  readonly type: 'buy-licence';
  readonly asset: Hash;
}

/** The registrant of an asset allows a key to derive from it. */
export interface ApproveDerivativeAction {
  readonly type: 'approve-derivative';
  readonly asset: Hash;
  readonly licensee: PublicKey;
}

/** The registrant takes the approval back; what was made under it stays. */
export interface WithdrawApprovalAction {
  readonly type: 'withdraw-approval';
  readonly asset: Hash;
  readonly licensee: PublicKey;
}

/** What a transaction does. */
export type Action =
  | TransferAction
  | FaucetAction
  | RegisterAssetAction
  | OpenChannelAction
  | TopUpAction
  | ClaimAction
  | CloseByPayeeAction
  | RequestCloseAction
  | CancelCloseAction
  | CollectAction
  | IdentityAction
  | BuyLicenceAction
  | ApproveDerivativeAction
  | StakeAction
  | WithdrawApprovalAction
  | CollectPathAction
  | ChannelAction
  | ApproveUpgradeAction;

/** The wire form of an action. Numbers that are not listed are reserved. */
export const action: Schema<Action> = union('action', {
  transfer: [1, record('transfer', { to: bytes(32), amount: grains, memo: optional(text(128)) })],
  faucet: [2, record('faucet', { to: bytes(32), amount: grains })],
  'register-asset': [
    3,
    record('register-asset', {
      kind: oneOf(...ASSET_KINDS),
      name: text(128),
      owners: list(record('owner-share', { owner: bytes(32), ppm: uint(PPM) }), ASSET_OWNERS_MAX),
      parents: list(
        record('parent-share', {
          asset: bytes(32),
          relation: oneOf('trained-on', 'fine-tuned-from', 'merged-from', 'retrieves-from', 'evaluated-on'),
          ppm: uint(PPM),
        }),
        ASSET_PARENTS_MAX,
      ),
      commitment,
      licence: text(128),
      terms: optional(licenceTerms),
      replaces: optional(bytes(32)),
      bounty: uint(BOUNTY_PPM_MAX),
    }),
  ],
  'open-channel': [4, record('open-channel', { payee: bytes(32), deposit: grains })],
  'top-up': [5, record('top-up', { channel: bytes(32), amount: grains })],
  claim: [6, claimBody],
  'close-by-payee': [7, record('close-by-payee', { channel: bytes(32), claim: optional(claimBody) })],
  'request-close': [8, record('request-close', { channel: bytes(32) })],
  'cancel-close': [9, record('cancel-close', { channel: bytes(32) })],
  collect: [10, record('collect', { asset: bytes(32) })],
  ...IDENTITY_ACTIONS,
  'buy-licence': [20, record('buy-licence', { asset: bytes(32) })],
  'approve-derivative': [21, record('approve-derivative', { asset: bytes(32), licensee: bytes(32) })],
  'withdraw-approval': [22, record('withdraw-approval', { asset: bytes(32), licensee: bytes(32) })],
  'collect-path': [23, collectPath],
  ...CHANNEL_ACTIONS,
  ...STAKE_ACTIONS,
  ...RULES_ACTIONS,
});

/** The claims that an action carries, in order. */
export function claimsOf(action: Action): readonly ClaimBody[] {
  if (action.type === 'claim-batch') return action.claims;
  if (action.type === 'claim') return [action];
  return action.type === 'close-by-payee' && action.claim !== undefined ? [action.claim] : [];
}

/** One transaction. */
export interface Transaction {
  readonly version: number;
  readonly network: string;
  readonly sender: PublicKey;
  /** How many transactions of the sender the ledger has executed before this one. */
  readonly nonce: number;
  /** Most that the sender pays for inclusion, grains. */
  readonly feeMax: bigint;
  readonly action: Action;
}

/** The wire form of a transaction's signed body. */
export const transaction: Schema<Transaction> = record('transaction', {
  version: uint(255),
  network: text(NETWORK_NAME_BYTES_MAX),
  sender: bytes(32),
  nonce: uint(),
  feeMax: grains,
  action,
});

/** The name of a transaction: the hash of its signed body under its domain. */
export function transactionId(suite: Suite, network: string, payload: Uint8Array): Hash {
  return domainHash(suite, network, 'transaction-id', payload);
}

/** The name of the channel that the payer's transaction number `nonce` opens. */
export function channelId(
  suite: Suite,
  network: string,
  payer: PublicKey,
  payee: PublicKey,
  nonce: number,
): Hash {
  return domainHash(suite, network, 'channel-id', payer, payee, u64be(BigInt(nonce)));
}

/** The name of the asset that the registrant's transaction number `nonce` registers. */
export function assetId(suite: Suite, network: string, registrant: PublicKey, nonce: number): Hash {
  return domainHash(suite, network, 'asset-id', concat(registrant, u64be(BigInt(nonce))));
}
