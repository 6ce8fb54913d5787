/** Scores an answer with and without each adapter, within a time: behind its last word and before its statement. */
import type { Clock } from '../../base/clock.ts';
import { asSaharaError } from '../../base/errors.ts';
import type { AnswerRequest, Backend } from '../backends/backend.ts';
import { type AdapterParts, measuredParts, UNMEASURED } from './switched-off.ts';

/** How adapters are measured. */
export interface AdapterMeasure {
  readonly clock: Clock;
  /** Which of the backend's adapters are switched off, one after the other: those that earn, by their position. */
  readonly adapters: readonly number[];
  /** Longest time for all scores of one answer, milliseconds; of what is left of its deadline no more than half. Default 5,000. */
  readonly withinMs: number;
}

/** Longest time for the scores of one answer where nothing is said, milliseconds. */
export const MEASURE_MS_MAX = 5_000;

/** An answer that was given. */
interface Given {
  readonly request: AnswerRequest;
  readonly answer: string;
  /** What is left of the call's deadline, milliseconds. */
  readonly leftMs: number;
}

/**
 * The scores of an answer, for as many passes over prompt and answer as adapters earn and one more; `UNMEASURED` where
 * they are not there in time or the model cannot be asked. Throws `cancelled`.
 */
export async function measureAdapters(
  backend: Backend,
  { request, answer, leftMs }: Given,
  options: AdapterMeasure & { readonly signal: AbortSignal },
): Promise<AdapterParts> {
  const { clock, adapters, withinMs, signal } = options;
  const score = backend.score?.bind(backend);
  // What tools returned stood in the prompt too, and is not here.
  const tools = request.tools?.specs.length ?? 0;
  if (score === undefined || answer === '' || tools > 0) return UNMEASURED;
  const limitMs = Math.min(withinMs, Math.floor(leftMs / 2));
  const late = new AbortController();
  const cancel = clock.after(limitMs, () => late.abort());
  const limits = { signal: AbortSignal.any([signal, late.signal]) };
  const asked = { ...request, withinMs: limitMs };
  try {
    const whole = await score(asked, answer, { ...limits, without: undefined });
    const without: number[] = [];
    for (const adapter of adapters) without.push(await score(asked, answer, { ...limits, without: adapter }));
    return measuredParts({ whole, without });
  } catch (error) {
    if (signal.aborted) throw asSaharaError(error);
    return UNMEASURED;
  } finally {
    cancel();
  }
}
