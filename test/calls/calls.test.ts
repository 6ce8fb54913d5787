import { describe, expect, it } from 'vitest';
import { callEnding, callOpening } from '../../src/protocol/call.ts';
import { createRig, PASSAGE, QUESTION, quotingAnswerer } from './rig.ts';

describe('a call', () => {
  it('CALL-1 CALL-20: is asked, answered with citations, paid and settled in one round trip', async () => {
    const sent: string[] = [];
    const rig = await createRig({
      pair: {
        tap: (frame, from) => {
          sent.push(`${from} ${frame.kind}`);
          return frame;
        },
      },
    });
    const handle = rig.caller.ask({ target: rig.target, question: QUESTION, priceMax: 1_000n });
    const seen: string[] = [];
    for await (const event of handle.events()) seen.push(event.type);
    const result = await handle.result;
    expect(sent).toEqual(['caller 1', 'host 3', 'host 2', 'host 2', 'host 2', 'host 4']);
    expect(seen).toEqual(['source', 'text', 'citation', 'text', 'citation', 'text', 'citation', 'ending']);
    expect(result.text).toBe(PASSAGE);
    expect(result.finish).toBe('done');
    expect(result.amount).toBe(100n + 10n + 2n * 19n);
    expect(rig.payer.balances()[0]).toMatchObject({ charged: result.amount, reserved: 0n, receipts: 1 });
    expect(handle.state).toBe('settled');
    const kept = await rig.records.caller.find('caller', handle.callId);
    expect(kept?.amount).toBe(result.amount);
    expect(callOpening.decode(kept?.opening as Uint8Array).voucher).toBeDefined();
    expect(callEnding.decode(kept?.ending as Uint8Array).charge).toBeDefined();
  });

  it('many in a row and 64 at a time on one channel, in any order', async () => {
    const rig = await createRig({
      answerer: quotingAnswerer({
        before: () => new Promise((resolve) => setTimeout(resolve, Math.random() * 5)),
      }),
    });
    const results = await Promise.all(
      Array.from(
        { length: 64 },
        () => rig.caller.ask({ target: rig.target, question: QUESTION, priceMax: 1_000n }).result,
      ),
    );
    const total = results.reduce((sum, { amount }) => sum + amount, 0n);
    expect(rig.payer.balances()[0]).toMatchObject({
      charged: total,
      reserved: 0n,
      receipts: 64,
      disputed: false,
    });
    const sequences = new Set(results.map(({ receipt }) => receipt.sequence));
    expect(sequences.size).toBe(64);
  });
});
