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
import type { ConsensusProof, FirstValidator } from '../../../protocol/consensus.ts';
import { CONSENSUS_BLOCKS_MAX } from '../../../protocol/limits.ts';
import type { Signed } from '../../../protocol/signing.ts';
import type { Suite } from '../../../protocol/suite.ts';
import { openBlock, trustedBeginning, withSoundVotes } from '../../../protocol/verify-consensus.ts';
import type { InclusionProof, ProvedState } from '../../ledger.ts';
import type { LightAnswers } from '../../light/answers.ts';
import { type FetchBlock, type Step, stepsTo } from './light/client.ts';

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
/** Proofs that are remembered. */
const REMEMBERED = 64;

/** Puts proofs by consensus to headers. */
export class Certifier {
  readonly #parts: CertifierParts;
  readonly #known: Recent<ConsensusProof> = createRecent({ costMax: REMEMBERED });
  /** Blocks that every later one is reached by, the earliest first: voters changed there. */
  #ways: readonly Step[] = [];

  constructor(parts: CertifierParts) {
    // What spoils a block for who verifies it is left out of it.
    const fetch: FetchBlock = async (height, options) =>
      withSoundVotes(parts, await parts.fetch(height, options));
    this.#parts = { ...parts, fetch };
  }

  /** The header of a block of the ledger with what proves it. Rejects with `state-unproven` and `cancelled`. */
  async header(message: Signed, signal: AbortSignal): Promise<CertifiedHeader> {
    const name = String(blockHeader.decode(message.payload).height);
    const known = this.#known.get(name);
    if (known !== undefined) return { ...message, consensus: known };
    const consensus = await this.#prove(message, signal, (height) => this.#proofOf(height, signal));
    this.#known.set(name, consensus);
    return { ...message, consensus };
  }

  /** The same for somebody who believes a block of consensus: the proof begins with that. */
  async #headerFrom(message: Signed, from: number, signal: AbortSignal): Promise<CertifiedHeader> {
    const consensus = await this.#prove(message, signal, (height) => this.#proofFrom(from, height, signal));
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
        const { consensusFrom: from } = question;
        const certified =
          from === undefined ? this.header(last, signal) : this.#headerFrom(last, from, signal);
        return [...run.slice(0, -1), await certified];
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
    const { suite, network, first } = this.#parts;
    const before = this.#ways.filter(({ trusted }) => trusted.height < height);
    const from = before.at(-1)?.trusted ?? trustedBeginning({ suite }, { first, timeMs: 0 });
    const fetch: FetchBlock = (at, options) => this.#await(at, options.signal);
    const steps = await stepsTo({ suite, network, fetch }, from, { height, signal });
    // Ways that are known lead on from the latest one alone.
    if (before.length === this.#ways.length && steps.length > 1)
      this.#ways = [...before, ...steps.slice(0, -1)];
    const blocks = [...before, ...steps].map(({ block }) => block);
    return bounded({ first, blocks });
  }

  async #proofFrom(from: number, height: number, signal: AbortSignal): Promise<ConsensusProof> {
    const { suite, network, first } = this.#parts;
    const fetch: FetchBlock = (at, options) => this.#await(at, options.signal);
    // What an asker believes was decided on long ago: where it is not here, waiting brings nothing.
    const begun = await this.#parts.fetch(from, { signal }).catch((error: unknown) => {
      if (signal.aborted || asSaharaError(error).code !== 'peer-unreachable') throw error;
      return undefined;
    });
    // A node that dropped it, or began after it, knows another way, of which the end may follow from it as well.
    if (begun === undefined) return this.#proofOf(height, signal);
    // Until the ledger's next block, every later block of consensus certifies the same header.
    if (from >= height) return { first, blocks: [begun] };
    const start = openBlock({ suite, network }, begun);
    const steps = await stepsTo({ suite, network, fetch }, start, { height, signal });
    return bounded({ first, blocks: [begun, ...steps.map(({ block }) => block)] });
  }

  /** A block of consensus, once this node's CometBFT has it. */
  async #await(height: number, signal: AbortSignal): ReturnType<FetchBlock> {
    const { clock, fetch } = this.#parts;
    const untilMs = clock.monotonicMs() + WAIT_MS;
    for (;;) {
      try {
        return await fetch(height, { signal });
      } catch (error) {
        if (signal.aborted || asSaharaError(error).code !== 'peer-unreachable') throw error;
        if (clock.monotonicMs() >= untilMs) throw error;
      }
      await new Promise<void>((resolve) => clock.after(POLL_MS, resolve));
    }
  }
}

function bounded(proof: ConsensusProof): ConsensusProof {
  if (proof.blocks.length <= CONSENSUS_BLOCKS_MAX) return proof;
  throw new SaharaError('state-unproven', { reason: 'its validators changed too often for one proof' });
}

function unproven(height: number, reason: string, cause?: unknown): SaharaError {
  return new SaharaError(
    'state-unproven',
    { height, reason: `The decision on block ${height} cannot be proved yet: ${reason}` },
    { cause },
  );
}
