/** What one round of the measurement of local models gives, and what all rounds gave at best. */

/** What one round of so many at once gave. */
export interface Measured {
  readonly tokensPerSecond: number;
  /** To the first token of the first of them, milliseconds. */
  readonly firstMs: number;
  /** Processor time of the process with the model for each token, milliseconds. */
  readonly processorMs: number;
}

/** Sequences at once that are measured. */
export const SEQUENCES: readonly number[] = [1, 4, 16];
/** Tokens of the context of each sequence. */
export const CONTEXT_TOKENS: number = 512;

/** A prompt of its own for each, and another one in each round: nothing is known from before. */
export function promptOf(round: number, i: number): string {
  return `${round} ${i}?`;
}

/** Runs `count` at once; `run` says when the first token came, and gives the number of tokens in the end. */
export async function measure(
  count: number,
  processor: () => Promise<number>,
  run: (i: number, first: () => void) => Promise<number>,
): Promise<Measured> {
  const before = await processor();
  const began = performance.now();
  let firstMs = Number.POSITIVE_INFINITY;
  const first = (): void => {
    firstMs = Math.min(firstMs, performance.now() - began);
  };
  const generated = await Promise.all(Array.from({ length: count }, (_, i) => run(i, first)));
  const seconds = (performance.now() - began) / 1_000;
  const all = generated.reduce((a, b) => a + b, 0);
  return { tokensPerSecond: all / seconds, firstMs, processorMs: ((await processor()) - before) / all };
}

/** The best of several rounds: what else the machine does only makes them worse. */
export function best(a: Measured | undefined, b: Measured): Measured {
  if (a === undefined) return b;
  return {
    tokensPerSecond: Math.max(a.tokensPerSecond, b.tokensPerSecond),
    firstMs: Math.min(a.firstMs, b.firstMs),
    processorMs: Math.min(a.processorMs, b.processorMs),
  };
}
