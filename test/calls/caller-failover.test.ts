import { describe, expect, it } from 'vitest';
import { askInTurn, type FailoverEvent, type FailoverResult } from '../../src/agent/failover.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { type CallerRig, type CallerRigOptions, createCallerRig } from './caller-rig.ts';
import type { RawAgent, RawCall } from './raw-agent.ts';
import { QUESTION } from './rig.ts';

interface Sought {
  readonly rig: CallerRig;
  readonly seen: string[];
  readonly result: Promise<FailoverResult>;
}

async function seek(
  options: CallerRigOptions & {
    readonly race?: 2;
    readonly priceMax?: bigint;
    readonly mendable?: boolean;
  } = {},
): Promise<Sought> {
  const rig = await createCallerRig({
    hosts: 3,
    caller: { stepAmount: 10_000n, resumeForMs: 100 },
    ...options,
  });
  const seen: string[] = [];
  const mend = { codes: new Set(options.mendable ? ['payment-required'] : []), run: async () => {} };
  const sought = askInTurn(
    { caller: rig.caller, mend },
    {
      targets: rig.targets,
      question: QUESTION,
      priceMax: options.priceMax ?? 1_000n,
      ...(options.race && { race: options.race }),
    },
  );
  const run = async (): Promise<FailoverResult> => {
    for (;;) {
      const next = await sought.next();
      if (next.done) return next.value;
      seen.push(told(next.value));
    }
  };
  const result = run();
  result.catch(() => {});
  return { rig, seen, result };
}

const told = (event: FailoverEvent): string =>
  event.type === 'text' ? event.text : event.type === 'attempt' ? event.target.peerId : event.type;

const hostOf = (rig: CallerRig, at: number): RawAgent => rig.hosts[at] ?? expect.unreachable();

/** Answers whatever host `at` is asked. */
async function answering(rig: CallerRig, at: number, text = 'Yes.'): Promise<RawCall> {
  const call = await hostOf(rig, at).call();
  call.say(text);
  await call.end();
  return call;
}

const charged = ({ payer }: CallerRig): bigint => payer.balances()[0]?.charged ?? 0n;

describe('a question that several could answer', () => {
  it('CALL-180: goes to the next when a peer refuses for reasons of its own, at no cost', async () => {
    const { rig, seen, result } = await seek();
    (await hostOf(rig, 0).call()).fail(new SaharaError('overloaded'));
    (await hostOf(rig, 1).call()).fail(new SaharaError('backend-failed'));
    await answering(rig, 2);
    const { attempts, amount, target } = await result;
    expect(target.peerId).toBe('peer-host-2');
    expect(attempts.map(({ failure }) => failure?.code)).toEqual(['overloaded', 'backend-failed', undefined]);
    expect(attempts.map((attempt) => attempt.amount + attempt.held)).toEqual([0n, 0n, 112n]);
    expect([amount, charged(rig)]).toEqual([112n, 112n]);
    expect(seen).toEqual(['peer-host', 'peer-host-1', 'peer-host-2', 'Yes.', 'ending']);
  });

  it('CALL-180: not for a fault of the question, and not when it was stopped', async () => {
    const { rig, result } = await seek();
    (await hostOf(rig, 0).call()).fail(new SaharaError('skill-unknown'));
    await expect(result).rejects.toMatchObject({ code: 'skill-unknown', facts: { attempts: 1 } });
    expect(hostOf(rig, 1).opened).toBe(0);
  });

  it('CALL-181: what a peer delivered before it died is counted, and what is unknown is never spent again', async () => {
    const { rig, result } = await seek({ priceMax: 600n });
    const first = await hostOf(rig, 0).call();
    first.say('One ');
    hostOf(rig, 0).reachable = false;
    first.cut();
    const second = await hostOf(rig, 1).call();
    expect(second.request.priceMax).toBeLessThanOrEqual(600n - first.request.cover);
    await answering(rig, 1);
    const { attempts, amount } = await result;
    expect(attempts[0]).toMatchObject({ amount: 0n, held: first.request.cover });
    expect(amount).toBe(112n);
    await first.end('cancelled');
    expect(await rig.payer.resolveUnknown()).toBe(0);
    expect(charged(rig)).toBe(224n);
  });

  it('CALL-181: an answer that fails is paid for what came, and somebody else is asked with what is left', async () => {
    const { rig, result, seen } = await seek();
    const first = await hostOf(rig, 0).call();
    first.say('One ');
    await first.end('failed');
    await answering(rig, 1);
    const { attempts, amount, result: answered } = await result;
    expect(attempts.map((attempt) => attempt.amount)).toEqual([112n, 112n]);
    expect([amount, answered.text, charged(rig)]).toEqual([224n, 'Yes.', 224n]);
    expect(seen.slice(0, 4)).toEqual(['peer-host', 'One ', 'ending', 'peer-host-1']);
  });

  it('CALL-181: all attempts together stay inside of what the asker allows', async () => {
    const { rig, result } = await seek({ priceMax: 330n });
    const first = await hostOf(rig, 0).call();
    first.say('One two three four five ');
    await first.end('failed');
    const second = await hostOf(rig, 1).call();
    expect(second.request.priceMax).toBeLessThanOrEqual(330n - 120n);
    second.say('One two three four five ');
    await second.end('failed');
    // 90 grains are left, and a call costs 110 at least.
    await expect(result).rejects.toMatchObject({
      code: 'price-above-max',
      facts: { attempts: 3, spent: '240', held: '0' },
    });
    expect(charged(rig)).toBe(240n);
  });

  it('CALL-182: of two that race the first word wins, and the other is stopped at its price', async () => {
    const { rig, seen, result } = await seek({ race: 2 });
    const [slow, quick] = await Promise.all([hostOf(rig, 0).call(), hostOf(rig, 1).call()]);
    expect(slow.request.priceMax + quick.request.priceMax).toBeLessThanOrEqual(1_000n);
    quick.say('Quick ');
    await slow.until(() => slow.stopped);
    slow.say('Slow ');
    await slow.end('cancelled');
    quick.say('answer.');
    await quick.end();
    const { result: answered, attempts, amount } = await result;
    expect([answered.text, answered.finish]).toEqual(['Quick answer.', 'done']);
    expect(attempts.map(({ peerId }) => peerId)).toEqual(['peer-host', 'peer-host-1']);
    expect(attempts[0]?.result).toMatchObject({ finish: 'cancelled', amount: 112n });
    expect([amount, charged(rig)]).toEqual([226n, 226n]);
    expect(seen).toEqual(['peer-host-1', 'Quick ', 'answer.', 'ending']);
    expect(hostOf(rig, 2).opened).toBe(0);
  });

  it('CALL-182: of two that race the one that is left goes on alone, and without both the next is asked', async () => {
    const alone = await seek({ race: 2 });
    (await hostOf(alone.rig, 0).call()).fail(new SaharaError('overloaded'));
    await answering(alone.rig, 1);
    expect((await alone.result).target.peerId).toBe('peer-host-1');
    const both = await seek({ race: 2 });
    (await hostOf(both.rig, 0).call()).fail(new SaharaError('overloaded'));
    (await hostOf(both.rig, 1).call()).fail(new SaharaError('overloaded'));
    await answering(both.rig, 2);
    expect((await both.result).attempts).toHaveLength(3);
  });

  it('CALL-180: what this side can mend is mended once for each', async () => {
    const { rig, result } = await seek({ mendable: true });
    (await hostOf(rig, 0).call()).fail(new SaharaError('payment-required'));
    await answering(rig, 0).then(
      () => {},
      () => {},
    );
    const again = await hostOf(rig, 0).call(1);
    again.say('Yes.');
    await again.end();
    expect((await result).attempts.map(({ peerId }) => peerId)).toEqual(['peer-host', 'peer-host']);
  });

  it('CALL-182: two that lack what this side can mend race again once it is mended', async () => {
    const { rig, result } = await seek({ race: 2, mendable: true });
    (await hostOf(rig, 0).call()).fail(new SaharaError('payment-required'));
    (await hostOf(rig, 1).call()).fail(new SaharaError('payment-required'));
    const [slow, quick] = await Promise.all([hostOf(rig, 0).call(1), hostOf(rig, 1).call(1)]);
    quick.say('Quick.');
    await slow.until(() => slow.stopped);
    await slow.end('cancelled');
    await quick.end();
    const { result: answered, attempts } = await result;
    expect(answered.text).toBe('Quick.');
    expect(attempts).toHaveLength(4);
    expect(hostOf(rig, 2).opened).toBe(0);
  });
});
