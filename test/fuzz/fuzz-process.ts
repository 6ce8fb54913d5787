/**
 * Runs targets one after the other in a process of its own, so that a hang or an exhausted memory takes nothing else
 * along. Before each input it notes which one it is; whoever started it can tell from that what it did not survive.
 * Arguments: targets (with commas), seed, first iteration, milliseconds for each (or `one` for that iteration
 * alone), file for notes.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { toHex } from '../../src/base/bytes.ts';
import { type Failure, INPUT_CPU_MS_MAX, inputOf, runTarget } from './runner.ts';
import type { Target, TargetMaker } from './target.ts';
import { TARGETS } from './targets.ts';

/** Memory that a target may hold on to after its run, besides what was held at its start, bytes. */
const HELD_BYTES_MAX = 64 * 1024 * 1024;

const [namesText = '', seedText, fromText, lengthText, notesPath] = process.argv.slice(2);
if (notesPath === undefined) throw new TypeError('usage: targets seed from length notes');
const seed = Number(seedText);
const from = Number(fromText);
const notes = openSync(notesPath, 'w');
const note = new DataView(new ArrayBuffer(16));
let running: { readonly target: Target; iteration: number } | undefined;

const report = (said: object): void => void process.send?.(said);

function fail(failure: Failure): void {
  report({ type: 'failure', failure: { ...failure, input: toHex(failure.input) } });
}

// What an input left behind counts as the failure of the one at hand, as near as can be told.
process.on('uncaughtException', (error) => {
  if (running) {
    const { target, iteration } = running;
    const reason = `left behind ${error.stack ?? error.message}`;
    fail({ target: target.name, seed, iteration, input: inputOf(target, seed, iteration), reason });
  }
  process.exitCode = 1;
  // The report has to leave first.
  process.send?.({ type: 'gone' }, () => process.exit());
});

function heldBytes(): number {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

async function run(maker: TargetMaker, index: number): Promise<void> {
  const target = await maker.create();
  running = { target, iteration: from };
  const now = running;
  const heldBefore = heldBytes();
  const untilMs = Date.now() + Number(lengthText);
  const { failure, ...figures } = await runTarget(target, {
    cpuMsMax: INPUT_CPU_MS_MAX,
    seed,
    from,
    more: (iteration) => (lengthText === 'one' ? iteration === from : Date.now() < untilMs),
    onStart(iteration) {
      now.iteration = iteration;
      note.setFloat64(0, index);
      note.setFloat64(8, iteration);
      writeSync(notes, note, 0, 16, 0);
    },
  });
  // Work that an input left to later turns belongs to its run.
  await new Promise((resolve) => setTimeout(resolve, 50));
  const grownBytes = heldBytes() - heldBefore;
  await target.stop?.();
  if (failure) fail(failure);
  else if (grownBytes > HELD_BYTES_MAX) {
    const reason = `the run left ${grownBytes} bytes in memory`;
    fail({ target: target.name, seed, iteration: now.iteration, input: new Uint8Array(0), reason });
  }
  report({ type: 'done', name: target.name, figures: { ...figures, grownBytes } });
}

for (const [index, name] of namesText.split(',').entries()) {
  const maker = TARGETS.find((target) => target.name === name);
  if (maker) await run(maker, index);
}
closeSync(notes);
process.disconnect?.();
