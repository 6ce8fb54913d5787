/** Gives a target inputs, one after the other, and says what broke. */
import { toHex } from '../../src/base/bytes.ts';
import { createRandom } from './random.ts';
import { Broken, mayRefuse, type Target } from './target.ts';

/** Most CPU time of the whole process for one input, milliseconds. */
export const INPUT_CPU_MS_MAX = 2_000;
/** Most by which one input may raise the process's greatest memory, bytes. */
export const INPUT_MEMORY_BYTES_MAX: number = 512 * 1024 * 1024;

/** A failure, with everything that is needed to see it again. */
export interface Failure {
  readonly target: string;
  readonly seed: number;
  readonly iteration: number;
  readonly input: Uint8Array;
  readonly reason: string;
}

/** What a run found. */
export interface Outcome {
  readonly iterations: number;
  readonly accepted: number;
  /** Most CPU time that one input took, milliseconds, and which. */
  readonly slowestMs: number;
  readonly slowest: number;
  readonly failure: Failure | undefined;
}

/** The input of one iteration: sound every sixteenth time, bent otherwise. */
export function inputOf(target: Target, seed: number, iteration: number): Uint8Array {
  const random = createRandom(seed, iteration);
  const start = random.pick(target.corpus);
  if (random.once(16)) return start.slice();
  const bent = target.bend(start, random, target.corpus);
  return bent.slice(0, target.sizeBytesMax);
}

/** When a run ends. */
export interface RunOptions {
  readonly seed: number;
  /** First iteration. Default 0. */
  readonly from?: number;
  /** Whether to go on before `iteration`. */
  readonly more: (iteration: number) => boolean;
  /** Most processor time for one input, milliseconds. Default: no bound, because machines differ. */
  readonly cpuMsMax?: number;
  /** Is told each iteration before it begins. */
  readonly onStart?: (iteration: number) => void;
}

/** Runs until `more` says no or something breaks. */
export async function runTarget(target: Target, options: RunOptions): Promise<Outcome> {
  const { seed, from = 0, more, onStart, cpuMsMax = Number.POSITIVE_INFINITY } = options;
  let accepted = 0;
  let slowestMs = 0;
  let slowest = from;
  let iteration = from;
  for (; more(iteration); iteration++) {
    const input = inputOf(target, seed, iteration);
    onStart?.(iteration);
    const one = await runOne(target, input, cpuMsMax);
    if (one.accepted) accepted++;
    if (one.cpuMs > slowestMs) [slowestMs, slowest] = [one.cpuMs, iteration];
    if (one.reason !== undefined) {
      const failure = { target: target.name, seed, iteration, input, reason: one.reason };
      return { iterations: iteration - from + 1, accepted, slowestMs, slowest, failure };
    }
  }
  return { iterations: iteration - from, accepted, slowestMs, slowest, failure: undefined };
}

/** A failure as lines for people: what broke, on what, and how to see it again. */
export function describeFailure({ target, seed, iteration, input, reason }: Failure): string {
  return [
    `${target}: ${reason}`,
    `  target ${target}, seed ${seed}, iteration ${iteration}, input of ${input.length} bytes`,
    `  ${toHex(input)}`,
    `  again: npm run fuzz -- --target ${target} --seed ${seed} --iteration ${iteration}`,
  ].join('\n');
}

interface One {
  readonly accepted: boolean;
  readonly cpuMs: number;
  readonly reason: string | undefined;
}

async function runOne(target: Target, input: Uint8Array, cpuMsMax: number): Promise<One> {
  const given = input.slice();
  const peakBefore = process.resourceUsage().maxRSS;
  const before = process.cpuUsage();
  let accepted = true;
  let reason: string | undefined;
  try {
    await target.take(given);
  } catch (error) {
    accepted = false;
    if (error instanceof Broken) reason = error.message;
    else if (!mayRefuse(target, error)) reason = `threw ${shown(error)}`;
  }
  const { user, system } = process.cpuUsage(before);
  const cpuMs = (user + system) / 1000;
  const grownBytes = (process.resourceUsage().maxRSS - peakBefore) * 1024;
  if (cpuMs > cpuMsMax) reason ??= `took ${Math.round(cpuMs)} ms of CPU time`;
  if (grownBytes > INPUT_MEMORY_BYTES_MAX) reason ??= `raised memory by ${grownBytes} bytes`;
  return { accepted, cpuMs, reason };
}

function shown(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
