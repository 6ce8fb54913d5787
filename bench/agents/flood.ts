/**
 * What a small tenant waits for while another one floods the model: sixty requests of one payer, then six of another,
 * on four sequences. Against first come, first served, which is what the same queue does where all are one payer.
 */
import type { LlamaEngine } from '../../src/agent/llama/engine.ts';
import type { ModelSource } from '../../src/agent/llama/room.ts';
import { SAMPLING_DEFAULTS } from '../../src/agent/llama/sampler.ts';
import { CONTEXT_TOKENS } from './measure.ts';

const FLOOD = 60;
const SMALL = 6;
const SEQUENCES = 4;
const TOKENS = 16;
const ROUNDS = 7;

/** Requests of one payer that the engine has to let wait. */
export const FLOOD_QUEUE: number = FLOOD + SMALL;

/** What the small tenant waited for. */
export interface FloodWait {
  /** From asking to the end of its answer, milliseconds: the median of its requests, and of the rounds. */
  readonly fairMs: number;
  readonly fifoMs: number;
  /** The one by the other, the median of the rounds. */
  readonly ratio: number;
}

/** Floods the model again and again, fairly and not in turns. */
export async function flood(engine: LlamaEngine, model: ModelSource): Promise<FloodWait> {
  const once = async (small: string): Promise<number> => {
    const flooding = Array.from({ length: FLOOD }, (_, i) => timed(engine, model, { payer: 'flood', i }));
    const asking = Array.from({ length: SMALL }, (_, i) => timed(engine, model, { payer: small, i }));
    const took = await Promise.all(asking);
    await Promise.all(flooding);
    return median(took);
  };
  await once('small');
  const found: { readonly fair: number; readonly fifo: number }[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    found.push({ fair: await once('small'), fifo: await once('flood') });
  }
  return {
    fairMs: median(found.map(({ fair }) => fair)),
    fifoMs: median(found.map(({ fifo }) => fifo)),
    ratio: median(found.map(({ fair, fifo }) => fair / fifo)),
  };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = sorted.length >> 1;
  const upper = sorted[at] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[at - 1] ?? 0) + upper) / 2;
}

async function timed(
  engine: LlamaEngine,
  model: ModelSource,
  { payer, i }: { readonly payer: string; readonly i: number },
): Promise<number> {
  const began = performance.now();
  const request = {
    model,
    adapters: [],
    context: { tokens: CONTEXT_TOKENS, sequences: SEQUENCES },
    payer,
    weight: 1,
    prompt: { kind: 'text', text: `${payer} ${i}?` },
    sampling: SAMPLING_DEFAULTS,
    tokensMax: TOKENS,
    stops: [],
  } as const;
  for await (const _ of engine.generate(request, { signal: new AbortController().signal }));
  return performance.now() - began;
}
