/**
 * Fuzzes every decoder that a peer or a stranger's file can reach: `npm run fuzz -- --seconds N [--seed K]
 * [--target NAME] [--iteration I]`. The seconds are shared by the targets, which run in another process under a
 * watchdog; a failure prints its target, seed, iteration and input in hex. `--list` names the targets.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fromHex } from '../src/base/bytes.ts';
import { describeFailure, inputOf } from '../test/fuzz/runner.ts';
import { TARGETS } from '../test/fuzz/targets.ts';

const HEAP_MEGABYTES = 1_024;
const PROCESS = new URL('../test/fuzz/fuzz-process.ts', import.meta.url);

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '120' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    target: { type: 'string' },
    iteration: { type: 'string' },
    'hang-seconds': { type: 'string', default: '60' },
    list: { type: 'boolean', default: false },
  },
});

/** Time without a new input after which a target counts as hanging, milliseconds. */
const hangMs = 1_000 * Number(values['hang-seconds']);

interface Figures {
  readonly iterations: number;
  readonly accepted: number;
  readonly slowestMs: number;
  readonly slowest: number;
  readonly grownBytes: number;
}

type Report =
  | { readonly type: 'done'; readonly name: string; readonly figures: Figures }
  | {
      readonly type: 'failure';
      readonly failure: { target: string; seed: number; iteration: number; input: string; reason: string };
    };

const directory = mkdtempSync(join(tmpdir(), 'sahara-fuzz-'));
const notesPath = join(directory, 'notes');

/** Which target runs, by its place in the list, and which of its iterations. */
interface Note {
  readonly index: number;
  readonly iteration: number;
}

function noted(): Note | undefined {
  const bytes = readFileSync(notesPath);
  return bytes.length === 16 ? { index: bytes.readDoubleBE(0), iteration: bytes.readDoubleBE(8) } : undefined;
}

/** Why the child did not come to its end, if so; kills one that stands still. */
function ended(child: ChildProcess): Promise<string | undefined> {
  return new Promise((resolve) => {
    let last = '';
    let sinceMs = Date.now();
    const watch = setInterval(() => {
      const now = JSON.stringify(noted() ?? '');
      if (now !== last) [last, sinceMs] = [now, Date.now()];
      else if (Date.now() - sinceMs > hangMs) {
        child.kill('SIGKILL');
        resolve(`hangs: no answer for ${hangMs / 1000} s`);
      }
    }, 1_000);
    child.on('exit', (code, signal) => {
      clearInterval(watch);
      resolve(code === 0 ? undefined : `ended its process with ${signal ?? code}`);
    });
  });
}

function showDone(name: string, figures: Figures): void {
  const { iterations, accepted, slowestMs, slowest, grownBytes } = figures;
  const kept = `${Math.round(grownBytes / 1024)} KiB kept`;
  const slow = `slowest ${slowestMs.toFixed(1)} ms (iteration ${slowest})`;
  console.log(`${name}: ${iterations} inputs, ${accepted} accepted, ${slow}, ${kept}`);
}

/** Runs targets in one child until it ends or is lost. Answers how many broke and which are left. */
async function fuzz(
  names: readonly string[],
  seed: number,
  length: string,
): Promise<{ broke: number; left: number }> {
  writeFileSync(notesPath, '');
  const execArgv = ['--expose-gc', `--max-old-space-size=${HEAP_MEGABYTES}`];
  const from = values.iteration ?? '0';
  const child = fork(PROCESS, [names.join(','), String(seed), from, length, notesPath], { execArgv });
  const failed = new Set<string>();
  const done = new Set<string>();
  child.on('message', (report: Report) => {
    if (report.type === 'done') {
      done.add(report.name);
      showDone(report.name, report.figures);
    } else if (report.type === 'failure') {
      failed.add(report.failure.target);
      const input = fromHex(report.failure.input) ?? new Uint8Array(0);
      console.error(describeFailure({ ...report.failure, input }));
    }
  });
  const reason = await ended(child);
  const at = names.findIndex((name) => !done.has(name));
  const lost = names[at];
  if (lost === undefined) return { broke: failed.size, left: 0 };
  if (!failed.has(lost)) console.error(await lostInput(lost, seed, reason ?? 'never answered', at));
  failed.add(lost);
  return { broke: failed.size, left: names.length - at - 1 };
}

/** What happened to a process that can say nothing any more; its input is made again here. */
async function lostInput(name: string, seed: number, reason: string, at: number): Promise<string> {
  const note = noted();
  const maker = TARGETS.find((target) => target.name === name);
  if (note?.index !== at || maker === undefined) return `${name}: ${reason}, before any input`;
  const target = await maker.create();
  const { iteration } = note;
  const input = inputOf(target, seed, iteration);
  await target.stop?.();
  return describeFailure({ target: name, seed, iteration, input, reason });
}

const names = TARGETS.map(({ name }) => name);
const chosen = values.target === undefined ? names : names.filter((name) => name === values.target);
if (values.list || chosen.length === 0) {
  console.log(names.join('\n'));
  process.exitCode = values.list ? 0 : 2;
} else {
  const seed = Number(values.seed);
  const lengthMs = (1000 * Number(values.seconds)) / chosen.length;
  console.log(`seed ${seed}, ${chosen.length} targets, ${(lengthMs / 1000).toFixed(1)} s each`);
  const length = values.iteration === undefined ? String(lengthMs) : 'one';
  let broke = 0;
  for (let left = chosen.length; left > 0; ) {
    const found = await fuzz(chosen.slice(chosen.length - left), seed, length);
    broke += found.broke;
    left = found.left;
  }
  console.log(broke === 0 ? 'nothing broke' : `${broke} of ${chosen.length} targets broke`);
  process.exitCode = broke === 0 ? 0 : 1;
}
rmSync(directory, { recursive: true, force: true });
