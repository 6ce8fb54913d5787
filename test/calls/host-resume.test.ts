import { describe, expect, it } from 'vitest';
import { SaharaError } from '../../src/base/errors.ts';
import { CALL_FRAME } from '../../src/protocol/call.ts';
import {
  callIdOf,
  createHostRig,
  type HostRig,
  LEAST,
  openingOf,
  Purse,
  type RawCall,
  resumeOf,
  settle,
  TestClock,
  type Wire,
  WORD,
  wordAnswerer,
} from './host-rig.ts';
import { hash, keys } from './rig.ts';

const COVER = LEAST + 40n * WORD;

/** An answerer that says three words and then waits until it is let go. */
function halting(): { answerer: ReturnType<typeof wordAnswerer>; go(): void } {
  let go = (): void => {};
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  const answerer = wordAnswerer(6, { before: (word) => (word < 3 ? undefined : gate) });
  return { answerer, go };
}

function open(rig: HostRig, call: RawCall, purse: Purse | undefined = new Purse()): Wire {
  const wire = rig.stream();
  wire.send(CALL_FRAME.opening, openingOf(call, purse));
  return wire;
}

function resume(rig: HostRig, body: Uint8Array, peerId?: string): Wire {
  const wire = rig.stream(peerId);
  wire.send(CALL_FRAME.resume, body);
  return wire;
}

async function refusal(rig: HostRig, body: Uint8Array): Promise<string | undefined> {
  const wire = resume(rig, body);
  await wire.until();
  return wire.failure?.code;
}

const hex = (wire: Wire, from = 0): string[] =>
  wire.deliveries.slice(from).map(({ body }) => Buffer.from(body).toString('hex'));

describe('a call that goes on over another stream', () => {
  it('CALL-60 CALL-64: cut in the middle, it waits without asking the backend, and goes on for nothing', async () => {
    const { answerer, go } = halting();
    const rig = await createHostRig({ answerer });
    const first = open(rig, { id: 1 });
    await first.until(() => first.deliveries.length === 3);
    first.end.cut();
    go();
    await settle();
    expect([answerer.made, rig.host.running]).toEqual([4, 1]);
    const second = resume(rig, resumeOf(1, first.deliveries.slice(0, 2)));
    await second.until();
    expect(second.text).toBe('word2 word3 word4 word5 ');
    expect(hex(second)[0]).toBe(hex(first)[2]);
    expect(second.receipt).toMatchObject({ finish: 'done', outputUnits: 6, amount: LEAST + 6n * WORD });
    expect(await rig.charged()).toBe(LEAST + 6n * WORD);
    const third = resume(rig, resumeOf(1, []));
    await third.until();
    expect([hex(third), third.receiptBytes]).toEqual([
      [...hex(first, 0).slice(0, 2), ...hex(second)],
      second.receiptBytes,
    ]);
    expect(await rig.charged()).toBe(LEAST + 6n * WORD);
  });

  it('CALL-60 CALL-40: nobody comes: after the grace, or at the deadline, it is charged exactly and kept', async () => {
    for (const [deadlineMs, waitMs] of [
      [60_000, 30_000],
      [10_000, 10_000],
    ] as const) {
      const { answerer } = halting();
      const clock = new TestClock();
      const rig = await createHostRig({ answerer, clock });
      const wire = open(rig, { id: 1, clock, deadlineMs });
      await wire.until(() => wire.deliveries.length === 3);
      wire.end.cut();
      await settle();
      await clock.pass(waitMs - 1);
      expect(rig.host.running).toBe(1);
      await clock.pass(1);
      expect(rig.host.running).toBe(0);
      const later = resume(rig, resumeOf(1, wire.deliveries, { clock }));
      await later.until();
      expect(later.deliveries).toHaveLength(0);
      expect(later.receipt).toMatchObject({ finish: 'cancelled', amount: LEAST + 3n * WORD });
    }
  });

  it('CALL-40: who cancels the stream is not waited for', async () => {
    const { answerer } = halting();
    const rig = await createHostRig({ answerer });
    const wire = open(rig, { id: 1 });
    await wire.until(() => wire.deliveries.length === 3);
    wire.end.cancel();
    await settle();
    expect([rig.host.running, await rig.charged()]).toEqual([0, LEAST + 3n * WORD]);
  });

  it('CALL-60: of too many that wait the one that waited longest ends; a host that stops ends them all', async () => {
    const { answerer } = halting();
    const rig = await createHostRig({ answerer, host: { detachedMax: 2 } });
    const purse = new Purse();
    for (const id of [1, 2, 3]) {
      const wire = open(rig, { id }, purse);
      await wire.until(() => wire.deliveries.length === 3);
      wire.end.cut();
      await settle();
    }
    expect(rig.host.running).toBe(2);
    expect((await rig.payee.endingOf(callIdOf(1))) instanceof Object).toBe(true);
    expect(await rig.payee.endingOf(callIdOf(2))).toBe('running');
    await rig.host.drain(3_600_000);
    expect([rig.host.running, await rig.charged()]).toEqual([0, 3n * (LEAST + 3n * WORD)]);
  });

  it('CALL-61 CALL-62: a resumption that does not hold is refused, the first fault first', async () => {
    const { answerer } = halting();
    const rig = await createHostRig({ answerer });
    const wire = open(rig, { id: 1 });
    await wire.until(() => wire.deliveries.length === 3);
    const had = wire.deliveries;
    const now = Date.now();
    const cases: readonly (readonly [Uint8Array, string])[] = [
      [new Uint8Array(1_048_577), 'too-large'],
      [Uint8Array.of(1, 2, 3), 'malformed'],
      [resumeOf(1, had, { envelope: { version: 2 }, peer: 'else' }), 'version-unsupported'],
      [resumeOf(1, had, { envelope: { network: 'other' }, peer: 'else' }), 'network-mismatch'],
      [
        resumeOf(1, had, {
          envelope: { to: { kind: 'agent', name: keys.stranger.publicKey } },
          peer: 'else',
        }),
        'wrong-recipient',
      ],
      [
        resumeOf(1, had, {
          envelope: { issuedAtMs: now - 300_000, expiresAtMs: now - 200_000 },
          peer: 'else',
        }),
        'expired',
      ],
      [resumeOf(1, had, { envelope: { bodyType: 'call' }, peer: 'else' }), 'malformed'],
      [resumeOf(1, had, { envelope: { bodyHash: hash(1) }, peer: 'else' }), 'malformed'],
      [resumeOf(1, had, { envelope: { from: keys.stranger.publicKey }, peer: 'else' }), 'wrong-recipient'],
      [resumeOf(1, had, { envelope: { from: keys.stranger.publicKey } }), 'signature-invalid'],
      [resumeOf(1, had, { nonce: callIdOf(1) }), 'replayed'],
      [resumeOf(9, had), 'call-unknown'],
      [resumeOf(1, had, { from: keys.stranger }), 'call-unknown'],
      [resumeOf(1, had, { deliveries: 4 }), 'call-conflict'],
      [resumeOf(1, had, { deliveries: 2 }), 'call-conflict'],
    ];
    for (const [body, code] of cases) expect(await refusal(rig, body), code).toBe(code);
    const ahead = resume(rig, resumeOf(1, had, { deliveries: 9 }));
    await ahead.until();
    expect(ahead.failure?.facts).toMatchObject({ deliveries: 3 });
    const twice = resumeOf(1, had);
    const second = resume(rig, twice);
    await settle();
    expect([second.over, await refusal(rig, twice)]).toEqual([false, 'replayed']);
    // Nothing of it touched the call.
    second.send(CALL_FRAME.stop);
    await second.until();
    expect(second.receipt?.amount).toBe(LEAST + 3n * WORD);
    expect(await refusal(rig, resumeOf(1, had, { from: keys.stranger }))).toBe('call-unknown');
    expect(await refusal(rig, resumeOf(1, had, { deliveries: 2 }))).toBe('call-conflict');
  });

  it('CALL-63: another peer of the same caller takes a call over that is still carried', async () => {
    const { answerer, go } = halting();
    const rig = await createHostRig({ answerer });
    const first = open(rig, { id: 1 });
    await first.until(() => first.deliveries.length === 3);
    const second = resume(rig, resumeOf(1, first.deliveries, { peer: 'peer-other' }), 'peer-other');
    await first.until();
    expect(first.failure?.code).toBe('peer-gone');
    go();
    await second.until();
    expect([second.text, second.receipt?.outputUnits]).toEqual(['word3 word4 word5 ', 6]);
    expect((await rig.records.find('host', callIdOf(1)))?.peerId).toBe('peer-other');
  });

  it('CALL-63: what comes on a stream that was taken over counts no more, and its end harms nobody', async () => {
    const { answerer, go } = halting();
    const rig = await createHostRig({ answerer });
    const first = rig.stream();
    first.send(CALL_FRAME.opening, openingOf({ id: 1 }, new Purse()));
    await first.until(() => first.deliveries.length === 3);
    const second = resume(rig, resumeOf(1, first.deliveries));
    await settle();
    first.end.receive({ type: 'broken', error: new SaharaError('peer-gone') });
    await settle();
    go();
    await second.until();
    expect(second.receipt?.finish).toBe('done');
  });

  it('CALL-62: a call that is still being checked or waits for a place is gone on with', async () => {
    const { answerer, go } = halting();
    const rig = await createHostRig({
      answerer,
      card: { limits: { questionBytes: 4_096, outputUnits: 100, deadlineMs: 60_000, concurrency: 1 } },
    });
    const purse = new Purse();
    const busy = open(rig, { id: 1 }, purse);
    await busy.until(() => busy.deliveries.length === 3);
    const queued = open(rig, { id: 2 }, purse);
    const early = resume(rig, resumeOf(2, []));
    await queued.until();
    expect(queued.failure?.code).toBe('peer-gone');
    go();
    await early.until();
    expect(early.receipt).toMatchObject({ outputUnits: 6, finish: 'done' });
    const refused = open(rig, { id: 3, priceMax: 1n }, purse);
    expect(await refusal(rig, resumeOf(3, []))).toBe('call-unknown');
    await refused.until();
    expect(refused.failure?.code).toBe('price-above-max');
  });

  it('CALL-66: an opening that comes after its caller was told `call-unknown` is refused, for that caller only', async () => {
    const rig = await createHostRig({ answerer: wordAnswerer(3) });
    expect(await refusal(rig, resumeOf(1, []))).toBe('call-unknown');
    expect(await refusal(rig, resumeOf(2, [], { from: keys.stranger }))).toBe('call-unknown');
    const late = open(rig, { id: 1 });
    await late.until();
    expect(late.failure?.code).toBe('replayed');
    const other = open(rig, { id: 2 });
    await other.until();
    expect(other.receipt?.finish).toBe('done');
  });

  it('CALL-64 CALL-65: a paused call goes on with the voucher that comes with the resumption, after its last checkpoint', async () => {
    const rig = await createHostRig();
    const purse = new Purse();
    const first = open(rig, { id: 1, cover: COVER }, purse);
    await first.until(() => first.stages.includes('paused'));
    first.end.cut();
    await settle();
    const bare = resume(rig, resumeOf(1, first.deliveries));
    await bare.until(() => bare.stages.includes('paused'));
    expect(bare.kinds).toEqual([CALL_FRAME.checkpoint, CALL_FRAME.progress]);
    expect(bare.frames[0]).toEqual(first.frames.filter(({ kind }) => kind === CALL_FRAME.checkpoint).at(-1));
    bare.end.cut();
    const more = { cover: 1_000n, voucher: purse.more(1_000n - COVER) };
    const paid = resume(rig, resumeOf(1, first.deliveries.slice(0, 5), more));
    await paid.until();
    expect(paid.kinds.filter((kind) => kind !== CALL_FRAME.progress).slice(34, 38)).toEqual([2, 9, 2, 2]);
    expect(paid.receipt).toMatchObject({ outputUnits: 100, finish: 'done' });
  });

  it('CALL-60 CALL-64: a free call goes on too, and is given back to nobody', async () => {
    const { answerer, go } = halting();
    const rig = await createHostRig({ answerer, card: { free: { calls: 1, windowSeconds: 3_600 } } });
    const first = rig.stream();
    first.send(CALL_FRAME.opening, openingOf({ id: 1 }, undefined));
    await first.until(() => first.deliveries.length === 3);
    first.end.cut();
    await settle();
    const second = resume(rig, resumeOf(1, first.deliveries));
    go();
    await second.until();
    expect(second.receipt).toMatchObject({ amount: 0n, channel: undefined, outputUnits: 6 });
    const third = rig.stream();
    third.send(CALL_FRAME.opening, openingOf({ id: 2 }, undefined));
    await third.until();
    expect(third.failure?.code).toBe('quota-exhausted');
  });

  it('CALL-62: a call that ends while a resumption is checked is told again', async () => {
    for (let turns = 0; turns < 12; turns++) {
      const { answerer, go } = halting();
      const rig = await createHostRig({ answerer });
      const first = open(rig, { id: 1 });
      await first.until(() => first.deliveries.length === 3);
      const second = rig.stream();
      second.send(CALL_FRAME.resume, resumeOf(1, first.deliveries));
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      go();
      if (turns % 2 === 0 && !first.over) first.end.cancel();
      await second.until();
      expect(second.receipt?.amount).toBe(LEAST + BigInt(second.receipt?.outputUnits ?? 0) * WORD);
    }
  });

  it('CALL-65: a wrong voucher with a resumption ends the call like one in a frame', async () => {
    const rig = await createHostRig();
    const purse = new Purse();
    const first = open(rig, { id: 1, cover: COVER }, purse);
    await first.until(() => first.stages.includes('paused'));
    const wrong = { cover: 1_000n, voucher: purse.sign(2_000_000n, 9) };
    const second = resume(rig, resumeOf(1, first.deliveries, wrong));
    await second.until();
    expect(second.receipt).toMatchObject({ finish: 'cancelled', amount: COVER });
  });

  it('CALL-64: a reader that is slow gets a replay at its own pace, and the ending after it', async () => {
    const rig = await createHostRig({ answerer: wordAnswerer(90), pair: { windowFrames: 2 } });
    const first = open(rig, { id: 1 });
    await first.until(() => first.deliveries.length === 90);
    await first.until();
    const again = resume(rig, resumeOf(1, []));
    await again.until();
    expect(hex(again)).toEqual(hex(first));
    expect(again.receiptBytes).toBe(first.receiptBytes);
  });

  it('CALL-5: frames may follow a resumption at once; what is no frame of a call fails the stream alone', async () => {
    const { answerer } = halting();
    const rig = await createHostRig({ answerer });
    const purse = new Purse();
    const first = open(rig, { id: 1 }, purse);
    await first.until(() => first.deliveries.length === 3);
    const early = rig.stream();
    early.send(CALL_FRAME.resume, resumeOf(1, first.deliveries));
    early.send(CALL_FRAME.stop);
    await early.until();
    expect(early.receipt?.finish).toBe('cancelled');

    const second = open(rig, { id: 2 }, purse);
    await second.until(() => second.deliveries.length === 3);
    const twice = rig.stream();
    twice.send(CALL_FRAME.resume, resumeOf(2, second.deliveries));
    twice.send(CALL_FRAME.opening, openingOf({ id: 3 }, purse));
    await twice.until();
    expect([twice.failure?.code, second.over]).toEqual(['malformed', false]);
    second.send(99, Uint8Array.of(1));
    await second.until();
    expect(second.failure?.code).toBe('malformed');
    await settle();
    const found = await rig.payee.endingOf(callIdOf(2));
    expect(found instanceof Object).toBe(true);
    expect(await rig.charged()).toBe(2n * (LEAST + 3n * WORD));
  });
});
