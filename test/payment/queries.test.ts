import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { systemClock as clock } from '../../src/base/clock.ts';
import { openReplayStore } from '../../src/base/replay.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { openFileTail } from '../../src/base/tail.ts';
import { LANES_MAX } from '../../src/ledger/limits.ts';
import { answerPaymentQuery } from '../../src/payment/payment-service.ts';
import { type PaymentQuery, paymentAnswer, paymentQuery } from '../../src/protocol/payment-query.ts';
import { createVerifier, signed, signOne } from '../../src/protocol/signing.ts';
import { nativeSuite as suite } from '../../src/protocol/suite-native.ts';
import { AGENT_ASSET, CHANNEL, createRig, keys, NETWORK, QUESTION, type Rig } from '../calls/rig.ts';
import { failingAt } from './failing-store.ts';

describe('questions about payments', () => {
  it('PAY-13 PAY-20: a call that was charged a moment ago is never unknown, and is not taken again', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sahara-queries-'));
    const payeeTail = openFileTail(join(folder, 'tail'));
    const rig = await createRig({ payeeTail });
    for (let round = 0; round < 5; round++) {
      const call = rig.caller.ask({ target: rig.target, question: QUESTION, priceMax: 1_000n });
      const { callId, receipt, evidence } = await call.result;
      const again = rig.payee.admit({
        callId,
        payer: keys.payer.publicKey,
        voucher: evidence.opening.voucher ?? expect.fail('a paid call'),
        requestHash: receipt.requestHash,
        agentAsset: AGENT_ASSET,
        amountMax: 1n,
        holdMs: 1_000,
      });
      await expect(again).rejects.toMatchObject({ code: 'call-conflict' });
      const found = await rig.payee.endingOf(callId);
      expect(found).toMatchObject({ sequence: round, receipt: evidence.ending.receipt });
    }
    payeeTail.close();
    rmSync(folder, { recursive: true });
  });

  it('PAY-65: a lane for which the channel has no place is neither paid on nor served', async () => {
    const rig = await createRig();
    const asked = (): ReturnType<Rig['caller']['ask']>['result'] =>
      rig.caller.ask({ target: rig.target, question: QUESTION, priceMax: 1_000n }).result;
    const { receipt, evidence } = await asked();
    const admitted = (): ReturnType<Rig['payee']['admit']> =>
      rig.payee.admit({
        callId: crypto.getRandomValues(new Uint8Array(16)),
        payer: keys.payer.publicKey,
        voucher: evidence.opening.voucher ?? expect.fail('a paid call'),
        requestHash: receipt.requestHash,
        agentAsset: AGENT_ASSET,
        amountMax: 1n,
        holdMs: 1_000,
      });
    const taken = Array.from({ length: LANES_MAX }, (_, i) => ({ lane: i + 1, paid: 1n }));
    const { id } = rig.channels.all[0] ?? expect.fail('a channel');
    rig.channels.change(id, { lanes: taken });
    await expect(asked()).rejects.toMatchObject({ code: 'funds-insufficient' });
    await expect(admitted()).rejects.toMatchObject({
      code: 'channel-closing',
      facts: { reason: 'no room for another lane', limit: LANES_MAX },
    });
    rig.channels.change(id, { lanes: [...taken.slice(1), { lane: 0, paid: 1n }] });
    (await admitted()).release();
    rig.channels.change(id, { lanes: taken.slice(1) });
    (await admitted()).release();
  });

  it('PAY-22 PAY-23: are answered to the payer only, each fault by its code and the first of two first', async () => {
    const rig = await createRig();
    const { amount, callId } = await rig.caller.ask({
      target: rig.target,
      question: QUESTION,
      priceMax: 1_000n,
    }).result;
    const replay = await openReplayStore({ clock, store: createMemoryStore() });
    const service = { book: rig.payee, verifier: createVerifier(suite), clock, replay, network: NETWORK };
    const query = (change: Partial<PaymentQuery> = {}, signer = keys.payer): Uint8Array => {
      const body = {
        network: NETWORK,
        payer: signer.publicKey,
        payee: keys.operator.publicKey,
        id: crypto.getRandomValues(new Uint8Array(16)),
        issuedAtMs: clock.nowMs(),
        ask: { type: 'ending' as const, callId },
        ...change,
      };
      return signed.encode(
        signOne(suite, signer, NETWORK, { type: 'payment-query', payload: paymentQuery.encode(body) }),
      );
    };
    const unsigned = (change: Partial<PaymentQuery>): Uint8Array =>
      signed.encode({ ...signed.decode(query(change)), signature: new Uint8Array(0) });
    const elsewhere = { network: 'other', payee: keys.agent.publicKey };
    const cases: readonly (readonly [string, Uint8Array])[] = [
      ['too-large', new Uint8Array(5_000)],
      ['malformed', Uint8Array.of(1)],
      ['network-mismatch', query(elsewhere)],
      ['wrong-recipient', query({ payee: keys.agent.publicKey, issuedAtMs: 0 })],
      ['expired', unsigned({ issuedAtMs: clock.nowMs() - 60_000 })],
      ['not-yet-valid', unsigned({ issuedAtMs: clock.nowMs() + 60_000 })],
      ['signature-missing', unsigned({})],
      ['signature-invalid', query({ payer: keys.stranger.publicKey })],
      [
        'channel-unknown',
        query({ ask: { type: 'state', channel: CHANNEL, lane: 0, fromSequence: 0 } }, keys.stranger),
      ],
    ];
    for (const [code, body] of cases) {
      await expect(answerPaymentQuery(service, body), code).rejects.toMatchObject({ code });
    }
    const good = query();
    const answer = paymentAnswer.decode(await answerPaymentQuery(service, good));
    expect(answer).toMatchObject({ type: 'ending', state: 'ended' });
    await expect(answerPaymentQuery(service, good)).rejects.toMatchObject({ code: 'replayed' });
    const stranger = paymentAnswer.decode(await answerPaymentQuery(service, query({}, keys.stranger)));
    expect(stranger).toEqual({ type: 'ending', state: 'unknown', ending: undefined });
    expect(amount).toBeGreaterThan(0n);
    // PAY-23: whoever never paid here takes no place among what is remembered.
    expect(replay.size).toBe(1);
    const free = { type: 'state' as const, channel: keys.stranger.publicKey, lane: 0, fromSequence: 0 };
    await answerPaymentQuery(service, query({ ask: free }, keys.stranger));
    expect(replay.size).toBe(1);
  });

  it('PAY-33: marks are on disk before the first voucher, and none leaves when they cannot be', async () => {
    let sent = 0;
    const rig = await createRig({
      payerStore: failingAt(1),
      pair: {
        tap: (frame) => {
          sent++;
          return frame;
        },
      },
    });
    const call = rig.caller.ask({ target: rig.target, question: QUESTION, priceMax: 1_000n });
    await expect(call.result).rejects.toMatchObject({ code: 'disk-full' });
    expect(sent).toBe(0);
  });
});
