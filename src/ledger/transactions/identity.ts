/**
 * Keys of a DID: registered by the DID's own, rotated to the one that was named by its hash, recovered by guardians.
 * A key that ever signed for one DID signs for no other and never again, so that a key found in old evidence means one
 * DID. Whoever brings a key in shows that they hold it: nobody can spoil a key for its owner by naming it first.
 */
import { equalBytes } from '../../base/bytes.ts';
import type { IdentityRecord, RecoveryPolicy } from '../../protocol/identity.ts';
import type { Hash, PublicKey } from '../../protocol/ids.ts';
import { RETIRED_KEYS_MAX } from '../../protocol/limits.ts';
import type { Suite } from '../../protocol/suite.ts';
import { RECOVERY_DELAY_BLOCKS_MAX } from '../limits.ts';
import { nameOf } from '../names.ts';
import { ONLY } from '../records.ts';
import { revocationId } from '../records-identity.ts';
import type { ResultName } from '../result-codes.ts';
import { accountOf, type State } from '../state.ts';
import { done, type Handler, refuse, type TransactionContext } from './context.ts';

type Refusal = Exclude<ResultName, 'ok'>;

/**
 * Registers the sender. Refusals in order: `identity-known`, `key-used`, `next-invalid`, `guardians-invalid`,
 * `recovery-delay-invalid`.
 */
export const registerIdentity: Handler<'register-identity'> = (context, { next, policy }) => {
  const { state, suite, sender } = context;
  if (state.identities.get(sender) !== undefined) return refuse('identity-known');
  if (state.keyHolders.get(sender) !== undefined) return refuse('key-used');
  if (!isFresh(suite, next, sender, sender)) return refuse('next-invalid');
  const fault = policyFault(context, policy, { did: sender, key: sender });
  if (fault !== undefined) return refuse(fault);
  state.identities.set(sender, { key: sender, next, retired: [], policy, recoveries: [] });
  return done();
};

/**
 * Replaces the sender's key by the one that signed the transaction, which execution found to be the next. Refusals in
 * order: `key-used`, `next-invalid`, `guardians-invalid`, `recovery-delay-invalid`, `rotations-too-many`.
 */
export const rotateKey: Handler<'rotate-key'> = (context, { key, next, policy }) => {
  const { state, suite, sender } = context;
  const known = state.identities.get(sender);
  if (known === undefined) return refuse('identity-unknown');
  if (isKeyUsed(state, key)) return refuse('key-used');
  if (!isFresh(suite, next, sender, key)) return refuse('next-invalid');
  const fault = policy && policyFault(context, policy, { did: sender, key });
  if (fault !== undefined) return refuse(fault);
  const renewed = { did: sender, key, next, policy: policy ?? known.policy };
  return replaceKey(context, known, renewed) ? done() : refuse('rotations-too-many');
};

/** Takes back a certificate of the sender's by its serial. Refusals: `certificate-revoked`. */
export const revokeCertificate: Handler<'revoke-certificate'> = ({ state, sender, height }, { serial }) => {
  const id = revocationId(sender, serial);
  if (state.revocations.get(id) !== undefined) return refuse('certificate-revoked');
  state.revocations.set(id, { since: height });
  return done();
};

/**
 * Whether a key is, was or may be taken for somebody's: a registered DID, a key that a DID has or had, or an account
 * that has sent transactions. Money alone takes nothing: anybody can send some.
 */
export function isKeyUsed(state: State, key: PublicKey): boolean {
  return (
    state.identities.get(key) !== undefined ||
    state.keyHolders.get(key) !== undefined ||
    accountOf(state, key).nonce > 0
  );
}

/** Whether the hash of the next key is neither that of the DID nor that of the present key. */
export function isFresh(suite: Suite, next: Hash, did: PublicKey, key: PublicKey): boolean {
  return ![did, key].some((one) => equalBytes(suite.sha256(one), next));
}

/**
 * Gives a DID a new key: the old one is retired, and every open recovery falls. False, and nothing changed, when as
 * many keys are retired as may wait until nobody can be challenged about their statements.
 */
export function replaceKey(
  { state, genesis, height }: Pick<TransactionContext, 'state' | 'genesis' | 'height'>,
  known: IdentityRecord,
  renewed: Omit<IdentityRecord, 'retired' | 'recoveries'> & { readonly did: PublicKey },
): boolean {
  const { did, ...keys } = renewed;
  const { closeDelayBlocks } = genesis.parameters;
  // What a key signed counts against its DID for as long after the last claim on it as after the end of a channel.
  const waiting = known.retired.filter(({ until }) => until + closeDelayBlocks >= height);
  if (waiting.length >= RETIRED_KEYS_MAX) return false;
  const until = height + closeDelayBlocks;
  const retired = [...waiting, { key: known.key, retiredAt: height, until }];
  state.identities.set(did, { ...keys, retired, recoveries: [] });
  state.keyHolders.set(keys.key, { did });
  pace(state, until);
  return true;
}

/** Has blocks come at the network's interval up to a height, so that nobody shortens a delay by filling blocks. */
export function pace(state: State, until: number): void {
  const before = state.paces.get(ONLY)?.until ?? 0;
  if (until > before) state.paces.set(ONLY, { until });
}

function policyFault(
  { genesis }: Pick<TransactionContext, 'genesis'>,
  { guardians, threshold, delayBlocks }: RecoveryPolicy,
  own: { readonly did: PublicKey; readonly key: PublicKey },
): Refusal | undefined {
  const names = new Set(guardians.map(nameOf));
  const itself = names.has(nameOf(own.did)) || names.has(nameOf(own.key));
  if (itself || names.size < guardians.length) return 'guardians-invalid';
  if (threshold > guardians.length || threshold < Math.min(1, guardians.length)) return 'guardians-invalid';
  const { closeDelayBlocks } = genesis.parameters;
  const most = Math.max(closeDelayBlocks, RECOVERY_DELAY_BLOCKS_MAX);
  return delayBlocks < closeDelayBlocks || delayBlocks > most ? 'recovery-delay-invalid' : undefined;
}
