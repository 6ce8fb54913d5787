import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemClock as clock } from '../../src/base/clock.ts';
import { asSaharaError } from '../../src/base/errors.ts';
import { silentLog as log } from '../../src/base/log.ts';
import { systemDice as dice } from '../../src/base/random.ts';
import { openReplayStore } from '../../src/base/replay.ts';
import { createMemoryStore, type Store } from '../../src/base/store.ts';
import { createClaimer } from '../../src/payment/claimer.ts';
import { unpaid } from '../../src/payment/claims.ts';
import { PAYER_LANES_MAX } from '../../src/payment/limits.ts';
import { createPayeeBook, type PayeeBook } from '../../src/payment/payee-book.ts';
import { openPayeeRun } from '../../src/payment/payee-run.ts';
import { PayerBook } from '../../src/payment/payer-book.ts';
import { answerPaymentQuery } from '../../src/payment/payment-service.ts';
import type { Claim } from '../../src/payment/ports.ts';
import { charge as chargeSchema, voucher as voucherSchema } from '../../src/protocol/payment.ts';
import { createVerifier, type Signed } from '../../src/protocol/signing.ts';
import { nativeSuite as suite } from '../../src/protocol/suite-native.ts';
import {
  AGENT_ASSET,
  CHANNEL,
  Channels,
  createRig,
  hash,
  keys,
  NETWORK,
  openChannel,
  QUESTION,
  type Rig,
  tick,
} from '../calls/rig.ts';
import { failingAt } from './failing-store.ts';

const ask = (rig: Rig): ReturnType<Rig['caller']['ask']>['result'] =>
  rig.caller.ask({ target: rig.target, question: QUESTION, priceMax: 1_000n }).result;

const laneOf = (voucher: Signed | undefined): number =>
  voucherSchema.decode(voucher?.payload ?? expect.fail('a voucher')).lane;

const payeeOver = (channels: Channels, lane: number, store: Store = createMemoryStore()): PayeeBook =>
  createPayeeBook({
    suite,
    verifier: createVerifier(suite),
    clock,
    store,
    channels,
    network: NETWORK,
    operator: tick(keys.operator),
    lane,
  });

describe('runs of a payee', () => {
  it('PAY-50: keep their lane after a clean end or a mere kill, and draw another after whatever may have lost a charge', async () => {
    const ends = fc.array(fc.constantFrom('clean', 'kill', 'power', 'lost disk', 'no boot'), {
      maxLength: 12,
    });
    await fc.assert(
      fc.asyncProperty(ends, async (how) => {
        let store = createMemoryStore();
        let boot: string | undefined = '0';
        let boots = 0;
        const left = new Set<number>();
        let run = await openPayeeRun({ store, dice, boot });
        for (const end of how) {
          const { lane } = run;
          if (end === 'clean') await run.end();
          if (end === 'power' || end === 'lost disk') boot = String(++boots);
          if (end === 'lost disk') store = createMemoryStore();
          if (end === 'no boot') boot = undefined;
          run = await openPayeeRun({ store, dice, boot });
          const kept = end === 'clean' || (end === 'kill' && boot !== undefined);
          expect(run.lane === lane).toBe(kept);
          if (!kept) left.add(lane);
          expect(left.has(run.lane)).toBe(false);
          expect(run.lane).toBeGreaterThan(0);
        }
      }),
    );
  });

  it('PAY-50: begin only when the lane is forced to disk', async () => {
    await expect(openPayeeRun({ store: failingAt(1), dice, boot: '1' })).rejects.toMatchObject({
      code: 'disk-full',
    });
    const forced: (boolean | undefined)[] = [];
    const store = createMemoryStore();
    const watched: Store = {
      ...store,
      async batch(operations, options) {
        forced.push(options?.sync);
        await store.batch(operations, options);
      },
    };
    const run = await openPayeeRun({ store: watched, dice, boot: '1' });
    await run.end();
    expect(forced).toEqual([true, true]);
  });
});

describe('lanes that change', () => {
  it('PAY-50 PAY-51 PAY-53: calls go on at the next lane, what was charged on the one before is claimed, and both are proven', async () => {
    const stores = { payeeStore: createMemoryStore(), payerStore: createMemoryStore() };
    const channels = new Channels(openChannel());
    const before = await createRig({ ...stores, channels, payeeLane: 5 });
    const first = await ask(before);
    expect(laneOf(first.evidence.opening.voucher)).toBe(5);
    await before.payee.flush();
    await before.payer.flush();
    const after = await createRig({ ...stores, channels, payeeLane: 9 });
    const second = await ask(after);
    expect(laneOf(second.evidence.opening.voucher)).toBe(9);
    expect(second.receipt).toMatchObject({ lane: 9, sequence: 0 });
    const due: { readonly lane: number; readonly amount: bigint }[] = [];
    for await (const found of unpaid(after.payee, channels)) {
      if ('amount' in found) due.push({ lane: found.lane.lane, amount: found.amount });
    }
    expect(due).toEqual([
      { lane: 5, amount: first.amount },
      { lane: 9, amount: second.amount },
    ]);
    expect(after.payer.balances()).toMatchObject([{ charged: first.amount + second.amount, receipts: 2 }]);
    for (const lane of [5, 9]) expect((await after.payer.evidence(CHANNEL, lane)).leaves).toHaveLength(1);
    const served = await after.payee.lanes.of(CHANNEL, 9, keys.payer.publicKey);
    const info = channels.channel(CHANNEL) ?? expect.fail('the channel');
    expect(served.availableIn(info)).toBe(info.deposit - first.amount);
    const paid = first.amount + 7n;
    channels.change(CHANNEL, { claimed: paid, lanes: [{ lane: 5, paid }] });
    expect(served.availableIn(channels.channel(CHANNEL) ?? info)).toBe(info.deposit - paid);
  });

  it('PAY-51 PAY-52: a payer follows to the next lane, never promises more than the deposit on all, and stops at the limit', async () => {
    const channels = new Channels(openChannel(10_000n));
    let payee = payeeOver(channels, 1);
    const replay = await openReplayStore({ clock, store: createMemoryStore() });
    const verifier = createVerifier(suite);
    const payer = await PayerBook.open({
      suite,
      verifier,
      clock,
      store: createMemoryStore(),
      channels,
      network: NETWORK,
      operator: tick(keys.payer),
      peer: {
        ask: (_payee, body) =>
          answerPaymentQuery({ book: payee, verifier, clock, replay, network: NETWORK }, body),
      },
    });
    const promised = new Map<number, bigint>();
    let calls = 0;
    const call = async (): Promise<number> => {
      const callId = new Uint8Array(16).fill(++calls);
      const amountMax = 100n;
      const lease = await payer.reserve({ callId, payee: keys.operator.publicKey, amountMax });
      const terms = voucherSchema.decode(lease.voucher?.payload ?? expect.fail('a voucher'));
      promised.set(terms.lane, terms.ceiling);
      const admission = {
        callId,
        payer: keys.payer.publicKey,
        requestHash: hash(1),
        agentAsset: AGENT_ASSET,
      };
      try {
        const voucher = lease.voucher ?? expect.fail('a voucher');
        const hold = await payee.admit({ ...admission, voucher, amountMax, holdMs: 1_000 });
        hold.release();
        lease.release();
      } catch (error) {
        lease.release(asSaharaError(error));
        throw error;
      }
      return terms.lane;
    };
    for (let lane = 1; lane <= PAYER_LANES_MAX; lane++) {
      payee = payeeOver(channels, lane);
      if (lane > 1) await expect(call()).rejects.toMatchObject({ code: 'voucher-stale' });
      expect(await call()).toBe(lane);
      expect(await call()).toBe(lane);
      const sum = [...promised.values()].reduce((all, ceiling) => all + ceiling, 0n);
      expect(sum).toBeLessThanOrEqual(10_000n);
    }
    payee = payeeOver(channels, PAYER_LANES_MAX + 1);
    await expect(call()).rejects.toMatchObject({ code: 'voucher-stale' });
    await expect(call()).rejects.toMatchObject({ code: 'channel-closing' });
  });

  it('PAY-54: an announced withdrawal counts as gone on both sides, and what was charged is claimed at once', async () => {
    const rig = await createRig({ channels: new Channels(openChannel(10_000n)) });
    const { amount } = await ask(rig);
    rig.channels.change(CHANNEL, { leaving: 10_000n - amount });
    await expect(ask(rig)).rejects.toMatchObject({ code: 'funds-insufficient' });
    const lane = await rig.payee.lanes.of(CHANNEL, 0, keys.payer.publicKey);
    const info = rig.channels.channel(CHANNEL) ?? expect.fail('the channel');
    expect(lane.availableIn(info)).toBe(amount);
    const sent: Claim[] = [];
    const ledger = {
      submitClaims: () => Promise.reject(new Error('one is due')),
      submitClaim: async (claim: Claim) => {
        sent.push(claim);
        return hash(1);
      },
      outcome: async () => 0,
    };
    const claimer = createClaimer({ book: rig.payee, channels: rig.channels, ledger, clock, log });
    expect(await claimer.round()).toMatchObject({ claimed: 1 });
    expect(sent.map(({ charge }) => chargeSchema.decode(charge.payload).total)).toEqual([amount]);
  });
});
