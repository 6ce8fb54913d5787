import type { Receipt } from '../../src/protocol/payment.ts';

/** A receipt of a call that took 50 ms and cost nothing, with changes. */
export function receiptOf(changes: Partial<Receipt> & Pick<Receipt, 'agent' | 'payer' | 'network'>): Receipt {
  const finishedAtMs = changes.finishedAtMs ?? Date.now();
  const nothing = new Uint8Array(32);
  return {
    version: 1,
    callId: new Uint8Array(16),
    payee: nothing,
    channel: undefined,
    lane: 0,
    sequence: 0,
    requestHash: nothing,
    responseHash: nothing,
    deliveries: 1,
    cardHash: nothing,
    manifestHash: nothing,
    modelDigest: nothing,
    skill: undefined,
    seed: undefined,
    finish: 'done',
    inputUnits: 1,
    outputUnits: 1,
    price: { perCall: 0n, perInputUnit: 0n, perOutputUnit: 0n },
    expenses: 0n,
    amount: 0n,
    shares: [],
    attributionRule: 'test',
    startedAtMs: finishedAtMs - 50,
    finishedAtMs,
    ...changes,
  };
}
