/**
 * Follows a chain under CometBFT by its headers alone: from a block that is believed to any later one, by way of blocks
 * between where too few voters stayed.
 */
import { asSaharaError, SaharaError } from '../../../../base/errors.ts';
import type { ConsensusBlock } from '../../../../protocol/consensus.ts';
import {
  followSound,
  type SoundBlock,
  type TrustedBlock,
  type TrustRules,
  votersFollow,
} from '../../../../protocol/verify-consensus.ts';
import { LIGHT_STEPS_MAX } from '../limits.ts';

/** Asks some node for a block of consensus. Nothing of it is trusted. */
export type FetchBlock = (
  height: number,
  options: { readonly signal: AbortSignal },
) => Promise<ConsensusBlock>;

/** Gets a block of consensus whose votes were checked. */
export type FetchSound = (height: number, options: { readonly signal: AbortSignal }) => Promise<SoundBlock>;

/**
 * The blocks that lead from `from` to that of `height`, which is later: as few as there need be, each believed by the one
 * before. Rejects with `block-invalid`, with `state-unproven` when no way leads there, and what `fetch` rejects with.
 * Without `rules` nothing is asked about how old anything is.
 */
export async function stepsTo(
  fetch: FetchSound,
  from: TrustedBlock,
  aim: {
    readonly height: number;
    readonly rules?: TrustRules & { readonly nowMs: number };
    readonly signal: AbortSignal;
  },
): Promise<readonly SoundBlock[]> {
  const steps: SoundBlock[] = [];
  for (let latest = from; latest.height < aim.height; ) {
    if (steps.length === LIGHT_STEPS_MAX)
      throw new SaharaError('state-unproven', { reason: 'too many blocks between' });
    const step = await farthest(fetch, latest, aim);
    latest = step.says;
    steps.push(step);
  }
  return shortened(from, steps);
}

/** Of steps that were tried by halves, those that are needed: where voters changed at once, most are not. */
function shortened(from: TrustedBlock, steps: readonly SoundBlock[]): readonly SoundBlock[] {
  const needed: SoundBlock[] = [];
  for (let rest = steps, latest = from; rest.length > 0; ) {
    const last = latest;
    // The first always follows: it was found from there.
    const at = Math.max(
      0,
      rest.findLastIndex(({ block }) => votersFollow(last, block)),
    );
    const step = rest[at];
    if (step === undefined) break;
    needed.push(step);
    latest = step.says;
    rest = rest.slice(at + 1);
  }
  return needed;
}

/** The farthest block on the way to the aim that follows from `from`: each try goes half as far as the one before. */
async function farthest(
  fetch: FetchSound,
  from: TrustedBlock,
  { height: to, rules, signal }: Parameters<typeof stepsTo>[2],
): Promise<SoundBlock> {
  for (let height = to; ; height = from.height + Math.floor((height - from.height) / 2)) {
    const sound = await fetch(height, { signal });
    if (sound.says.height !== height)
      throw new SaharaError('block-invalid', { height, reason: 'another block came than was asked for' });
    try {
      followSound(from, sound, rules);
      return sound;
    } catch (error) {
      const { code, facts } = asSaharaError(error);
      // Only where too few voters stayed do blocks between help; then it is said of the block that was tried.
      const between = code === 'state-unproven' && facts.height === height && height - from.height > 1;
      if (!between) throw error;
    }
  }
}
