/** A payer that holds what its payee claims against what it charged (PAY-62 to PAY-64). */
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { equalBytes } from '../../src/base/bytes.ts';
import { systemClock as clock } from '../../src/base/clock.ts';
import { silentLog as log } from '../../src/base/log.ts';
import type { Store } from '../../src/base/store.ts';
import { challengeOn, followDisputes } from '../../src/daemon/disputes.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { chargeOf, countedFor } from '../ledger/lane.ts';
import { alice, bob, carol } from '../ledger/support.ts';
import { claimOn, createDisputeRig, DEPOSIT, type DisputeRig, type PayerRun, until } from './dispute-rig.ts';

const rigs: DisputeRig[] = [];
const rigOf = async (options: { readonly bond?: bigint } = {}): Promise<DisputeRig> => {
  const rig = await createDisputeRig(options);
  rigs.push(rig);
  return rig;
};
afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.stop();
});

const balance = ({ ledger }: DisputeRig, who = alice): bigint => ledger.account(who.publicKey).balance;
const caseOf = ({ disputes }: PayerRun) => disputes.watch.disputes()[0]?.case;
const frozen = ({ ledger, place }: DisputeRig) => ledger.channel(place.channel)?.lanes[0]?.frozen;

/** Challenges that blocks have, with effect or without. */
async function challenges({ ledger }: Pick<DisputeRig, 'ledger'>): Promise<number> {
  const all = await ledger.transactions({ limit: 256 });
  return all.filter(({ action }) => action?.type === 'challenge').length;
}

/** A report of the channel as the command shows it. */
async function reportOf(rig: DisputeRig, run: PayerRun, dryRun: boolean): ReturnType<typeof challengeOn> {
  const { book: payer, wallet, disputes } = run;
  const nothing = { verifier: undefined as never, trust: undefined as never, storeOf: undefined as never };
  return challengeOn(
    { ...nothing, ledger: rig.ledger, wallet, clock, log, payer, disputes },
    { channel: rig.place.channel, dryRun },
    { signal: AbortSignal.timeout(30_000) },
  );
}

describe('a payer whose payee claims more than it charged', () => {
  it('PAY-62 PAY-63: challenges by itself, once, and has back what was paid too much', async () => {
    const rig = await rigOf();
    const run = await rig.start();
    await run.call([400n]);
    await run.call([400n, 600n]);
    await rig.run(bob, { type: 'claim', ...claimOn(rig.place, [400n, 600n]) });
    const before = balance(rig);
    await rig.run(bob, { type: 'claim', ...claimOn(rig.place, [400n, 600n], { total: 50_000n }) });
    await until('it is challenged', () => caseOf(run)?.state === 'won');
    expect(caseOf(run)).toMatchObject({
      total: 1_000n,
      returned: 49_000n,
      evidence: { type: 'two-charges' },
    });
    expect(frozen(rig)).toEqual({ total: 1_000n, returned: 49_000n });
    // And half of the penalty, because the payer brought it: a tenth of the stake less what it gave back.
    expect(balance(rig) - before).toBeGreaterThanOrEqual(49_000n);
    await run.disputes.watch.look();
    await rig.run(bob, { type: 'claim', ...claimOn(rig.place, [400n, 600n], { total: 60_000n }) });
    await run.disputes.watch.look();
    expect(await challenges(rig)).toBe(1);
    expect((await rig.ledger.verify()).faults).toEqual([]);
  });

  it('PAY-62: finds charges that fall, in either order, and one that is not the sum of its receipts', async () => {
    const falls = await rigOf();
    const first = await falls.start();
    await first.call([400n]);
    await first.call([400n, 600n]);
    // Of fewer receipts than are held, for more: made long before, or so it says.
    await falls.run(bob, { type: 'claim', ...claimOn(falls.place, [30_000n]) });
    await until('it is challenged', () => caseOf(first)?.state === 'won');
    expect(caseOf(first)).toMatchObject({ total: 400n, evidence: { type: 'two-charges' } });

    const sums = await rigOf();
    const second = await sums.start();
    // One charge for two receipts: there is none of the payee for the first alone.
    const both = chargeOf(sums.place, countedFor(sums.place, [400n, 600n]));
    await second.call([400n], both);
    await second.call([400n, 600n], both);
    await sums.run(bob, { type: 'claim', ...claimOn(sums.place, [400n], { total: 900n }) });
    await until('it is challenged', () => caseOf(second)?.state === 'won');
    expect(caseOf(second)).toMatchObject({ total: 400n, evidence: { type: 'bad-sum' } });

    const later = await rigOf();
    const third = await later.start();
    const whole = chargeOf(later.place, countedFor(later.place, [400n, 600n]));
    await third.call([400n], whole);
    await third.call([400n, 600n], whole);
    await later.run(bob, { type: 'claim', ...claimOn(later.place, [30_000n]) });
    await until('it is challenged', () => caseOf(third)?.state === 'won');
    expect(caseOf(third)).toMatchObject({ total: 1_000n, evidence: { type: 'falling-total' } });
  });

  it('PAY-62: keeps a claim for receipts that it does not have, across a restart, until a charge tells', async () => {
    const rig = await rigOf();
    const first = await rig.start();
    await first.call([400n]);
    await rig.run(bob, { type: 'claim', ...claimOn(rig.place, [400n, 90_000n]) });
    await until('it is noted', () => first.disputes.watch.disputes()[0]?.unexplained.length === 1);
    const shown = await reportOf(rig, first, true);
    expect(shown.lanes[0]).toMatchObject({ paid: '90400', charged: '400', why: 'no-proof' });
    expect(shown.lanes[0]?.claimed).toEqual([{ receipts: 2, total: '90400' }]);
    await first.stop();
    const second = await rig.start();
    await second.call([400n, 600n]);
    await second.disputes.watch.look();
    expect(caseOf(second)).toMatchObject({ state: 'won', total: 1_000n, returned: 89_400n });
    expect(await challenges(rig)).toBe(1);
  });

  it('PAY-62: proves what was shown to it alone, before anything of it is claimed', async () => {
    const rig = await rigOf();
    const run = await rig.start();
    await run.call([400n]);
    const dear = chargeOf(rig.place, countedFor(rig.place, [400n, 500n]), { total: 901n });
    await expect(run.call([400n, 500n], dear)).rejects.toMatchObject({ code: 'receipt-invalid' });
    await run.disputes.watch.look();
    expect(caseOf(run)).toMatchObject({ state: 'won', total: 900n, evidence: { type: 'bad-sum' } });
    expect(frozen(rig)?.total).toBe(900n);
  });

  it('PAY-63: finds what was claimed while it was away', async () => {
    const rig = await rigOf();
    const first = await rig.start();
    await first.call([400n]);
    await first.stop();
    await rig.run(bob, { type: 'claim', ...claimOn(rig.place, [400n], { total: 5_000n }) });
    const memo = undefined;
    await rig.run(bob, { type: 'transfer', to: carol.publicKey, amount: 1n, memo });
    const second = await rig.start();
    await until('it is challenged', () => caseOf(second)?.state === 'won');
    expect(frozen(rig)).toEqual({ total: 400n, returned: 4_600n });
  });

  it('PAY-63: sends nothing where somebody else had the lane frozen, or nothing is to be had', async () => {
    const rig = await rigOf();
    const first = await rig.start();
    await first.call([400n]);
    await first.stop();
    const lie = claimOn(rig.place, [400n], { total: 5_000n });
    await rig.run(bob, { type: 'claim', ...lie });
    const honest = chargeOf(rig.place, countedFor(rig.place, [400n]));
    const evidence = { type: 'two-charges', first: honest, second: lie.charge } as const;
    await rig.run(carol, { type: 'challenge', channel: rig.place.channel, evidence });
    const second = await rig.start();
    await until('it is given up', () => caseOf(second)?.state === 'frozen');
    expect(await challenges(rig)).toBe(1);

    const poor = await rigOf({ bond: 0n });
    const run = await poor.start();
    await run.call([400n]);
    await poor.run(bob, { type: 'claim', ...claimOn(poor.place, [400n], { total: DEPOSIT }) });
    await until('it is given up', () => caseOf(run)?.state === 'worthless');
    expect(await challenges(poor)).toBe(0);
    expect((await reportOf(poor, run, true)).lanes[0]).toMatchObject({ why: 'worth-nothing' });
    // Whoever wants it on the ledger all the same can have it.
    expect((await reportOf(poor, run, false)).lanes[0]).toMatchObject({ why: 'won', frozenAt: '400' });
    expect(await challenges(poor)).toBe(1);
  });

  it('PAY-63: has a lane of a payee without a stake frozen while there is something left in the deposit', async () => {
    const rig = await rigOf({ bond: 0n });
    const run = await rig.start();
    await run.call([400n]);
    await rig.run(bob, { type: 'claim', ...claimOn(rig.place, [400n], { total: 5_000n }) });
    await until('it is challenged', () => caseOf(run)?.state === 'won');
    expect(caseOf(run)).toMatchObject({ taken: 0n, returned: 0n });
    await rig.run(bob, { type: 'claim', ...claimOn(rig.place, [400n], { total: 900_000n }) });
    expect(rig.ledger.channel(rig.place.channel)?.claimed).toBe(5_000n);
  });

  it('PAY-63: shows what it holds and what a challenge would bring, and sends nothing with a dry run', async () => {
    const rig = await rigOf();
    const run = await rig.start({ ledger: deaf });
    await run.call([400n]);
    await rig.run(bob, { type: 'claim', ...claimOn(rig.place, [400n], { total: 50_400n }) });
    await until('it is found', () => caseOf(run)?.state === 'open');
    const { lanes } = await reportOf(rig, run, true);
    expect(lanes[0]).toMatchObject({
      ...{ receipts: 1, charged: '400', paid: '50400', claimedTotal: '50400' },
      ...{ evidence: 'two-charges', proven: '400', state: 'open' },
      // A tenth of 100,000 is lost; 50,000 go back; half of the penalty is for whoever brings it.
      brings: { refund: '50000', stake: '60000', reward: '5000', beyond: '50000' },
    });
    expect(lanes[0]?.why).toBeUndefined();
    expect(await challenges(rig)).toBe(0);
    const before = balance(rig);
    await run.stop();
    const again = await rig.start();
    await until('it is challenged', () => caseOf(again)?.state === 'won');
    expect(balance(rig) - before).toBe(55_000n);
    expect(caseOf(again)).toMatchObject({ taken: 60_000n, returned: 50_000n });
  });
});

/** A ledger that takes nothing in. */
function deaf(ledger: Ledger): Ledger {
  const submit: Ledger['submit'] = (_message, { signal } = {}) =>
    new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));
  return Object.assign(Object.create(ledger), { submit });
}

it('PAY-63: tells of a case as it changes, whoever listens from when on', async () => {
  const rig = await rigOf();
  const run = await rig.start();
  await run.call([400n]);
  const listening = new AbortController();
  const told: (string | undefined)[] = [];
  const over = (async () => {
    for await (const row of followDisputes(run.disputes.watch, listening.signal)) {
      told.push(row.state);
      if (row.state === 'won') break;
    }
  })();
  await rig.run(bob, { type: 'claim', ...claimOn(rig.place, [400n], { total: 5_000n }) });
  await over;
  expect(told.at(-1)).toBe('won');
  for await (const row of followDisputes(run.disputes.watch, listening.signal)) {
    expect(row).toMatchObject({ state: 'won', returned: '4600' });
    break;
  }
  const quiet = followDisputes({ disputes: () => [], onDispute: () => () => {} }, listening.signal).next();
  listening.abort();
  expect((await quiet).done).toBe(true);
});

describe('a payer that is killed', () => {
  /** A disk that stands still after so many writes, as the disk of a process that is no more. */
  const dying =
    (writes: number, dead: () => void) =>
    (store: Store): Store => {
      let left = writes;
      const batch: Store['batch'] = (operations, options) => {
        if (left-- > 0) return store.batch(operations, options);
        dead();
        return new Promise<never>(() => {});
      };
      return Object.assign(Object.create(store), { batch });
    };

  it('PAY-63: sends one challenge and loses none, wherever it was killed', async () => {
    let reached = 0;
    for (let writes = 0; writes < 12; writes++) {
      const rig = await rigOf();
      const first = await rig.start();
      await first.call([400n]);
      await first.stop();
      await rig.run(bob, { type: 'claim', ...claimOn(rig.place, [400n], { total: 5_000n }) });
      const over = Promise.withResolvers<void>();
      const killed = await rig.start({ store: dying(writes, over.resolve) });
      const done = until('it is challenged', () => caseOf(killed)?.state === 'won').catch(() => {});
      await Promise.race([over.promise, done]);
      if (caseOf(killed)?.state !== 'won') reached++;
      const second = await rig.start();
      await until('it is known', () => caseOf(second)?.state === 'won');
      expect(caseOf(second)?.returned).toBe(4_600n);
      expect(frozen(rig)).toEqual({ total: 400n, returned: 4_600n });
      expect(await challenges(rig)).toBe(1);
      const { length } = (await rig.ledger.transactions({ limit: 256 })).filter(
        ({ sender }) => sender && equalBytes(sender, alice.publicKey),
      );
      // It opened the channel, and brought the challenge.
      expect(length).toBe(2);
    }
    expect(reached).toBeGreaterThan(3);
  });
});

describe('honest parties', () => {
  it('PAY-63: never challenge each other, whatever is claimed when, late or again', async () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('call' as const), amount: fc.bigInt(0n, 5_000n) }),
      fc.record({ do: fc.constant('claim' as const), back: fc.nat(3) }),
      fc.record({ do: fc.constant('ahead' as const), amount: fc.bigInt(1n, 5_000n) }),
      fc.record({ do: fc.constant('restart' as const) }),
      fc.record({ do: fc.constant('look' as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 14 }), async (steps) => {
        const rig = await createDisputeRig();
        let run = await rig.start();
        const amounts: bigint[] = [];
        for (const one of steps) {
          if (one.do === 'call') {
            amounts.push(one.amount);
            await run.call(amounts);
          } else if (one.do === 'ahead') {
            // Claimed before the payer has the receipt.
            amounts.push(one.amount);
            await rig.run(bob, { type: 'claim', ...claimOn(rig.place, amounts) });
            await run.call(amounts);
          } else if (one.do === 'claim' && amounts.length > 0) {
            const upTo = amounts.slice(0, Math.max(1, amounts.length - one.back));
            // An older one after a newer one is refused or pays nothing: both happen.
            await rig.run(bob, { type: 'claim', ...claimOn(rig.place, upTo) }).catch(() => {});
          } else if (one.do === 'restart') {
            await run.stop();
            run = await rig.start();
          } else await run.disputes.watch.look();
        }
        await run.disputes.watch.look();
        expect(run.disputes.watch.disputes()).toEqual([]);
        expect(await challenges(rig)).toBe(0);
        await rig.stop();
      }),
      { numRuns: 60 },
    );
  });

  it('PAY-62: a charge that the payee did not sign says nothing against it', async () => {
    const rig = await rigOf();
    const run = await rig.start();
    await run.call([400n]);
    const forged = chargeOf(rig.place, countedFor(rig.place, [400n]), { total: 9_000n, by: carol });
    await run.disputes.watch.take({ channel: rig.place.channel, charge: forged });
    expect(run.disputes.watch.disputes()).toEqual([]);
  });
});
