/** What tests of identities share: actions of a DID by whatever key, and how a recovery is asked for. */
import { consentTo } from '../../src/protocol/actions-identity.ts';
import type { RecoveryPolicy } from '../../src/protocol/identity.ts';
import type { Hash, PublicKey } from '../../src/protocol/ids.ts';
import type { Signed } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import type { Action } from '../../src/protocol/transaction.ts';
import { type Bench, type NamedResult, signAction, suite } from './support.ts';

/** `closeDelayBlocks` of the test network. */
export const CLOSE_DELAY = 3;

export const ALONE: RecoveryPolicy = { guardians: [], threshold: 0, delayBlocks: CLOSE_DELAY };

/** The hash under which a key is named as the next. */
export function nextOf({ publicKey }: Signer): Hash {
  return suite.sha256(publicKey);
}

/** Guarded by `guardians`, of whom `threshold` have to agree. */
export function guardedBy(guardians: readonly Signer[], threshold: number, delayBlocks = 4): RecoveryPolicy {
  return { guardians: guardians.map(({ publicKey }) => publicKey), threshold, delayBlocks };
}

export function register(next: Signer, policy: RecoveryPolicy = ALONE): Action {
  return { type: 'register-identity', next: nextOf(next), policy };
}

export function rotate(key: Signer, next: Signer, policy?: RecoveryPolicy): Action {
  return { type: 'rotate-key', key: key.publicKey, next: nextOf(next), policy };
}

export function recover(network: string, did: PublicKey, key: Signer, next: Signer): Action {
  const terms = { did, next: nextOf(next) };
  const consent = consentTo(suite, key, network, terms);
  return { type: 'recover-identity', ...terms, key: key.publicKey, consent };
}

export function finish(did: PublicKey, key: Signer, next: Signer): Action {
  return { type: 'finish-recovery', did, key: key.publicKey, next: nextOf(next) };
}

/** A transaction of `did`, signed by `key`; `ahead` of its account's number. */
export function signFor(bench: Bench, did: Signer, key: Signer, action: Action, ahead = 0): Signed {
  const sender = did.publicKey;
  return signAction(bench.network, key, bench.nonce(did) + ahead, action, { sender });
}

/** Executes one action of `did`, signed by `key`, in a block of its own. */
export async function runAs(bench: Bench, did: Signer, key: Signer, action: Action): Promise<string> {
  const [result] = await bench.block([signFor(bench, did, key, action)]);
  return (result as NamedResult).name;
}

/** Empty blocks up to the height `height`. */
export async function waitUntil(bench: Bench, height: number): Promise<void> {
  while (bench.chain.head().height < height) await bench.block([]);
}
