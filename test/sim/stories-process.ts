/**
 * Tells stories in a process of its own. Arguments: first seed, count, step, and a mutation or `none`. Each end is
 * reported to the parent; a story that left something behind counts as failed there.
 */
import type { Mutation } from './plan.ts';
import { tellStory } from './run.ts';

/** What the parent hears of one story. */
export interface StoryReport {
  readonly seed: number;
  readonly failure: string | undefined;
  readonly hash: string;
  readonly last: readonly string[];
  readonly calls: number;
  readonly ends: readonly (readonly [string, number])[];
  readonly tasks: number;
  readonly lastedMs: number;
  readonly tookMs: number;
  /** Processor time, milliseconds. */
  readonly workedMs: number;
}

const [first, count, step, mutation] = process.argv.slice(2);
// Nobody listens any more.
process.on('disconnect', () => process.exit());
// Stories fail calls by the thousand; a stack for each would take a tenth of the time.
Error.stackTraceLimit = 0;

for (let told = 0; told < Number(count); told++) {
  const seed = Number(first) + told * Number(step);
  const beganMs = performance.now();
  const before = process.cpuUsage();
  const end = await tellStory({ seed, mutation: mutation === 'none' ? undefined : (mutation as Mutation) });
  const report: StoryReport = {
    seed,
    failure: end.failure,
    hash: end.hash,
    last: end.failure === undefined ? [] : end.last,
    calls: end.calls,
    ends: [...end.ends],
    tasks: end.tasks,
    lastedMs: end.lastedMs,
    tookMs: performance.now() - beganMs,
    workedMs: workedSince(before),
  };
  await new Promise<void>((resolve) => {
    if (process.send) process.send(report, () => resolve());
    else resolve();
  });
}
process.disconnect?.();

function workedSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
