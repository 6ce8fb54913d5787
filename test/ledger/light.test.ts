import { afterEach, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { createEmbeddedLedger } from '../../src/ledger/engines/embedded.ts';
import { networkNameOf } from '../../src/ledger/genesis.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { createLightAnswers, type LightAnswers, serveLight } from '../../src/ledger/light/answers.ts';
import { createLightClient } from '../../src/ledger/light/client.ts';
import {
  HEADERS_PROTOCOL,
  headersAnswer,
  headersQuestion,
  STATE_PROTOCOL,
  type StateAnswer,
} from '../../src/ledger/light/messages.ts';
import type { LedgerMesh } from '../../src/ledger/sync.ts';
import { type BlockHeader, blockHeader } from '../../src/protocol/block.ts';
import { type Signed, signOne } from '../../src/protocol/signing.ts';
import { assetId, channelId, transactionId } from '../../src/protocol/transaction.ts';
import { addressOf, createFleet, until } from '../mesh/support.ts';
import { createInProcessNetwork, ledgerNetwork } from './in-process.ts';
import {
  alice,
  Bench,
  bob,
  carol,
  claimOf,
  person,
  sequencer,
  signAction,
  suite,
  testGenesis,
} from './support.ts';

const genesis = testGenesis();
const name = networkNameOf(suite, genesis);
const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function keep(mesh: LedgerMesh, signer?: typeof sequencer): Promise<Ledger> {
  const network = ledgerNetwork(mesh, name);
  const store = createMemoryStore();
  const parts = { suite, clock: systemClock, log: silentLog, store, network, ...(signer && { signer }) };
  const ledger = await createEmbeddedLedger(parts, genesis, { pollIntervalMs: 40 });
  stops.push(() => ledger.stop());
  return ledger;
}

const light = (ask: Pick<LedgerMesh, 'peers' | 'request'>, store = createMemoryStore()) =>
  createLightClient({ suite, genesis, ask, store }, { requestTimeoutMs: 5_000 });

test('LEDGER-145 LEDGER-146: over real nodes, a light client proves what the ledger holds and what it does not', async () => {
  const fleet = createFleet();
  stops.push(() => fleet.stop());
  const options = { network: name };
  const [full, caller] = [await fleet.start(options), await fleet.start(options)];
  const ledger = await keep(full, sequencer);
  const client = light(caller);
  await expect(client.account(alice.publicKey)).rejects.toMatchObject({
    code: 'state-unproven',
    facts: { reason: 'No peer is connected' },
  });
  await caller.connect(addressOf(full));
  await until(() => caller.peers().length > 0);
  // Before the first block the genesis itself is what is proved against.
  expect(await client.account(alice.publicKey)).toMatchObject({
    value: ledger.account(alice.publicKey),
    head: { height: 0 },
  });
  const channel = channelId(suite, name, alice.publicKey, bob.publicKey, 0);
  const asset = assetId(suite, name, bob.publicKey, 0);
  const sent = [
    signAction(name, alice, 0, { type: 'open-channel', payee: bob.publicKey, deposit: 5_000_000n }),
    signAction(name, bob, 0, {
      type: 'register-asset',
      kind: 'dataset',
      name: 'maps',
      owners: [{ owner: bob.publicKey, ppm: 1_000_000 }],
      parents: [],
      commitment: { scheme: 'none', root: new Uint8Array(32), sizeBytes: 0 },
      licence: '',
      replaces: undefined,
      bounty: 0,
      terms: {
        commercial: true,
        derivatives: 'yes',
        revenueShare: 0,
        attribution: false,
        territories: [],
        ceiling: undefined,
        expiresAt: undefined,
        grant: { price: 3n, blocks: 0 },
      },
    }),
    signAction(name, carol, 0, { type: 'buy-licence', asset }),
    signAction(name, bob, 1, {
      type: 'claim',
      ...claimOf(name, {
        channel,
        payer: alice,
        payee: bob,
        ceiling: 700n,
        amounts: [{ asset, amount: 600n }],
      }),
    }),
  ];
  const hot = person('hot').publicKey;
  sent.push(signAction(name, alice, 1, { type: 'set-voucher-key', channel, key: hot }));
  for (const message of sent) await ledger.submit(message);
  const head = ledger.head();
  expect(await client.follow()).toEqual(head);
  expect(await client.channel(channel)).toEqual({ value: ledger.channel(channel), head });
  expect((await client.channel(channel)).value?.voucherKeys).toEqual([{ key: hot }]);
  expect((await client.channel(channel)).value?.lanes).toEqual([{ lane: 0, paid: 600n, total: 600n }]);
  expect(await client.asset(asset)).toEqual({ value: ledger.asset(asset), head });
  expect((await client.asset(asset)).value?.received).toBe(603n);
  expect((await client.grant(asset, carol.publicKey)).value).toMatchObject({ endsAt: 0, paid: 3n });
  expect((await client.grant(asset, alice.publicKey)).value).toBeUndefined();
  expect((await client.channel(asset)).value).toBeUndefined();
  expect((await client.account(person('nobody').publicKey)).value).toEqual({ balance: 0n, nonce: 0 });
  for (const [index, message] of sent.entries()) {
    const id = transactionId(suite, name, message.payload);
    expect((await client.inclusion(id))?.inclusion).toEqual(ledger.lookup(id));
    expect(ledger.lookup(id)?.height).toBe(index + 1);
  }
  expect(await client.inclusion(new Uint8Array(32))).toBeUndefined();
});

test('LEDGER-145: headers are followed in runs, over a restart too, and a store of another network is refused', async () => {
  const bench = await Bench.create(genesis);
  const network = createInProcessNetwork();
  serveLight(network.join('full'), answersOf(bench));
  const ask = network.join('caller');
  const store = createMemoryStore();
  const client = light(ask, store);
  for (let i = 0; i < 300; i++) await pay(bench);
  expect(await client.follow()).toEqual(bench.chain.head());
  await pay(bench);
  const again = light(ask, store);
  expect(again.head()).toEqual(client.head());
  // An answer of a later height brings its headers.
  expect((await again.account(bob.publicKey)).head).toEqual(bench.chain.head());
  const other = testGenesis({ name: 'other' });
  expect(() => createLightClient({ suite, genesis: other, ask, store })).toThrowError(
    expect.objectContaining({ code: 'network-mismatch' }),
  );
});

function answersOf(bench: Bench): LightAnswers {
  return createLightAnswers(bench.parts, (job) => job());
}

async function pay(bench: Bench, amount = 1n): Promise<void> {
  await bench.run(alice, { type: 'transfer', to: bob.publicKey, amount, memo: undefined });
}

type Records = Extract<StateAnswer, { type: 'records' }>;

/** A peer that answers honestly but for what `bend` makes of proofs. */
function liar(answers: LightAnswers, bend: (answer: Records) => StateAnswer): LightAnswers {
  return {
    ...answers,
    async state(question) {
      const answer = await answers.state(question);
      return answer.type === 'records' ? bend(answer) : answer;
    },
  };
}

const lies: readonly (readonly [string, (answer: Records, bench: Bench) => StateAnswer, string])[] = [
  [
    'another value',
    (a) => entry(a, ({ value }) => ({ value: value?.map((byte, i) => (i === 3 ? byte ^ 1 : byte)) })),
    'proof',
  ],
  ['no value', (a) => entry(a, () => ({ value: undefined })), 'proof'],
  [
    'a shortened proof',
    (a) => entry(a, ({ proof }) => ({ proof: { ...proof, siblings: proof.siblings.slice(1) } })),
    'proof',
  ],
  ['no entry', (a) => ({ ...a, entries: [] }), 'another question'],
  ['another kind of answer', () => ({ type: 'inclusion', proof: undefined }), 'another question'],
  ['a header of its own making', (a, bench) => ({ ...a, header: forged(bench, bob, {}) }), 'did not sign'],
  [
    'a header of another network',
    (a, bench) => ({ ...a, header: forged(bench, sequencer, { network: 'x-0' }) }),
    'no header of this network',
  ],
  ['no header', (a) => ({ ...a, header: undefined }), 'older'],
  [
    'a header that its chain does not lead to',
    (a, bench) => ({ ...a, header: forged(bench, sequencer, { height: 9 }) }),
    'do not lead',
  ],
];

function entry(
  answer: Records,
  change: (first: Records['entries'][number]) => Partial<Records['entries'][number]>,
): Records {
  return { ...answer, entries: answer.entries.map((one) => ({ ...one, ...change(one) })) };
}

function forged(bench: Bench, signer: typeof bob, change: Partial<BlockHeader>): Signed {
  const header = bench.last?.header;
  if (header === undefined) throw new Error('no block yet');
  const payload = blockHeader.encode({ ...header, ...change });
  return signOne(suite, signer, name, { type: 'block-header', payload });
}

test.each(lies)('LEDGER-146: %s proves nothing, and another peer is asked', async (_, bend, why) => {
  const bench = await Bench.create(genesis);
  await pay(bench);
  const network = createInProcessNetwork();
  serveLight(
    network.join('liar'),
    liar(answersOf(bench), (answer) => bend(answer, bench)),
  );
  const client = light(network.join('caller'));
  await client.follow();
  await expect(client.account(alice.publicKey)).rejects.toMatchObject({
    code: 'state-unproven',
    facts: { reason: expect.stringContaining(why) },
  });
  serveLight(network.join('honest'), answersOf(bench));
  for (let i = 0; i < 3; i++)
    expect((await client.account(alice.publicKey)).value).toEqual(bench.queries.account(alice.publicKey));
  expect(client.evidence()).toBeUndefined();
});

test('LEDGER-147: a node that is behind is not believed once a later header is known', async () => {
  const [early, late] = [await Bench.create(genesis), await Bench.create(genesis)];
  for (const bench of [early, late]) await pay(bench);
  await pay(late);
  const network = createInProcessNetwork();
  serveLight(network.join('late'), answersOf(late));
  const store = createMemoryStore();
  const ask = network.join('caller');
  await light(ask, store).follow();
  // What was seen is remembered over a restart. A node that is behind says so, or lies.
  const client = light(ask, store);
  const behind = answersOf(early);
  const lying: LightAnswers = {
    ...behind,
    state: (question) => behind.state(question.type === 'records' ? { ...question, height: 0 } : question),
  };
  const refusals = [
    [behind, 'at block 1 only'],
    [lying, 'older than what is known'],
  ] as const;
  for (const [answers, why] of refusals) {
    serveLight(network.join('late'), answers);
    await expect(client.account(alice.publicKey)).rejects.toMatchObject({
      code: 'state-unproven',
      facts: { reason: expect.stringContaining(why) },
    });
  }
  expect(client.head()).toEqual(late.chain.head());
});

test('LEDGER-148: two signed headers of one height halt a light client for good, and are its evidence', async () => {
  const [one, other] = [await Bench.create(genesis), await Bench.create(genesis)];
  await pay(one, 1n);
  await pay(other, 2n);
  const network = createInProcessNetwork();
  serveLight(network.join('first'), answersOf(one));
  const store = createMemoryStore();
  const ask = network.join('caller');
  const client = light(ask, store);
  await client.follow();
  serveLight(network.join('second'), answersOf(other));
  const asking = Promise.all([1, 2, 3].map(() => client.account(alice.publicKey)));
  await expect(asking).rejects.toMatchObject({ code: 'ledger-halted' });
  expect(client.head().halted).toBeDefined();
  const headers = [await one.chain.header(1), await other.chain.header(1)].map((header) => header?.payload);
  const evidence = client.evidence();
  expect([evidence?.one.payload, evidence?.other.payload]).toEqual(headers);
  const again = light(ask, store);
  expect(again.evidence()).toEqual(evidence);
  await expect(again.follow()).rejects.toMatchObject({ code: 'ledger-halted' });
  // Followed by its links, the other chain is found out too.
  const third = createInProcessNetwork();
  serveLight(third.join('first'), answersOf(one));
  const follower = light(third.join('caller'));
  await follower.follow();
  serveLight(third.join('first'), answersOf(other));
  await expect(follower.follow()).rejects.toMatchObject({ code: 'ledger-halted' });
});

test('LEDGER-145: a run of headers with a gap, a foreign signature or another order is refused', async () => {
  const bench = await Bench.create(genesis);
  for (let i = 0; i < 4; i++) await pay(bench);
  const honest = await answersOf(bench).headers({ fromHeight: 1, count: 10 });
  const last = (change: Partial<BlockHeader>, signer = sequencer): readonly Signed[] => [
    ...honest.slice(0, 3),
    forged(bench, signer, change),
  ];
  const runs: readonly (readonly Signed[])[] = [
    honest.filter((_, i) => i !== 1),
    honest.toReversed(),
    last({}, bob),
    last({ previous: new Uint8Array(32) }),
    last({ timeMs: 1 }),
    last({ proposer: bob.publicKey }),
  ];
  for (const run of runs) {
    const network = createInProcessNetwork();
    const answers = { ...answersOf(bench), headers: async () => run };
    serveLight(network.join('liar'), answers);
    const client = light(network.join('caller'));
    await expect(client.follow()).rejects.toMatchObject({ code: 'state-unproven' });
    expect(client.head().height).toBe(0);
  }
});

test('LEDGER-145: where a node began from a snapshot, its first header is begun with', async () => {
  const bench = await Bench.create(genesis);
  for (let i = 0; i < 3; i++) await pay(bench);
  const network = createInProcessNetwork();
  const answers = answersOf(bench);
  const late = (base: number): LightAnswers => ({
    ...answers,
    headers: ({ fromHeight, count }) => answers.headers({ fromHeight: Math.max(fromHeight, base), count }),
  });
  serveLight(network.join('late'), late(3));
  const store = createMemoryStore();
  const client = light(network.join('caller'), store);
  expect(await client.follow()).toEqual(bench.chain.head());
  for (let i = 0; i < 4; i++) await pay(bench);
  serveLight(network.join('late'), late(6));
  expect(await client.follow()).toEqual(bench.chain.head());
  expect((await client.account(alice.publicKey)).value).toEqual(bench.queries.account(alice.publicKey));
});

test('LEDGER-149: an inclusion is proved by the header, its transaction and its result; another one is not taken for it', async () => {
  const bench = await Bench.create(genesis);
  const ids: Uint8Array[] = [];
  for (let i = 0; i < 2; i++) {
    await pay(bench);
    ids.push(bench.last?.transactions[0]?.id ?? new Uint8Array(32));
  }
  const [first = new Uint8Array(32), second = new Uint8Array(32)] = ids;
  const network = createInProcessNetwork();
  const answers = answersOf(bench);
  serveLight(network.join('liar'), {
    ...answers,
    state: () => answers.state({ type: 'inclusion', id: second }),
  });
  const client = light(network.join('caller'));
  await expect(client.inclusion(first)).rejects.toMatchObject({ code: 'state-unproven' });
  expect((await client.inclusion(second))?.inclusion).toMatchObject({
    height: 2,
    index: 0,
    result: { code: 0 },
  });
  await expect(client.account(alice.publicKey)).rejects.toMatchObject({ code: 'state-unproven' });
});

test('LEDGER-145: a node answers bounded questions only', async () => {
  const network = createInProcessNetwork();
  await keep(network.join('full'), sequencer);
  const mesh = network.join('caller');
  const ask = (protocol: string, body: Uint8Array) =>
    mesh.request('full', protocol, body, { answerBytesMax: 1 << 20 });
  const empty = await ask(HEADERS_PROTOCOL, headersQuestion.encode({ fromHeight: 0, count: 256 }));
  expect(headersAnswer.decode(empty)).toEqual([]);
  for (const protocol of [HEADERS_PROTOCOL, STATE_PROTOCOL])
    await expect(ask(protocol, Uint8Array.of(1, 2))).rejects.toMatchObject({ code: 'malformed' });
  expect(() => headersQuestion.encode({ fromHeight: 1, count: 257 })).toThrow();
});
