/**
 * What a call adds to a stream of text: a backend that says a word every two milliseconds, read through a signed and
 * paid call, one that is paid for piece by piece, and from the backend itself in the host's own process, in turns.
 *
 *   node bench/stream.ts [--rounds 12]
 *
 * Reports how much later the first word comes and how much slower the words follow. The last line is one line of JSON.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Caller, CallTarget } from '../src/agent/caller.ts';
import { signed } from '../src/protocol/signing.ts';
import { openCaller } from './calls/asking.ts';
import { openMesh } from './calls/serve.ts';
import type { StreamReady, StreamTimes } from './calls/shared.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '12' } } });

const WARM_UP_CALLS = 300;

/** How one answer came. */
interface Run {
  readonly firstMs: number;
  readonly wordsPerSecond: number;
}

interface Host {
  readonly ready: StreamReady;
  /** Reads the backend where it is. */
  bare(): Promise<StreamTimes>;
  stop(): void;
}

async function startHost(): Promise<Host> {
  const child = fork(fileURLToPath(new URL('./calls/stream-host.ts', import.meta.url)), [], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const [ready] = await once(child, 'message');
  return {
    // Each message of the child has the type that both files share.
    ready: ready as StreamReady,
    async bare() {
      child.send('bare');
      const [times] = await once(child, 'message');
      return times as StreamTimes;
    },
    stop: () => child.disconnect(),
  };
}

async function through(caller: Caller, target: CallTarget): Promise<Run & { readonly checkpoints: number }> {
  const askedMs = performance.now();
  const call = caller.ask({ target, question: 'Say your words.', priceMax: 10n ** 12n });
  let firstMs = 0;
  let words = 0;
  let lastMs = 0;
  for await (const event of call.events()) {
    if (event.type !== 'text') continue;
    words++;
    lastMs = performance.now();
    if (words === 1) firstMs = lastMs - askedMs;
  }
  const { evidence } = await call.result;
  const wordsPerSecond = (1_000 * (words - 1)) / (lastMs - askedMs - firstMs);
  return { firstMs, wordsPerSecond, checkpoints: evidence.checkpoints.length };
}

/** Short calls until the payer is known to the payee and the code is compiled. */
async function warmUp(caller: Caller, target: CallTarget): Promise<void> {
  for (let i = 0; i < WARM_UP_CALLS; i++) {
    await caller.ask({ target, question: 'One word.', priceMax: 10n ** 12n, outputUnitsMax: 1 }).result;
  }
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}

function figures(runs: readonly Run[]): Run {
  return {
    firstMs: median(runs.map(({ firstMs }) => firstMs)),
    wordsPerSecond: median(runs.map(({ wordsPerSecond }) => wordsPerSecond)),
  };
}

const host = await startHost();
const mesh = await openMesh();
const target = async (name: 'whole' | 'pieces'): Promise<CallTarget> => ({
  peerId: await mesh.connect(host.ready[name].address),
  card: signed.decode(Buffer.from(host.ready[name].card, 'hex')),
});
const targets = { whole: await target('whole'), pieces: await target('pieces') };
const caller = await openCaller(mesh, targets.whole.peerId);
const piecewise = await openCaller(mesh, targets.pieces.peerId, {
  stepAmount: 64n,
  trustReceipts: 1_000_000,
});
await warmUp(caller, targets.whole);
await warmUp(piecewise, targets.pieces);
const runs: Record<'bare' | 'whole' | 'pieces', Run[]> = { bare: [], whole: [], pieces: [] };
let checkpoints = 0;
for (let round = 0; round < Number(values.rounds); round++) {
  const bare = await host.bare();
  const whole = await through(caller, targets.whole);
  const pieces = await through(piecewise, targets.pieces);
  runs.bare.push(bare);
  runs.whole.push(whole);
  runs.pieces.push(pieces);
  checkpoints += pieces.checkpoints;
}
const [bare, whole, pieces] = [figures(runs.bare), figures(runs.whole), figures(runs.pieces)];
const perCall = checkpoints / runs.pieces.length;
const line = (name: string, { firstMs, wordsPerSecond }: Run): string =>
  `${name.padEnd(34)}${firstMs.toFixed(2).padStart(12)}${wordsPerSecond.toFixed(1).padStart(12)}`;
process.stdout.write(`${''.padEnd(34)}  first, ms     words/s\n`);
process.stdout.write(`${line('the backend itself', bare)}\n`);
process.stdout.write(`${line('a paid call', whole)}\n`);
process.stdout.write(`${line(`paid in pieces, ${perCall.toFixed(0)} checkpoints`, pieces)}\n`);
const ratios = {
  firstLaterMs: whole.firstMs - bare.firstMs,
  rate: whole.wordsPerSecond / bare.wordsPerSecond,
  piecesFirstLaterMs: pieces.firstMs - bare.firstMs,
  piecesRate: pieces.wordsPerSecond / bare.wordsPerSecond,
};
process.stdout.write(
  `${JSON.stringify({ bench: 'stream', checkpoints: perCall, figures: { bare, whole, pieces }, ratios })}\n`,
);
host.stop();
process.exit(0);
