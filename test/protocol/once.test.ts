import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bundle } from '../../src/protocol/bundle.ts';
import { callChild } from '../../src/protocol/checkpoint.ts';
import { explainReceipt } from '../../src/protocol/explain.ts';
import { paymentFault } from '../../src/protocol/once.ts';
import { receipt } from '../../src/protocol/payment.ts';
import type { Transaction } from '../../src/protocol/transaction.ts';
import { verifyBundle } from '../../src/protocol/verify-bundle.ts';
import { checkDue } from '../../src/protocol/verify-receipt.ts';
import { ONCE_PRICE, onceStory, tellOnce } from './once-sample.ts';
import * as sample from './sample.ts';

const sound = tellOnce(onceStory());

describe('the payment of one call', () => {
  const { payment, story } = onceStory();
  const sent: Transaction = {
    ...{ version: 1, network: sample.network, sender: sample.payer.publicKey, nonce: 2, feeMax: 0n },
    action: payment,
  };
  const call = { callId: sample.filled(9, 16), payer: sample.payer.publicKey, card: story.card };

  it('is that of no other payer, payee, asset, amount or call (PAY-75)', () => {
    expect(paymentFault(sample.suite, sent, call)).toBeUndefined();
    const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
    const grains = fc.bigInt({ min: 0n, max: 10n ** 18n });
    const id = fc.uint8Array({ minLength: 16, maxLength: 16 });
    const changes = fc.record(
      { payee: key, asset: fc.option(key, { nil: undefined }), amount: grains, reference: id },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(changes, fc.option(key, { nil: undefined }), (change, sender) => {
        const action = { ...payment, ...change } as typeof payment;
        const made = { ...sent, action, ...(sender && { sender }) };
        const same = JSON.stringify(plain(action)) === JSON.stringify(plain(payment)) && sender === undefined;
        expect(paymentFault(sample.suite, made, call) === undefined).toBe(same);
      }),
    );
  });
});

function plain(value: object): object {
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, String(one)]));
}

describe('evidence of a call that one transaction paid', () => {
  it('names the transaction, and any byte of it that is changed is found (RCPT-31, RCPT-73)', () => {
    const file = bundle.encode(sound).slice();
    const { ok, steps, summary } = verifyBundle(sample.suite, file);
    expect(ok).toBe(true);
    expect(steps.map(({ check }) => check).slice(-4)).toEqual(['payment', 'block', 'inclusion', 'paid']);
    expect(summary?.settlement).toMatchObject({ by: 'payment', height: 6, chargeTotal: ONCE_PRICE });
    fc.assert(
      fc.property(fc.nat(file.length - 1), fc.integer({ min: 1, max: 255 }), (at, by) => {
        const changed = file.slice();
        changed[at] = (changed[at] ?? 0) ^ by;
        expect(verifyBundle(sample.suite, changed).ok).toBe(false);
      }),
      { numRuns: 60 },
    );
  });

  it('is explained by what was paid (RCPT-8)', () => {
    const words = explainReceipt(receipt.decode(sound.ending.receipt.payload)).join('\n');
    expect(words).toContain('0.0001 SAHARA for the call, paid before it by one transaction');
    expect(words).toContain('(100 %) to asset');
  });

  it('is of no call below another one (RCPT-74)', () => {
    const final = receipt.decode(sound.ending.receipt.payload);
    expect(() => checkDue(final)).toThrow('bundle-invalid');
    // Nor does its record stand among what an agent delivers.
    const child = { envelope: sound.opening.envelope, receipt: sound.ending.receipt, charge: undefined };
    const made = onceStory();
    made.story.deliveries = [...made.story.deliveries, { kind: 12, body: callChild.encode(child) }];
    const verdict = verifyBundle(sample.suite, bundle.encode(tellOnce(made)));
    expect(verdict.steps.at(-1)).toMatchObject({ ok: false, check: 'calls' });
  });
});
