/** Who has to have signed something in a bundle, whatever keys they sign with now. */
import { toHex } from '../base/bytes.ts';
import type { PublicKey } from './ids.ts';
import type { Suite } from './suite.ts';
import { verifyBundle } from './verify-bundle.ts';

/**
 * The DIDs of whose signatures the verification of the bundle in `file` asks, each once, in the order of asking: whose
 * keys its key evidence has to prove if they are registered. For a bundle that fails another check, those up to there.
 */
export function partiesIn(suite: Suite, file: Uint8Array): readonly PublicKey[] {
  const asked = new Map<string, PublicKey>();
  const recording: Suite = {
    ...suite,
    verify(did) {
      asked.set(toHex(did), did);
      return true;
    },
  };
  verifyBundle(recording, file);
  return [...asked.values()];
}
