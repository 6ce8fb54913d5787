/**
 * Ends pools of workers again and again while they load, in a process of its own: what V8 makes of that is a death of
 * the whole process. Prints how many runs ended in which way, and how many workers were terminated.
 */
import { Worker } from 'node:worker_threads';
import { SaharaError } from '../../src/base/errors.ts';
import { runJobs } from '../../src/merge/pool.ts';

// A run goes through eight times that many bytes.
const [file = '', sizeBytes = '0', runs = '0', seed = '1'] = process.argv.slice(2);
const hash = { dtype: 'U8', shape: [Number(sizeBytes)], sizeBytes: Number(sizeBytes), offset: 0 } as const;
const jobs = Array.from({ length: 8 }, (_, i) => ({
  kind: 'hash' as const,
  // In every other run one job fails at once: the worker that loads first ends the others.
  source: { ...hash, path: file },
  missing: { ...hash, path: `${file}.${i}` },
}));
const options = { workers: 4, memoryBytes: 32 * 1024 * 1024 };
const terminate = Worker.prototype.terminate;
let terminated = 0;
Worker.prototype.terminate = function count() {
  terminated++;
  return terminate.call(this);
};
const ends = new Map<string, number>();
let state = Number(seed);
const draw = (): number => {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return state / 2 ** 32;
};

async function run(signal: AbortSignal, fails: boolean): Promise<string> {
  const given = jobs.map(({ kind, source, missing }, i) => ({
    kind,
    source: fails && i === 0 ? missing : source,
  }));
  try {
    await runJobs(given, { ...options, signal }, () => {});
    return 'done';
  } catch (error) {
    return error instanceof SaharaError ? error.code : String(error);
  }
}

async function timed(): Promise<number> {
  const began = performance.now();
  await run(new AbortController().signal, false);
  return performance.now() - began;
}

const wholeMs = await timed();
for (let n = 0; n < Number(runs); n++) {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), draw() * wholeMs);
  const end = await run(controller.signal, n % 2 === 1);
  clearTimeout(timer);
  ends.set(end, (ends.get(end) ?? 0) + 1);
}
process.stdout.write(JSON.stringify({ ends: Object.fromEntries(ends), terminated }));
