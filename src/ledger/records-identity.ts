/** What the state holds of identities: keys of DIDs, revoked certificates, and which key is whose. */
import { concat } from '../base/bytes.ts';
import { IDENTITY_TAG, type IdentityRecord, identityRecord } from '../protocol/identity.ts';
import type { Id, PublicKey } from '../protocol/ids.ts';
import { bytes, record, uint } from '../protocol/schema.ts';
import type { Table } from './records.ts';

/** A certificate that its issuer took back. */
export interface RevocationRecord {
  /** Height at which it was revoked. */
  readonly since: number;
}

/** Whose key a key is or was: it can be nobody else's. */
export interface KeyHolderRecord {
  readonly did: PublicKey;
}

/** Up to which height blocks come at the network's interval, because delays run that count blocks. */
export interface PaceRecord {
  readonly until: number;
}

/** Identities by DID. */
export const IDENTITIES: Table<IdentityRecord> = {
  name: 'identity',
  tag: IDENTITY_TAG,
  schema: identityRecord,
  held: () => 0n,
};

/** Revoked certificates by issuer and serial. */
export const REVOCATIONS: Table<RevocationRecord> = {
  name: 'revocation',
  tag: 0x11,
  schema: record('revocation', { since: uint() }),
  held: () => 0n,
};

/** Whose key each key is or was, for every key that a rotation or recovery brought. */
export const KEY_HOLDERS: Table<KeyHolderRecord> = {
  name: 'key-holder',
  tag: 0x12,
  schema: record('key-holder', { did: bytes(32) }),
  held: () => 0n,
};

/** Until when blocks are paced, under the empty key. */
export const PACES: Table<PaceRecord> = {
  name: 'pace',
  tag: 0x13,
  schema: record('pace', { until: uint() }),
  held: () => 0n,
};

/** The id of a certificate's revocation. */
export function revocationId(issuer: PublicKey, serial: Id): Uint8Array {
  return concat(issuer, serial);
}
