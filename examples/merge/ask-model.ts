/** Asks a model of this machine as an agent would, through the engine that the daemon uses. */
import { createLlamaBackend } from '../../src/agent/backends/llama.ts';
import { createLlamaEngine, type LlamaEngine } from '../../src/agent/llama/engine.ts';
import { checkGguf } from '../../src/agent/llama/gguf-check.ts';
import { systemClock } from '../../src/base/clock.ts';
import { systemDice } from '../../src/base/random.ts';

/** What runs models. */
export type Talker = LlamaEngine;

/** Starts it: nothing is loaded before the first question. It has to be closed. */
export function talk(): Talker {
  return createLlamaEngine({ clock: systemClock }, { gpu: 'none', threads: 1, memoryBytes: 2e9 });
}

/** A model's file, and files of adapters that are put on it. */
export interface AskedModel {
  readonly model: string;
  readonly adapters?: readonly string[];
}

/** The question that the models are asked. */
export const QUESTION = 'What does a contract do, and what does a fever do?';

/** What the model answers, and the logarithm of the probability that it gives to `wanted`. */
export async function askModel(
  engine: Talker,
  { model, adapters = [] }: AskedModel,
  wanted = '',
): Promise<{ readonly text: string; readonly score: number }> {
  const { signal } = new AbortController();
  const checked = await checkGguf(model, { signal });
  const put = await Promise.all(
    adapters.map(async (path) => ({ path, digest: (await checkGguf(path, { signal })).digest, scale: 1 })),
  );
  const backend = createLlamaBackend(
    { engine, dice: systemDice },
    { name: 'merged', model: { path: model, ...checked }, adapters: put, contextTokens: 2048 },
  );
  const request = { question: QUESTION, context: [], passages: [], unitsMax: 64 };
  let text = '';
  for await (const part of backend.answer(request, { signal })) if (part.type === 'text') text += part.text;
  return {
    text,
    score: wanted === '' ? 0 : await backend.score(request, wanted, { signal, without: undefined }),
  };
}
