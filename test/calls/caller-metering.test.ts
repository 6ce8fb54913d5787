import { describe, expect, it } from 'vitest';
import type { CallEvent, CallHandle } from '../../src/agent/caller.ts';
import type { SaharaError } from '../../src/base/errors.ts';
import type { Checkpoint } from '../../src/protocol/checkpoint.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { type CallerRig, type CallerRigOptions, createCallerRig } from './caller-rig.ts';
import type { RawCall } from './raw-agent.ts';
import { hash, keys, QUESTION } from './rig.ts';

/** 100 grains a call, 1 a unit of the question, which has 10, and 2 a unit of the answer. */
const LEAST = 110n;
const STEP = 64n;

const words = (count: number): string => 'word '.repeat(count);

async function ask(
  options: CallerRigOptions & { readonly priceMax?: bigint } = {},
): Promise<{ readonly rig: CallerRig; readonly handle: CallHandle; readonly call: RawCall }> {
  const limits = { questionBytes: 4_096, outputUnits: 1_000, deadlineMs: 60_000, concurrency: 4 };
  const rig = await createCallerRig({ card: { limits }, ...options });
  const priceMax = options.priceMax ?? 10_000n;
  const handle = rig.caller.ask({ target: rig.target, question: QUESTION, priceMax });
  return { rig, handle, call: await rig.agent.call() };
}

async function eventsOf(handle: CallHandle): Promise<readonly CallEvent[]> {
  const events: CallEvent[] = [];
  for await (const event of handle.events()) events.push(event);
  return events;
}

describe('a caller that pays piece by piece', () => {
  it('CALL-70: covers a call whole when that is little, and step by step when it is not', async () => {
    const small = await ask({ caller: { stepAmount: 10_000n } });
    expect(small.call.request.cover).toBe(small.call.request.priceMax);
    small.call.say('Yes.');
    await small.call.end();
    expect((await small.handle.result).evidence).toMatchObject({ checkpoints: [], voucher: undefined });

    const dear = await ask();
    expect(dear.call.request).toMatchObject({ priceMax: LEAST + 2_000n, cover: LEAST + STEP });
    const broad = await ask({ caller: { stepUnits: 500 } });
    expect(broad.call.request.cover).toBe(LEAST + 1_000n);
    const risky = await ask({ caller: { stepAmount: 300n } });
    expect(risky.call.request.cover).toBe(LEAST + 300n);
  });

  it('CALL-71: covers as much as was paid before, once the payee is known', async () => {
    const { rig, handle, call } = await ask({ caller: { trustReceipts: 2 } });
    call.say(words(30));
    await call.end();
    const first = await handle.result;
    const again = async (index: number): Promise<bigint> => {
      const asked = rig.caller.ask({ target: rig.target, question: QUESTION, priceMax: 10_000n });
      const next = await rig.agent.call(index);
      next.say(words(30));
      await next.end();
      await asked.result;
      return next.request.cover;
    };
    expect(await again(1)).toBe(LEAST + STEP);
    expect(await again(2)).toBe(LEAST + 2n * first.amount);
  });

  it('CALL-72 CALL-73: checks each checkpoint and tops up while the answer goes on', async () => {
    const { rig, handle, call } = await ask();
    const seen = eventsOf(handle);
    let spent = LEAST;
    for (let part = 0; part < 20; part++) {
      call.say(words(16));
      spent += 32n;
      const { amount } = call.checkpoint();
      expect(amount).toBe(spent);
      await call.until(() => call.cover >= amount + STEP);
      expect(call.cover).toBe(amount + STEP);
      expect(rig.payer.balances()[0]?.reserved).toBe(call.cover);
    }
    call.say(words(3));
    await call.end();
    const { amount, evidence, text } = await handle.result;
    expect([amount, text]).toEqual([spent + 6n, words(323)]);
    expect(evidence.checkpoints).toEqual(call.checkpoints);
    expect(evidence.voucher).toBeDefined();
    const stated = (await seen).filter(({ type }) => type === 'checkpoint');
    expect(stated).toHaveLength(20);
    expect(stated.at(-1)).toEqual({
      type: 'checkpoint',
      amount: spent,
      outputUnits: 320,
      cover: spent + STEP,
    });
    expect(rig.payer.balances()[0]).toMatchObject({ charged: amount, reserved: 0n });
  });

  it('CALL-73: never covers more than the call may cost', async () => {
    const { handle, call } = await ask({ priceMax: LEAST + 100n });
    call.say(words(32));
    call.pause();
    call.checkpoint();
    await call.until(() => call.cover === LEAST + 100n);
    call.say(words(18));
    call.checkpoint();
    await call.end('length');
    expect((await handle.result).amount).toBe(LEAST + 100n);
    expect(call.cover).toBe(LEAST + 100n);
  });

  it('CALL-74: a checkpoint that is not what came ends the call, and nothing more is covered', async () => {
    const wrong: readonly (readonly [string, Partial<Checkpoint>, Signer?])[] = [
      ['of another network', { network: 'other' }],
      ['of another call', { callId: new Uint8Array(16) }],
      ['of another channel', { channel: hash(9) }],
      ['out of order', { sequence: 1 }],
      ['over other deliveries', { deliveries: 2 }],
      ['over another answer', { chain: hash(1) }],
      ['over another answer', { deliveries: 0 }],
      ['counts another question', { inputUnits: 11 }],
      ['counts other units', { outputUnits: 17 }],
      ['counts other calls', { expenses: 1n }],
      ['of another amount', { amount: LEAST + 33n }],
      ['signature-invalid', {}, keys.stranger],
    ];
    for (const [reason, change, signer] of wrong) {
      const { rig, handle, call } = await ask();
      const covered = call.cover;
      call.say(words(16));
      call.checkpoint(change, signer);
      const failure: unknown = await handle.result.catch((thrown: unknown) => thrown);
      expect([reason, (failure as SaharaError).code]).toEqual([reason, 'answer-invalid']);
      expect((failure as SaharaError).facts).toMatchObject({
        what: 'checkpoint',
        reason,
        outcome: 'unknown',
      });
      expect([handle.state, handle.cover, call.cover]).toEqual(['rejected', covered, covered]);
      expect(rig.payer.balances()[0]?.reserved).toBe(covered);
    }
  });

  it('CALL-74: a checkpoint beyond what is covered, twice, or where none was agreed is one too', async () => {
    const greedy = await ask();
    greedy.call.say(words(40));
    greedy.call.checkpoint();
    await expect(greedy.handle.result).rejects.toMatchObject({ facts: { reason: 'beyond what is covered' } });
    const twice = await ask();
    twice.call.say(words(16));
    twice.call.checkpoint();
    twice.call.checkpoint({ sequence: 0 });
    await expect(twice.handle.result).rejects.toMatchObject({ facts: { reason: 'out of order' } });
    const whole = await ask({ caller: { stepAmount: 10_000n } });
    whole.call.say(words(16));
    whole.call.checkpoint();
    await expect(whole.handle.result).rejects.toMatchObject({ facts: { reason: 'not asked for' } });
  });

  it('CALL-75: without money for more, the call is stopped and costs what was delivered', async () => {
    const { rig, handle, call } = await ask({ deposit: LEAST + STEP + 10n });
    call.say(words(16));
    call.checkpoint();
    await call.until(() => call.stopped);
    expect(call.cover).toBe(LEAST + STEP);
    await call.end('cancelled');
    const result = await handle.result;
    expect(result).toMatchObject({ finish: 'cancelled', amount: LEAST + 32n });
    expect(result.stopped?.code).toBe('funds-insufficient');
    expect(rig.payer.balances()[0]).toMatchObject({ charged: result.amount, reserved: 0n });
  });
});
