/**
 * Follows a chain under CometBFT by its headers alone: from a block that is trusted to any later one, by way of blocks
 * between where too few voters stayed. What the ledger proves is believed by the header that such a block certifies.
 */
import type { LightBlock } from 'cosmjs-types/tendermint/types/types';
import { equalBytes } from '../../../../base/bytes.ts';
import type { Clock } from '../../../../base/clock.ts';
import { asSaharaError, SaharaError } from '../../../../base/errors.ts';
import { type BlockHeader, blockHeader, headerHash } from '../../../../protocol/block.ts';
import type { Signed } from '../../../../protocol/signing.ts';
import { checkPaths, type InclusionFault } from '../../../inclusion.ts';
import type { InclusionProof } from '../../../ledger.ts';
import { LIGHT_STEPS_MAX } from '../limits.ts';
import {
  LIGHT_RULES_DEFAULTS,
  type LightParts,
  type LightRules,
  type TrustedBlock,
  verifyLightBlock,
} from './verify.ts';

/** Parts of a light client. */
export interface CometLightParts extends LightParts {
  readonly clock: Clock;
  /** A block of consensus with its votes and voters, from some node. Nothing of it is trusted. */
  readonly fetch: (height: number, options: { readonly signal: AbortSignal }) => Promise<LightBlock>;
}

/** A light client. */
export interface CometLight {
  /** The latest block that it believes. */
  readonly trusted: TrustedBlock;
  /**
   * Comes to believe the block of `height`, which is later than the one trusted. Rejects with `block-invalid`,
   * `state-unproven` when no way leads there, and what `fetch` rejects with.
   */
  advance(height: number, options: { readonly signal: AbortSignal }): Promise<TrustedBlock>;
}

/** A light client that begins with `trusted`. */
export function createCometLight(
  parts: CometLightParts,
  trusted: TrustedBlock,
  rules: Partial<LightRules> = {},
): CometLight {
  const all = { ...LIGHT_RULES_DEFAULTS, ...rules };
  let latest = trusted;
  return {
    get trusted() {
      return latest;
    },
    async advance(height, options) {
      for (let steps = 0; latest.height < height; steps++) {
        if (steps === LIGHT_STEPS_MAX)
          throw new SaharaError('state-unproven', { reason: 'Too many blocks between' });
        latest = await towards(parts, latest, { height, rules: all, ...options });
      }
      return latest;
    },
  };
}

interface Aim {
  readonly height: number;
  readonly rules: LightRules;
  readonly signal: AbortSignal;
}

/** The farthest block on the way to the aim that follows from `from`: each try goes half as far as the one before. */
async function towards(parts: CometLightParts, from: TrustedBlock, aim: Aim): Promise<TrustedBlock> {
  const nowMs = parts.clock.nowMs();
  for (let height = aim.height; ; height = from.height + Math.floor((height - from.height) / 2)) {
    const light = await parts.fetch(height, { signal: aim.signal });
    try {
      return verifyLightBlock(parts, from, light, { ...aim.rules, nowMs });
    } catch (error) {
      const between = height - from.height > 1 && from.timeMs + aim.rules.trustMs > nowMs;
      if (!between || asSaharaError(error).code !== 'state-unproven') throw error;
    }
  }
}

/**
 * The header of the ledger that a trusted block certifies: it is the application's hash of every block of consensus
 * from the next one on, until the ledger's next block. `undefined` when it certifies another.
 */
export function certifiedHeader(
  { suite, network }: LightParts,
  trusted: TrustedBlock,
  { payload }: Signed,
): BlockHeader | undefined {
  if (!equalBytes(headerHash(suite, payload), trusted.appHash)) return undefined;
  const header = blockHeader.decode(payload);
  return header.network === network ? header : undefined;
}

/** The header that an inclusion proof leads to by what a trusted block certifies, or what is wrong with the proof. */
export function checkCertifiedInclusion(
  parts: LightParts,
  trusted: TrustedBlock,
  proof: InclusionProof,
): BlockHeader | InclusionFault {
  const header = certifiedHeader(parts, trusted, proof.header);
  if (header === undefined) return 'header-signature';
  return checkPaths(parts.suite, header, proof) ?? header;
}
