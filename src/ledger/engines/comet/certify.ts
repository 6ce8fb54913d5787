/**
 * Certificates of headers: what the validators decided, as anybody can check it who has the genesis alone. The hash of
 * the ledger's header stands in the header of consensus after the block that made it; from the validators of the genesis
 * there leads one block, or several where too few of them still vote. A node's own CometBFT has them all.
 */
import type { Clock } from '../../../base/clock.ts';
import { asSaharaError, SaharaError } from '../../../base/errors.ts';
import { createRecent, type Recent } from '../../../base/recent.ts';
import { blockHeader } from '../../../protocol/block.ts';
import type { CertifiedHeader } from '../../../protocol/certified-header.ts';
import type { ConsensusBlock, ConsensusProof, FirstValidator } from '../../../protocol/consensus.ts';
import { COFACTORED_VOTES_MAX, CONSENSUS_BLOCKS_MAX } from '../../../protocol/limits.ts';
import type { Signed } from '../../../protocol/signing.ts';
import type { Suite } from '../../../protocol/suite.ts';
import { type SoundBlock, soundBlock, trustedBeginning } from '../../../protocol/verify-consensus.ts';
import type { InclusionProof, ProvedState } from '../../ledger.ts';
import type { LightAnswers } from '../../light/answers.ts';
import { type FetchBlock, type FetchSound, stepsTo } from './light/client.ts';
import { LIGHT_STEPS_MAX, PROOF_VOTES_KEPT_MAX, SOUND_VOTES_KEPT_MAX } from './limits.ts';

/** Parts of a certifier. */
export interface CertifierParts {
  readonly suite: Suite;
  readonly clock: Clock;
  /** The network's full name. */
  readonly network: string;
  readonly first: readonly FirstValidator[];
  /** Blocks of consensus, from this node's own CometBFT. */
  readonly fetch: FetchBlock;
  /** Height of consensus that decided on the ledger's block of a height. */
  readonly decidedAt: (height: number) => number | undefined;
}

/** How long the block is awaited that certifies a header, milliseconds: it comes right after the one that made it. */
const WAIT_MS = 10_000;
/** How often it is asked for, milliseconds. */
const POLL_MS = 50;
/** Puts proofs by consensus to headers. */
export class Certifier {
  readonly #parts: CertifierParts;
  /** By where they begin and the height of the header. */
  readonly #known: Recent<ConsensusProof> = createRecent({
    costMax: PROOF_VOTES_KEPT_MAX,
    costOf: (_, { blocks }) => votesIn(blocks),
  });
  /** By height. */
  readonly #sound: Recent<SoundBlock> = createRecent({
    costMax: SOUND_VOTES_KEPT_MAX,
    costOf: (_, { block }) => votesIn([block]),
  });
  /** Blocks that every later one is reached by, the earliest first: voters changed there. */
  #ways: readonly SoundBlock[] = [];

  constructor(parts: CertifierParts) {
    this.#parts = parts;
  }

  /**
   * The header of a block of the ledger with what proves it: from the beginning on, or for somebody who believes the block
   * of consensus of the height `from`, from there. Rejects with `state-unproven` and `cancelled`.
   */
  async header(message: Signed, signal: AbortSignal, from?: number): Promise<CertifiedHeader> {
    const name = `${from ?? ''} ${blockHeader.decode(message.payload).height}`;
    const known = this.#known.get(name);
    if (known !== undefined) return { ...message, consensus: known };
    const consensus = await this.#prove(message, signal, (height) =>
      from === undefined ? this.#proofOf(height, signal) : this.#proofFrom(from, height, signal),
    );
    this.#known.set(name, consensus);
    return { ...message, consensus };
  }

  async #prove(
    message: Signed,
    signal: AbortSignal,
    proof: (height: number) => Promise<ConsensusProof>,
  ): Promise<ConsensusProof> {
    const { height } = blockHeader.decode(message.payload);
    const decided = this.#parts.decidedAt(height);
    if (decided === undefined)
      throw unproven(height, 'it is not known here which block of consensus made it');
    try {
      return await proof(decided + 1);
    } catch (error) {
      if (signal.aborted) throw new SaharaError('cancelled');
      const { facts, message: text } = asSaharaError(error);
      throw unproven(height, String(facts.reason ?? text), error);
    }
  }

  /** An inclusion with its header certified. */
  async inclusion(
    proof: InclusionProof | undefined,
    signal: AbortSignal,
  ): Promise<InclusionProof | undefined> {
    return proof && { ...proof, header: await this.header(proof.header, signal) };
  }

  /** What a state holds with its header certified. */
  async state(proved: ProvedState, signal: AbortSignal): Promise<ProvedState> {
    return { ...proved, header: proved.header && (await this.header(proved.header, signal)) };
  }

  /** The same answers to light clients, with certified headers: of a run the last one, which commits to all before it. */
  answers(plain: LightAnswers, signal: AbortSignal): LightAnswers {
    return {
      headers: async (question) => {
        const run = await plain.headers(question);
        const last = run.at(-1);
        if (last === undefined) return run;
        return [...run.slice(0, -1), await this.header(last, signal, question.consensusFrom)];
      },
      state: async (question) => {
        const answer = await plain.state(question);
        if (answer.type === 'records') return { ...answer, ...(await this.state(answer, signal)) };
        if (answer.type === 'inclusion')
          return { ...answer, proof: await this.inclusion(answer.proof, signal) };
        return answer;
      },
    };
  }

  async #proofOf(height: number, signal: AbortSignal): Promise<ConsensusProof> {
    const { suite, first } = this.#parts;
    const before = this.#ways.filter(({ says }) => says.height < height);
    const from = before.at(-1)?.says ?? trustedBeginning({ suite }, { first, timeMs: 0 });
    const steps = await stepsTo(this.#awaited, from, { height, signal });
    // Ways that are known lead on from the latest one alone.
    if (before.length === this.#ways.length && before.length + steps.length <= LIGHT_STEPS_MAX)
      this.#ways = [...before, ...steps.slice(0, -1)];
    // Where the whole way has no room, its end still proves something to who knows where that begins.
    return proofBy(first, [...before, ...steps].slice(-CONSENSUS_BLOCKS_MAX));
  }

  async #proofFrom(from: number, height: number, signal: AbortSignal): Promise<ConsensusProof> {
    const { first } = this.#parts;
    // What an asker believes was decided on long ago: where it is not here, waiting brings nothing.
    const begun = await this.#fetch(from, { signal }).catch((error: unknown) => {
      if (signal.aborted || asSaharaError(error).code !== 'peer-unreachable') throw error;
      return undefined;
    });
    // A node that dropped it, or began after it, knows another way, of which the end may follow from it as well.
    if (begun === undefined) return this.#proofOf(height, signal);
    // Until the ledger's next block, every later block of consensus certifies the same header.
    if (from >= height) return proofBy(first, [begun]);
    return proofBy(first, [begun, ...(await stepsTo(this.#awaited, begun.says, { height, signal }))]);
  }

  /** A block of consensus without what spoils it for who verifies it. */
  readonly #fetch: FetchSound = async (height, options) => {
    const known = this.#sound.get(String(height));
    if (known !== undefined) return known;
    const sound = soundBlock(this.#parts, await this.#parts.fetch(height, options));
    const { power, powerOfAll } = sound.says.decision;
    // What does not do now may come whole another time.
    if (sound.says.height === height && 3n * power > 2n * powerOfAll) this.#sound.set(String(height), sound);
    return sound;
  };

  /** The same, once this node's CometBFT has it. */
  readonly #awaited: FetchSound = async (height, options) => {
    const { clock } = this.#parts;
    const untilMs = clock.monotonicMs() + WAIT_MS;
    for (;;) {
      try {
        return await this.#fetch(height, options);
      } catch (error) {
        if (options.signal.aborted || asSaharaError(error).code !== 'peer-unreachable') throw error;
        if (clock.monotonicMs() >= untilMs) throw error;
      }
      await new Promise<void>((resolve) => clock.after(POLL_MS, resolve));
    }
  };
}

function proofBy(first: readonly FirstValidator[], sound: readonly SoundBlock[]): ConsensusProof {
  if (sound.length > CONSENSUS_BLOCKS_MAX)
    throw new SaharaError('state-unproven', {
      reason: 'its validators changed too often since the block that is believed; name a newer one',
    });
  const cofactored = sound.reduce((sum, { says }) => sum + says.decision.cofactored, 0);
  if (cofactored > COFACTORED_VOTES_MAX)
    throw new SaharaError('state-unproven', {
      reason: `it takes ${cofactored} votes that hold by CometBFT’s rule alone, and ${COFACTORED_VOTES_MAX} are the most`,
    });
  return { first, blocks: sound.map(({ block }) => block) };
}

function votesIn(blocks: readonly ConsensusBlock[]): number {
  return blocks.reduce((sum, { voters }) => sum + voters.length, 0);
}

function unproven(height: number, reason: string, cause?: unknown): SaharaError {
  return new SaharaError(
    'state-unproven',
    { height, reason: `The decision on block ${height} cannot be proved yet: ${reason}` },
    { cause },
  );
}
