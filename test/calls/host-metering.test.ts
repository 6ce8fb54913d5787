import { describe, expect, it } from 'vitest';
import type { AnswerPart } from '../../src/agent/ports.ts';
import { CALL_FRAME, callEnding } from '../../src/protocol/call.ts';
import { callChild } from '../../src/protocol/checkpoint.ts';
import type { Envelope } from '../../src/protocol/envelope.ts';
import { callsAsset, chargeOf } from '../../src/protocol/payment.ts';
import { checkSigned, signed } from '../../src/protocol/signing.ts';
import { nativeSuite as suite } from '../../src/protocol/suite-native.ts';
import {
  callIdOf,
  chainOf,
  createHostRig,
  type HostRig,
  type HostRigOptions,
  LEAST,
  openingOf,
  Purse,
  type RawCall,
  settle,
  TestClock,
  topUpOf,
  type Wire,
  WORD,
  wordAnswerer,
} from './host-rig.ts';
import { cardOf, hash, keys, NETWORK, openChannel } from './rig.ts';

/** The cover of an opening that pays for 40 words: a step of 80 grains. */
const COVER = LEAST + 40n * WORD;

function begin(rig: HostRig, call: RawCall, purse: Purse | undefined): Wire {
  const wire = rig.stream();
  wire.send(CALL_FRAME.opening, openingOf(call, purse));
  return wire;
}

async function paused(options: HostRigOptions = {}): Promise<{ rig: HostRig; wire: Wire; purse: Purse }> {
  const rig = await createHostRig(options);
  const purse = new Purse();
  const wire = begin(rig, { id: 1, cover: COVER }, purse);
  await wire.until(() => wire.stages.includes('paused'));
  return { rig, wire, purse };
}

describe('a metered call at its host', () => {
  it('CALL-50: an opening that covers less than the least and 32 units is refused; one that covers all is never metered', async () => {
    const rig = await createHostRig({ answerer: wordAnswerer(100) });
    const purse = new Purse();
    const short = begin(rig, { id: 1, cover: LEAST + 32n * WORD - 1n }, purse);
    await short.until();
    expect(short.failure).toMatchObject({ code: 'voucher-insufficient', facts: { wanted: '174' } });
    const few = begin(rig, { id: 2, cover: LEAST + 5n * WORD, outputUnitsMax: 5 }, purse);
    await few.until();
    expect([few.receipt?.finish, few.receipt?.amount]).toEqual(['length', LEAST + 5n * WORD]);
    const whole = begin(rig, { id: 3, cover: 1_000n }, purse);
    await whole.until();
    expect(new Set(whole.kinds)).toEqual(new Set([CALL_FRAME.delta, CALL_FRAME.ending]));
    const more = begin(rig, { id: 4, cover: 5_000n }, purse);
    await more.until();
    expect([more.receipt?.amount, more.checkpoints.length]).toEqual([LEAST + 100n * WORD, 0]);
  });

  it('CALL-51 CALL-54: delivers what is covered, to the word, then pauses and asks the backend for nothing more', async () => {
    const answerer = wordAnswerer(100);
    const { rig, wire } = await paused({ answerer });
    await settle();
    expect(wire.text).toBe(Array.from({ length: 40 }, (_, i) => `word${i} `).join(''));
    expect(answerer.made).toBe(41);
    expect(wire.kinds.at(-1)).toBe(CALL_FRAME.progress);
    expect(wire.kinds.at(-2)).toBe(CALL_FRAME.checkpoint);
    expect(rig.host.running).toBe(1);
    wire.send(CALL_FRAME.stop);
    await wire.until();
    expect([wire.receipt?.finish, wire.receipt?.amount]).toEqual(['cancelled', COVER]);
    expect(await rig.charged()).toBe(COVER);
  });

  it('CALL-51: a text that goes beyond is divided, and its citations stay with what they cover', async () => {
    const text = Array.from({ length: 60 }, (_, i) => `word${i}`).join(' ');
    const one: AnswerPart = { type: 'delta', text, citations: [] };
    const { wire, purse } = await paused({ answerer: wordAnswerer(0, { parts: [one] }) });
    expect(wire.text.split(' ').filter((word) => word !== '')).toHaveLength(40);
    wire.send(CALL_FRAME.voucher, topUpOf(COVER + 200n, purse.more(200n)));
    await wire.until();
    expect(wire.text).toBe(text);
    expect([wire.receipt?.outputUnits, wire.receipt?.finish]).toEqual([60, 'done']);
  });

  it('CALL-52 CALL-53: checkpoints come every half step, signed, in order, and say what was delivered', async () => {
    const { wire, purse } = await paused();
    wire.send(CALL_FRAME.voucher, topUpOf(COVER + 80n, purse.more(80n)));
    await wire.until(() => wire.stages.length === 2);
    wire.send(CALL_FRAME.voucher, topUpOf(1_000n, purse.more(1_000n - COVER - 80n)));
    await wire.until();
    const said = wire.checkpoints;
    // One more is made with the last word; the ending does not wait for its signature.
    const amounts = [40n, 80n, 120n, 160n, 200n].map((more) => LEAST + more);
    expect(said.length).toBeGreaterThanOrEqual(4);
    expect(said.map(({ sequence }) => sequence)).toEqual(said.map((_, i) => i));
    expect(said.map(({ amount }) => amount)).toEqual(amounts.slice(0, said.length));
    for (const { deliveries, chain, outputUnits, amount, callId, inputUnits } of said) {
      expect(Buffer.from(chain)).toEqual(Buffer.from(chainOf(1, wire.deliveries.slice(0, deliveries))));
      expect([outputUnits, inputUnits, callId]).toEqual([deliveries, 10, callIdOf(1)]);
      expect(amount).toBe(chargeOf(cardOf().price, inputUnits, outputUnits));
    }
    for (const frame of wire.frames.filter(({ kind }) => kind === CALL_FRAME.checkpoint)) {
      const message = signed.decode(frame.body);
      expect(checkSigned(suite, NETWORK, 'checkpoint', keys.agent.publicKey, message)).toBeUndefined();
    }
    expect(wire.kinds.lastIndexOf(CALL_FRAME.ending)).toBe(wire.kinds.length - 1);
    expect(wire.receipt?.amount).toBe(LEAST + 100n * WORD);
  });

  it('CALL-53: a call makes 256 checkpoints at most, and ends with `length` when they are used up', async () => {
    const card = {
      limits: { questionBytes: 4_096, outputUnits: 100_000, deadlineMs: 60_000, concurrency: 4 },
    };
    const rig = await createHostRig({ card, answerer: wordAnswerer(20_000) });
    rig.channels.change(openChannel().id, { deposit: 10_000_000n });
    const purse = new Purse();
    const step = 32n * WORD;
    const call = { id: 1, cover: LEAST + step, priceMax: 100_000n, outputUnitsMax: 40_000 };
    const wire = begin(rig, call, purse);
    let cover = LEAST + step;
    for (let pauses = 1; !wire.over; pauses++) {
      await wire.until(() => wire.stages.length === pauses);
      if (wire.over) break;
      cover += step;
      wire.send(CALL_FRAME.voucher, topUpOf(cover, purse.more(step)));
    }
    expect([wire.checkpoints.length, wire.receipt?.finish]).toEqual([256, 'length']);
    expect(wire.receipt?.amount).toBe(cover);
    // Who covers it in time gets an answer of the same length with checkpoints to spare.
    const wide = begin(rig, { ...call, id: 2, cover: LEAST + 1_000n }, purse);
    for (let seen = 0; !wide.over; seen++) {
      await wide.until(() => wide.checkpoints.length > seen);
      const last = wide.checkpoints.at(-1);
      if (wide.over || last === undefined) break;
      wide.send(CALL_FRAME.voucher, topUpOf(last.amount + 1_000n, purse.more(1_000n)));
    }
    expect([wide.receipt?.finish, wide.receipt?.outputUnits]).toEqual(['done', 20_000]);
    expect(wide.checkpoints.length).toBeLessThanOrEqual(256);
  });

  it('CALL-55: cover that is there in time does not stop the stream', async () => {
    const rig = await createHostRig({ answerer: wordAnswerer(100) });
    const purse = new Purse();
    const wire = begin(rig, { id: 1, cover: COVER }, purse);
    for (let seen = 0; !wire.over; seen++) {
      await wire.until(() => wire.checkpoints.length > seen);
      const last = wire.checkpoints.at(-1);
      if (wire.over || last === undefined) break;
      wire.send(CALL_FRAME.voucher, topUpOf(last.amount + 80n, purse.more(40n)));
    }
    expect([wire.receipt?.finish, wire.receipt?.outputUnits]).toEqual(['done', 100]);
  });

  it('CALL-55 PAY-15: a voucher that does not hold ends the call with an exact charge; one that says no more changes nothing', async () => {
    const wrong: readonly ((purse: Purse) => Uint8Array)[] = [
      () => Uint8Array.of(1, 2, 3),
      (purse) => topUpOf(1_000n, purse.sign(purse.ceiling + 10n, purse.sequence + 1)),
      (purse) => topUpOf(1_000n, purse.sign(2_000_000n, purse.sequence + 1)),
      (purse) => topUpOf(1_000n, purse.sign(purse.ceiling + 900n, purse.sequence)),
      (purse) => topUpOf(1_000n, purse.sign(purse.ceiling + 900n, purse.sequence + 1, hash(0xc1))),
      (purse) => {
        const good = purse.sign(purse.ceiling + 900n, purse.sequence + 1);
        return topUpOf(1_000n, { ...good, signature: good.signature.map((byte) => byte ^ 1) });
      },
    ];
    for (const make of wrong) {
      const { rig, wire, purse } = await paused();
      wire.send(CALL_FRAME.voucher, topUpOf(COVER, purse.sign(0n, 0)));
      await settle();
      expect(wire.over).toBe(false);
      wire.send(CALL_FRAME.voucher, make(purse));
      await wire.until();
      expect([wire.receipt?.finish, wire.receipt?.amount]).toEqual(['cancelled', COVER]);
      expect(await rig.charged()).toBe(COVER);
    }
  });

  it('CALL-55: before anything was delivered a wrong voucher fails the call with its code, for nothing', async () => {
    const rig = await createHostRig({ answerer: wordAnswerer(9, { before: () => new Promise(() => {}) }) });
    const purse = new Purse();
    const wire = begin(rig, { id: 1, cover: COVER }, purse);
    await settle();
    wire.send(CALL_FRAME.voucher, topUpOf(1_000n, purse.sign(2_000_000n, 9)));
    await wire.until();
    expect([wire.failure?.code, await rig.charged()]).toEqual(['voucher-invalid', 0n]);
    expect(await rig.payee.endingOf(callIdOf(1))).toBeUndefined();
  });

  it('CALL-55 CALL-5: more vouchers than a call may have, and one for a free call, are malformed', async () => {
    const { wire, purse } = await paused();
    for (let i = 0; i <= 512; i++) wire.send(CALL_FRAME.voucher, topUpOf(1n, purse.sign(0n, 0)));
    await wire.until();
    expect(wire.failure?.code).toBe('malformed');
    const rig = await createHostRig({
      card: { free: { calls: 3, windowSeconds: 60 } },
      answerer: wordAnswerer(100, { before: (word) => (word < 3 ? undefined : new Promise(() => {})) }),
    });
    const free = begin(rig, { id: 2 }, undefined);
    await free.until(() => free.deliveries.length === 3);
    free.send(CALL_FRAME.voucher, topUpOf(1n, purse.sign(0n, 0)));
    await free.until();
    expect(free.failure?.code).toBe('malformed');
    await settle();
    expect(rig.host.running).toBe(0);
  });

  it('CALL-56 CALL-41: whoever stops a paused call, it costs what was delivered', async () => {
    const clock = new TestClock();
    const rig = await createHostRig({ clock });
    const purse = new Purse();
    const wire = begin(rig, { id: 1, cover: COVER, clock }, purse);
    await wire.until(() => wire.stages.includes('paused'));
    await clock.pass(59_000);
    expect(wire.over).toBe(false);
    await clock.pass(2_000);
    await wire.until();
    expect([wire.receipt?.finish, wire.receipt?.amount]).toEqual(['cancelled', COVER]);
  });

  it('PAY-15: a channel without room for more keeps the reservation as it was', async () => {
    const rig = await createHostRig();
    rig.channels.change(openChannel().id, { deposit: 400n });
    const purse = new Purse();
    const first = begin(rig, { id: 1, cover: COVER }, purse);
    await first.until(() => first.stages.includes('paused'));
    const second = begin(rig, { id: 2, cover: COVER }, purse);
    await second.until(() => second.stages.includes('paused'));
    first.send(CALL_FRAME.voucher, topUpOf(COVER + 50n, purse.more(20n)));
    await first.until();
    expect(first.receipt).toMatchObject({ finish: 'cancelled', amount: COVER });
    second.send(CALL_FRAME.voucher, topUpOf(COVER + 20n, purse.sign(purse.ceiling, purse.sequence)));
    await second.until(() => second.stages.length === 2);
    second.send(CALL_FRAME.stop);
    await second.until();
    expect(second.receipt?.amount).toBe(COVER + 20n);
    expect(await rig.charged()).toBe(2n * COVER + 20n);
  });

  it('PAY-16: more is delivered only once its voucher is on disk', async () => {
    const asked = Promise.withResolvers<void>();
    const written = Promise.withResolvers<void>();
    const rig = await createHostRig({
      payee: (book) => ({
        endingOf: (callId) => book.endingOf(callId),
        admit: async (request) => {
          const lease = await book.admit(request);
          let times = 0;
          const durable = async (): Promise<void> => {
            if (times++ > 0) {
              asked.resolve();
              await written.promise;
            }
            await lease.durable();
          };
          return { ...lease, durable };
        },
      }),
    });
    const purse = new Purse();
    const wire = begin(rig, { id: 1, cover: COVER }, purse);
    await wire.until(() => wire.stages.includes('paused'));
    wire.send(CALL_FRAME.voucher, topUpOf(1_000n, purse.more(1_000n - COVER)));
    await asked.promise;
    await settle();
    expect(wire.deliveries).toHaveLength(40);
    written.resolve();
    await wire.until();
    expect(wire.receipt?.outputUnits).toBe(100);
  });

  it('CALL-58: what calls below may cost is covered from the beginning, and goes back to the payee', async () => {
    const message = { payload: Uint8Array.of(1), signature: new Uint8Array(64), sides: 0, siblings: [] };
    const body = callChild.encode({ envelope: message, receipt: message, charge: undefined });
    const below = (amount: bigint): AnswerPart => ({ type: 'child', body, amount });
    const budget = { amount: 300n, depth: 1, deadlineMs: Date.now() + 50_000, skills: [] };
    const root = (id: number): Partial<Envelope> => ({
      context: { root: callIdOf(id), parent: undefined, depth: 0, budget },
    });
    const rig = await createHostRig({ answerer: wordAnswerer(50, { parts: [below(200n)] }) });
    const purse = new Purse();
    const short = begin(rig, { id: 1, cover: LEAST + 32n * WORD + 299n, envelope: root(1) }, purse);
    await short.until();
    expect(short.failure).toMatchObject({ code: 'voucher-insufficient', facts: { wanted: '474' } });
    const wire = begin(rig, { id: 2, cover: COVER + 300n, envelope: root(2) }, purse);
    await wire.until(() => wire.stages.includes('paused'));
    expect(wire.text.match(/word/g)).toHaveLength(40);
    wire.send(CALL_FRAME.voucher, topUpOf(COVER + 400n, purse.more(100n)));
    await wire.until();
    const { receipt } = wire;
    expect(receipt).toMatchObject({ expenses: 200n, amount: LEAST + 50n * WORD + 200n, finish: 'done' });
    expect(receipt?.shares.map(({ role, amount }) => [role, amount])).toEqual([
      ['agent', LEAST + 50n * WORD],
      ['calls', 200n],
    ]);
    expect(receipt?.shares[1]?.asset).toEqual(callsAsset(suite));
    expect(wire.checkpoints.at(-1)).toMatchObject({ expenses: 200n });

    const greedy = await createHostRig({
      answerer: wordAnswerer(0, { parts: [{ type: 'delta', text: 'One ', citations: [] }, below(301n)] }),
    });
    const second = begin(greedy, { id: 3, envelope: root(3) }, new Purse());
    await second.until();
    expect(second.receipt).toMatchObject({ expenses: 0n, amount: LEAST + WORD, finish: 'failed' });
  });

  it('CALL-52: an ending that is checked by its bytes follows the last checkpoint', async () => {
    const { wire, purse } = await paused({ answerer: wordAnswerer(41) });
    wire.send(CALL_FRAME.voucher, topUpOf(1_000n, purse.more(1_000n - COVER)));
    await wire.until();
    expect(callEnding.decode(wire.frames.at(-1)?.body as Uint8Array).charge).toBeDefined();
    expect(wire.checkpoints.at(-1)?.deliveries).toBeLessThanOrEqual(wire.receipt?.deliveries ?? 0);
  });
});
