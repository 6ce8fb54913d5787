/**
 * Memory under load: a host and a caller as processes of their own, asked without a pause, at a flat price and by the
 * word, whole answers and ones that are left in the middle; how much each of them holds, and whether that grows.
 *
 *   npm run soak -- --minutes 3 [--in-flight 8]
 *
 * Prints a line every ten seconds and, last, one line of JSON with the growth in MB an hour: the slope of a straight
 * line through the second half of the run, when caches have filled.
 */
import { parseArgs } from 'node:util';
import { startTeller, tellMe } from '../test/faults/teller.ts';
import { createPeers, type Peer } from './peers.ts';

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '3' }, 'in-flight': { type: 'string', default: '8' } },
});
const FOR_MS = Number(values.minutes) * 60_000;
const IN_FLIGHT = Number(values['in-flight']);
const SAMPLE_MS = 2_000;
const LOCAL = [
  ...['--mesh-host', '127.0.0.1', '--mesh-mdns', 'false', '--mesh-dht', 'false'],
  ...['--wallet-channel-deposit', '50'],
];

interface Sample {
  readonly atMs: number;
  readonly host: number;
  readonly caller: number;
}

const memoryOf = async (peer: Peer): Promise<number> => (await peer.client.call('status', {})).memoryBytes;

/** Slope of a straight line through the samples, MB an hour. */
function growth(samples: readonly Sample[], side: 'host' | 'caller'): number {
  const half = samples.slice(samples.length >> 1);
  const mean = (of: (sample: Sample) => number): number =>
    half.reduce((sum, sample) => sum + of(sample), 0) / half.length;
  const [atMs, bytes] = [mean((sample) => sample.atMs), mean((sample) => sample[side])];
  const [above, below] = half.reduce(
    ([up, down], sample) => [
      up + (sample.atMs - atMs) * (sample[side] - bytes),
      down + (sample.atMs - atMs) ** 2,
    ],
    [0, 0],
  );
  return ((above / below) * 3_600_000) / 1e6;
}

const peers = await createPeers();
const teller = await startTeller();
try {
  const [host, caller] = [await peers.add('host'), await peers.add('caller')];
  const { addresses } = await host.start(...LOCAL, '--guide-host', 'always', '--guide-price', '0.0001');
  await host.client.call('agent.add', {
    manifest: JSON.stringify({
      name: 'teller',
      backend: { kind: 'openai', endpoint: teller.url, model: 'teller' },
      price: { perCall: 1_000, perOutputUnit: 100 },
      split: { operator: '100%' },
    }),
  });
  await caller.start(...LOCAL, '--bootstrap', addresses[0] ?? '');
  while ((await caller.client.call('agents', {})).length < 2)
    await new Promise((resolve) => setTimeout(resolve, 100));

  const startedMs = performance.now();
  const elapsed = (): number => performance.now() - startedMs;
  const counts = { whole: 0, left: 0, failed: 0 };
  const ask = async (agent: string, question: string, stopAfter: number): Promise<void> => {
    let length = 0;
    try {
      for await (const event of caller.client.stream('ask', { agent, question })) {
        if (event.type === 'delta') length += event.text.length;
        if (event.type === 'end') counts.whole += 1;
        if (length > stopAfter) {
          counts.left += 1;
          return;
        }
      }
    } catch {
      counts.failed += 1;
    }
  };
  const worker = async (number: number): Promise<void> => {
    for (let i = number; elapsed() < FOR_MS; i += IN_FLIGHT) {
      if (i % 3 === 0) await ask('guide', `What is a voucher, and what is number ${i}?`, Infinity);
      else await ask('teller', tellMe(30, 0, `number ${i}`), i % 7 === 0 ? 300 : Infinity);
    }
  };
  const samples: Sample[] = [];
  const watch = async (): Promise<void> => {
    while (elapsed() < FOR_MS) {
      await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
      const sample = { atMs: elapsed(), host: await memoryOf(host), caller: await memoryOf(caller) };
      samples.push(sample);
      if (samples.length % 5 !== 0) continue;
      const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
      console.log(
        `${(sample.atMs / 1000).toFixed(0).padStart(5)} s  host ${mb(sample.host)}  caller ${mb(sample.caller)}  ${counts.whole} answers, ${counts.left} left, ${counts.failed} failed`,
      );
    }
  };
  await Promise.all([watch(), ...Array.from({ length: IN_FLIGHT }, (_, i) => worker(i))]);
  const last = samples.at(-1);
  const perHour = { host: growth(samples, 'host'), caller: growth(samples, 'caller') };
  console.log(
    `growth in the second half: host ${perHour.host.toFixed(0)} MB/h, caller ${perHour.caller.toFixed(0)} MB/h`,
  );
  console.log(JSON.stringify({ minutes: Number(values.minutes), ...counts, last, growthMbPerHour: perHour }));
} finally {
  await peers.clear();
  await teller.close();
}
process.exit(0);
