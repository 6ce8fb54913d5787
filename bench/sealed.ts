/**
 * What a seal costs: the same paid calls between the same two processes, in the open, sealed, and sealed by way of a
 * gateway in a third. All sides take turns in short slices of one run.
 *
 *   node bench/sealed.ts [--seconds 12] [--in-flight 64]
 *
 * Prints a table and, last, one line of JSON with the figures and ratios.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createGatewayTransport } from '../src/agent/gateway-transport.ts';
import type { CallTransport } from '../src/agent/ports.ts';
import { sealStream } from '../src/agent/sealed.ts';
import { nativeSealCipher as cipher } from '../src/agent/sealed-cipher.ts';
import { systemClock as clock } from '../src/base/clock.ts';
import { systemDice as dice } from '../src/base/random.ts';
import { sendableError as sendable } from '../src/mesh/sendable.ts';
import { createSealer } from '../src/protocol/seal.ts';
import { signed } from '../src/protocol/signing.ts';
import { openCaller } from './calls/asking.ts';
import { openMesh } from './calls/serve.ts';
import { ANSWER, keys, NETWORK, QUESTION, type SealedReady } from './calls/shared.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '12' },
    'in-flight': { type: 'string', default: '64' },
  },
});

const SLICE_MS = 500;
const inFlight = Number(values['in-flight']);

interface Side {
  readonly name: string;
  readonly transport: CallTransport;
  /** Milliseconds of calls one at a time. */
  readonly times: number[];
  calls: number;
  elapsedMs: number;
  /** Processor time of this process, microseconds: what other processes of the machine do does not change it much. */
  cpuUs: number;
}

const child: ChildProcess = fork(fileURLToPath(new URL('./calls/sealed-host.ts', import.meta.url)), [], {
  stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
});
// The child's own first message, whose type both files share.
const [ready] = (await once(child, 'message')) as [SealedReady];
const mesh = await openMesh();
const host = await mesh.connect(ready.host);
const gateway = await mesh.connect(ready.gateway);
const target = { peerId: host, card: signed.decode(Buffer.from(ready.card, 'hex')) };

const sealer = createSealer({ network: NETWORK, cipher, dice, clock });
const sealing = { sealer, clock, sendable };
const directly: CallTransport = {
  async openCall(peerId, options = {}) {
    const agent = options.agent ?? keys.agent.publicKey;
    const [stream, session] = await Promise.all([mesh.openCall(peerId, options), sealer.to(agent)]);
    return sealStream({ ...sealing, stream, session });
  },
};
const through = createGatewayTransport({
  ...sealing,
  direct: mesh,
  gateways: async function* gateways() {
    yield gateway;
  },
});
const of = (name: string, transport: CallTransport): Side => ({
  name,
  transport,
  times: [],
  calls: 0,
  elapsedMs: 0,
  cpuUs: 0,
});
const sides = [of('in the open', mesh), of('sealed', directly), of('sealed, by way of a gateway', through)];

// One caller for all, because its channel has one book.
let current: CallTransport = mesh;
const caller = await openCaller(mesh, host, {
  transport: { openCall: (peerId, options) => current.openCall(peerId, options) },
});

async function ask(): Promise<void> {
  const { text, receipt } = await caller.ask({ target, question: QUESTION, priceMax: 10_000n }).result;
  if (text !== ANSWER || receipt.amount !== 1_000n) throw new Error('wrong answer');
}

async function slice(one: Side, width: number, counted: boolean): Promise<void> {
  current = one.transport;
  const startedMs = performance.now();
  const cpu = process.cpuUsage();
  const worker = async (): Promise<void> => {
    while (performance.now() - startedMs < SLICE_MS) {
      const askedMs = performance.now();
      await ask();
      if (!counted) continue;
      if (width === 1) one.times.push(performance.now() - askedMs);
      else one.calls++;
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  if (!counted || width === 1) return;
  one.elapsedMs += performance.now() - startedMs;
  const { user, system } = process.cpuUsage(cpu);
  one.cpuUs += user + system;
}

for (const one of sides) for (const width of [1, inFlight]) await slice(one, width, false);
const rounds = Math.max(1, Math.round((Number(values.seconds) * 1_000) / (SLICE_MS * sides.length * 2)));
for (let round = 0; round < rounds; round++) {
  for (const width of [1, inFlight]) for (const one of sides) await slice(one, width, true);
}

const figures = sides.map(({ name, times, calls, elapsedMs, cpuUs }) => {
  const sorted = times.toSorted((a, b) => a - b);
  return {
    name,
    medianMs: sorted[sorted.length >> 1] ?? 0,
    perSecond: (1_000 * calls) / elapsedMs,
    cpuUs: cpuUs / calls,
  };
});
const [plain] = figures;
const rows = figures.map(({ name, medianMs, perSecond, cpuUs }) => ({
  name,
  medianMs,
  perSecond,
  cpuUs,
  cpuRatio: cpuUs / (plain?.cpuUs ?? 1),
  medianRatio: medianMs / (plain?.medianMs ?? 1),
  rateRatio: perSecond / (plain?.perSecond ?? 1),
}));
process.stdout.write(
  `${''.padEnd(28)}median (ms)   calls/s, ${inFlight} in flight   of the open rate   caller's CPU (us)   of the open\n`,
);
for (const { name, medianMs, perSecond, rateRatio, cpuUs, cpuRatio } of rows) {
  const cells = [
    medianMs.toFixed(2).padStart(11),
    perSecond.toFixed(0).padStart(24),
    rateRatio.toFixed(2).padStart(19),
    cpuUs.toFixed(0).padStart(20),
    cpuRatio.toFixed(2).padStart(14),
  ];
  process.stdout.write(`${name.padEnd(28)}${cells.join('')}\n`);
}
process.stdout.write(`${JSON.stringify({ bench: 'sealed', inFlight, rows })}\n`);
child.disconnect();
process.exit(0);
