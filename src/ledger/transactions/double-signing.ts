/** Evidence that a proposer signed two blocks of one height. */
import { equalBytes, u64be } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import { type BlockHeader, blockHeader } from '../../protocol/block.ts';
import { domainHash, type Hash, type PublicKey } from '../../protocol/ids.ts';
import type { Signed } from '../../protocol/signing.ts';
import type { Suite } from '../../protocol/suite.ts';
import { signersOf } from '../identities.ts';
import { atStake, isUsed, slash } from '../stake.ts';
import { done, type Handler, refuse } from './context.ts';

/**
 * Slashes the validator's bond of a proposer that signed two different headers of one height. It moves what that
 * cost. Refusals in order: `headers-malformed`, `headers-agree` when they are not two different headers of this
 * network, one height and one proposer, `headers-unsigned`, `offence-punished`, `nothing-at-stake`.
 */
export const reportDoubleSigning: Handler<'report-double-signing'> = (context, { first, second }) => {
  const { suite, network, state, signatures, sender } = context;
  const [a, b] = [read(first), read(second)];
  if (a === undefined || b === undefined) return refuse('headers-malformed');
  const different =
    a.network === network &&
    b.network === network &&
    a.height === b.height &&
    equalBytes(a.proposer, b.proposer) &&
    !equalBytes(first.payload, second.payload);
  if (!different) return refuse('headers-agree');
  const { proposer: publicKey, height } = a;
  // Only the sequencer's headers stay its own for ever: another DID's first key may have been stolen and rotated away.
  const signers = equalBytes(publicKey, context.genesis.sequencer)
    ? [publicKey]
    : signersOf(state, publicKey, context.height).filter((key) => equalBytes(key, publicKey));
  const isSigned = (message: Signed): boolean =>
    signers.some((key) => signatures.check({ type: 'block-header', publicKey: key, message }));
  if (!isSigned(first) || !isSigned(second)) return refuse('headers-unsigned');
  const evidence = doubleSigningId(suite, network, publicKey, height);
  if (isUsed(state, evidence)) return refuse('offence-punished');
  if (atStake(state, publicKey, 'validator') === 0n) return refuse('nothing-at-stake');
  const offence = { did: publicKey, role: 'validator', evidence, informer: sender } as const;
  return done(slash(state, context, { ...offence, compensation: 0n, to: sender }).taken);
};

/** The name of the offence: whatever headers of that height prove it, it is one. */
export function doubleSigningId(suite: Suite, network: string, proposer: PublicKey, height: number): Hash {
  return domainHash(suite, network, 'double-signing', proposer, u64be(BigInt(height)));
}

function read({ payload }: Signed): BlockHeader | undefined {
  try {
    return blockHeader.decode(payload);
  } catch (error) {
    if (error instanceof SaharaError && error.code === 'malformed') return undefined;
    throw error;
  }
}
