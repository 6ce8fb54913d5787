/**
 * Tells many stories of many peers and checks what must always hold (`docs/simulator.md`):
 * `npm run sim -- --seeds N [--seed K] [--workers W]` tells N stories, those from K on; `npm run sim -- --seed K` tells
 * one and prints its trace.
 */
import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import type { Mutation } from '../test/sim/plan.ts';
import { tellStory } from '../test/sim/run.ts';
import type { StoryReport } from '../test/sim/stories-process.ts';

const PROCESS = new URL('../test/sim/stories-process.ts', import.meta.url);
const SEEDS = 1_000;
const LAST_LINES = 40;
const FAILURES_SHOWN = 20;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    seed: { type: 'string' },
    workers: { type: 'string', default: String(Math.max(1, availableParallelism())) },
    mutation: { type: 'string' },
  },
});

for (const name of ['seeds', 'seed', 'workers'] as const) {
  const given = values[name];
  if (given === undefined || /^[1-9]\d{0,8}$/.test(given)) continue;
  console.error(`--${name} takes a whole number above 0, not "${given}".`);
  process.exit(2);
}

const replayOf = (seed: number): string =>
  `npm run sim -- --seed ${seed}${values.mutation ? ` --mutation ${values.mutation}` : ''}`;

/** One story, with everything that happens in it. */
async function tellOne(seed: number): Promise<void> {
  const end = await tellStory({
    seed,
    mutation: values.mutation as Mutation | undefined,
    print: (line) => console.log(line),
  });
  const how = [...end.ends].map(([name, times]) => `${name} ${times}`).join(', ');
  console.log(`seed ${seed}: ${end.parties} parties, ${end.calls} calls (${how}), ${end.blocks} blocks`);
  console.log(`${end.tasks} steps in ${(end.lastedMs / 1000).toFixed(0)} virtual seconds, trace ${end.hash}`);
  if (end.failure === undefined) return;
  console.error(`does not hold: ${end.failure}`);
  process.exitCode = 1;
}

interface Sum {
  told: number;
  calls: number;
  tasks: number;
  lastedMs: number;
  workedMs: number;
  readonly failed: number[];
  readonly slowest: { seed: number; tookMs: number };
  readonly ends: Map<string, number>;
}

function count(sum: Sum, report: StoryReport): void {
  sum.told++;
  sum.calls += report.calls;
  sum.tasks += report.tasks;
  sum.lastedMs += report.lastedMs;
  sum.workedMs += report.workedMs;
  for (const [name, times] of report.ends) sum.ends.set(name, (sum.ends.get(name) ?? 0) + times);
  if (report.tookMs > sum.slowest.tookMs)
    Object.assign(sum.slowest, { seed: report.seed, tookMs: report.tookMs });
  if (report.failure === undefined) return;
  sum.failed.push(report.seed);
  if (sum.failed.length > FAILURES_SHOWN) return;
  console.error(`\nseed ${report.seed} does not hold: ${report.failure}`);
  for (const line of report.last.slice(-LAST_LINES)) console.error(`  ${line}`);
  console.error(`again: ${replayOf(report.seed)}`);
}

/** All seeds, shared by worker processes. */
async function tellMany(from: number, seeds: number, workers: number): Promise<void> {
  const beganMs = performance.now();
  const sum: Sum = {
    told: 0,
    calls: 0,
    tasks: 0,
    lastedMs: 0,
    workedMs: 0,
    failed: [],
    slowest: { seed: 0, tookMs: 0 },
    ends: new Map(),
  };
  const run = (worker: number): Promise<void> =>
    new Promise((resolve) => {
      const share = Math.ceil((seeds - worker) / workers);
      const args = [from + worker, share, workers, values.mutation ?? 'none'].map(String);
      const child = fork(PROCESS, args);
      child.on('message', (report: StoryReport) => count(sum, report));
      child.on('exit', (code, signal) => {
        if (code !== 0) {
          console.error(`a worker ended with ${signal ?? code}`);
          process.exitCode = 1;
        }
        resolve();
      });
    });
  const progress = setInterval(() => {
    console.log(`${sum.told} of ${seeds}, ${sum.failed.length} failed`);
  }, 30_000);
  await Promise.all(Array.from({ length: Math.min(workers, seeds) }, (_, worker) => run(worker)));
  clearInterval(progress);
  const seconds = (performance.now() - beganMs) / 1000;
  const ends = [...sum.ends].sort((a, b) => b[1] - a[1]);
  console.log(`calls: ${ends.map(([name, times]) => `${name} ${times}`).join(', ')}`);
  console.log(
    `${sum.told} stories, ${sum.calls} calls, ${sum.tasks} steps, ${Math.round(sum.lastedMs / 3_600_000)} virtual hours`,
  );
  console.log(
    `${seconds.toFixed(1)} s on ${workers} workers: ${(sum.told / seconds).toFixed(1)} stories a second, ` +
      `${((1000 * sum.told) / sum.workedMs).toFixed(1)} a second of processor time; ` +
      `slowest seed ${sum.slowest.seed} (${(sum.slowest.tookMs / 1000).toFixed(1)} s)`,
  );
  if (sum.told < seeds) process.exitCode = 1;
  if (sum.failed.length === 0) return;
  console.error(
    `${sum.failed.length} failed: ${sum.failed
      .sort((a, b) => a - b)
      .slice(0, 50)
      .join(' ')}`,
  );
  process.exitCode = 1;
}

if (values.seed !== undefined && values.seeds === undefined) await tellOne(Number(values.seed));
else await tellMany(Number(values.seed ?? 1), Number(values.seeds ?? SEEDS), Number(values.workers));
