/**
 * What the engine is measured against, in a process of its own as the engine's model is: the generators of
 * node-llama-cpp, one for each sequence; and llama.cpp alone, its decoding and its choice of the best token in step
 * for all sequences with nothing around them, which no engine on the same library can be faster than.
 */
import type { Llama, LlamaContext, LlamaContextSequence, LlamaModel, Token } from 'node-llama-cpp';
import type { GpuChoice } from '../../src/agent/llama/messages.ts';
import { CONTEXT_TOKENS, type Measured, measure, promptOf, SEQUENCES } from './measure.ts';

/** What the process is started with, as JSON. */
export interface OtherSidesOptions {
  readonly path: string;
  readonly gpu: GpuChoice;
  readonly threads: number;
}

/** Asks for a round. It answers with what it measured. */
export interface OtherSidesRound {
  readonly side: 'plain' | 'bare';
  readonly round: number;
  readonly sequences: number;
  /** Of each sequence. */
  readonly tokens: number;
}

/** The library's own binding, which it does not show. */
interface Binding {
  initBatch(size: number): void;
  addToBatch(sequence: number, first: number, tokens: Uint32Array, wanted: Uint32Array): Uint32Array;
  decodeBatch(): Promise<void>;
  sampleToken(index: number, sampler: Sampler): Promise<Token>;
  disposeSequence(sequence: number): void;
}

interface Sampler {
  applyConfig(config: object): void;
  dispose(): void;
}

interface Held {
  readonly context: LlamaContext;
  readonly sequences: readonly LlamaContextSequence[];
}

const { path, gpu, threads } = JSON.parse(process.argv[2] ?? '{}') as OtherSidesOptions;
const { getLlama, LlamaLogLevel } = await import('node-llama-cpp');

async function serve(): Promise<void> {
  const llama = await getLlama({
    gpu: gpu === 'none' ? false : gpu,
    build: 'never',
    skipDownload: true,
    maxThreads: threads,
    logLevel: LlamaLogLevel.error,
  });
  const model = await llama.loadModel({ modelPath: path });
  const held = new Map<number, Held>();
  for (const sequences of SEQUENCES) {
    const context = await model.createContext({ sequences, contextSize: CONTEXT_TOKENS, threads });
    held.set(sequences, {
      context,
      sequences: Array.from({ length: sequences }, () => context.getSequence()),
    });
  }
  process.on('message', async ({ side, round, sequences, tokens }: OtherSidesRound) => {
    const on = held.get(sequences);
    if (on === undefined) return;
    const prompts = Array.from({ length: sequences }, (_, i) => promptTokens(model, promptOf(round, i)));
    for (const sequence of on.sequences) await sequence.clearHistory();
    process.send?.(
      side === 'plain'
        ? await plain(on, prompts, tokens)
        : await bare({ llama, model, ...on }, prompts, tokens),
    );
  });
  process.send?.('ready');
}

/** The same tokens that the engine reads. */
function promptTokens(model: LlamaModel, text: string): Token[] {
  const { bos, shouldPrependBosToken } = model.tokens;
  const read = model.tokenize(text, false);
  return shouldPrependBosToken && bos !== null ? [bos, ...read] : read;
}

async function processor(): Promise<number> {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

function plain({ sequences }: Held, prompts: readonly Token[][], tokens: number): Promise<Measured> {
  return measure(sequences.length, processor, async (i, first) => {
    let count = 0;
    const generated = sequences[i]?.evaluate(prompts[i] ?? [], { temperature: 0, yieldEogToken: true }) ?? [];
    for await (const _ of generated) {
      first();
      if (++count >= tokens) break;
    }
    return count;
  });
}

/** All sequences in one call, which therefore counts for all of them. */
async function bare(
  { llama, model, context, sequences }: Held & { readonly llama: Llama; readonly model: LlamaModel },
  prompts: readonly Token[][],
  tokens: number,
): Promise<Measured> {
  // Not in the library's types: it is reached here to know what the rest of the library costs, and nowhere else.
  const binding = (context as unknown as { readonly _ctx: Binding })._ctx;
  const { AddonSampler } = (
    llama as unknown as { readonly _bindings: { readonly AddonSampler: new (model: unknown) => Sampler } }
  )._bindings;
  const { _model } = model as unknown as { readonly _model: unknown };
  const found = await measure(1, processor, async (_, first) => {
    const samplers = sequences.map(() => new AddonSampler(_model));
    for (const sampler of samplers) sampler.applyConfig({});
    let next: readonly (readonly Token[])[] = prompts;
    const at = sequences.map(() => 0);
    for (let step = 0; step < tokens; step++) {
      binding.initBatch(next.reduce((sum, read) => sum + read.length, 0));
      const wanted = next.map((read, i) => {
        const from = at[i] ?? 0;
        at[i] = from + read.length;
        return binding.addToBatch(i, from, Uint32Array.from(read), Uint32Array.of(read.length - 1))[0] ?? 0;
      });
      await binding.decodeBatch();
      const chosen = samplers.map((sampler, i) => binding.sampleToken(wanted[i] ?? 0, sampler));
      next = (await Promise.all(chosen)).map((token) => [token]);
      first();
    }
    for (const sampler of samplers) sampler.dispose();
    return tokens * sequences.length;
  });
  for (const i of sequences.keys()) binding.disposeSequence(i);
  return found;
}

process.on('disconnect', () => process.exit());
await serve().catch((error: unknown) => process.send?.({ error: String(error) }));
