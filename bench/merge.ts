/**
 * Merges against copying the same bytes, in one run: models in BF16 are made from a seed, the copy reads both and
 * writes one, and each method's wall time, processor time and rate stand beside it.
 * `node bench/merge.ts [--megabytes 64] [--rounds 3] [--only linear,ties] [--mergekit]`. The last line is JSON with the
 * ratios. With `--mergekit` the same recipes go through mergekit on PyTorch in between, and both results are held against f64.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, fsyncSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type ModelShape, makeModel } from '../examples/merge/make-models.ts';
import { MERGEKIT_MISSING, mergekitPython } from '../scripts/mergekit.ts';
import { systemClock } from '../src/base/clock.ts';
import { planMerge } from '../src/merge/plan.ts';
import { parseRecipe } from '../src/merge/recipe.ts';
import { RUN_DEFAULTS, runMerge } from '../src/merge/run.ts';
import { distances, type MergekitMeasure, runMergekit } from './merge/mergekit.ts';

const { values } = parseArgs({
  options: {
    megabytes: { type: 'string', default: '64' },
    rounds: { type: 'string', default: '3' },
    mergekit: { type: 'boolean', default: false },
    // Methods to measure, with commas; all if it is not given.
    only: { type: 'string' },
    // Only makes the models, in this folder.
    make: { type: 'string' },
  },
});
const rounds = Number(values.rounds);
const only = values.only?.split(',');

// A layer of this width has 22 MB in BF16; the vocabulary has 4.
const LAYER_MEGABYTES = 22;
const shape: ModelShape = {
  layers: Math.max(1, Math.round(Number(values.megabytes) / LAYER_MEGABYTES)),
  hidden: 1024,
  intermediate: 2816,
  vocabulary: 1024,
  dtype: 'BF16',
};

const PAIR = (more = ''): string => `
models:
  - { model: a, parameters: { weight: 0.6, density: 0.4 } }
  - { model: b, parameters: { weight: 0.4, density: 0.4 } }
dtype: bfloat16
${more}`;

const RECIPES: Readonly<Record<string, string>> = {
  linear: `merge_method: linear${PAIR()}`,
  slerp: `merge_method: slerp\nbase_model: a\nparameters: { t: 0.4 }${PAIR()}`,
  task_arithmetic: `merge_method: task_arithmetic\nbase_model: base${PAIR()}`,
  ties: `merge_method: ties\nbase_model: base${PAIR()}`,
  dare_ties: `merge_method: dare_ties\nbase_model: base${PAIR()}`,
  model_stock: `merge_method: model_stock\nbase_model: base${PAIR()}`,
};

interface Measure {
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
}

async function measure(act: () => Promise<void> | void): Promise<Measure> {
  const cpu = process.cpuUsage();
  const start = performance.now();
  await act();
  const { user, system } = process.cpuUsage(cpu);
  return { wallSeconds: (performance.now() - start) / 1000, cpuSeconds: (user + system) / 1e6 };
}

function median<M extends Measure>(measures: readonly M[]): M {
  const sorted = measures.toSorted((a, b) => a.wallSeconds - b.wallSeconds);
  const middle = sorted[Math.floor(sorted.length / 2)];
  if (!middle) throw new Error('nothing was measured');
  return middle;
}

// What mergekit has no line for in the table is left out with it.
const BESIDE_MERGEKIT = ['linear', 'slerp', 'ties', 'dare_ties', 'model_stock'];

interface Beside {
  readonly cpu: number;
  readonly wall: number;
  readonly peakMegabytes: number;
  /** Distance from f64, ours and theirs; masks that are drawn are others there. */
  readonly rmse: readonly number[];
}

function beside(
  name: string,
  { ours, theirs }: { ours: Measure; theirs: MergekitMeasure },
  rmse: readonly number[],
): Beside {
  const ratio = (of: number, to: number): number => Number((of / to).toFixed(2));
  const found: Beside = {
    cpu: ratio(theirs.cpuSeconds, ours.cpuSeconds),
    wall: ratio(theirs.wallSeconds, ours.wallSeconds),
    peakMegabytes: Math.round(theirs.peakMegabytes),
    rmse,
  };
  const cells = [theirs.wallSeconds.toFixed(2), theirs.cpuSeconds.toFixed(2)].map((cell) => cell.padStart(7));
  const off =
    name === 'dare_ties' ? '' : `   rmse ${rmse.map((each) => each.toExponential(2)).join(' against ')}`;
  console.log(
    `${'  mergekit'.padEnd(16)} ${cells.join(' ')}   ${found.cpu} x cpu, ${found.wall} x wall, ${found.peakMegabytes} MB${off}`,
  );
  return found;
}

// Reads every input once and writes as much as one of them, to disk.
function copy(inputs: readonly string[], output: string): void {
  const buffer = Buffer.alloc(4 * 1024 * 1024);
  const target = openSync(output, 'w');
  for (const [i, path] of inputs.entries()) {
    const source = openSync(path, 'r');
    for (let n = readSync(source, buffer); n > 0; n = readSync(source, buffer))
      if (i === 0) writeSync(target, buffer, 0, n);
    closeSync(source);
  }
  fsyncSync(target);
  closeSync(target);
  rmSync(output);
}

async function main(): Promise<void> {
  const python = values.mergekit ? mergekitPython() : undefined;
  if (values.mergekit && python === undefined) throw new Error(MERGEKIT_MISSING);
  const root = await mkdtemp(join(tmpdir(), 'sahara-bench-merge-'));
  try {
    // In a process of its own, so that the memory it takes is not counted.
    execFileSync(process.execPath, [...process.argv.slice(1), '--make', root], { stdio: 'inherit' });
    const files = ['a', 'b', 'base'].map((name) => join(root, name, 'model.safetensors'));
    const { size } = await stat(files[0] ?? '');
    console.log(
      `models of ${(size / 1e6).toFixed(0)} MB, ${RUN_DEFAULTS.workers} workers, median of ${rounds}`,
    );
    // Once before anything is measured: nothing is read from disk for the first time, or still written, after that.
    copy(files, join(root, 'out'));
    console.log('method            wall s   cpu s   GB/s in+out   of copy rate');
    const ratios: Record<string, number> = {};
    const mergekit: Record<string, Beside> = {};
    for (const [name, recipe] of Object.entries(RECIPES)) {
      if (only?.includes(name) === false) continue;
      const plan = await planMerge(parseRecipe(recipe), { directory: root });
      const [output, foreign] = [join(root, 'out'), join(root, 'foreign')];
      const [merges, copies]: [Measure[], Measure[]] = [[], []];
      const theirs: MergekitMeasure[] = [];
      const compared = python !== undefined && BESIDE_MERGEKIT.includes(name);
      let rmse: readonly number[] = [];
      // Taken in turns, so that what else the machine does falls on both.
      for (let round = 0; round < rounds; round++) {
        merges.push(
          await measure(async () => {
            await runMerge(plan, { output }, { clock: systemClock });
          }),
        );
        if (compared) {
          theirs.push(await runMergekit(python, { recipe, directory: root, output: foreign }));
          if (rmse.length === 0) rmse = await distances(root, [output, foreign]);
        }
        await rm(output, { recursive: true });
        copies.push(await measure(() => copy(files.slice(0, plan.models.length), output)));
      }
      const [merge, copied] = [median(merges), median(copies)];
      const rate = (plan.readBytes + plan.writeBytes) / 1e9 / merge.wallSeconds;
      ratios[name] = Number((copied.wallSeconds / merge.wallSeconds).toFixed(3));
      const cells = [merge.wallSeconds.toFixed(2), merge.cpuSeconds.toFixed(2), rate.toFixed(2)];
      console.log(`${name.padEnd(16)} ${cells.map((cell) => cell.padStart(7)).join(' ')}   ${ratios[name]}`);
      if (compared) mergekit[name] = beside(name, { ours: merge, theirs: median(theirs) }, rmse);
    }
    const peakMegabytes = Math.round(process.resourceUsage().maxRSS / 1000);
    console.log(`peak resident memory of all: ${peakMegabytes} MB`);
    console.log(
      JSON.stringify({
        bench: 'merge',
        megabytes: Math.round(size / 1e6),
        ofCopyRate: ratios,
        peakMegabytes,
        ...(python === undefined ? {} : { mergekit }),
      }),
    );
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

async function make(root: string): Promise<void> {
  await makeModel(join(root, 'base'), shape, { base: 1 });
  await makeModel(join(root, 'a'), shape, { base: 1, tune: 2 });
  await makeModel(join(root, 'b'), shape, { base: 1, tune: 3 });
}

await (values.make === undefined ? main() : make(values.make));
