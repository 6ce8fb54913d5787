import { afterEach, expect, test } from 'vitest';
import { createMemoryStore } from '../../src/base/store.ts';
import { encodeTick } from '../../src/ledger/engines/comet/ticks.ts';
import { transactionResult } from '../../src/protocol/block.ts';
import { type Signed, signed } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { type Action, channelId } from '../../src/protocol/transaction.ts';
import { cometNetwork, DrivenLedger, timeOf, viktor } from './comet-support.ts';
import { ALONE, nextOf, rotate } from './identity-support.ts';
import { alice, Bench, bob, carol, claimOf, person, START, signAction, suite } from './support.ts';

const open: DrivenLedger[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

async function drive(...args: Parameters<typeof DrivenLedger.open>): Promise<DrivenLedger> {
  const driven = await DrivenLedger.open(...args);
  open.push(driven);
  return driven;
}

const transfer = (to: Signer, amount: bigint): Action => ({
  type: 'transfer',
  to: to.publicKey,
  amount,
  memo: undefined,
});

/** What people do, block by block; the numbers of their transactions are counted. */
function story(network: string): readonly (readonly Signed[])[] {
  const nonces = new Map<Signer, number>();
  const by = (who: Signer, action: Action, key = who): Signed => {
    const nonce = nonces.get(who) ?? 0;
    nonces.set(who, nonce + 1);
    return signAction(network, key, nonce, action, { sender: who.publicKey });
  };
  const channel = channelId(suite, network, alice.publicKey, bob.publicKey, 0);
  const [second, third] = [person('second'), person('third')];
  const amounts = [{ asset: new Uint8Array(32), amount: 7n }];
  const body = claimOf(network, { channel, payer: alice, payee: bob, ceiling: 9n, amounts });
  return [
    [
      by(alice, { type: 'open-channel', payee: bob.publicKey, deposit: 1_000_000n }),
      by(carol, transfer(bob, 5n)),
    ],
    [
      by(carol, { type: 'register-identity', next: nextOf(second), policy: ALONE }),
      by(bob, transfer(alice, START * 2n)),
    ],
    [by(bob, { type: 'claim', ...body })],
    [by(alice, { type: 'request-close', channel })],
    [],
    [by(carol, rotate(second, third), second)],
    [],
    [],
    [by(carol, { type: 'bond', role: 'validator', amount: 2_000_000_000n, commission: 0 }, second)],
    [by(carol, { type: 'unbond', role: 'validator', amount: 1_000_000_000n }, second)],
  ];
}

test('ENG-1: the same transactions in the same blocks give the same root at every height', async () => {
  const network = cometNetwork();
  const bench = await Bench.create(network.genesis);
  const driven = await drive(network);
  for (const messages of story(driven.ledger.network)) {
    const results = await bench.block(messages);
    const { txResults } = await driven.block({ messages });
    const { height, stateRoot } = driven.ledger.head();
    expect({ height, stateRoot }).toEqual({
      height: bench.chain.head().height,
      stateRoot: bench.chain.head().stateRoot,
    });
    expect(txResults.map(({ data }) => transactionResult.decode(data).moved)).toEqual(
      results.map(({ moved }) => moved),
    );
  }
  expect(driven.ledger.head().height).toBe(10);
  expect(await driven.ledger.verify()).toMatchObject({ faults: [], height: 10 });
});

test('ENG-2: a genesis that commits to other validators is refused', async () => {
  const network = cometNetwork();
  const others = { ...network, first: network.first.slice(1) };
  await expect(DrivenLedger.open(others)).rejects.toMatchObject({ code: 'config-invalid' });
  const driven = await drive(network);
  const asked = await driven.client.ask({ initChain: { chainId: 'other-0', initialHeight: 1n } });
  expect(asked.exception?.error).toMatch(/other-0/);
});

test('ENG-3 ENG-5: a block of consensus with nothing to do leaves height, root and hash as they are', async () => {
  const driven = await drive(cometNetwork());
  const first = await driven.block();
  expect(first.appHash).toEqual(new Uint8Array(32));
  const { appHash } = await driven.block({
    messages: [signAction(driven.ledger.network, alice, 0, transfer(bob, 1n))],
  });
  const head = driven.ledger.head();
  expect(head).toMatchObject({ height: 1, headerHash: appHash });
  const quiet = await driven.block();
  expect(quiet.appHash).toEqual(appHash);
  expect(driven.ledger.head()).toEqual(head);
  expect(driven.ledger.consensusHeight()).toBe(3);
  expect(driven.ledger.decidedAt(1)).toBe(2);
});

test('ENG-4: time and proposer are those of consensus, and fees of nobody known go to the pool', async () => {
  const driven = await drive(cometNetwork({ parameters: { transactionFee: 10n, rewardPpm: 400_000 } }));
  const { ledger } = driven;
  const pay = (nonce: number): Signed =>
    signAction(ledger.network, alice, nonce, transfer(bob, 1n), { feeMax: 10n });
  await driven.block({ messages: [pay(0)], afterMs: 77, proposer: viktor });
  expect(ledger.account(viktor.publicKey).balance).toBe(6n);
  expect(ledger.head().timeMs).toBe(ledger.genesis.createdAtMs + 77);
  await driven.block({ messages: [pay(1)], afterMs: -500, proposer: person('stranger') });
  expect(ledger.head().timeMs).toBe(ledger.genesis.createdAtMs + 77);
  expect(ledger.account(alice.publicKey).balance).toBe(START - 22n);
  const [, second] = await Promise.all([1, 2].map(async (height) => ledger.blocks(height)));
  expect(second).toHaveLength(1);
  expect(await ledger.verify()).toMatchObject({ faults: [], transactions: 2 });
});

test('ENG-5: bytes that are no transaction get a result, and change nothing', async () => {
  const driven = await drive(cometNetwork());
  const root = driven.ledger.head().stateRoot;
  const { txResults, appHash } = await driven.block({ messages: [Uint8Array.of(1, 2, 3)] });
  expect(txResults.map(({ code }) => code)).toEqual([1]);
  expect(driven.ledger.head()).toMatchObject({ height: 1, stateRoot: root, headerHash: appHash });
  expect(await driven.ledger.verify()).toMatchObject({ faults: [] });
});

test('ENG-6 ENG-7: while delays run, blocks keep the distance of the network, and ticks ask for them', async () => {
  const driven = await drive(cometNetwork({ parameters: { blockIntervalMs: 1_000 } }));
  const { ledger, client } = driven;
  const channel = channelId(suite, ledger.network, alice.publicKey, bob.publicKey, 0);
  const say = (nonce: number, action: Action): Signed => signAction(ledger.network, alice, nonce, action);
  expect(await driven.checks(encodeTick(0))).not.toBe(0);
  await driven.block({
    messages: [
      say(0, { type: 'open-channel', payee: bob.publicKey, deposit: 1_000_000n }),
      say(1, { type: 'request-close', channel }),
    ],
  });
  const more = signed.encode(say(2, transfer(bob, 1n)));
  const askAt = async (ms: number): Promise<readonly [number, number | undefined]> => {
    const time = timeOf(ledger.head().timeMs + ms);
    const prepared = await client.ask({ prepareProposal: { txs: [more], time, maxTxBytes: 4_000_000n } });
    const processed = await client.ask({ processProposal: { txs: [more], time } });
    return [prepared.prepareProposal?.txs.length ?? -1, processed.processProposal?.status];
  };
  expect(await askAt(999)).toEqual([0, 2]);
  expect(await askAt(1_000)).toEqual([1, 1]);
  await driven.block({ afterMs: 999 });
  expect(ledger.head().height).toBe(1);
  // The ledger's last block is long ago by this machine's clock, so a tick is wanted; and only for this height.
  expect(await driven.checks(encodeTick(1))).toBe(0);
  expect(await driven.checks(encodeTick(2))).not.toBe(0);
  for (let i = 0; i < 3; i++) await driven.block({ afterMs: 1_000 });
  expect(ledger.head().height).toBe(4);
  expect(ledger.channel(channel)).toBeUndefined();
  await driven.block();
  expect(ledger.head().height).toBe(4);
});

test('ENG-6: nobody votes for what is no transaction of the network, for ticks, or for too many', async () => {
  const driven = await drive(cometNetwork());
  const { network } = driven.ledger;
  const good = signed.encode(signAction(network, alice, 0, transfer(bob, 1n)));
  const foreign = signed.encode(signAction(network, alice, 0, transfer(bob, 1n), { network: 'other-0' }));
  const vote = async (txs: Uint8Array[]): Promise<number | undefined> =>
    (await driven.client.ask({ processProposal: { txs, time: timeOf(2_000_000_000_000) } })).processProposal
      ?.status;
  expect(await vote([good])).toBe(1);
  for (const bad of [foreign, encodeTick(0), Uint8Array.of(1), new Uint8Array(70_000)])
    expect(await vote([good, bad])).toBe(2);
  expect(await vote(Array.from({ length: 2_001 }, () => good))).toBe(2);
});

test('ENG-8: the mempool takes a sender’s numbers in order, and begins again with every block', async () => {
  const driven = await drive(cometNetwork());
  const { network } = driven.ledger;
  const say = (nonce: number): Signed => signAction(network, alice, nonce, transfer(bob, 1n));
  expect(await driven.checks(say(1))).toBe(6);
  expect(await driven.checks(say(0))).toBe(0);
  expect(await driven.checks(say(1))).toBe(0);
  expect(await driven.checks(say(1))).toBe(5);
  expect(await driven.checks({ ...say(2), signature: new Uint8Array(64) })).toBe(4);
  await driven.block({ messages: [say(0)] });
  expect(await driven.checks(say(0))).toBe(5);
  expect(await driven.checks(say(1))).toBe(0);
  const txs = [say(3), say(1), say(2)].map((one) => signed.encode(one));
  const time = timeOf(2_000_000_000_000);
  const chosen = await driven.client.ask({ prepareProposal: { txs, time, maxTxBytes: 4_000_000n } });
  expect(chosen.prepareProposal?.txs).toEqual([txs[1], txs[2]]);
});

test('ENG-10: nothing is written before the commit, and a block that was not committed is executed again', async () => {
  const network = cometNetwork();
  const store = createMemoryStore();
  const driven = await drive(network, store);
  const messages = [signAction(driven.ledger.network, alice, 0, transfer(bob, 1n))];
  const first = await driven.finalize({ messages });
  expect(await driven.finalize({ messages })).toEqual(first);
  expect(driven.ledger.head().height).toBe(0);
  const again = await drive(network, store);
  expect((await again.client.ask({ info: {} })).info).toMatchObject({ lastBlockHeight: 0n });
  expect(await again.block({ messages })).toEqual(first);
  const after = await drive(network, store);
  expect((await after.client.ask({ info: {} })).info).toMatchObject({
    lastBlockHeight: 1n,
    lastBlockAppHash: first.appHash,
  });
  expect(after.ledger.head().headerHash).toEqual(first.appHash);
  // Nobody certifies it here, where no CometBFT runs.
  await expect(after.ledger.prove([], { signal: AbortSignal.timeout(100) })).rejects.toMatchObject({
    code: 'cancelled',
  });
  // A block that does not follow is no question of the network's: the program is broken, and says so.
  after.height = 7;
  await expect(after.finalize()).rejects.toThrow(/one height after the other/);
});

test('ENG-32: what CometBFT may drop stays behind as far as was asked, and by default is nothing', async () => {
  const driven = await drive(cometNetwork(), createMemoryStore(), { retainBlocks: 3 });
  const retained = async ({ client, ...one }: DrivenLedger): Promise<bigint | undefined> => {
    await client.ask({ finalizeBlock: { height: BigInt(one.height + 1), time: timeOf(2_000_000_000_000) } });
    return (await client.ask({ commit: {} })).commit?.retainHeight;
  };
  const heights: (bigint | undefined)[] = [];
  for (; driven.height < 5; driven.height++) heights.push(await retained(driven));
  expect(heights).toEqual([0n, 0n, 0n, 1n, 2n]);
  expect(await retained(await drive(cometNetwork()))).toBe(0n);
});
