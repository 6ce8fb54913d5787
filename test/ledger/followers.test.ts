import { afterEach, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createMemoryStore, type Store } from '../../src/base/store.ts';
import { createEmbeddedLedger } from '../../src/ledger/engines/embedded.ts';
import { networkNameOf } from '../../src/ledger/genesis.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { blockMessage } from '../../src/ledger/network.ts';
import { BLOCKS_PROTOCOL, type LedgerMesh, ledgerTopics } from '../../src/ledger/sync.ts';
import { type BlockHeader, block, blockHeader } from '../../src/protocol/block.ts';
import { bytesUpTo, list, schema } from '../../src/protocol/schema.ts';
import { signed, signOne } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import type { Action } from '../../src/protocol/transaction.ts';
import { createInProcessNetwork, ledgerNetwork } from './in-process.ts';
import { alice, Bench, bob, carol, person, sequencer, signAction, suite, testGenesis } from './support.ts';

const genesis = testGenesis();
const name = networkNameOf(suite, genesis);
const running: Ledger[] = [];
afterEach(async () => {
  for (const ledger of running.splice(0)) await ledger.stop();
});

async function start(
  mesh: LedgerMesh,
  signer?: Signer,
  store: Store = createMemoryStore(),
  pollIntervalMs = 40,
): Promise<Ledger> {
  const network = ledgerNetwork(mesh, name);
  const parts = { suite, clock: systemClock, log: silentLog, store, network, ...(signer && { signer }) };
  const ledger = await createEmbeddedLedger(parts, genesis, { pollIntervalMs, republishIntervalMs: 40 });
  running.push(ledger);
  return ledger;
}

const transfer = (to: Signer, amount: bigint, memo?: string): Action => ({
  type: 'transfer',
  to: to.publicKey,
  amount,
  memo,
});

/** Resolves when the ledger has reached a height, or halted. */
function reached(ledger: Ledger, height: number): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      const head = ledger.head();
      if (head.height >= height || head.halted !== undefined) resolve();
      else setTimeout(look, 5);
    };
    look();
  });
}

test('LEDGER-50: followers re-execute every block, also large ones and those they missed', async () => {
  const network = createInProcessNetwork();
  const leader = await start(network.join('leader'), sequencer);
  const follower = await start(network.join('follower'));
  const memo = 'm'.repeat(128);
  const many = Array.from({ length: 80 }, (_, nonce) =>
    signAction(name, alice, nonce, transfer(bob, 1n, memo)),
  );
  await Promise.all(many.map((message) => follower.submit(message)));
  expect(follower.head()).toEqual(leader.head());
  // One that was away, and hears no gossip, catches up by asking.
  network.silent = true;
  await leader.submit(signAction(name, bob, 0, transfer(carol, 3n)));
  const late = await start(network.join('late'));
  await reached(late, leader.head().height);
  await reached(follower, leader.head().height);
  expect(late.head()).toEqual(leader.head());
  expect(follower.head()).toEqual(leader.head());
  expect(network.verdicts).not.toContain('reject');
  expect(network.verdicts).not.toContain('too-large');
});

test('a transaction too large for gossip reaches the sequencer by request', async () => {
  const network = createInProcessNetwork();
  await start(network.join('leader'), sequencer);
  const follower = await start(network.join('follower'));
  const action: Action = {
    type: 'claim',
    channel: new Uint8Array(32),
    voucher: { payload: new Uint8Array(9_000), signature: new Uint8Array(64), sides: 0, siblings: [] },
    charge: { payload: new Uint8Array(10), signature: new Uint8Array(64), sides: 0, siblings: [] },
    attribution: [],
  };
  const answer = follower.submit(signAction(name, alice, 0, action));
  await expect(answer).rejects.toMatchObject({ code: 'tx-refused', facts: { code: 64, height: 1 } });
});

/** A sequencer that signs whatever it likes: blocks made on the side, headers changed at will. */
async function lie(change: (header: BlockHeader) => Partial<BlockHeader>) {
  const bench = await Bench.create(genesis);
  await bench.run(alice, transfer(bob, 5n));
  const honest = block.decode(bench.last?.wire ?? new Uint8Array(0));
  const header = blockHeader.decode(honest.header.payload);
  const payload = blockHeader.encode({ ...header, ...change(header) });
  const forged = signOne(suite, sequencer, name, { type: 'block-header', payload });
  return { honest, bent: block.encode({ header: forged, transactions: honest.transactions }) };
}

/** Serves one block to whoever asks, and gossips it. */
function serve(mesh: LedgerMesh, wire: Uint8Array): void {
  const answers = schema('blocks', list(bytesUpTo(1 << 20), 10));
  mesh.serve(BLOCKS_PROTOCOL, {
    requestBytesMax: 8,
    answerBytesMax: 1 << 20,
    concurrencyMax: 1,
    handle: async () => answers.encode([wire]),
  });
  void mesh.publish(ledgerTopics(name).blocks, blockMessage.encode({ type: 'block', block: wire }));
}

const faults: readonly (readonly [string, (header: BlockHeader) => Partial<BlockHeader>, string])[] = [
  ['state root', () => ({ stateRoot: new Uint8Array(32) }), 'its header says 000000000000, its'],
  ['results root', () => ({ resultsRoot: new Uint8Array(32) }), 'results'],
  ['previous block', () => ({ previous: new Uint8Array(32).fill(1) }), 'another block as the one before'],
  ['time', () => ({ timeMs: 1 }), 'older than the block before'],
  ['proposer', () => ({ proposer: bob.publicKey }), 'proposer'],
  ['network', () => ({ network: 'other-0' }), 'another network'],
  ['version', () => ({ version: 9 }), 'version'],
];
test.each(faults)(
  'LEDGER-51: a signed block with a wrong %s halts a follower, which reads on',
  async (_, change, why) => {
    const network = createInProcessNetwork();
    const liar = network.join('liar');
    const follower = await start(network.join('follower'));
    const { bent } = await lie(change);
    serve(liar, bent);
    await reached(follower, 1);
    expect(follower.head()).toMatchObject({ height: 0 });
    expect(follower.head().halted).toContain(why);
    expect(follower.head().halted).toMatch(/^block 1 \([0-9a-f]{12}\): .+; blocks up to 0 stand/);
    expect(follower.account(alice.publicKey).nonce).toBe(0);
    await expect(follower.submit(signAction(name, alice, 0, transfer(bob, 1n)))).rejects.toMatchObject({
      code: 'ledger-halted',
    });
  },
);

test('LEDGER-52: two signed blocks of one height halt a follower', async () => {
  const network = createInProcessNetwork();
  const liar = network.join('liar');
  const follower = await start(network.join('follower'), undefined, createMemoryStore(), 60_000);
  const { honest, bent } = await lie(({ timeMs }) => ({ timeMs: timeMs + 1 }));
  serve(liar, block.encode(honest));
  await reached(follower, 1);
  expect(follower.head()).toMatchObject({ height: 1 });
  serve(liar, bent);
  await reached(follower, 2);
  expect(follower.head().halted).toContain('two different blocks of height 1');
});

test('LEDGER-53: what the sequencer did not sign, or what was altered on the way, harms nobody', async () => {
  const network = createInProcessNetwork();
  const liar = network.join('liar');
  const leader = await start(network.join('leader'), sequencer);
  network.silent = true;
  await leader.submit(signAction(name, carol, 0, transfer(bob, 5n)));
  network.silent = false;
  const [wire = new Uint8Array(0)] = await leader.blocks(1);
  const honest = block.decode(wire);
  const follower = await start(network.join('follower'), undefined, createMemoryStore(), 60_000);
  const wrong = signOne(suite, person('nobody'), name, {
    type: 'block-header',
    payload: honest.header.payload,
  });
  serve(liar, block.encode({ ...honest, header: wrong }));
  serve(liar, block.encode({ ...honest, transactions: [] }));
  const topics = ledgerTopics(name);
  await liar.publish(topics.blocks, Uint8Array.of(1, 2, 3));
  await liar.publish(topics.transactions, Uint8Array.of(1, 2, 3));
  const good = signAction(name, alice, 0, transfer(bob, 1n));
  await liar.publish(topics.transactions, signed.encode({ ...good, signature: new Uint8Array(64) }));
  await liar.publish(topics.transactions, signed.encode(good));
  await liar.publish(topics.transactions, signed.encode(good));
  await reached(leader, 2);
  await reached(follower, 2);
  expect(follower.head()).toEqual(leader.head());
  expect(follower.head().halted).toBeUndefined();
  expect(leader.account(alice.publicKey).nonce).toBe(1);
  expect(network.verdicts.filter((verdict) => verdict === 'reject').length).toBeGreaterThanOrEqual(4);
});

test('a follower is told when another transaction took the number of one that waits', async () => {
  const network = createInProcessNetwork();
  const leader = await start(network.join('leader'), sequencer);
  network.silent = true;
  const follower = await start(network.join('follower'));
  const answer = follower.submit(signAction(name, alice, 0, transfer(bob, 1n)));
  const refused = expect(answer).rejects.toMatchObject({ code: 'tx-refused', facts: { code: 5 } });
  await leader.submit(signAction(name, alice, 0, transfer(bob, 2n)));
  await refused;
});

test('a sequencer that came back with an old store takes its own blocks before it makes new ones', async () => {
  const network = createInProcessNetwork();
  const first = await start(network.join('leader'), sequencer);
  const follower = await start(network.join('follower'));
  await first.submit(signAction(name, alice, 0, transfer(bob, 2n)));
  await reached(follower, 1);
  await first.stop();
  const second = await start(network.join('leader'), sequencer);
  await reached(second, 1);
  await second.submit(signAction(name, alice, 1, transfer(bob, 2n)));
  await reached(follower, 2);
  expect(follower.head()).toEqual(second.head());
});
