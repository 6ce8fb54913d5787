import { equalBytes, toHex } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import { didOf, type PublicKey } from '../protocol/ids.ts';
import { analyse } from '../vault/text/words.ts';
import type { Manifest } from './manifest.ts';

/** Whether a caller may use an asset: by a licence that counts now, as its owner, or as its registrant allows. */
export type Licensed = (asset: Uint8Array, caller: PublicKey) => boolean;

/**
 * Refuses a call that the manifest's policy does not allow: `caller-refused` for a caller that is not listed or not licensed or for a
 * question that holds every word of a refused topic, `too-large` for a question above the agent's limit.
 */
export function checkPolicy(
  manifest: Manifest,
  call: { readonly caller: PublicKey; readonly question: string },
  licensed: Licensed = () => false,
): void {
  const { callers, refusedTopics } = manifest.policy;
  if (callers !== 'everyone' && 'licence' in callers) {
    if (!licensed(callers.licence, call.caller)) {
      const asset = toHex(callers.licence);
      const reason = `without a licence to asset ${asset}; \`sahara licence buy ${asset}\` gets one where it is for sale`;
      throw new SaharaError('caller-refused', { caller: didOf(call.caller), reason });
    }
  } else if (callers !== 'everyone' && !callers.some((key) => equalBytes(key, call.caller))) {
    throw new SaharaError('caller-refused', {
      caller: didOf(call.caller),
      reason: 'not among the listed callers',
    });
  }
  const sizeBytes = Buffer.byteLength(call.question);
  const sizeBytesMax = manifest.limits.questionBytes;
  if (sizeBytes > sizeBytesMax)
    throw new SaharaError('too-large', { what: 'question', sizeBytes, sizeBytesMax });
  const words = new Set(analyse(call.question).map(({ term }) => term));
  for (const topic of refusedTopics) {
    const terms = analyse(topic, 'en').map(({ term }) => term);
    if (terms.length > 0 && terms.every((term) => words.has(term))) {
      throw new SaharaError('caller-refused', { topic, reason: 'the agent does not speak about this topic' });
    }
  }
}
