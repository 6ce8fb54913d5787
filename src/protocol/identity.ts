/**
 * Identity records: which key speaks for a DID now, which ones did until lately, and who may bring the DID back when
 * its keys are lost. A DID is its first key for ever; a key that was never registered speaks for itself. The next
 * key is fixed in advance by its hash, so that whoever steals the current key cannot rotate to one of theirs.
 */
import { equalBytes } from '../base/bytes.ts';
import type { Hash, PublicKey } from './ids.ts';
import { GUARDIANS_MAX, RETIRED_KEYS_MAX } from './limits.ts';
import { bytes, list, optional, record, type Schema, uint } from './schema.ts';

/** First byte of the state key of a DID's record (LEDGER-5). */
export const IDENTITY_TAG = 0x10;

/** A key that no longer signs, and until when what it signed still counts. */
export interface RetiredKey {
  readonly key: PublicKey;
  /** Height of the block that retired it. */
  readonly retiredAt: number;
  /** Last height at which its vouchers and charges count. */
  readonly until: number;
}

/** Who may recover a DID, and how long its current key has to object. */
export interface RecoveryPolicy {
  /** DIDs whose votes count; none: nobody can recover the DID. */
  readonly guardians: readonly PublicKey[];
  /** Votes that it takes; 0 without guardians. */
  readonly threshold: number;
  /** Blocks between the last vote that was needed and the recovery. */
  readonly delayBlocks: number;
}

/** A recovery that guardians voted for. */
export interface Recovery {
  /** The key that is to sign from then on. */
  readonly key: PublicKey;
  /** SHA-256 of the key after that. */
  readonly next: Hash;
  /** The guardians that want it, in the order of their votes. */
  readonly votes: readonly PublicKey[];
  /** First height at which it may be finished; absent while votes are lacking. */
  readonly effectiveAt: number | undefined;
}

/** What the ledger holds of a DID. */
export interface IdentityRecord {
  /** The key that signs now. */
  readonly key: PublicKey;
  /** SHA-256 of the key that signs next. */
  readonly next: Hash;
  /** Keys that signed before; those whose time is over go when the record changes. */
  readonly retired: readonly RetiredKey[];
  readonly policy: RecoveryPolicy;
  readonly recoveries: readonly Recovery[];
}

/** The wire form of a recovery policy. */
export const recoveryPolicy: Schema<RecoveryPolicy> = record('recovery-policy', {
  guardians: list(bytes(32), GUARDIANS_MAX),
  threshold: uint(GUARDIANS_MAX),
  delayBlocks: uint(),
});

/** The wire form of an identity record. */
export const identityRecord: Schema<IdentityRecord> = record('identity', {
  key: bytes(32),
  next: bytes(32),
  retired: list(
    record('retired-key', { key: bytes(32), retiredAt: uint(), until: uint() }),
    RETIRED_KEYS_MAX,
  ),
  policy: recoveryPolicy,
  recoveries: list(
    record('recovery', {
      key: bytes(32),
      next: bytes(32),
      votes: list(bytes(32), GUARDIANS_MAX),
      effectiveAt: optional(uint()),
    }),
    GUARDIANS_MAX,
  ),
});

/**
 * The keys whose vouchers and charges count for `did` at `height`: the one that signs now, then the retired ones that
 * still have time, the latest first.
 */
export function signersIn(
  known: Pick<IdentityRecord, 'key' | 'retired'> | undefined,
  did: PublicKey,
  height: number,
): readonly PublicKey[] {
  if (known === undefined) return [did];
  const keys = [known.key];
  for (const { key, until } of known.retired.toReversed()) {
    if (until >= height && !keys.some((one) => equalBytes(one, key))) keys.push(key);
  }
  return keys;
}
