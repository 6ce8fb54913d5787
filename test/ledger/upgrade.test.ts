import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { type BlockParts, replayBlock } from '../../src/ledger/blocks.ts';
import { openChain } from '../../src/ledger/chain.ts';
import { EngineCore } from '../../src/ledger/engines/core.ts';
import { createEmbeddedLedger } from '../../src/ledger/engines/embedded.ts';
import { createMempool } from '../../src/ledger/mempool.ts';
import { RULE_SETS, RULES_KNOWN, readRules } from '../../src/ledger/rules.ts';
import { verifyChain } from '../../src/ledger/verify.ts';
import { block } from '../../src/protocol/block.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import type { Action } from '../../src/protocol/transaction.ts';
import { holdsFor } from './refusal-support.ts';
import { alice, Bench, bob, carol, START, sequencer, signAction, suite, testGenesis } from './support.ts';

const ZEROS = new Uint8Array(32);
const pay = (to: Uint8Array): Action => ({ type: 'transfer', to, amount: 1n, memo: undefined });
const approve = (version: number, height: number): Action => ({ type: 'approve-upgrade', version, height });
const rules = ({ chain }: Bench) => readRules(chain.readState);
const start = START / 2n;

/** A ledger in which the sequencer has money, like everybody else. */
const genesis = () =>
  testGenesis({
    accounts: [alice, bob, carol, sequencer].map(({ publicKey }) => ({ owner: publicKey, balance: start })),
  });

/** A ledger whose votes are told by the test: powers of people. */
async function votedBy(powers: readonly (readonly [Signer, number])[]): Promise<Bench> {
  const bench = await Bench.create(genesis());
  const voters = powers.map(([{ publicKey }, power]) => ({ did: publicKey, power }));
  // Who votes is a part of what blocks are made with.
  (bench.parts as { voters: BlockParts['voters'] }).voters = () => voters;
  return bench;
}

describe('the version of the rules', () => {
  test('has no gaps and begins with 1', () => {
    expect(RULE_SETS.map(({ version }) => version)).toEqual(RULE_SETS.map((_, i) => i + 1));
    expect(RULES_KNOWN).toBeGreaterThan(1);
  });

  test('LEDGER-168 LEDGER-169 LEDGER-170: changes in exactly the block that was decided, and old blocks replay by old rules', async () => {
    const bench = await Bench.create(genesis());
    const at = 4;
    expect((await bench.run(alice, approve(2, at))).name).toBe('not-voter');
    expect((await bench.run(sequencer, approve(2, at))).name).toBe('ok');
    expect(rules(bench)).toMatchObject({ version: 1, plan: { version: 2, height: at }, approvals: [] });
    expect((await bench.run(alice, pay(ZEROS))).name).toBe('ok');
    const before = bench.balance(alice);
    expect(bench.chain.head().height).toBe(at - 1);
    expect((await bench.run(alice, pay(ZEROS))).name).toBe('recipient-unusable');
    expect(rules(bench)).toEqual({ version: 2, plan: undefined, approvals: [] });
    expect(bench.balance(alice)).toBe(before);
    expect(await verifyChain(bench.parts)).toMatchObject({ faults: [], height: at, transactions: 4 });
  });

  test('LEDGER-170: refuses every way to a key that nobody can have, in its place, and no other', async () => {
    const bench = await Bench.create(genesis());
    await bench.run(sequencer, approve(2, 2));
    const minusOne = Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? 0xec : i === 31 ? 0x7f : 0xff));
    const tooLarge = new Uint8Array(32).fill(0xff);
    for (const to of [ZEROS, minusOne, tooLarge]) {
      const reference = new Uint8Array(16);
      const ways: readonly Action[] = [
        pay(to),
        { type: 'faucet', to, amount: 1n },
        { type: 'open-channel', payee: to, deposit: 1_000_000n },
        { type: 'pay', payee: to, asset: undefined, amount: 1n, reference },
      ];
      for (const way of ways) expect((await bench.run(alice, way)).name).toBe('recipient-unusable');
    }
    expect((await bench.run(alice, pay(bob.publicKey))).name).toBe('ok');
    expect((await bench.run(alice, { type: 'transfer', to: ZEROS, amount: 0n, memo: undefined })).name).toBe(
      'amount-zero',
    );
    expect(
      (await bench.run(alice, { type: 'transfer', to: ZEROS, amount: 10n ** 17n, memo: undefined })).name,
    ).toBe('recipient-unusable');
  });
});

describe('votes', () => {
  test('LEDGER-169: more than two thirds decide, for one height; a later vote is in place of the earlier one', async () => {
    const bench = await votedBy([
      [alice, 10],
      [bob, 10],
      [carol, 10],
    ]);
    const run = async (who: Signer, height: number) => (await bench.run(who, approve(2, height))).name;
    expect(await run(alice, 20)).toBe('ok');
    expect(await run(bob, 20)).toBe('ok');
    // Two thirds are not more than two thirds.
    expect(rules(bench).plan).toBeUndefined();
    expect(await run(carol, 21)).toBe('ok');
    expect(rules(bench).plan).toBeUndefined();
    expect(await run(carol, 20)).toBe('ok');
    expect(rules(bench)).toMatchObject({ plan: { version: 2, height: 20 }, approvals: [] });
    for (const who of [alice, bob, carol]) await bench.run(who, approve(1, 20));
    expect(rules(bench)).toEqual({ version: 1, plan: undefined, approvals: [] });
  });

  test('LEDGER-169: who has no vote any more does not count', async () => {
    const bench = await votedBy([
      [alice, 10],
      [bob, 10],
    ]);
    await bench.run(alice, approve(2, 20));
    const voters = [bob, carol].map(({ publicKey }) => ({ did: publicKey, power: 5 }));
    (bench.parts as { voters: BlockParts['voters'] }).voters = () => voters;
    await bench.run(bob, approve(2, 20));
    expect(rules(bench).approvals.map(({ did }) => did)).toEqual([bob.publicKey]);
  });

  test('LEDGER-11 LEDGER-169: are refused in documented order', async () => {
    const bench = await Bench.create(genesis());
    await holdsFor(bench, {
      kind: 'approve-upgrade',
      paragraph: 169,
      sound: { by: sequencer, version: 2, height: 1_000 },
      groups: [
        [['not-voter', { by: alice }]],
        [['upgrade-version', { version: 3 }]],
        [['upgrade-height', { height: 1 }]],
      ],
      make: ({ by, version, height }) => [by, approve(version, height)],
    });
    expect((await bench.run(sequencer, approve(1, 1_000))).name).toBe('upgrade-version');
    await bench.run(sequencer, approve(2, 1_000));
    expect((await bench.run(sequencer, approve(1, 999))).name).toBe('upgrade-height');
  });
});

describe('a program that does not know the next rules', () => {
  /** A ledger that has come to the block before one by rules that nobody wrote. */
  async function atTheEnd() {
    const store = createMemoryStore();
    const bench = await Bench.create(genesis(), store);
    await bench.run(sequencer, approve(2, 2));
    for (let known = 2; known <= RULES_KNOWN; known++) {
      const { height } = bench.chain.head();
      await bench.run(sequencer, approve(known + 1, height + 2));
    }
    return { store, bench };
  }

  test('LEDGER-171: does not execute by them', async () => {
    const { bench } = await atTheEnd();
    const { height } = bench.chain.head();
    const expected = {
      code: 'upgrade-needed',
      facts: { height: height + 1, version: RULES_KNOWN + 1, known: RULES_KNOWN },
    };
    await expect(bench.run(alice, pay(bob.publicKey))).rejects.toMatchObject(expected);
    expect(bench.chain.head().height).toBe(height);
  });

  test('LEDGER-171: takes no transaction, says so, and goes on answering', async () => {
    const { store, bench } = await atTheEnd();
    const parts = { store, suite, clock: systemClock, log: silentLog, signer: sequencer };
    const ledger = await createEmbeddedLedger(parts, genesis());
    expect(ledger.head().halted).toMatch(/version 3 of its rules; this program knows up to 2/);
    const message = signAction(bench.network, alice, 0, pay(bob.publicKey));
    await expect(ledger.submit(message)).rejects.toMatchObject({ code: 'upgrade-needed' });
    expect(ledger.account(bob.publicKey).balance).toBe(start);
    await ledger.stop();
  });

  test('LEDGER-171: halts with the block that comes before', async () => {
    const { bench } = await atTheEnd();
    const core = async (height: number): Promise<EngineCore> => {
      const store = createMemoryStore();
      const chain = await openChain({ suite, store }, genesis());
      const pool = createMempool();
      const parts = { ...bench.parts, chain, clock: systemClock, log: silentLog, pool };
      const made = new EngineCore(parts);
      for (let at = 1; at <= height; at++) {
        const wire = await bench.chain.block(at);
        if (wire === undefined) throw new RangeError('no block');
        await made.commit(await replayBlock(parts, wire, block.decode(wire)), undefined);
      }
      return made;
    };
    const { height } = bench.chain.head();
    expect((await core(height - 1)).running).toBe(true);
    const ended = await core(height);
    expect(ended.running).toBe(false);
    expect(ended.upgradeNeeded()).toMatchObject({ code: 'upgrade-needed' });
  });
});
