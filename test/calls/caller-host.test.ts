import { describe, expect, it } from 'vitest';
import type { AnswerPart } from '../../src/agent/ports.ts';
import { CALL_FRAME } from '../../src/protocol/call.ts';
import { AGENT_ASSET, createRig, QUESTION, type RigOptions } from './rig.ts';

const WORDS = 300;

/** Says word by word what a reader can check: each number once, in order. */
const counting: RigOptions['answerer'] = {
  answer: () => ({
    parts: (async function* (): AsyncGenerator<AnswerPart> {
      for (let n = 0; n < WORDS; n++) yield { type: 'delta', text: `${n} `, citations: [] };
      yield { type: 'end', finish: 'done' };
    })(),
    shares: () => ({ rule: 'test/1', shares: [{ asset: AGENT_ASSET, role: 'agent', ppm: 1_000_000 }] }),
  }),
};

const answer = Array.from({ length: WORDS }, (_, n) => `${n} `).join('');

const card = { limits: { questionBytes: 4_096, outputUnits: 1_000, deadlineMs: 60_000, concurrency: 4 } };

describe('a caller and a host', () => {
  it('CALL-69 CALL-72 CALL-76: an answer paid in small steps and cut at any frame comes whole and costs what it is worth', async () => {
    for (const cutEvery of [0, 1, 7, 31]) {
      let frames = 0;
      let cuts = 0;
      let topUps = 0;
      const rig = await createRig({
        card,
        answerer: counting,
        peerId: 'peer-caller',
        callerOptions: { stepAmount: 0n, stepUnits: 32 },
        pair: {
          tap: (frame, from) => {
            if (frame.kind === CALL_FRAME.voucher) topUps++;
            // Every stream carries a few frames more than the one before.
            if (cutEvery === 0 || from === 'caller' || cuts >= (cutEvery === 1 ? 5 : 12)) return frame;
            if (++frames % cutEvery !== 0 || frames < 3) return frame;
            cuts++;
            return 'cut';
          },
        },
      });
      const handle = rig.caller.ask({ target: rig.target, question: QUESTION, priceMax: 10_000n });
      let text = '';
      for await (const event of handle.events()) if (event.type === 'text') text += event.text;
      const result = await handle.result;
      expect([text, result.text]).toEqual([answer, answer]);
      expect(result.amount).toBe(110n + 2n * BigInt(WORDS));
      expect(rig.payer.balances()[0]).toMatchObject({ charged: result.amount, reserved: 0n, receipts: 1 });
      expect(topUps).toBeGreaterThan(0);
      if (cutEvery > 0) expect(cuts).toBeGreaterThan(3);
      else expect(result.evidence.checkpoints.length).toBeGreaterThan(5);
    }
  });
});
