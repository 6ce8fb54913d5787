import { equalBytes } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import { didOf, type PublicKey } from '../protocol/ids.ts';
import { analyse } from '../vault/text/words.ts';
import type { Manifest } from './manifest.ts';

/**
 * Refuses a call that the manifest's policy does not allow: `caller-refused` for a caller that is not listed or for a
 * question that holds every word of a refused topic, `too-large` for a question above the agent's limit.
 */
export function checkPolicy(
  manifest: Manifest,
  call: { readonly caller: PublicKey; readonly question: string },
): void {
  const { callers, refusedTopics } = manifest.policy;
  if (callers !== 'everyone' && !callers.some((key) => equalBytes(key, call.caller))) {
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
    const terms = analyse(topic).map(({ term }) => term);
    if (terms.length > 0 && terms.every((term) => words.has(term))) {
      throw new SaharaError('caller-refused', { topic, reason: 'the agent does not speak about this topic' });
    }
  }
}
