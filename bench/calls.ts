/**
 * What a call costs: paid, signed and receipted calls between two processes over the real mesh, against the same
 * question and answer through the official A2A JavaScript SDK's own server and client, also two processes. All sides
 * take turns in short slices of one run, so that what else the machine does hits them alike.
 *
 *   node bench/calls.ts [--seconds 40] [--in-flight 64] [--only paid,a2a]
 *
 * Prints a table and, last, one line of JSON with the figures and ratios.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { AgentCard } from '@a2a-js/sdk';
import { ClientFactory } from '@a2a-js/sdk/client';
import { utf8 } from '../src/base/bytes.ts';
import { signed } from '../src/protocol/signing.ts';
import { openCaller } from './calls/asking.ts';
import { openMesh } from './calls/serve.ts';
import { ANSWER, type HostReady, QUESTION } from './calls/shared.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '40' },
    'in-flight': { type: 'string', default: '64' },
    only: { type: 'string', default: 'a2a,paid,free,bare' },
  },
});

/** One way of asking. */
interface Side {
  readonly name: string;
  ask(): Promise<void>;
}

/** What was measured of one side in one mode. */
interface Figures {
  readonly times: number[];
  calls: number;
  elapsedMs: number;
}

const SLICE_MS = 500;
const children: ChildProcess[] = [];

async function start<T>(file: string): Promise<T> {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), [], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  children.push(child);
  const [message] = await once(child, 'message');
  // The child's own first message, whose type both files share.
  return message as T;
}

async function saharaSides(): Promise<readonly Side[]> {
  const host = await start<HostReady>('./calls/host.ts');
  const mesh = await openMesh();
  const peers = {
    paid: await mesh.connect(host.paid),
    free: await mesh.connect(host.free),
    bare: await mesh.connect(host.bare),
  };
  const caller = await openCaller(mesh, peers.paid);
  const side = (name: 'paid' | 'free'): Side => {
    const target = { peerId: peers[name], card: signed.decode(Buffer.from(host.cards[name], 'hex')) };
    return {
      name,
      async ask() {
        const { text, receipt } = await caller.ask({ target, question: QUESTION, priceMax: 10_000n }).result;
        if (text !== ANSWER || receipt.amount !== (name === 'paid' ? 1_000n : 0n))
          throw new Error('wrong answer');
      },
    };
  };
  const body = utf8(QUESTION);
  const bare: Side = {
    name: 'bare',
    async ask() {
      const stream = await mesh.openCall(peers.bare);
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      stream.consume({ frame: () => {}, end: resolve, fail: reject });
      stream.send({ kind: 1, body });
      stream.end();
      await promise;
    },
  };
  return [side('paid'), side('free'), bare];
}

async function a2aSide(): Promise<Side> {
  const { card } = await start<{ card: AgentCard }>('./calls/a2a-server.mjs');
  const client = await new ClientFactory().createFromAgentCard(card);
  let asked = 0;
  return {
    name: 'a2a',
    async ask() {
      const answer = await client.sendMessage({
        tenant: '',
        message: {
          messageId: `question-${asked++}`,
          contextId: '',
          taskId: '',
          // ROLE_USER of the A2A protocol.
          role: 1,
          parts: [
            {
              content: { $case: 'text', value: QUESTION },
              metadata: undefined,
              filename: '',
              mediaType: 'text/plain',
            },
          ],
          metadata: undefined,
          extensions: [],
          referenceTaskIds: [],
        },
        configuration: undefined,
        metadata: undefined,
      });
      const part = 'parts' in answer ? answer.parts[0]?.content : undefined;
      if (part?.$case !== 'text' || part.value !== ANSWER) throw new Error('wrong answer');
    },
  };
}

async function slice(side: Side, inFlight: number, figures: Figures, forMs: number): Promise<void> {
  const startedMs = performance.now();
  const worker = async (): Promise<void> => {
    while (performance.now() - startedMs < forMs) {
      const askedMs = performance.now();
      await side.ask();
      figures.times.push(performance.now() - askedMs);
      figures.calls++;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  figures.elapsedMs += performance.now() - startedMs;
}

const perSecond = ({ calls, elapsedMs }: Figures): number => (1000 * calls) / elapsedMs;

function quantile({ times }: Figures, part: number): number {
  const sorted = [...times].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
}

function row(name: string, one: Figures, many: Figures): string {
  const cells = [
    perSecond(one),
    quantile(one, 0.5),
    quantile(one, 0.99),
    perSecond(many),
    quantile(many, 0.5),
  ];
  const shown = cells.map((cell, i) => cell.toFixed(i === 0 || i === 3 ? 0 : 2).padStart(i === 3 ? 14 : 10));
  return `${name.padEnd(28)}${shown.join('')}`;
}

const NAMES: Readonly<Record<string, string>> = {
  a2a: 'A2A SDK, unsigned, unpaid',
  paid: 'sahara, paid and receipted',
  free: 'sahara, signed, free',
  bare: 'sahara, bare call stream',
};

async function main(): Promise<void> {
  const inFlight = Number(values['in-flight']);
  const wanted = values.only.split(',');
  const all = [await a2aSide(), ...(await saharaSides())];
  const sides = all.filter(({ name }) => wanted.includes(name));
  const measured = new Map(
    sides.map((side) => [side, [1, inFlight].map(() => ({ times: [], calls: 0, elapsedMs: 0 }) as Figures)]),
  );
  const blank = (): Figures => ({ times: [], calls: 0, elapsedMs: 0 });
  for (const side of sides) for (const width of [1, inFlight]) await slice(side, width, blank(), SLICE_MS);
  const rounds = Math.max(1, Math.round((Number(values.seconds) * 1000) / (SLICE_MS * sides.length * 2)));
  for (let round = 0; round < rounds; round++) {
    for (const [which, width] of [1, inFlight].entries()) {
      for (const side of sides) await slice(side, width, measured.get(side)?.[which] ?? blank(), SLICE_MS);
    }
  }
  const of = (name: string): readonly [Figures, Figures] => {
    const found = [...measured].find(([side]) => side.name === name)?.[1];
    return [found?.[0] ?? blank(), found?.[1] ?? blank()];
  };
  process.stdout.write(
    `${''.padEnd(28)}   calls/s    median       p99  ${inFlight} in flight    median (ms)\n`,
  );
  for (const { name } of sides) process.stdout.write(`${row(NAMES[name] ?? name, ...of(name))}\n`);
  const [[a2aOne, a2aMany], [paidOne, paidMany], [freeOne, freeMany], [bareOne, bareMany]] = [
    of('a2a'),
    of('paid'),
    of('free'),
    of('bare'),
  ];
  const figures = Object.fromEntries(
    sides.map(({ name }) => {
      const [one, many] = of(name);
      const shown = { perSecond: perSecond(one), medianMs: quantile(one, 0.5), p99Ms: quantile(one, 0.99) };
      return [name, { ...shown, parallelPerSecond: perSecond(many), parallelMedianMs: quantile(many, 0.5) }];
    }),
  );
  const ratios = {
    sequentialRate: perSecond(paidOne) / perSecond(a2aOne),
    sequentialMedian: quantile(paidOne, 0.5) / quantile(a2aOne, 0.5),
    parallelRate: perSecond(paidMany) / perSecond(a2aMany),
    concurrency: perSecond(paidMany) / perSecond(paidOne),
    paidOverBare: quantile(paidOne, 0.5) / quantile(bareOne, 0.5),
    freeOverBare: quantile(freeOne, 0.5) / quantile(bareOne, 0.5),
    paidOverBareParallel: perSecond(bareMany) / perSecond(paidMany),
    freeOverBareParallel: perSecond(bareMany) / perSecond(freeMany),
  };
  process.stdout.write(`${JSON.stringify({ bench: 'calls', inFlight, figures, ratios })}\n`);
}

try {
  await main();
} finally {
  for (const child of children) child.disconnect();
}
process.exit(0);
