/**
 * Tokens per second of local models through this project's engine, against the plain generators of node-llama-cpp and
 * against llama.cpp alone, in the same run. Two models of noise: one with the shape, the vocabulary and the quantised
 * weights of a small one that people run, and one that is so small that nearly all of it is overhead. The engine pays
 * for its queue, its process and its sampler; the others have none of that. Rounds take turns, so that all see the same
 * machine; where that is busy, processor time is what can be compared. With the tiny one also what a small tenant waits
 * for while another floods the model.
 * Usage: node bench/agents.ts [--models real,tiny] [--gpu none|cuda|vulkan|metal|auto] [--tokens 16] [--rounds 2]
 *        [--threads 1] [--weights Q8_0|Q4_0]
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createLlamaEngine, type LlamaEngine } from '../src/agent/llama/engine.ts';
import { checkGguf } from '../src/agent/llama/gguf-check.ts';
import type { GpuChoice, ReadyMessage } from '../src/agent/llama/messages.ts';
import type { ModelSource } from '../src/agent/llama/room.ts';
import { SAMPLING_DEFAULTS } from '../src/agent/llama/sampler.ts';
import { systemClock } from '../src/base/clock.ts';
import { asSaharaError, SaharaError } from '../src/base/errors.ts';
import { FLOOD_QUEUE, flood } from './agents/flood.ts';
import { best, CONTEXT_TOKENS, type Measured, measure, promptOf, SEQUENCES } from './agents/measure.ts';
import { type NoiseShape, writeNoise } from './agents/noise-file.ts';
import type { OtherSidesOptions, OtherSidesRound } from './agents/other-sides.ts';

const { values } = parseArgs({
  options: {
    models: { type: 'string' },
    gpu: { type: 'string', default: 'none' },
    tokens: { type: 'string' },
    rounds: { type: 'string', default: '2' },
    threads: { type: 'string', default: '1' },
    weights: { type: 'string', default: 'Q8_0' },
  },
});

/** Sizes, and how many tokens of each are enough for a measurement on a processor. */
const SHAPES: Readonly<Record<string, Omit<NoiseShape, 'weights'> & { readonly tokens: number }>> = {
  /** Two layers: what is measured is everything but the model. */
  tiny: { width: 64, layers: 2, feedForward: 256, heads: 4, keyHeads: 4, words: 256, tokens: 64 },
  /** SmolLM2-360M, with the vocabulary of Llama 2. */
  real: { width: 960, layers: 32, feedForward: 2_560, heads: 15, keyHeads: 5, words: 32_000, tokens: 16 },
  /** Llama 2 7B. For graphics processors: 4 or 7 GB. */
  large: { width: 4_096, layers: 32, feedForward: 11_008, heads: 32, keyHeads: 32, words: 32_000, tokens: 4 },
};
const GPUS: readonly GpuChoice[] = ['none', 'cuda', 'vulkan', 'metal', 'auto'];
const SIDES = ['engine', 'plain', 'bare'] as const;
/** Tokens of one sequence before anything is measured. */
const WARM_TOKENS = 96;
/** Tokens on a graphics processor, whatever the size. */
const GPU_TOKENS = 128;
const MEMORY_BYTES = 32e9;

const HINT =
  'A checkout is without the binaries for graphics processors: npm run gpu -- cuda (or vulkan, metal) brings them.';

type Side = (typeof SIDES)[number];

interface Run {
  readonly gpu: GpuChoice;
  readonly tokens: number;
  readonly rounds: number;
  readonly threads: number;
}

async function main(): Promise<void> {
  const gpu = GPUS.find((one) => one === values.gpu);
  const names = (values.models ?? (gpu === 'none' ? 'real,tiny' : 'real,large')).split(',');
  const weights = values.weights === 'Q4_0' ? 'Q4_0' : 'Q8_0';
  const run = { rounds: Number(values.rounds), threads: Number(values.threads) };
  const tokens = values.tokens === undefined ? undefined : Number(values.tokens);
  const whole = [...Object.values(run), tokens ?? 1].every((one) => Number.isSafeInteger(one) && one > 0);
  if (gpu === undefined || !whole || names.some((name) => SHAPES[name] === undefined)) {
    console.error(
      `Known are --models ${Object.keys(SHAPES)}, --gpu ${GPUS}; the rest are whole numbers above 0`,
    );
    process.exitCode = 1;
    return;
  }
  const line: Record<string, unknown> = { bench: 'agents', gpu, weights };
  for (const name of names) {
    const shape = SHAPES[name];
    if (shape === undefined) continue;
    const folder = await mkdtemp(join(tmpdir(), 'sahara-bench-'));
    const path = join(folder, 'noise.gguf');
    try {
      await writeNoise(path, { ...shape, weights });
      const each = tokens ?? (gpu === 'none' ? shape.tokens : GPU_TOKENS);
      line[name] = await compare(name, path, { ...run, tokens: each, gpu });
    } finally {
      await rm(folder, { recursive: true });
    }
    if (line[name] === undefined) {
      process.exitCode = 1;
      break;
    }
  }
  console.log(JSON.stringify(line));
}

/** Measures one model. Nothing comes of it where it cannot be loaded; why is said. */
async function compare(name: string, path: string, run: Run): Promise<Record<string, number> | undefined> {
  const { digest, facts } = await checkGguf(path, { signal: new AbortController().signal });
  const model: ModelSource = { path, digest, facts };
  const engine = createLlamaEngine(
    { clock: systemClock },
    { ...run, memoryBytes: MEMORY_BYTES, queuePerPayerMax: FLOOD_QUEUE },
  );
  try {
    const ready = await engine.ready(requestOf(model, run, { round: 0, sequences: 1, i: 0 }), {
      signal: new AbortController().signal,
    });
    if (run.gpu !== 'none' && ready.gpu === 'none') {
      throw new SaharaError('backend-missing', { reason: 'node-llama-cpp finds no graphics processor here' });
    }
    console.log(
      `${name}: ${(facts.parameters / 1e6).toFixed(1)} million weights in ${facts.quantisation}, ${facts.vocabulary} tokens to choose from; ` +
        `${run.tokens} tokens each, ${placeOf(ready)}, threads: ${run.threads}`,
    );
    const found = await rounds(engine, model, run);
    const { steps = [] } = (await engine.models[0]?.host.stats()) ?? {};
    console.log(`   sequences in a step of the engine, by how often: ${steps.join(' ')}`);
    const ratios = report(found);
    if (name === 'tiny') ratios.flood_ratio = await ofFlood(engine, model);
    return ratios;
  } catch (error) {
    const { message, facts: why } = asSaharaError(error);
    console.error(`Not measured: ${typeof why.reason === 'string' ? why.reason : message}`);
    if (run.gpu !== 'none') console.error(HINT);
    return undefined;
  } finally {
    await engine.close();
  }
}

/** What a small tenant waits for under a flood, as a part of what it would where the first come is the first served. */
async function ofFlood(engine: LlamaEngine, model: ModelSource): Promise<number> {
  const { fairMs, fifoMs, ratio } = await flood(engine, model);
  console.log(
    `   a small tenant under a flood: ${fairMs.toFixed(1)} ms in the median; first come, first served: ${fifoMs.toFixed(1)} ms; ${ratio.toFixed(3)} of it`,
  );
  return Number(ratio.toFixed(3));
}

function placeOf({ gpu, devices }: ReadyMessage): string {
  return gpu === 'none' ? 'on the processor' : `on ${gpu} (${devices.join(', ')})`;
}

async function rounds(
  engine: LlamaEngine,
  model: ModelSource,
  run: Run,
): Promise<ReadonlyMap<string, Measured>> {
  const { gpu, threads } = run;
  const options: OtherSidesOptions = { path: model.path, gpu, threads };
  const file = new URL('./agents/other-sides.ts', import.meta.url);
  const others = fork(file, [JSON.stringify(options)]);
  const told = async <T>(): Promise<T> => {
    const [message] = await once(others, 'message');
    if (typeof message === 'object' && message !== null && 'error' in message)
      throw new Error(String(message.error));
    return message;
  };
  const ask = (asked: OtherSidesRound): Promise<Measured> => {
    others.send(asked);
    return told<Measured>();
  };
  try {
    await told<string>();
    const found = new Map<string, Measured>();
    for (let round = 0; round <= run.rounds; round++) {
      for (const sequences of SEQUENCES) {
        // The first round loads, and has the code around the model translated, which takes some dozens of steps.
        const tokens = round === 0 && sequences === 1 ? Math.max(run.tokens, WARM_TOKENS) : run.tokens;
        for (const side of turnsOf(round)) {
          const one =
            side === 'engine'
              ? await throughEngine(engine, model, { ...run, tokens }, { round, sequences })
              : await ask({ side, round, sequences, tokens });
          const place = `${side} ${sequences}`;
          if (round > 0) found.set(place, best(found.get(place), one));
        }
      }
    }
    return found;
  } finally {
    others.disconnect();
  }
}

/** Another one begins in each round. */
function turnsOf(round: number): readonly Side[] {
  const first = round % SIDES.length;
  return [...SIDES.slice(first), ...SIDES.slice(0, first)];
}

function requestOf(
  model: ModelSource,
  { tokens }: Run,
  { round, sequences, i }: { readonly round: number; readonly sequences: number; readonly i: number },
) {
  return {
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
}

function throughEngine(
  engine: LlamaEngine,
  model: ModelSource,
  run: Run,
  { round, sequences }: { readonly round: number; readonly sequences: number },
): Promise<Measured> {
  const processor = async (): Promise<number> =>
    (await engine.models.find(({ path }) => path === model.path)?.host.stats())?.processorMs ?? 0;
  return measure(sequences, processor, async (i, first) => {
    let count = 0;
    const request = requestOf(model, run, { round, sequences, i });
    for await (const part of engine.generate(request, { signal: new AbortController().signal })) {
      if (part.type === 'text') first();
      if (part.type === 'end') count = part.tokens;
    }
    return count;
  });
}

/** Says how fast all were; gives the ratios. */
function report(found: ReadonlyMap<string, Measured>): Record<string, number> {
  const ratios: Record<string, number> = {};
  const put = (name: string, value: number): void => {
    ratios[name] = Number(value.toFixed(3));
  };
  for (const sequences of SEQUENCES) {
    const [engine, plain, bare] = SIDES.map((side) => found.get(`${side} ${sequences}`));
    if (engine === undefined || plain === undefined || bare === undefined) continue;
    const said = ({ tokensPerSecond, firstMs, processorMs }: Measured): string =>
      `${tokensPerSecond.toFixed(0)} tokens/s, first after ${firstMs.toFixed(1)} ms, ${processorMs.toFixed(2)} ms of processor a token`;
    const at = String(sequences).padStart(2);
    console.log(`${at} at once: engine ${said(engine)}`);
    console.log(`           plain generators ${said(plain)}`);
    console.log(`           llama.cpp alone ${said(bare)}`);
    put(`tokens_ratio_${sequences}`, engine.tokensPerSecond / plain.tokensPerSecond);
    put(`processor_ratio_${sequences}`, plain.processorMs / engine.processorMs);
    put(`bare_ratio_${sequences}`, bare.processorMs / engine.processorMs);
    put(`ceiling_${sequences}`, plain.processorMs / bare.processorMs);
    put(`first_later_ms_${sequences}`, engine.firstMs - plain.firstMs);
    console.log(
      `           ${ratios[`tokens_ratio_${sequences}`]} times the plain generators, ${ratios[`processor_ratio_${sequences}`]} by processor time ` +
        `(llama.cpp alone: ${ratios[`ceiling_${sequences}`]}); first token ${ratios[`first_later_ms_${sequences}`]} ms later`,
    );
  }
  return ratios;
}

await main();
