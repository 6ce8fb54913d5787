/** What the ledger is told about keys: registering and rotating them, recovering lost ones, revoking certificates. */

import { type RecoveryPolicy, recoveryPolicy } from './identity.ts';
import { type Hash, type Id, PROTOCOL_VERSION, type PublicKey } from './ids.ts';
import { NETWORK_NAME_BYTES_MAX } from './limits.ts';
import { bytes, bytesUpTo, optional, record, type Schema, text, uint } from './schema.ts';
import { type Signed, signOne } from './signing.ts';
import type { Signer, Suite } from './suite.ts';

/** Registers the sender's key: from then on it can be rotated, to the key that is named by its hash. */
export interface RegisterIdentityAction {
  readonly type: 'register-identity';
  /** SHA-256 of the key that signs next. */
  readonly next: Hash;
  readonly policy: RecoveryPolicy;
}

/** Replaces the sender's key by the next one, which signs this transaction itself. */
export interface RotateKeyAction {
  readonly type: 'rotate-key';
  /** The key whose hash was named. */
  readonly key: PublicKey;
  /** SHA-256 of the key after that. */
  readonly next: Hash;
  /** Replaces guardians, threshold and delay; absent: they stay. */
  readonly policy: RecoveryPolicy | undefined;
}

/** A guardian's vote for a new key of somebody whose keys are lost. */
export interface RecoverIdentityAction {
  readonly type: 'recover-identity';
  readonly did: PublicKey;
  readonly key: PublicKey;
  /** SHA-256 of the key after that. */
  readonly next: Hash;
  /** The new key's signature under `recovery-request`: it agrees to sign for the DID. */
  readonly consent: Uint8Array;
}

/** The current key rejects every recovery that guardians want. */
export interface CancelRecoveryAction {
  readonly type: 'cancel-recovery';
}

/** Makes a recovery whose delay has passed; anyone may. */
export interface FinishRecoveryAction {
  readonly type: 'finish-recovery';
  readonly did: PublicKey;
  readonly key: PublicKey;
  readonly next: Hash;
}

/** Takes back, for good, a certificate that the sender issued or might issue. */
export interface RevokeCertificateAction {
  readonly type: 'revoke-certificate';
  readonly serial: Id;
}

/** Everything that this file adds to what a transaction can do. */
export type IdentityAction =
  | RegisterIdentityAction
  | RotateKeyAction
  | RecoverIdentityAction
  | CancelRecoveryAction
  | FinishRecoveryAction
  | RevokeCertificateAction;

/** The wire forms of these actions with their numbers. */
export const IDENTITY_ACTIONS: {
  readonly 'register-identity': readonly [11, Schema<Omit<RegisterIdentityAction, 'type'>>];
  readonly 'rotate-key': readonly [12, Schema<Omit<RotateKeyAction, 'type'>>];
  readonly 'recover-identity': readonly [13, Schema<Omit<RecoverIdentityAction, 'type'>>];
  readonly 'cancel-recovery': readonly [14, Schema<Omit<CancelRecoveryAction, 'type'>>];
  readonly 'finish-recovery': readonly [15, Schema<Omit<FinishRecoveryAction, 'type'>>];
  readonly 'revoke-certificate': readonly [16, Schema<Omit<RevokeCertificateAction, 'type'>>];
} = {
  'register-identity': [11, record('register-identity', { next: bytes(32), policy: recoveryPolicy })],
  'rotate-key': [
    12,
    record('rotate-key', { key: bytes(32), next: bytes(32), policy: optional(recoveryPolicy) }),
  ],
  'recover-identity': [
    13,
    record('recover-identity', {
      did: bytes(32),
      key: bytes(32),
      next: bytes(32),
      consent: bytesUpTo(64),
    }),
  ],
  'cancel-recovery': [14, record('cancel-recovery', {})],
  'finish-recovery': [15, record('finish-recovery', { did: bytes(32), key: bytes(32), next: bytes(32) })],
  'revoke-certificate': [16, record('revoke-certificate', { serial: bytes(16) })],
};

/** What somebody whose keys are lost asks the guardians for. */
export interface RecoveryRequest {
  readonly version: number;
  readonly network: string;
  readonly did: PublicKey;
  /** The key that is to sign from then on, and that signs this request. */
  readonly key: PublicKey;
  /** SHA-256 of the key after that. */
  readonly next: Hash;
}

/** The body of a recovery request; its type name is `recovery-request`. */
export const recoveryRequest: Schema<RecoveryRequest> = record('recovery-request', {
  version: uint(255),
  network: text(NETWORK_NAME_BYTES_MAX),
  did: bytes(32),
  key: bytes(32),
  next: bytes(32),
});

/** What a recovery is about, without its network. */
export type RecoveryTerms = Pick<RecoveryRequest, 'did' | 'key' | 'next'>;

/** The new key's agreement to sign for a DID, to be handed to the guardians: 64 bytes. */
export function consentTo(
  suite: Suite,
  signer: Signer,
  network: string,
  terms: Pick<RecoveryTerms, 'did' | 'next'>,
): Uint8Array {
  const { payload } = consentOf(network, { ...terms, key: signer.publicKey }, new Uint8Array(0));
  return signOne(suite, signer, network, { type: 'recovery-request', payload }).signature;
}

/** The signed `recovery-request` that a consent stands for. */
export function consentOf(network: string, terms: RecoveryTerms, consent: Uint8Array): Signed {
  const { did, key, next } = terms;
  const payload = recoveryRequest.encode({ version: PROTOCOL_VERSION, network, did, key, next });
  return { payload, signature: consent, sides: 0, siblings: [] };
}
