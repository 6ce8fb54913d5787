/** What the ledger is told about channels beyond opening and ending one, and the payment that needs none. */
import { type Evidence, evidence } from './evidence-channel.ts';
import type { Hash, Id, PublicKey } from './ids.ts';
import { CLAIM_ASSETS_MAX, CLAIM_BATCH_MAX } from './limits.ts';
import type { AssetAmount } from './payment.ts';
import { bytes, grains, list, optional, record, type Schema } from './schema.ts';
import { type Signed, signed } from './signing.ts';

/** The voucher and charge of one lane with the amounts that the charge commits to. */
export interface ClaimBody {
  readonly channel: Hash;
  readonly voucher: Signed;
  readonly charge: Signed;
  readonly attribution: readonly AssetAmount[];
}

/** The wire form of a claim. */
export const claimBody: Schema<ClaimBody> = record('claim', {
  channel: bytes(32),
  voucher: signed,
  charge: signed,
  attribution: list(record('asset-amount', { asset: bytes(32), amount: grains }), CLAIM_ASSETS_MAX),
});

/** Makes up to `CLAIM_BATCH_MAX` claims, one after the other; one that is refused does not hold up the others. */
export interface ClaimBatchAction {
  readonly type: 'claim-batch';
  readonly claims: readonly ClaimBody[];
}

/** The payer takes out at once what the payee has released: a `release` that the payee signed under that type. */
export interface WithdrawAction {
  readonly type: 'withdraw';
  readonly channel: Hash;
  readonly release: Signed;
}

/** The payer announces that `amount` leaves the deposit after the network's delay. */
export interface RequestWithdrawAction {
  readonly type: 'request-withdraw';
  readonly channel: Hash;
  readonly amount: bigint;
}

/** The payer takes that announcement back. */
export interface CancelWithdrawAction {
  readonly type: 'cancel-withdraw';
  readonly channel: Hash;
}

/** The payer names the key that may sign the channel's vouchers besides its own; without one, no key may. */
export interface SetVoucherKeyAction {
  readonly type: 'set-voucher-key';
  readonly channel: Hash;
  readonly key: PublicKey | undefined;
}

/** Proves that the payee of a channel contradicted itself; anyone may. */
export interface ChallengeAction {
  readonly type: 'challenge';
  readonly channel: Hash;
  readonly evidence: Evidence;
}

/** Pays for one call without a channel. */
export interface PayAction {
  readonly type: 'pay';
  readonly payee: PublicKey;
  /** Receives the money when it is named, otherwise `payee` does. */
  readonly asset: Hash | undefined;
  readonly amount: bigint;
  /** The id of the call that is paid for. */
  readonly reference: Id;
}

/** Everything that this file adds to what a transaction can do. */
export type ChannelAction =
  | WithdrawAction
  | RequestWithdrawAction
  | CancelWithdrawAction
  | SetVoucherKeyAction
  | ChallengeAction
  | PayAction
  | ClaimBatchAction;

const withdraw: Schema<Omit<WithdrawAction, 'type'>> = record('withdraw', {
  channel: bytes(32),
  release: signed,
});
const requestWithdraw: Schema<Omit<RequestWithdrawAction, 'type'>> = record('request-withdraw', {
  channel: bytes(32),
  amount: grains,
});
const cancelWithdraw: Schema<Omit<CancelWithdrawAction, 'type'>> = record('cancel-withdraw', {
  channel: bytes(32),
});
const setVoucherKey: Schema<Omit<SetVoucherKeyAction, 'type'>> = record('set-voucher-key', {
  channel: bytes(32),
  key: optional(bytes(32)),
});
const challenge: Schema<Omit<ChallengeAction, 'type'>> = record('challenge', {
  channel: bytes(32),
  evidence,
});
const pay: Schema<Omit<PayAction, 'type'>> = record('pay', {
  payee: bytes(32),
  asset: optional(bytes(32)),
  amount: grains,
  reference: bytes(16),
});
const claimBatch: Schema<Omit<ClaimBatchAction, 'type'>> = record('claim-batch', {
  claims: list(claimBody, CLAIM_BATCH_MAX),
});

/** The wire forms of these actions with their numbers. */
export const CHANNEL_ACTIONS: {
  readonly withdraw: readonly [30, Schema<Omit<WithdrawAction, 'type'>>];
  readonly 'request-withdraw': readonly [31, Schema<Omit<RequestWithdrawAction, 'type'>>];
  readonly 'cancel-withdraw': readonly [32, Schema<Omit<CancelWithdrawAction, 'type'>>];
  readonly 'set-voucher-key': readonly [33, Schema<Omit<SetVoucherKeyAction, 'type'>>];
  readonly challenge: readonly [34, Schema<Omit<ChallengeAction, 'type'>>];
  readonly pay: readonly [35, Schema<Omit<PayAction, 'type'>>];
  readonly 'claim-batch': readonly [36, Schema<Omit<ClaimBatchAction, 'type'>>];
} = {
  withdraw: [30, withdraw],
  'request-withdraw': [31, requestWithdraw],
  'cancel-withdraw': [32, cancelWithdraw],
  'set-voucher-key': [33, setVoucherKey],
  challenge: [34, challenge],
  pay: [35, pay],
  'claim-batch': [36, claimBatch],
};
