/**
 * What stands open costs: the resident memory of a host and of a caller, two daemons as processes of their own, with
 * many paid, metered calls open between them at a time, each of which has got its first words and waits; and what a
 * directory of as many peers costs beside. The target is 512 MB for each.
 *
 *   node bench/idle.ts [--calls 1000] [--known 1000]
 *
 * Prints a table and, last, one line of JSON.
 */
import { parseArgs } from 'node:util';
import { createPeers, type Peer } from '../scripts/peers.ts';
import { createDirectoryState } from '../src/mesh/directory-state.ts';
import { openStream, sendPiece, startEndpoint } from '../test/agent/endpoint.ts';

const { values } = parseArgs({
  options: { calls: { type: 'string', default: '1000' }, known: { type: 'string', default: '1000' } },
});
const CALLS = Number(values.calls);
const KNOWN = Number(values.known);
const TARGET_BYTES = 512_000_000;
const NETWORK = 'bench-0000000000000000';
const LOCAL = [
  ...['--mesh-host', '127.0.0.1', '--mesh-mdns', 'false', '--mesh-dht', 'false'],
  ...['--wallet-channel-deposit', '50'],
];
/** Calls that are begun together. */
const BATCH = 50;

const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
const memoryOf = async (peer: Peer): Promise<number> => (await peer.client.call('status', {})).memoryBytes;

/** What `known` adverts of as many peers take in a directory, bytes; needs `--expose-gc` to be exact. */
function directoryBytes(known: number): number {
  const collect = (): void => globalThis.gc?.();
  const key = (i: number, kind: number): Uint8Array => {
    const bytes = new Uint8Array(32).fill(kind);
    new DataView(bytes.buffer).setUint32(0, i);
    return bytes;
  };
  collect();
  const before = process.memoryUsage().heapUsed + process.memoryUsage().external;
  const state = createDirectoryState({ network: NETWORK });
  const now = { wallMs: Date.now(), monotonicMs: performance.now() };
  for (let i = 0; i < known; i++) {
    state.put(
      {
        version: 1,
        network: NETWORK,
        agent: key(i, 1),
        operator: key(i, 2),
        name: `agent-${i}`,
        skills: ['explain'],
        cardHash: key(i, 3),
        perCall: 1_000_000n,
        queue: 0,
        latencyMs: 20,
        modelDigest: key(i, 4),
        peerId: `12D3KooW${String(i).padStart(44, '1')}`,
        addresses: [`/ip4/192.0.2.${i % 250}/tcp/${4000 + i}`, `/ip6/2001:db8::${i}/tcp/4001`],
        issuedAtMs: now.wallMs,
        expiresAtMs: now.wallMs + 60_000,
      },
      now,
    );
  }
  collect();
  const after = process.memoryUsage().heapUsed + process.memoryUsage().external;
  const listed = state.agents(now).length;
  if (listed !== known) throw new Error(`${listed} of ${known} agents are listed`);
  return Math.max(0, after - before);
}

const peers = await createPeers();
const waiting: (() => void)[] = [];
const model = await startEndpoint(async (response) => {
  openStream(response);
  sendPiece(response, 'Wait for the rest of it. ');
  await new Promise<void>((resolve) => waiting.push(resolve));
  sendPiece(response, undefined, 'stop');
  response.end('data: [DONE]\n\n');
});
try {
  const [host, caller] = [await peers.add('host'), await peers.add('caller')];
  const { addresses } = await host.start(...LOCAL, '--guide-host', 'never');
  await host.client.call('agent.add', {
    manifest: JSON.stringify({
      name: 'patient',
      backend: { kind: 'openai', endpoint: model.url, model: 'patient' },
      price: { perCall: 1000, perOutputUnit: 100_000 },
      limits: { outputUnits: 10_000, deadlineSeconds: 600, concurrency: 1024 },
      split: { operator: '100%' },
    }),
  });
  await caller.start(...LOCAL, '--bootstrap', addresses[0] ?? '');
  while ((await caller.client.call('agents', {})).length === 0)
    await new Promise((resolve) => setTimeout(resolve, 100));
  const begun = { host: await memoryOf(host), caller: await memoryOf(caller) };

  let open = 0;
  let ended = 0;
  let paid = 0n;
  const ask = (i: number): { readonly begun: Promise<void>; readonly over: Promise<void> } => {
    const first = Promise.withResolvers<void>();
    const input = {
      agent: 'patient',
      question: `What is number ${i}?`,
      priceMax: '900000000',
      deadlineMs: 500_000,
    };
    const read = async (): Promise<void> => {
      for await (const event of caller.client.stream('ask', input)) {
        if (event.type === 'delta') {
          open += 1;
          first.resolve();
        }
        if (event.type === 'end') {
          ended += 1;
          paid += BigInt(event.amount);
        }
      }
    };
    return { begun: first.promise, over: read().finally(() => first.resolve()) };
  };
  const over: Promise<void>[] = [];
  const startedMs = performance.now();
  // The first one alone: it opens the channel.
  for (let i = 0; i < CALLS; i += i === 0 ? 1 : BATCH) {
    const count = i === 0 ? 1 : Math.min(BATCH, CALLS - i);
    const batch = Array.from({ length: count }, (_, k) => ask(i + k));
    over.push(...batch.map((call) => call.over));
    await Promise.all(batch.map((call) => call.begun));
  }
  const tookMs = performance.now() - startedMs;
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  const idle = { host: await memoryOf(host), caller: await memoryOf(caller) };
  if (open !== CALLS) throw new Error(`${open} of ${CALLS} calls stand open`);
  for (const release of waiting) release();
  await Promise.all(over);
  if (ended !== CALLS) throw new Error(`${ended} of ${CALLS} calls came to their end`);
  const [row] = await host.client.call('channel.list', {});
  if (BigInt(row?.charged ?? '-1') !== paid) throw new Error('the books do not agree');

  const known = directoryBytes(KNOWN);
  console.log(`${CALLS} open calls, begun in ${(tookMs / 1000).toFixed(1)} s, all ended and paid`);
  console.log('            before      open   a call   + directory');
  for (const side of ['host', 'caller'] as const) {
    const each = (idle[side] - begun[side]) / CALLS;
    const whole = idle[side] + known;
    const verdict = whole <= TARGET_BYTES ? 'inside' : 'ABOVE';
    console.log(
      `  ${side.padEnd(8)} ${mb(begun[side]).padStart(8)} ${mb(idle[side]).padStart(8)} ${`${(each / 1000).toFixed(0)} kB`.padStart(8)} ${mb(whole).padStart(8)}  ${verdict} the target of ${mb(TARGET_BYTES)}`,
    );
  }
  console.log(`  a directory of ${KNOWN} peers: ${(known / 1e6).toFixed(1)} MB`);
  console.log(
    JSON.stringify({
      calls: CALLS,
      known: KNOWN,
      begun,
      idle,
      directoryBytes: known,
      targetBytes: TARGET_BYTES,
    }),
  );
} finally {
  for (const release of waiting) release();
  await peers.clear();
  await model.close();
}
process.exit(0);
