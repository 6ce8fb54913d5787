/**
 * Recoveries: guardians bring back a DID whose keys are lost. Each guardian has one vote, so there are never more open
 * recoveries than guardians. From the vote that reaches the threshold the current key has the DID's own delay to
 * object, and a rotation lets every recovery fall: whoever holds the next key has not lost it.
 */
import { equalBytes } from '../../base/bytes.ts';
import { consentOf, type RecoveryTerms } from '../../protocol/actions-identity.ts';
import type { IdentityRecord, Recovery } from '../../protocol/identity.ts';
import type { PublicKey } from '../../protocol/ids.ts';
import { done, type Handler, refuse, type TransactionContext } from './context.ts';
import { isFresh, isKeyUsed, pace, replaceKey } from './identity.ts';

/**
 * Takes a guardian's vote; one that it gave for another recovery is taken back. Refusals in order:
 * `identity-unknown`, `not-guardian`, `key-used`, `next-invalid`, `consent-invalid`, `already-voted`.
 */
export const recoverIdentity: Handler<'recover-identity'> = (context, action) => {
  const { state, suite, network, signatures, sender } = context;
  const { did, key, next } = action;
  const known = state.identities.get(did);
  if (known === undefined) return refuse('identity-unknown');
  if (!known.policy.guardians.some((one) => equalBytes(one, sender))) return refuse('not-guardian');
  if (isKeyUsed(state, key)) return refuse('key-used');
  if (!isFresh(suite, next, did, key)) return refuse('next-invalid');
  const message = consentOf(network, action, action.consent);
  if (!signatures.check({ type: 'recovery-request', publicKey: key, message })) {
    return refuse('consent-invalid');
  }
  if (known.recoveries.some((one) => isAbout(one, action) && hasVoted(one, sender))) {
    return refuse('already-voted');
  }
  const recoveries = withVote(context, known, action);
  state.identities.set(did, { ...known, recoveries });
  return done();
};

/** The current key rejects all recoveries. Refusals in order: `identity-unknown`, `recovery-unknown`. */
export const cancelRecovery: Handler<'cancel-recovery'> = ({ state, sender }) => {
  const known = state.identities.get(sender);
  if (known === undefined) return refuse('identity-unknown');
  if (known.recoveries.length === 0) return refuse('recovery-unknown');
  state.identities.set(sender, { ...known, recoveries: [] });
  return done();
};

/**
 * Makes a recovery. Refusals in order: `identity-unknown`, `recovery-unknown`, `recovery-pending`, `key-used`,
 * `rotations-too-many`, which lasts for `closeDelayBlocks` at most: its delay is no shorter than former keys count, and
 * every rotation lets it fall.
 */
export const finishRecovery: Handler<'finish-recovery'> = (context, action) => {
  const { state, height } = context;
  const { did, key, next } = action;
  const known = state.identities.get(did);
  if (known === undefined) return refuse('identity-unknown');
  const wanted = known.recoveries.find((one) => isAbout(one, action));
  if (wanted === undefined) return refuse('recovery-unknown');
  if (wanted.effectiveAt === undefined || height < wanted.effectiveAt) return refuse('recovery-pending');
  if (isKeyUsed(state, key)) return refuse('key-used');
  const renewed = { did, key, next, policy: known.policy };
  return replaceKey(context, known, renewed) ? done() : refuse('rotations-too-many');
};

function withVote(
  { state, sender, height }: TransactionContext,
  { policy, recoveries }: IdentityRecord,
  terms: RecoveryTerms,
): readonly Recovery[] {
  const others = recoveries
    .map((one) => withoutVote(one, sender, policy.threshold))
    .filter(({ votes }) => votes.length > 0);
  const before = others.find((one) => isAbout(one, terms));
  const votes = [...(before?.votes ?? []), sender];
  const reached = votes.length >= policy.threshold;
  const last = height + policy.delayBlocks;
  const effectiveAt = before?.effectiveAt ?? (reached ? last + 1 : undefined);
  if (effectiveAt !== undefined && before?.effectiveAt === undefined) pace(state, last);
  const { key, next } = terms;
  const voted: Recovery = { key, next, votes, effectiveAt };
  return before === undefined ? [...others, voted] : others.map((one) => (one === before ? voted : one));
}

/** A recovery after a guardian changed its mind; below the threshold its delay begins anew. */
function withoutVote(recovery: Recovery, guardian: PublicKey, threshold: number): Recovery {
  if (!hasVoted(recovery, guardian)) return recovery;
  const votes = recovery.votes.filter((one) => !equalBytes(one, guardian));
  return { ...recovery, votes, effectiveAt: votes.length < threshold ? undefined : recovery.effectiveAt };
}

function hasVoted({ votes }: Recovery, guardian: PublicKey): boolean {
  return votes.some((one) => equalBytes(one, guardian));
}

function isAbout(recovery: Recovery, { key, next }: Pick<RecoveryTerms, 'key' | 'next'>): boolean {
  return equalBytes(recovery.key, key) && equalBytes(recovery.next, next);
}
