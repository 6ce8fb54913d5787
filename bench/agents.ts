/**
 * Tokens per second of local models through this project's engine, against the plain generators of node-llama-cpp, in
 * the same run on the same model of noise (about 31 million weights, or 0.3 with `--model tiny`), one thread each.
 * The engine pays for its queue, its process and its sampler; the generators have none of that. Rounds take turns, so
 * that both see the same machine. Usage: node bench/agents.ts [--tokens 32] [--rounds 2] [--model mid|tiny]
 */
import { fork } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createLlamaEngine, type LlamaEngine } from '../src/agent/llama/engine.ts';
import { checkGguf } from '../src/agent/llama/gguf-check.ts';
import type { ModelSource } from '../src/agent/llama/room.ts';
import { SAMPLING_DEFAULTS } from '../src/agent/llama/sampler.ts';
import { systemClock } from '../src/base/clock.ts';
import { writeGguf } from '../test/agent/llama/gguf-writer.ts';
import { noiseModel } from '../test/agent/llama/models.ts';

const { values } = parseArgs({
  options: {
    tokens: { type: 'string', default: '32' },
    rounds: { type: 'string', default: '2' },
    model: { type: 'string', default: 'mid' },
    plain: { type: 'string' },
  },
});
const tokens = Number(values.tokens);
const rounds = Number(values.rounds);
const SEQUENCES = [1, 4, 16];
const CONTEXT_TOKENS = 512;
const SIZES = {
  mid: { width: 512, layers: 8, feedForward: 1_536, heads: 8, words: 4_096 },
  tiny: { width: 64, layers: 2, feedForward: 256, heads: 4, words: 256 },
} as const;

/** What one round of so many at once gave. */
interface Measured {
  readonly tokensPerSecond: number;
  /** To the first token of the first of them, milliseconds. */
  readonly firstMs: number;
  /** Processor time of the process with the model for each token, milliseconds. */
  readonly processorMs: number;
}

/** A prompt of its own for each, and another one in each round: nothing is known from before. */
const promptOf = (round: number, i: number): string => `${round} ${i}?`;

async function measure(
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

/** The generators of node-llama-cpp, in a process of their own as well. Asked by messages `[round, sequences]`. */
async function servePlain(path: string): Promise<void> {
  const { getLlama } = await import('node-llama-cpp');
  const llama = await getLlama({ gpu: false, build: 'never', maxThreads: 1 });
  const model = await llama.loadModel({ modelPath: path });
  const contexts = new Map(
    await Promise.all(
      SEQUENCES.map(async (sequences) => {
        const context = await model.createContext({ sequences, contextSize: CONTEXT_TOKENS, threads: 1 });
        return [sequences, Array.from({ length: sequences }, () => context.getSequence())] as const;
      }),
    ),
  );
  process.on('disconnect', () => process.exit());
  process.on('message', async ([round, sequences]: [number, number]) => {
    const all = contexts.get(sequences) ?? [];
    const processor = async (): Promise<number> => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1_000;
    };
    const found = await measure(sequences, processor, async (i, first) => {
      const sequence = all[i];
      if (sequence === undefined) return 0;
      await sequence.clearHistory();
      const prompt = model.tokenize(promptOf(round, i));
      let count = 0;
      for await (const _ of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
        first();
        if (++count >= tokens) break;
      }
      return count;
    });
    process.send?.(found);
  });
  process.send?.('ready');
}

function throughEngine(
  engine: LlamaEngine,
  model: ModelSource,
  round: number,
  sequences: number,
): Promise<Measured> {
  const processor = async (): Promise<number> =>
    (await engine.models.find(({ path }) => path === model.path)?.host.stats())?.processorMs ?? 0;
  return measure(sequences, processor, async (i, first) => {
    let count = 0;
    const request = {
      model,
      adapters: [],
      context: { tokens: CONTEXT_TOKENS, sequences },
      payer: String(i),
      weight: 1,
      prompt: { kind: 'text', text: promptOf(round, i) },
      sampling: SAMPLING_DEFAULTS,
      tokensMax: tokens,
      stops: [],
    } as const;
    for await (const part of engine.generate(request, { signal: new AbortController().signal })) {
      if (part.type === 'text') first();
      if (part.type === 'end') count = part.tokens;
    }
    return count;
  });
}

async function main(): Promise<void> {
  const size = values.model === 'tiny' ? SIZES.tiny : SIZES.mid;
  const folder = await mkdtemp(join(tmpdir(), 'sahara-bench-'));
  const path = await writeGguf(join(folder, 'noise.gguf'), noiseModel({ ...size, fluent: true }));
  const { digest, facts } = await checkGguf(path, { signal: new AbortController().signal });
  console.log(`${(facts.parameters / 1e6).toFixed(1)} million weights, ${tokens} tokens each, one thread`);
  const engine = createLlamaEngine({ clock: systemClock }, { gpu: 'none', threads: 1, memoryBytes: 4e9 });
  const plain = fork(import.meta.filename, ['--plain', path, '--tokens', String(tokens)]);
  const told = <T>(): Promise<T> =>
    new Promise((resolve) => plain.once('message', (message) => resolve(message as T)));
  const model = { path, digest, facts };
  try {
    await told<string>();
    const best = new Map<string, Measured>();
    const keep = (name: string, found: Measured): void => {
      const known = best.get(name);
      best.set(name, {
        tokensPerSecond: Math.max(known?.tokensPerSecond ?? 0, found.tokensPerSecond),
        firstMs: Math.min(known?.firstMs ?? Number.POSITIVE_INFINITY, found.firstMs),
        processorMs: Math.min(known?.processorMs ?? Number.POSITIVE_INFINITY, found.processorMs),
      });
    };
    for (let round = 0; round <= rounds; round++) {
      for (const sequences of SEQUENCES) {
        const ours = await throughEngine(engine, model, round, sequences);
        plain.send([round, sequences]);
        const theirs = await told<Measured>();
        // The first round loads and warms up.
        if (round === 0) continue;
        keep(`engine ${sequences}`, ours);
        keep(`plain ${sequences}`, theirs);
      }
    }
    const line = report(best);
    const { steps = [] } = (await engine.models[0]?.host.stats()) ?? {};
    const decoded = steps.reduce((sum, count, i) => sum + count * (i + 1), 0);
    const passes = steps.reduce((sum, count) => sum + count, 0);
    console.log(
      `sequences in a step of the engine, by how often: ${steps.join(' ')}; ${(decoded / passes).toFixed(1)} on average`,
    );
    console.log(line);
  } finally {
    plain.disconnect();
    await engine.close();
    await rm(folder, { recursive: true });
  }
}

/** Says how fast both were; gives the ratios as a line of JSON. */
function report(best: ReadonlyMap<string, Measured>): string {
  const ratios: Record<string, number> = {};
  for (const sequences of SEQUENCES) {
    const ours = best.get(`engine ${sequences}`);
    const theirs = best.get(`plain ${sequences}`);
    if (ours === undefined || theirs === undefined) continue;
    const ratio = ours.tokensPerSecond / theirs.tokensPerSecond;
    const work = theirs.processorMs / ours.processorMs;
    const laterMs = ours.firstMs - theirs.firstMs;
    console.log(
      `${String(sequences).padStart(2)} at once: engine ${ours.tokensPerSecond.toFixed(0)} tokens/s, first after ${ours.firstMs.toFixed(0)} ms; ` +
        `plain ${theirs.tokensPerSecond.toFixed(0)} tokens/s, first after ${theirs.firstMs.toFixed(0)} ms; ${ratio.toFixed(2)} times, ${work.toFixed(2)} by processor time (${ours.processorMs.toFixed(1)} and ${theirs.processorMs.toFixed(1)} ms a token)`,
    );
    ratios[`tokens_ratio_${sequences}`] = Number(ratio.toFixed(3));
    ratios[`processor_ratio_${sequences}`] = Number(work.toFixed(3));
    ratios[`first_later_ms_${sequences}`] = Number(laterMs.toFixed(1));
  }
  return JSON.stringify({ bench: 'agents', model: values.model, ...ratios });
}

if (values.plain === undefined) await main();
else await servePlain(values.plain);
