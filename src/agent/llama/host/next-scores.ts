/**
 * The scores behind what a sequence reads. The library makes a sampler for each call of its own for that, with room for
 * the whole vocabulary, which is given back only when memory is cleaned up: megabytes for every token. Its generators
 * keep theirs; so an answer has one generator, which is told at each step what was chosen elsewhere.
 */
import type { LlamaContextSequence, Token } from 'node-llama-cpp';
import { invariant } from '../../../base/errors.ts';

/** Tokens with their scores, the best first. Scores are right up to a number that is the same for all. */
export type Scores = readonly (readonly [token: Token, score: number])[];

/** The least probability that a score is told of. */
const PROBABILITY_MIN = 1e-45;

/** Scores of one sequence. */
export class NextScores {
  readonly #sequence: LlamaContextSequence;
  #wanted = 0;
  #best: ReturnType<LlamaContextSequence['evaluate']> | undefined;
  #some: ReturnType<typeof generateSome> | undefined;

  constructor(sequence: LlamaContextSequence) {
    this.#sequence = sequence;
  }

  /** Reads `tokens`, at least one, and gives the `wanted` best scores behind the last of them. */
  async behind(tokens: readonly Token[], wanted: number): Promise<Scores> {
    if (wanted !== this.#wanted) this.end();
    this.#wanted = wanted;
    const read = [...tokens];
    if (wanted === 1) {
      const first = this.#best === undefined;
      this.#best ??= this.#sequence.evaluate(read, { temperature: 0, yieldEogToken: true });
      const { value } = await (first ? this.#best.next() : this.#best.next(read));
      invariant(value !== undefined, 'a model always goes on');
      return [[value, 0]];
    }
    const first = this.#some === undefined;
    this.#some ??= generateSome(this.#sequence, read, wanted);
    const { value } = await (first ? this.#some.next() : this.#some.next(read));
    invariant(value !== undefined, 'a model always goes on');
    return [...value.probabilities].map(
      ([token, probability]) => [token, Math.log(Math.max(PROBABILITY_MIN, probability))] as const,
    );
  }

  /** Gives the sampler back. What was read stays. */
  end(): void {
    // Between two steps a generator stands still: it ends at once, and there is nothing that could fail.
    void this.#best?.return();
    void this.#some?.return();
    this.#best = undefined;
    this.#some = undefined;
    this.#wanted = 0;
  }
}

/**
 * llama.cpp's own cut to the best few comes before they are handed out: a filter behind it would have the whole
 * vocabulary sorted, which costs more than a small model's step.
 */
function generateSome(sequence: LlamaContextSequence, tokens: Token[], topK: number) {
  const options = { temperature: 1, topK, topP: 1, minP: 0, yieldEogToken: true };
  return sequence.evaluateWithMetadata(tokens, { probabilities: true }, options);
}
