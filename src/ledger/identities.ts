/**
 * Which keys speak for a DID on the ledger. A DID without a record speaks for itself, so all that it costs is one
 * look for a record that is not there.
 */
import { equalBytes } from '../base/bytes.ts';
import { type IdentityRecord, type Recovery, type RetiredKey, signersIn } from '../protocol/identity.ts';
import type { Hash, Id, PublicKey } from '../protocol/ids.ts';
import type { Suite } from '../protocol/suite.ts';
import type { Transaction } from '../protocol/transaction.ts';
import { nameOf } from './names.ts';
import { stateKey, type Table } from './records.ts';
import { IDENTITIES, REVOCATIONS, revocationId } from './records-identity.ts';
import type { State, StateReader } from './state.ts';

/** What the ledger knows of a DID that was registered. */
export interface Identity {
  readonly did: PublicKey;
  /** The key that signs now. */
  readonly key: PublicKey;
  /** SHA-256 of the key that signs next. */
  readonly next: Hash;
  /** Keys that signed before, the earliest first; those whose time is over go with the next change. */
  readonly retired: readonly RetiredKey[];
  readonly guardians: readonly PublicKey[];
  /** Votes of guardians that a recovery takes; 0 without guardians. */
  readonly threshold: number;
  /** Blocks that the current key has to object to a recovery. */
  readonly delayBlocks: number;
  /** Every recovery that a guardian wants. */
  readonly recoveries: readonly Recovery[];
  /** Of these the one that can be finished first, or else the one with the most votes; absent when there is none. */
  readonly recovery: Recovery | undefined;
}

const DID_BYTES = 32;

/** Reads one record of a state. */
type ReadRecord = <T>(table: Table<T>, id: Uint8Array) => T | undefined;

/** The key that signs for `did` now. */
export function keyFor(state: State, did: PublicKey): PublicKey {
  return state.identities.get(did)?.key ?? did;
}

/**
 * The keys whose vouchers and charges count for `did` at `height`: the one that signs now, then those that were
 * retired so lately that their statements still count, the latest first. At most 9.
 */
export function signersOf(state: State, did: PublicKey, height: number): readonly PublicKey[] {
  return signersIn(state.identities.get(did), did, height);
}

/**
 * The key that has to sign a transaction: the sender's current one, for a rotation the next one itself. `undefined`
 * for a rotation to a key that the sender has not named as the next: nobody may sign that.
 */
export function signerOf(
  suite: Suite,
  known: IdentityRecord | undefined,
  { sender, action }: Transaction,
): PublicKey | undefined {
  if (action.type !== 'rotate-key') return known?.key ?? sender;
  const named = known !== undefined && equalBytes(suite.sha256(action.key), known.next);
  return named ? action.key : undefined;
}

/** The committed record of a DID. */
export function readIdentity(read: StateReader, did: PublicKey): IdentityRecord | undefined {
  const stored = read(identityKey(did));
  return stored && IDENTITIES.schema.decode(stored);
}

/** The state key under which a DID's record is proved. */
export function identityKey(did: PublicKey): Uint8Array {
  return stateKey(IDENTITIES, did);
}

/** The state key under which a certificate's revocation is proved, or that there is none. */
export function revocationKey(issuer: PublicKey, serial: Id): Uint8Array {
  return stateKey(REVOCATIONS, revocationId(issuer, serial));
}

/** What is known of `did`; `undefined` when it was never registered. */
export function identityIn(read: ReadRecord, did: PublicKey): Identity | undefined {
  const known = read(IDENTITIES, did);
  if (known === undefined) return undefined;
  const { policy, ...keys } = known;
  return { did, ...keys, ...policy, recovery: foremost(known.recoveries) };
}

/** Whether `issuer` took back its certificate with this serial. */
export function revokedIn(read: ReadRecord, issuer: PublicKey, serial: Id): boolean {
  return read(REVOCATIONS, revocationId(issuer, serial)) !== undefined;
}

function foremost(recoveries: readonly Recovery[]): Recovery | undefined {
  const never = Number.POSITIVE_INFINITY;
  return recoveries.toSorted(
    (a, b) =>
      Math.sign((a.effectiveAt ?? never) - (b.effectiveAt ?? never) || 0) || b.votes.length - a.votes.length,
  )[0];
}

/** DIDs of which a block changed the record, or who revoked a certificate in it. */
export function identitiesIn(state: State): readonly PublicKey[] {
  const changed = new Map<string, PublicKey>();
  for (const { id } of state.identities.changed()) changed.set(nameOf(id), id);
  for (const { id } of state.revocations.changed()) {
    const issuer = id.slice(0, DID_BYTES);
    changed.set(nameOf(issuer), issuer);
  }
  return [...changed.values()];
}
