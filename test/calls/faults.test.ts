import { describe, expect, it } from 'vitest';
import { OPENING_TIMEOUT_MS } from '../../src/agent/call-limits.ts';
import type { CallStream } from '../../src/agent/ports.ts';
import { systemClock } from '../../src/base/clock.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { CALL_FRAME, callEnding, delta } from '../../src/protocol/call.ts';
import { createRig, QUESTION, quotingAnswerer, type Rig, type RigOptions } from './rig.ts';
import { createStreamPair } from './stream-pair.ts';

const ask = (rig: Rig): ReturnType<Rig['caller']['ask']> =>
  rig.caller.ask({ target: rig.target, question: QUESTION, priceMax: 1_000n });

async function read(stream: CallStream): Promise<void> {
  for await (const _frame of stream.frames()) expect.unreachable();
}

async function chargedBy(rig: Rig): Promise<bigint> {
  let charged = 0n;
  for await (const lane of rig.payee.lanes.all()) charged += lane.charged;
  return charged;
}

const balance = (rig: Rig): { readonly charged: bigint; readonly reserved: bigint } =>
  rig.payer.balances()[0] ?? { charged: 0n, reserved: 0n };

describe('a call that does not go well', () => {
  it('CALL-40 PAY-20: cut at any frame, it ends, and what it cost is looked up and never paid again', async () => {
    for (let cutAt = 0; cutAt < 6; cutAt++) {
      let frames = 0;
      const rig = await createRig({
        pair: { tap: (frame) => (frames++ === cutAt ? 'cut' : frame) },
        hostOptions: { resumeGraceMs: 0 },
      });
      const call = ask(rig);
      const outcome = await call.result.then(
        () => 'settled',
        ({ code, facts }: SaharaError) => `${code}: ${String(facts.outcome)}`,
      );
      const states = {
        'peer-gone: uncharged': 'refused',
        'peer-gone: unknown': 'unknown',
        'peer-gone: charged': 'unknown',
        settled: 'settled',
      };
      expect(states).toMatchObject({ [outcome]: call.state });
      // The host charges what it delivered, even if nobody hears of it at first.
      await expect.poll(() => rig.host.running).toBe(0);
      expect(await rig.payer.resolveUnknown()).toBe(0);
      expect(balance(rig)).toMatchObject({ charged: await chargedBy(rig), reserved: 0n });
      frames = 100;
      const { amount } = await ask(rig).result;
      expect(balance(rig).charged).toBe(await chargedBy(rig));
      expect(balance(rig).charged).toBeGreaterThanOrEqual(amount);
    }
  });

  it('CALL-41: stopped after the first sentence, it costs exactly that sentence', async () => {
    let reached: AbortSignal | undefined;
    const rig = await createRig({
      answerer: quotingAnswerer({
        before: (part, signal) => {
          reached = signal;
          return part === 0 ? undefined : new Promise(() => {});
        },
      }),
    });
    const call = ask(rig);
    for await (const event of call.events()) if (event.type === 'text') call.stop();
    const result = await call.result;
    expect([result.finish, result.text]).toEqual(['cancelled', 'A payee claims with the last voucher.']);
    expect(result.amount).toBe(100n + 10n + 2n * 7n);
    expect(reached?.aborted).toBe(true);
    expect(balance(rig)).toMatchObject({ charged: result.amount, reserved: 0n });
  });

  it('CALL-6: a stream without an opening holds no stop and is not waited for for ever', async () => {
    const rig = await createRig();
    const { caller, host } = createStreamPair();
    rig.host.serve(host);
    expect(rig.host.running).toBe(1);
    await rig.host.drain(3_600_000);
    expect(rig.host.running).toBe(0);
    await expect(read(caller)).rejects.toMatchObject({
      code: 'overloaded',
      facts: { what: 'host', reason: 'stopping' },
    });

    const timers: { readonly delayMs: number; readonly run: () => void }[] = [];
    const after = (delayMs: number, run: () => void): (() => void) => {
      timers.push({ delayMs, run });
      return () => {};
    };
    const patient = await createRig({ clock: { ...systemClock, after } });
    const pair = createStreamPair();
    patient.host.serve(pair.host);
    timers.find(({ delayMs }) => delayMs === OPENING_TIMEOUT_MS)?.run();
    expect(patient.host.running).toBe(0);
    await expect(read(pair.caller)).rejects.toMatchObject({ code: 'deadline-exceeded' });
  });

  it('a call that does not end when it is stopped holds a stop for its grace only', async () => {
    const honest = quotingAnswerer();
    let begun = false;
    const rig = await createRig({
      answerer: {
        answer(job, options) {
          begun = true;
          return { ...honest.answer(job, options), shares: () => new Promise(() => {}) };
        },
      },
    });
    ask(rig).result.catch(() => {});
    await expect.poll(() => begun).toBe(true);
    expect(rig.host.running).toBe(1);
    await rig.host.drain(10);
    expect(rig.host.running).toBe(1);
  });

  it('CALL-42: stopped or failed before anything was delivered, it costs nothing', async () => {
    const never = quotingAnswerer({ before: () => new Promise(() => {}) });
    const silent: RigOptions['answerer'] = {
      answer: (job, options) => {
        const run = never.answer(job, options);
        return { ...run, parts: skipSources(run.parts) };
      },
    };
    const stopped = await createRig({ answerer: silent });
    const call = ask(stopped);
    setTimeout(() => call.stop(), 20);
    await expect(call.result).rejects.toMatchObject({ code: 'cancelled' });
    expect(balance(stopped)).toMatchObject({ charged: 0n, reserved: 0n });
    expect(await chargedBy(stopped)).toBe(0n);

    const broken = await createRig({
      answerer: {
        answer: () => ({
          parts: failing('secret path /home/operator'),
          shares: () => ({ rule: 'test/1', shares: [] }),
        }),
      },
    });
    const error: unknown = await ask(broken).result.catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'backend-failed' });
    expect(JSON.stringify((error as SaharaError).facts)).not.toContain('secret');
    expect(balance(broken)).toMatchObject({ charged: 0n, reserved: 0n });
  });

  it('CALL-43: a backend that fails after a sentence is charged for that sentence', async () => {
    const rig = await createRig({
      answerer: quotingAnswerer({
        before: (part) => {
          if (part === 1) throw new SaharaError('backend-failed');
        },
      }),
    });
    const result = await ask(rig).result;
    expect([result.finish, result.amount]).toEqual(['failed', 100n + 10n + 2n * 7n]);
  });

  it('CALL-44: a reader that does not read holds the backend back', async () => {
    let made = 0;
    const rig = await createRig({
      card: { limits: { questionBytes: 4_096, outputUnits: 100_000, deadlineMs: 60_000, concurrency: 4 } },
      pair: { windowFrames: 4 },
      answerer: {
        answer: () => ({
          parts: (async function* () {
            for (; made < 5_000; made++) yield { type: 'delta', text: 'word ', citations: [] } as const;
            yield { type: 'end', finish: 'done' } as const;
          })(),
          shares: () => ({
            rule: 'test/1',
            shares: [{ asset: rig.card.asset, role: 'agent', ppm: 1_000_000 }],
          }),
        }),
      },
    });
    const call = rig.caller.ask({ target: rig.target, question: QUESTION, priceMax: 100_000n });
    const events = call.events()[Symbol.asyncIterator]();
    await events.next();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(made).toBeLessThan(1_100);
    for (let next = await events.next(); !next.done; next = await events.next());
    expect((await call.result).receipt.deliveries).toBe(5_000);
  });

  it('CALL-45: whatever is altered on the way is noticed, and the money waits for the payee', async () => {
    for (const kind of [CALL_FRAME.delta, CALL_FRAME.source, CALL_FRAME.ending]) {
      const rig = await createRig({
        pair: {
          tap: (frame) =>
            frame.kind === kind
              ? { ...frame, body: frame.body.map((byte, i) => (i === 60 ? byte ^ 1 : byte)) }
              : frame,
        },
      });
      const failure: unknown = await ask(rig).result.catch((thrown: unknown) => thrown);
      expect(['answer-invalid', 'receipt-invalid', 'malformed']).toContain((failure as SaharaError).code);
      expect(balance(rig).reserved).toBeGreaterThan(0n);
    }
  });

  it('CALL-46: frames out of sequence and citations that do not quote are refused', async () => {
    const change = async (alter: (body: Uint8Array) => Uint8Array): Promise<unknown> => {
      const rig = await createRig({
        pair: {
          tap: (frame) => (frame.kind === CALL_FRAME.delta ? { ...frame, body: alter(frame.body) } : frame),
        },
      });
      return ask(rig).result.catch((thrown: unknown) => (thrown as SaharaError).facts.reason);
    };
    const edited = (edit: Partial<ReturnType<typeof delta.decode>>) => (body: Uint8Array) =>
      delta.encode({ ...delta.decode(body), ...edit });
    expect(await change(edited({ sequence: 7 }))).toBe('out of sequence');
    expect(await change(edited({ text: 'A payee never claims anything.' }))).toMatch(/citation/);
    const cites = { start: 0, end: 1, source: 3, sourceStart: 0, sourceEnd: 1 };
    expect(await change(edited({ citations: [cites] }))).toBe('cites a source that did not come');
  });

  it('PAY-30: a receipt or charge that does not add up is not accepted', async () => {
    const rig = await createRig({
      pair: {
        tap: (frame) => {
          if (frame.kind !== CALL_FRAME.ending) return frame;
          const ending = callEnding.decode(frame.body);
          return { ...frame, body: callEnding.encode({ ...ending, charge: undefined }) };
        },
      },
    });
    await expect(ask(rig).result).rejects.toMatchObject({ code: 'receipt-invalid' });
    expect(balance(rig).charged).toBe(0n);
  });

  it('PAY-21: a payer that lost its store learns the last voucher from the payee and goes on', async () => {
    const payeeStore = createMemoryStore();
    const before = await createRig({ payeeStore });
    for (let i = 0; i < 5; i++) await ask(before).result;
    await before.payee.flush();
    const paid = balance(before).charged;
    const after = await createRig({ payeeStore, channels: before.channels });
    const { receipt, amount } = await ask(after).result;
    expect(receipt.sequence).toBe(5);
    expect(balance(after)).toMatchObject({ charged: paid + amount, reserved: 0n, receipts: 6 });
  });
});

async function* skipSources<T extends { readonly type: string }>(parts: AsyncIterable<T>): AsyncGenerator<T> {
  for await (const part of parts) if (part.type !== 'source') yield part;
}

function failing(reason: string): AsyncIterable<never> {
  return { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error(reason)) }) };
}
