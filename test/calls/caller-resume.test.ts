import { afterEach, describe, expect, it } from 'vitest';
import type { CallEvent, CallHandle } from '../../src/agent/caller.ts';
import { callTicket, readTicket } from '../../src/agent/open-calls.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { watchPoints } from '../../src/base/points.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { CALL_FRAME, callEnding } from '../../src/protocol/call.ts';
import { voucher as voucherSchema } from '../../src/protocol/payment.ts';
import { type CallerRig, type CallerRigOptions, createCallerRig } from './caller-rig.ts';
import type { RawCall } from './raw-agent.ts';
import { keys, QUESTION } from './rig.ts';

const words = (count: number): string => 'word '.repeat(count);

interface Asked {
  readonly rig: CallerRig;
  readonly handle: CallHandle;
  readonly call: RawCall;
  /** What a reader saw: texts, and what became of the stream. */
  readonly seen: string[];
}

function read(handle: CallHandle): string[] {
  const seen: string[] = [];
  const take = async (): Promise<void> => {
    for await (const event of handle.events()) seen.push(told(event));
  };
  take().catch(() => {});
  return seen;
}

function told(event: CallEvent): string {
  if (event.type === 'text') return event.text;
  return event.type === 'stream' ? event.state : event.type;
}

async function ask(options: CallerRigOptions & { readonly free?: boolean } = {}): Promise<Asked> {
  const { free = false, ...rest } = options;
  const granted = { free: { calls: free ? 10 : 0, windowSeconds: 3_600 } };
  const rig = await createCallerRig({ card: granted, ...rest });
  const payment = free ? 'free' : 'paid';
  const handle = rig.caller.ask({ target: rig.target, question: QUESTION, priceMax: 1_000n, payment });
  return { rig, handle, call: await rig.agent.call(), seen: read(handle) };
}

const failureOf = (handle: CallHandle): Promise<SaharaError> =>
  handle.result.then(
    () => expect.unreachable(),
    (error: SaharaError) => error,
  );

const held = (rig: Pick<CallerRig, 'payer'>): bigint | undefined => rig.payer.balances()[0]?.reserved;

describe('a call whose stream breaks', () => {
  it.each([false, true])('CALL-76: goes on exactly where it was (free: %s)', async (free) => {
    const { rig, handle, call, seen } = await ask({ free });
    call.say('One ');
    await expect.poll(() => seen).toEqual(['One ']);
    call.cut();
    call.say('two ');
    await call.until(() => call.resumed.length === 1);
    call.say('three.');
    await expect.poll(() => seen.at(-1)).toBe('three.');
    call.cut();
    await call.until(() => call.resumed.length === 2);
    await call.end();
    const result = await handle.result;
    expect(result.text).toBe('One two three.');
    const whole = ['One ', 'cut', 'resumed', 'two ', 'three.', 'cut', 'resumed', 'ending'];
    await expect.poll(() => seen).toEqual(whole);
    expect(handle.state).toBe('settled');
    if (!free) expect(rig.payer.balances()[0]).toMatchObject({ charged: result.amount, reserved: 0n });
    expect(rig.openCalls.left()).toEqual([]);
  });

  it('CALL-77: says who presents it, what came, and what is covered', async () => {
    const { rig, handle, call, seen } = await ask();
    call.say(words(16));
    call.checkpoint();
    await call.until(() => call.cover > call.request.cover);
    await expect.poll(() => seen).toContain('checkpoint');
    call.cut();
    await call.until(() => call.resumed.length === 1);
    const [resumed] = call.resumed;
    if (resumed === undefined) return expect.unreachable();
    const { request, envelope, message } = resumed;
    expect(request).toMatchObject({ peer: 'peer-caller', deliveries: 1, cover: call.cover });
    expect(envelope).toMatchObject({ bodyType: 'resume', to: { kind: 'agent' } });
    expect(Buffer.from(envelope.from).equals(keys.payer.publicKey)).toBe(true);
    expect(voucherSchema.decode(message.voucher?.payload ?? new Uint8Array(0)).ceiling).toBe(call.cover);
    // The last checkpoint comes again and is no fault, and neither is one that follows.
    call.say(words(16));
    call.checkpoint();
    await call.end();
    expect((await handle.result).evidence.checkpoints).toHaveLength(2);
    expect(held(rig)).toBe(0n);
  });

  it('CALL-77: what is covered while the stream is being replaced is told over the new one', async () => {
    for (let turns = 0; turns < 6; turns++) {
      const { handle, call } = await ask();
      call.say(words(16));
      const { amount } = call.checkpoint();
      for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
      call.cut();
      await call.until(() => call.cover === amount + 64n && call.resumed.length > 0);
      await call.end();
      expect((await handle.result).amount).toBe(amount);
    }
  });

  it('CALL-77: a checkpoint that was lost with the stream leaves a gap and no fault', async () => {
    const { handle, call, seen } = await ask();
    call.say(words(8));
    call.checkpoint();
    await expect.poll(() => seen).toContain('checkpoint');
    call.cut();
    call.say(words(4));
    call.checkpoint();
    call.say(words(4));
    call.checkpoint();
    await call.until(() => call.resumed.length === 1);
    await call.end();
    const { evidence, text } = await handle.result;
    expect(text).toBe(words(16));
    expect(evidence.checkpoints).toEqual(call.checkpoints.slice(0, 1));
  });

  it('CALL-78: a call that the agent does not know costs nothing and can be asked again', async () => {
    const { rig, handle, call } = await ask();
    call.say('One ');
    rig.agent.refuseResume = () => new SaharaError('call-unknown');
    call.lease?.release();
    call.cut();
    const failure = await failureOf(handle);
    expect([failure.code, failure.facts.outcome]).toEqual(['call-unknown', 'uncharged']);
    expect([handle.state, handle.cover, held(rig)]).toEqual(['refused', 0n, 0n]);
    expect(rig.openCalls.find(handle.callId)).toBeUndefined();
  });

  it('CALL-78 PAY-20: whoever says so, what the payee still holds stays held', async () => {
    const { rig, handle, call } = await ask();
    call.say('One ');
    rig.agent.refuseResume = () => new SaharaError('call-unknown');
    call.cut();
    const failure = await failureOf(handle);
    expect([failure.code, failure.facts.outcome, handle.state]).toEqual([
      'call-unknown',
      'unknown',
      'unknown',
    ]);
    expect(held(rig)).toBe(call.request.cover);
  });

  it('CALL-79: an ending that is lost is looked up, and settles the call if everything came', async () => {
    const { rig, handle, call, seen } = await ask();
    call.say('One two.');
    await expect.poll(() => seen).toEqual(['One two.']);
    rig.agent.refuseResume = () => new SaharaError('caller-refused');
    call.cut();
    await call.end();
    const result = await handle.result;
    expect([result.text, handle.state]).toEqual(['One two.', 'settled']);
    expect(rig.payer.balances()[0]).toMatchObject({ charged: result.amount, reserved: 0n });
  });

  it('CALL-79: where a part of the answer did not come, what it cost is known, and the rest is had later', async () => {
    const { rig, handle, call } = await ask();
    call.say('One ');
    rig.agent.refuseResume = () => new SaharaError('caller-refused');
    call.cut();
    call.say('two.');
    await call.end();
    const failure = await failureOf(handle);
    expect(failure.facts).toMatchObject({ outcome: 'charged', amount: String(call.amount) });
    expect([handle.state, held(rig)]).toEqual(['unknown', 0n]);
    rig.agent.refuseResume = undefined;
    const again = rig.caller.resume(handle.callId);
    const result = await again.result;
    expect([result.text, result.amount, again.state]).toEqual(['One two.', call.amount, 'settled']);
    expect(rig.payer.balances()[0]).toMatchObject({ charged: call.amount, receipts: 1 });
  });

  it('CALL-76: is tried again while the peer cannot be reached, is busy, or says that a clock is off', async () => {
    const { rig, handle, call } = await ask();
    const refusals = [
      new SaharaError('overloaded'),
      new SaharaError('not-yet-valid', { receiverTimeMs: Date.now() - 90_000 }),
    ];
    rig.agent.refuseResume = () => refusals.shift();
    rig.agent.reachable = false;
    const { opened } = rig.agent;
    call.cut();
    await expect.poll(() => rig.agent.opened).toBeGreaterThan(opened + 1);
    rig.agent.reachable = true;
    await call.until(() => call.resumed.length === 1);
    const issuedAtMs = call.resumed[0]?.envelope.issuedAtMs ?? 0;
    expect(issuedAtMs).toBeLessThan(Date.now() - 60_000);
    call.say('Done.');
    await call.end();
    expect((await handle.result).text).toBe('Done.');
  });

  it('CALL-76: is given up in time, and what it may cost stays held', async () => {
    const { rig, handle, call } = await ask({ caller: { resumeForMs: 200 } });
    call.say('One ');
    rig.agent.reachable = false;
    call.cut();
    const failure = await failureOf(handle);
    expect([failure.code, failure.facts.outcome, handle.state]).toEqual(['peer-gone', 'unknown', 'unknown']);
    expect(held(rig)).toBe(call.request.cover);
    expect(rig.openCalls.left()).toHaveLength(1);
    const never = await ask({ caller: { resumeForMs: 0 } });
    const { opened } = never.rig.agent;
    never.call.cut();
    await failureOf(never.handle);
    expect(never.rig.agent.opened).toBe(opened);
  });

  it('CALL-76: what goes on elsewhere is left there', async () => {
    const { rig, handle, call } = await ask();
    call.say('One ');
    const { opened } = rig.agent;
    call.fail(new SaharaError('peer-gone', { reason: 'goes on elsewhere' }));
    const failure = await failureOf(handle);
    expect([failure.code, handle.state, rig.agent.opened]).toEqual(['peer-gone', 'unknown', opened]);
  });

  it('CALL-41: stopped while it is cut, it is gone on with only to be stopped', async () => {
    const { rig, handle, call, seen } = await ask();
    call.say('One ');
    await expect.poll(() => seen).toEqual(['One ']);
    rig.agent.reachable = false;
    call.cut();
    await expect.poll(() => handle.state).toBe('cut');
    handle.stop();
    rig.agent.reachable = true;
    await call.until(() => call.stopped);
    await call.end('cancelled');
    const result = await handle.result;
    expect([result.finish, result.text]).toEqual(['cancelled', 'One ']);
  });
});

describe('a call whose host restarts', () => {
  /** The host has lost what it delivered after its last checkpoint. */
  const restarted = async (asked: Asked): Promise<void> => {
    const { rig, call, seen } = asked;
    call.say('One two ');
    call.checkpoint();
    call.say('three four ');
    await expect.poll(() => seen).toContain('three four ');
    await expect.poll(() => seen).toContain('checkpoint');
    const refusals = [new SaharaError('call-conflict', { deliveries: 1 })];
    rig.agent.refuseResume = () => refusals.shift();
    call.cut();
    call.forget(1);
    await call.until(() => call.resumed.length === 1);
    expect(call.resumed[0]?.request.deliveries).toBe(1);
  };

  it('CALL-49: what is told again is passed over, however it is divided', async () => {
    const asked = await ask();
    const { handle, call, seen, rig } = asked;
    await restarted(asked);
    for (const text of ['three ', 'four five ', 'six.']) call.say(text);
    call.checkpoint();
    await call.end();
    const result = await handle.result;
    expect(result.text).toBe('One two three four five six.');
    const texts = ['One two ', 'three four ', 'five ', 'six.'];
    await expect.poll(() => seen.filter((event) => event.includes(' ') || event === 'six.')).toEqual(texts);
    expect(rig.payer.balances()[0]).toMatchObject({ charged: result.amount, reserved: 0n });
  });

  it('CALL-49: an answer that says something else does not go on', async () => {
    const asked = await ask();
    await restarted(asked);
    asked.call.say('three five ');
    const failure = await failureOf(asked.handle);
    expect([failure.code, asked.handle.state]).toEqual(['answer-invalid', 'rejected']);
    expect(failure.facts.reason).toMatch(/another answer/);
  });

  it('CALL-49: one that ends at its checkpoint costs so much and no more', async () => {
    const asked = await ask();
    await restarted(asked);
    await asked.call.end('failed');
    expect(await asked.handle.result).toMatchObject({ finish: 'failed', text: 'One two ', amount: 114n });
  });

  it('CALL-49: below the last checkpoint there is no going back', async () => {
    const { rig, handle, call, seen } = await ask();
    call.say('One ');
    call.say('two ');
    call.checkpoint();
    await expect.poll(() => seen).toContain('checkpoint');
    call.say('three ');
    await expect.poll(() => seen).toContain('three ');
    rig.agent.refuseResume = () => new SaharaError('call-conflict', { deliveries: 1 });
    call.cut();
    const failure = await failureOf(handle);
    expect([failure.code, handle.state]).toEqual(['call-conflict', 'unknown']);
  });
});

describe('a call whose caller restarts', () => {
  afterEach(() => watchPoints(undefined));

  it.each([true, false])(
    'BRG-72: is sent once it is written where that is wanted (kept: %s)',
    async (kept) => {
      const seen: string[] = [];
      watchPoints((label) => seen.push(label));
      const rig = await createCallerRig();
      const handle = rig.caller.ask({ target: rig.target, question: QUESTION, priceMax: 1_000n, kept });
      const call = await rig.agent.call();
      await expect.poll(() => seen).toContain('caller:kept');
      const order = seen.filter((label) => label === 'caller:kept' || label === 'caller:sent');
      expect(order[0]).toBe(kept ? 'caller:kept' : 'caller:sent');
      call.say('One.');
      await call.end();
      expect((await handle.result).text).toBe('One.');
    },
  );

  it('a call that is stopped while it is written is sent and stopped', async () => {
    const rig = await createCallerRig();
    const { promise: written, resolve: write } = Promise.withResolvers<void>();
    rig.openCalls.flushed = () => written;
    const handle = rig.caller.ask({ target: rig.target, question: QUESTION, priceMax: 1_000n, kept: true });
    await expect.poll(() => handle.ticket).toBeDefined();
    handle.stop();
    write();
    const call = await rig.agent.call();
    await call.until(() => call.stopped);
    await call.end();
    expect((await handle.result).stopped?.code).toBe('cancelled');
  });

  it('CALL-47: is replayed from its beginning, goes on, and ends with one receipt', async () => {
    const { rig, call } = await ask();
    call.say(words(16));
    call.checkpoint();
    await call.until(() => call.cover > call.request.cover);
    await Promise.all([rig.openCalls.flushed(), rig.payer.flush()]);
    call.cut();
    const covered = call.cover;

    const next = await rig.process(rig.store);
    const [ticket] = next.openCalls.left();
    if (ticket === undefined) return expect.unreachable();
    const handle = next.caller.resume(ticket.callId);
    const seen = read(handle);
    await call.until(() => call.resumed.length > 0 && call.resumed.at(-1)?.request.deliveries === 0);
    expect(call.resumed.at(-1)?.request.cover).toBeGreaterThanOrEqual(covered);
    call.say(words(16));
    const { amount: verified } = call.checkpoint();
    await call.until(() => call.cover === verified + 64n);
    await call.end();
    const result = await handle.result;
    expect(result.text).toBe(words(32));
    expect(seen.filter((event) => event === words(16))).toHaveLength(2);
    expect(next.payer.balances()[0]).toMatchObject({ charged: result.amount, reserved: 0n, receipts: 1 });
    expect(next.openCalls.left()).toEqual([]);
    expect(result.evidence.voucher).toBeDefined();
    expect(await next.records.find('caller', ticket.callId)).toBeDefined();

    // Once more: the same bytes, and nothing more is charged.
    const again = next.caller.resume(ticket);
    const repeated = await again.result;
    expect(callEnding.encode(repeated.evidence.ending)).toEqual(callEnding.encode(result.evidence.ending));
    expect(next.payer.balances()[0]).toMatchObject({ charged: result.amount, receipts: 1 });
  });

  it('CALL-48: goes on at another peer of the same caller, by its ticket', async () => {
    const { rig, handle, call } = await ask();
    call.say('One ');
    await expect.poll(() => handle.ticket).toBeDefined();
    const file = callTicket.encode(handle.ticket ?? expect.unreachable());
    const other = await rig.process(createMemoryStore(), 'peer-other');
    const taken = other.caller.resume(readTicket(file));
    await call.until(() => call.resumed.length === 1);
    expect(call.resumed[0]?.request).toMatchObject({ peer: 'peer-other', deliveries: 0 });
    const failure = await failureOf(handle);
    expect([failure.code, handle.state]).toEqual(['peer-gone', 'unknown']);
    call.say('two.');
    await call.end();
    const result = await taken.result;
    expect([result.text, taken.state]).toEqual(['One two.', 'settled']);
    expect(other.payer.balances()[0]).toMatchObject({ charged: result.amount, reserved: 0n, receipts: 1 });
    // The first peer learns of it from the payee, and pays nothing more.
    expect(await rig.payer.resolveUnknown()).toBe(0);
    expect(rig.payer.balances()[0]).toMatchObject({ charged: result.amount, reserved: 0n, receipts: 1 });
  });

  it('CALL-47: for which nothing was charged, it holds nothing and is forgotten', async () => {
    const { rig, handle, call } = await ask();
    await Promise.all([rig.openCalls.flushed(), rig.payer.flush()]);
    call.lease?.release();
    rig.agent.refuseResume = () => new SaharaError('call-unknown');
    const next = await rig.process(rig.store);
    const failure = await failureOf(next.caller.resume(handle.callId));
    expect([failure.code, failure.facts.outcome]).toEqual(['call-unknown', 'uncharged']);
    expect([held(next), next.openCalls.left()]).toEqual([0n, []]);
    await failureOf(next.caller.resume(handle.callId));
    await next.openCalls.flushed();
    expect((await rig.process(rig.store)).openCalls.left()).toEqual([]);
  });

  it('CALL-47: under way here, it is not taken up twice', async () => {
    const { rig, handle, call } = await ask();
    const failure = await failureOf(rig.caller.resume(handle.callId));
    expect(failure.code).toBe('call-conflict');
    expect(rig.openCalls.find(handle.callId)?.live).toBe(true);
    call.say('One.');
    await call.end();
    expect((await handle.result).text).toBe('One.');
    expect(() => readTicket(Uint8Array.of(CALL_FRAME.stop))).toThrow(/malformed/);
  });
});
