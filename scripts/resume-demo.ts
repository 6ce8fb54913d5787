/**
 * A paid answer that survives: it is metered, cut twice on the wire, gone on with at another peer of the same caller
 * after the first one was killed, stopped there, and billed to the grain.
 *
 *   npm run demo:resume
 *
 * Four processes on loopback: a host that also orders the ledger, a model behind it, the caller's first peer and its
 * second. Every step is checked; the program fails when one does not hold.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatAmount } from '../src/base/amount.ts';
import type { AskEnd, AskEvent } from '../src/daemon/admin/types.ts';
import { bundle } from '../src/protocol/bundle.ts';
import { chargeOf, receipt as receiptSchema } from '../src/protocol/payment.ts';
import { startProxy, type WireProxy } from '../test/faults/proxy.ts';
import { sentence, startTeller, tellMe } from '../test/faults/teller.ts';
import { freePort, TELLER_PRICE } from '../test/faults/town.ts';
import { createPeers, type Peer, type Peers } from './peers.ts';

const LOCAL = [
  ...['--mesh-host', '127.0.0.1', '--mesh-mdns', 'false', '--mesh-dht', 'false'],
  ...['--wallet-channel-deposit', '20'],
];
/** Time that the call has, milliseconds; the story is longer than that, so it is never over before it is stopped. */
const DEADLINE_MS = 240_000;
const APART_MS = 50;
const SENTENCES = (DEADLINE_MS / APART_MS) * 2;
/** Most that the answer may cost, grains: more than what can be told in that time. */
const PRICE_MAX = 11_000_000_000n;

/** What one peer heard of the call. */
interface Heard {
  callId: string;
  text: string;
  paid: bigint;
  cover: bigint;
  breaks: number;
  end: AskEnd | undefined;
  over: boolean;
}

function say(text: string): void {
  console.log(text);
}

function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(`this does not hold: ${what}`);
  say(`   ok  ${what}`);
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const untilMs = Date.now() + 90_000;
  while (!(await holds())) {
    if (Date.now() > untilMs) throw new Error(`waited too long until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function must(peer: Peer, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await peer.sahara(args);
  if (code !== 0) throw new Error(`${peer.name}: sahara ${args.join(' ')}\n${stdout}${stderr}`);
  return stdout;
}

/** Listens to a call's events in the background. */
function listen(events: AsyncIterable<AskEvent>): Heard & { readonly done: Promise<void> } {
  const heard: Heard = { callId: '', text: '', paid: 0n, cover: 0n, breaks: 0, end: undefined, over: false };
  const read = async (): Promise<void> => {
    try {
      for await (const event of events) {
        if (event.type === 'call') heard.callId = event.callId;
        if (event.type === 'delta') heard.text += event.text;
        if (event.type === 'progress' && event.step === 'stream') heard.breaks += 1;
        if (event.type === 'paid')
          Object.assign(heard, { paid: BigInt(event.amount), cover: BigInt(event.cover) });
        if (event.type === 'end') heard.end = event;
      }
    } finally {
      heard.over = true;
    }
  };
  // A peer that is killed tells nothing more; what was heard of it until then counts.
  return Object.assign(heard, { done: read().catch(() => {}) });
}

interface Stage {
  readonly host: Peer;
  readonly first: Peer;
  readonly second: Peer;
  /** The wires of the caller's two peers to the host. */
  readonly wires: readonly [WireProxy, WireProxy];
}

async function set(peers: Peers): Promise<Stage> {
  say('1. A host with an agent that is paid by the word, and two peers of one caller');
  const teller = await startTeller();
  const port = await freePort();
  const host = await peers.add('host');
  const hosting = await host.start(...LOCAL, '--guide-host', 'never', '--mesh-port', String(port));
  const { perCall, perOutputUnit } = TELLER_PRICE;
  const manifest = {
    name: 'teller',
    backend: { kind: 'openai', endpoint: teller.url, model: 'teller', seeded: true },
    price: { perCall: Number(perCall), perOutputUnit: Number(perOutputUnit) },
    limits: { outputUnits: 100_000, deadlineSeconds: 300 },
    split: { operator: '100%' },
  };
  await host.client.call('agent.add', { manifest: JSON.stringify(manifest) });
  const wires = [await startProxy(port), await startProxy(port)] as const;
  const over = (wire: WireProxy): readonly string[] => [
    '--bootstrap',
    `/ip4/127.0.0.1/tcp/${wire.port}/p2p/${hosting.peerId}`,
  ];
  const [first, second] = [await peers.add('first'), await peers.add('second')];
  const calling = await first.start(...LOCAL, ...over(wires[0]));
  const key = join(first.home.root, 'operator.key');
  await must(first, 'id', 'export', key);
  await must(second, 'id', 'import', key);
  const other = await second.start(...LOCAL, ...over(wires[1]));
  check(calling.did === other.did && calling.peerId !== other.peerId, 'two peers, one caller');
  await until('the agent is listed', async () => (await first.client.call('agents', {})).length > 0);
  return { host, first, second, wires };
}

async function run(peers: Peers): Promise<void> {
  const { host, first, second, wires } = await set(peers);

  say('\n2. The first peer asks; the answer is paid for as it comes');
  const question = tellMe(SENTENCES, APART_MS);
  const input = { agent: 'teller', question, priceMax: String(PRICE_MAX), deadlineMs: DEADLINE_MS };
  const asked = listen(first.client.stream('ask', input));
  await until('two steps are paid', () => asked.over || asked.paid > 20_000_000n);
  check(!asked.over && asked.paid > 0n, `paid so far ${formatAmount(asked.paid)} for what came`);
  check(asked.cover < PRICE_MAX, `covered so far ${formatAmount(asked.cover)}, not the whole price`);

  say('\n3. The wire is cut for the first time: the same peer goes on by itself');
  const before = asked.text;
  wires[0].cut();
  await until('more came', () => asked.over || asked.text.length > before.length + 400);
  check(!asked.over && asked.breaks > 0, `it broke ${asked.breaks} time and went on`);
  check(asked.text.startsWith(before), 'nothing of it came twice, nothing is missing');

  say('\n4. The first peer is killed; the second one takes the call over with its ticket');
  const { callId, ticket } = await first.client.call('resume.ticket', { callId: asked.callId });
  const had = asked.text;
  await first.kill();
  await asked.done;
  const resumed = listen(second.client.stream('resume', { ticket }));
  await until('it is where it was', () => resumed.over || resumed.text.length > had.length);
  check(!resumed.over && resumed.text.startsWith(had), 'the whole answer came again, then more');

  say('\n5. The wire of the second peer is cut: it goes on again');
  const between = resumed.text;
  wires[1].cut();
  await until('more came again', () => resumed.over || resumed.text.length > between.length + 400);
  check(!resumed.over && resumed.text.startsWith(between), 'it went on where it was');

  say('\n6. Enough: the caller stops it');
  await listen(second.client.stream('resume', { callId, stop: true })).done;
  await resumed.done;
  const { end } = resumed;
  if (end === undefined) throw new Error('the call has no end');
  check(end.finish === 'cancelled', 'the agent stopped in the middle of its story');
  await bill({ host, first, second, wires }, { end, text: resumed.text });
  say('\nEverything holds.');
}

async function bill(
  { host, first, second, wires }: Stage,
  { end, text }: { readonly end: AskEnd; readonly text: string },
): Promise<void> {
  say('\n7. The bill');
  const file = join(second.home.root, 'call.bundle');
  await must(second, 'bundle', end.callId, file);
  const receipt = receiptSchema.decode(
    bundle.decode(new Uint8Array(await readFile(file))).ending.receipt.payload,
  );
  const { perCall } = TELLER_PRICE;
  const due = chargeOf(TELLER_PRICE, receipt.inputUnits, receipt.outputUnits);
  check(
    receipt.amount === due,
    `${receipt.amount} grains = ${perCall} + ${receipt.outputUnits} units x ${TELLER_PRICE.perOutputUnit}`,
  );
  const told = Array.from({ length: SENTENCES }, (_, i) => sentence(i + 1)).join('');
  check(
    told.startsWith(text) && text.length < told.length,
    'the text is the beginning of the story, without a gap',
  );
  const shared = receipt.shares.reduce((sum, { amount }) => sum + amount, 0n);
  check(shared === receipt.amount, 'what everybody earns of it sums to that');

  // The first peer comes back, and learns of its payee what became of its call.
  await first.start(
    ...LOCAL,
    '--bootstrap',
    `/ip4/127.0.0.1/tcp/${wires[0].port}/p2p/${(await host.client.call('status', {})).peerId}`,
  );
  const charged = async (peer: Peer): Promise<string> =>
    (await peer.client.call('channel.list', {})).map((row) => `${row.charged}/${row.calls}`).join();
  await until('all three books agree', async () => {
    const books = await Promise.all([host, first, second].map(charged));
    return new Set(books).size === 1 && books[0] === `${receipt.amount}/1`;
  });
  check(true, `host, first and second peer say the same: one call, ${receipt.amount} grains`);
  await must(host, 'channel', 'claim');
  const { assets } = await host.client.call('earnings', {});
  const received = assets.reduce((sum, row) => sum + BigInt(row.received), 0n);
  check(received === receipt.amount, 'the ledger paid out exactly that');
  await prove([host, first, second], { second, callId: end.callId, file });
}

async function prove(
  running: readonly Peer[],
  proof: { readonly second: Peer; readonly callId: string; readonly file: string },
): Promise<void> {
  const { second, callId, file } = proof;
  await until('the settlement is in the bundle', async () => {
    await must(second, 'bundle', callId, file);
    return /settled in block/.test(await must(second, 'verify', file));
  });
  await Promise.all(running.map((peer) => peer.stop()));
  say('\n8. With every daemon stopped');
  for (const line of (await must(second, 'bill', file)).trimEnd().split('\n')) say(`   ${line}`);
  const proved = await must(second, 'verify', file);
  check(
    /Proved/.test(proved),
    proved
      .split('\n')
      .find((line) => line.includes('Proved'))
      ?.trim() ?? '',
  );
}

const peers = await createPeers();
try {
  await run(peers);
} finally {
  await peers.clear();
}
process.exit(0);
