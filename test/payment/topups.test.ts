import { describe, expect, it } from 'vitest';
import { systemClock as clock } from '../../src/base/clock.ts';
import { createMemoryStore, type Store } from '../../src/base/store.ts';
import { PayerBook } from '../../src/payment/payer-book.ts';
import { voucher as voucherSchema } from '../../src/protocol/payment.ts';
import type { PaymentAnswer } from '../../src/protocol/payment-query.ts';
import { paymentAnswer } from '../../src/protocol/payment-query.ts';
import { createVerifier, type Signed } from '../../src/protocol/signing.ts';
import { nativeSuite as suite } from '../../src/protocol/suite-native.ts';
import { CHANNEL, Channels, createRig, keys, NETWORK, openChannel, QUESTION, tick } from '../calls/rig.ts';

const callId = (fill: number): Uint8Array => new Uint8Array(16).fill(fill);

const payee = keys.operator.publicKey;

const ceilingOf = (signed: Signed | undefined): bigint =>
  signed === undefined ? -1n : voucherSchema.decode(signed.payload).ceiling;

/** A payer's book whose payee says of every call what `state` is. */
async function openBook(
  options: {
    readonly deposit?: bigint;
    readonly store?: Store;
    readonly state?: () => 'unknown' | 'running';
  } = {},
): Promise<PayerBook> {
  const answer = (ask: PaymentAnswer): Promise<Uint8Array> => Promise.resolve(paymentAnswer.encode(ask));
  let asked = 0;
  return PayerBook.open({
    suite,
    verifier: createVerifier(suite),
    clock,
    store: options.store ?? createMemoryStore(),
    channels: new Channels(openChannel(options.deposit ?? 1_000n)),
    network: NETWORK,
    operator: tick(keys.payer),
    peer: {
      // The first question is for the channel's state, the later ones for calls.
      ask: () =>
        asked++ === 0
          ? answer({ type: 'state', serves: 0, voucher: undefined, charge: undefined, endings: [] })
          : answer({ type: 'ending', state: options.state?.() ?? 'unknown', ending: undefined }),
    },
  });
}

describe('a call that is paid for piece by piece', () => {
  it('PAY-34 PAY-35: holds what its vouchers cover, and each covers all that is held', async () => {
    const book = await openBook();
    const first = await book.reserve({ callId: callId(1), payee, amountMax: 100n, limit: 600n });
    expect(ceilingOf(first.voucher)).toBe(100n);
    const [topUp, second] = await Promise.all([
      first.raise(250n),
      book.reserve({ callId: callId(2), payee, amountMax: 50n }),
    ]);
    expect([ceilingOf(topUp), ceilingOf(second.voucher)]).toEqual([300n, 300n]);
    expect(topUp).toBe(second.voucher);
    expect(book.balances()[0]).toMatchObject({ reserved: 300n, ceiling: 300n });
    expect(ceilingOf(await first.raise(250n))).toBe(300n);
    await expect(first.raise(951n)).rejects.toMatchObject({ code: 'funds-insufficient' });
    expect(book.balances()[0]).toMatchObject({ reserved: 300n, ceiling: 300n });
    expect(ceilingOf(await first.raise(950n))).toBe(1_000n);
    first.release();
    await expect(first.raise(960n)).rejects.toMatchObject({ code: 'call-unknown' });
    expect(book.balances()[0]).toMatchObject({ reserved: 50n });
  });

  it('PAY-34: marks are on disk before the first voucher, so a top-up waits for no write', async () => {
    const kept = createMemoryStore();
    let writes = 0;
    const store: Store = {
      ...kept,
      batch: (operations, options) => {
        if (options?.sync) writes++;
        return kept.batch(operations, options);
      },
    };
    const book = await openBook({ store, deposit: 10n ** 9n });
    const call = await book.reserve({ callId: callId(1), payee, amountMax: 10n, limit: 10_000n });
    const before = writes;
    for (let cover = 20n; cover <= 1_000n; cover += 10n) await call.raise(cover);
    expect(before).toBeGreaterThan(0);
    expect(writes).toBe(before);
    expect(book.balances()[0]?.ceiling).toBe(1_000n);
  });

  it('PAY-37: is taken up again after a restart as long as the payee says that it runs', async () => {
    const store = createMemoryStore();
    const before = await openBook({ store });
    const begun = await before.reserve({ callId: callId(1), payee, amountMax: 100n, limit: 600n });
    await begun.raise(300n);
    await before.flush();

    const request = { callId: callId(1), payee, amountMax: 100n, limit: 600n, channel: CHANNEL };
    const after = await openBook({ store, state: () => 'running' });
    const recalled = await after.recall(request);
    expect(ceilingOf(recalled?.voucher)).toBeGreaterThanOrEqual(300n);
    expect(after.balances()[0]).toMatchObject({ reserved: 300n });
    await expect(after.recall(request)).rejects.toMatchObject({ code: 'call-conflict' });
    expect(ceilingOf(await recalled?.raise(400n))).toBe(400n);

    const later = await openBook({ store, state: () => 'unknown' });
    expect(await later.recall(request)).toBeUndefined();
    expect(later.balances()[0]).toMatchObject({ reserved: 0n });
  });

  it('PAY-37: is taken up by another peer of the same payer, or not at all when nothing was charged', async () => {
    const request = { callId: callId(7), payee, amountMax: 120n, limit: 600n, channel: CHANNEL };
    const runs = await openBook({ state: () => 'running' });
    expect(ceilingOf((await runs.recall(request))?.voucher)).toBe(120n);
    expect(runs.balances()[0]).toMatchObject({ reserved: 120n });
    const never = await openBook({ state: () => 'unknown' });
    expect(await never.recall(request)).toBeUndefined();
    expect(never.balances()[0]).toMatchObject({ reserved: 0n });
    const other = { ...request, payee: keys.stranger.publicKey };
    await expect(never.recall(other)).rejects.toMatchObject({ code: 'channel-unknown' });
  });

  it('PAY-36 PAY-38: what was settled counts for the payee, and can be settled again only as it was', async () => {
    const rig = await createRig();
    expect(rig.payer.standing(payee)).toEqual({ receipts: 0, paid: 0n });
    const asked = rig.caller.ask({ target: rig.target, question: QUESTION, priceMax: 1_000n });
    const { amount, callId: id, evidence } = await asked.result;
    expect(rig.payer.standing(payee)).toEqual({ receipts: 1, paid: amount });
    expect(rig.payer.standing(keys.stranger.publicKey).receipts).toBe(0);
    const again = await rig.payer.recall({ callId: id, payee, amountMax: 1n, channel: CHANNEL });
    expect(again?.voucher).toBeUndefined();
    const { receipt, charge } = evidence.ending;
    if (charge === undefined || again === undefined) return expect.unreachable();
    await again.settle({ receipt, charge });
    await expect(again.settle({ receipt: charge, charge })).rejects.toMatchObject({
      code: 'receipt-invalid',
    });
    expect(await again.outcome()).toMatchObject({ state: 'ended' });

    const small = await rig.payer.reserve({ callId: callId(3), payee, amountMax: 5n });
    await expect(small.settle({ receipt, charge })).rejects.toMatchObject({ code: 'receipt-invalid' });
    const least = await openBook({ deposit: 10_000n });
    const bounded = await least.reserve({ callId: id, payee, amountMax: amount - 1n });
    await expect(bounded.settle({ receipt, charge })).rejects.toMatchObject({
      facts: { reason: 'above what the call may cost' },
    });
  });
});
