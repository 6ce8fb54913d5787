import { describe, expect, it } from 'vitest';
import type { Answerer, AnswerPart } from '../../src/agent/ports.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { CALL_FRAME } from '../../src/protocol/call.ts';
import { callChild } from '../../src/protocol/checkpoint.ts';
import type { Envelope } from '../../src/protocol/envelope.ts';
import { callIdOf, createHostRig, LEAST, openingOf, Purse, resumeOf, snapshot, WORD } from './host-rig.ts';
import { AGENT_ASSET } from './rig.ts';

const message = { payload: Uint8Array.of(1), signature: new Uint8Array(64), sides: 0, siblings: [] };
const body = callChild.encode({ envelope: message, receipt: message, charge: undefined });

/** Delivers a call below that cost 200 and then waits; `said`: what it says before that. */
function asked(said: readonly AnswerPart[]): Answerer {
  return {
    answer: (_job, { signal }) => ({
      parts: (async function* (): AsyncGenerator<AnswerPart> {
        yield* said;
        yield { type: 'child', body, amount: 200n };
        await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      })(),
      shares: () => ({ rule: 'test/1', shares: [{ asset: AGENT_ASSET, role: 'agent', ppm: 1_000_000 }] }),
    }),
  };
}

/** Can ask nobody, as every agent whose answer is made again. */
const alone: Answerer = {
  answer: ({ calls }) => {
    expect(calls).toBeUndefined();
    return {
      parts: (async function* (): AsyncGenerator<AnswerPart> {
        yield* [];
        throw new SaharaError('budget-exceeded', { what: 'budget' });
      })(),
      shares: () => ({ rule: 'test/1', shares: [{ asset: AGENT_ASSET, role: 'agent', ppm: 1_000_000 }] }),
    };
  },
};

describe('a host that was killed during a call with calls below', () => {
  const budget = { amount: 300n, depth: 1, deadlineMs: Date.now() + 50_000, skills: [] };
  const placed: Partial<Envelope> = {
    context: { root: callIdOf(1), parent: undefined, depth: 0, budget },
  };

  it.each([
    ['said nothing', [], 200n],
    ['had said something', [{ type: 'delta', text: 'One ', citations: [] }], LEAST + WORD + 200n],
  ] as const)('asks nobody again and bills what was kept: it %s (CALL-87)', async (_name, said, amount) => {
    const store = createMemoryStore();
    const purse = new Purse();
    const rig = await createHostRig({ store, answerer: asked(said) });
    const wire = rig.stream();
    const cover = LEAST + 40n * WORD + 300n;
    wire.send(CALL_FRAME.opening, openingOf({ id: 1, cover, envelope: placed }, purse));
    await wire.until(() => wire.checkpoints.length > 0);
    const after = await createHostRig({ store: await snapshot(store), answerer: alone });
    await after.host.recover();
    const second = after.stream();
    second.send(CALL_FRAME.resume, resumeOf(1, wire.deliveries, { cover }));
    await second.until();
    expect(second.receipt).toMatchObject({ finish: 'failed', expenses: 200n, amount });
    expect(await after.charged()).toBe(amount);
  });
});
