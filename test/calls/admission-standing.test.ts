/** What a host thinks of peers and callers: CALL-130 to CALL-134. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openStanding, type StandingBook } from '../../src/agent/standing.ts';
import { callerName, peerName, subjectOf } from '../../src/agent/standing-names.ts';
import {
  FAULT_HALF_LIFE_MS,
  FAULT_POINTS,
  MERIT_HALF_LIFE_MS,
  pointsOf,
  STEPS,
  stepOf,
  wayUp,
} from '../../src/agent/standing-rules.ts';
import { answerStanding, askStanding, type StandingServiceParts } from '../../src/agent/standing-service.ts';
import type { Clock } from '../../src/base/clock.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { systemDice } from '../../src/base/random.ts';
import { createMemoryStore, type Store } from '../../src/base/store.ts';
import { envelope } from '../../src/protocol/envelope.ts';
import { createTickSigner, createVerifier, signOne, type TickSigner } from '../../src/protocol/signing.ts';
import { standingQuestion, standingRequest } from '../../src/protocol/standing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { createSigner, nativeSuite as suite } from '../../src/protocol/suite-native.ts';

const NETWORK = 'test-0000000000000000';
const keys: Readonly<Record<'payer' | 'stranger', Signer>> = {
  payer: createSigner(new Uint8Array(32).fill(1)),
  stranger: createSigner(new Uint8Array(32).fill(4)),
};
const tick = (signer: Signer): TickSigner => createTickSigner({ suite, signer, network: NETWORK });

/** A clock moved by hand whose timers run when it is moved. */
class HandClock implements Clock {
  #nowMs = 1_800_000_000_000;
  #timers: { atMs: number; run: () => void }[] = [];
  nowMs(): number {
    return this.#nowMs;
  }
  monotonicMs(): number {
    return this.#nowMs;
  }
  after(delayMs: number, run: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }
  move(ms: number): void {
    this.#nowMs += ms;
    const due = this.#timers.filter(({ atMs }) => atMs <= this.#nowMs);
    this.#timers = this.#timers.filter(({ atMs }) => atMs > this.#nowMs);
    for (const { run } of due) run();
  }
}

const key = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);
const many = (book: StandingBook, name: string, fact: string, times: number): void => {
  for (let i = 0; i < times; i++) book.note(name, fact);
};

describe('the rules', () => {
  const facts = fc
    .array(fc.tuple(fc.constantFrom(...Object.keys(FAULT_POINTS), 'answered', 'paid'), fc.nat(500)))
    .map((entries) => new Map(entries));

  it('CALL-130: lower the limits step by step, and time leads back to the whole of them', () => {
    expect(STEPS.map(({ share }) => share)).toEqual(
      [...STEPS.map(({ share }) => share)].sort((a, b) => b - a),
    );
    fc.assert(
      fc.property(facts, (known) => {
        const step = stepOf(pointsOf(known));
        expect(step).toBeGreaterThanOrEqual(0);
        expect(stepOf(pointsOf(known, 24 * FAULT_HALF_LIFE_MS))).toBe(0);
        const way = wayUp(known);
        expect(way === undefined).toBe(step === 0);
        if (way === undefined) return;
        // What is said of the way up is so, and no longer than it has to be.
        expect(stepOf(pointsOf(known, way.afterMs))).toBeLessThan(step);
        expect(stepOf(pointsOf(known, way.afterMs - 2_000))).toBe(step);
        if (way.afterCalls === undefined) return;
        const answered = (count: number): ReadonlyMap<string, number> =>
          new Map([...known, ['answered', (known.get('answered') ?? 0) + count]]);
        expect(stepOf(pointsOf(answered(way.afterCalls)))).toBeLessThan(step);
        expect(stepOf(pointsOf(answered(way.afterCalls - 1)))).toBe(step);
      }),
    );
  });

  it('CALL-130: name the codes that they weigh as they are', async () => {
    const { ERROR_KINDS } = await import('../../src/base/errors.ts');
    const codes = Object.keys(FAULT_POINTS).filter((fact) => fact.startsWith('refused:'));
    expect(codes.filter((fact) => !Object.hasOwn(ERROR_KINDS, fact.slice('refused:'.length)))).toEqual([]);
  });

  it('reads names back', () => {
    expect(subjectOf(peerName('12D3KooWabc'))).toEqual({ peerId: '12D3KooWabc' });
    expect(subjectOf(callerName(key(7)))).toEqual({ caller: key(7) });
    expect(subjectOf('other')).toBeUndefined();
  });
});

describe('the book', () => {
  it('CALL-130: counts facts, which lose half of their count with time', async () => {
    const clock = new HandClock();
    const book = await openStanding({ store: createMemoryStore(), clock });
    many(book, peerName('a'), 'refused:malformed', 8);
    expect(book.of(peerName('a'))).toMatchObject({ points: 32, step: 1 });
    expect(book.shareOf(peerName('a'))).toBe(1 / 8);
    clock.move(FAULT_HALF_LIFE_MS);
    expect(book.of(peerName('a')).facts.get('refused:malformed')).toBeCloseTo(4);
    expect(book.shareOf(peerName('a'))).toBe(1);
    expect(book.shareOf(peerName('nobody'))).toBe(1);
    expect(book.knows(key(1))).toBe(false);
    book.note(callerName(key(1)), 'answered');
    expect(book.knows(key(1))).toBe(true);
    clock.move(MERIT_HALF_LIFE_MS);
    expect(book.knows(key(1))).toBe(true);
    clock.move(8 * MERIT_HALF_LIFE_MS);
    expect(book.knows(key(1))).toBe(false);
  });

  it('CALL-130: a clock that goes back forgives nothing and punishes nothing', async () => {
    const clock = new HandClock();
    const book = await openStanding({ store: createMemoryStore(), clock });
    many(book, peerName('a'), 'refused:malformed', 8);
    clock.move(-10 * FAULT_HALF_LIFE_MS);
    expect(book.of(peerName('a')).points).toBe(32);
    // Nor does a clock that was far ahead hold anybody down until it is there again.
    clock.move(FAULT_HALF_LIFE_MS);
    expect(book.of(peerName('a')).points).toBeCloseTo(16);
  });

  it('CALL-130: writes again what a full disk did not take', async () => {
    const clock = new HandClock();
    const inner = createMemoryStore();
    let full = true;
    const store: Store = {
      ...inner,
      batch: (operations) => (full ? Promise.reject(new SaharaError('disk-full')) : inner.batch(operations)),
    };
    const book = await openStanding({ store, clock });
    book.note(peerName('a'), 'cut');
    await expect(book.flushed()).rejects.toMatchObject({ code: 'disk-full' });
    full = false;
    book.note(peerName('b'), 'cut');
    await book.flushed();
    const names = (await openStanding({ store: inner, clock })).list(10).map(({ name }) => name);
    expect(names.sort()).toEqual([peerName('a'), peerName('b')]);
  });

  it('CALL-130: survives a restart on a real disk, and decays meanwhile', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sahara-standing-'));
    try {
      const clock = new HandClock();
      const store = await openLevelStore(folder);
      const book = await openStanding({ store, clock });
      many(book, peerName('a'), 'refused:signature-invalid', 100);
      book.note(callerName(key(1)), 'answered');
      book.note(callerName(key(1)), 'paid', 2 ** 52);
      many(book, peerName('soon forgotten'), 'cut', 1);
      clock.move(2_000);
      await book.flushed();
      await store.close();

      clock.move(FAULT_HALF_LIFE_MS);
      const again = await openLevelStore(folder);
      const reopened = await openStanding({ store: again, clock });
      expect(reopened.of(peerName('a')).points).toBeCloseTo(200, 0);
      expect(reopened.of(peerName('a')).step).toBe(2);
      expect(reopened.knows(key(1))).toBe(true);
      expect(reopened.of(callerName(key(1))).facts.get('paid')).toBeGreaterThan(2 ** 51);
      clock.move(20 * FAULT_HALF_LIFE_MS);
      const later = await openStanding({ store: again, clock });
      expect(later.list(10).map(({ name }) => name)).toEqual([callerName(key(1))]);
      await again.close();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('CALL-130: new names, however many, crowd out nobody who was answered or has paid, and no heavy points', async () => {
    const clock = new HandClock();
    const book = await openStanding({ store: createMemoryStore(), clock }, { shelfMax: 64 });
    const [payer, known, villain] = [callerName(key(1)), callerName(key(2)), callerName(key(3))];
    book.note(payer, 'answered');
    book.note(payer, 'paid', 1_000);
    many(book, known, 'answered', 3);
    many(book, villain, 'refused:malformed', 20);
    const fresh = (): string => callerName(systemDice.bytes(32));
    for (let i = 0; i < 2_000; i++) many(book, fresh(), 'refused:malformed', 2);
    // Free calls cost a stranger work; who had more of them stays.
    for (let i = 0; i < 200; i++) book.note(fresh(), 'answered');
    // What paid more stays.
    for (let i = 0; i < 200; i++) book.note(fresh(), 'paid', 10);
    expect(book.of(payer).facts.get('paid')).toBe(1_000);
    expect(book.of(known).facts.get('answered')).toBe(3);
    expect(book.of(villain).points).toBe(80);
    expect(book.list(10_000).length).toBeLessThanOrEqual(3 * 64);
  });

  it('CALL-130: nothing is counted so high that the way back takes more than some hours', async () => {
    const clock = new HandClock();
    const book = await openStanding({ store: createMemoryStore(), clock });
    for (let i = 0; i < 200_000; i++) book.note(peerName('flood'), 'refused:rate-limited');
    for (const fact of Object.keys(FAULT_POINTS)) book.note(peerName('all'), fact, 1e9);
    expect(book.of(peerName('flood')).step).toBe(3);
    clock.move(8 * FAULT_HALF_LIFE_MS);
    expect(book.shareOf(peerName('flood'))).toBe(1);
    clock.move(8 * FAULT_HALF_LIFE_MS);
    expect(book.shareOf(peerName('all'))).toBe(1);
  });
});

describe('the question', () => {
  const HOST = '12D3KooWGzBtfYwTyTyDJsTRz8yH4mNVAXdAR1SQ5pUqJM6SqJXR';
  const ASKER = '12D3KooWQ5fN2yzvZh1Uq2q4mFmzKvGZzWYC8gDU9xBPm2Xb8uVt';
  const service = async (): Promise<StandingServiceParts & { readonly standing: StandingBook }> => {
    const clock = new HandClock();
    return {
      suite,
      verifier: createVerifier(suite),
      clock,
      network: NETWORK,
      peerId: HOST,
      standing: await openStanding({ store: createMemoryStore(), clock }),
      limitsOf: () => ({
        stranger: true,
        peer: [{ what: 'peer', perSecond: 7, atOnce: 3 }],
        caller: [{ what: 'caller', perSecond: 5, atOnce: 2 }],
      }),
    };
  };
  const ask = (parts: StandingServiceParts, from = ASKER, to = HOST): ReturnType<typeof askStanding> =>
    askStanding(
      {
        clock: parts.clock,
        dice: systemDice,
        network: NETWORK,
        peerId: ASKER,
        operator: tick(keys.payer),
        suite,
        request: (_peer, body) => answerStanding(parts, body, from),
      },
      to,
    );

  it('CALL-132 CALL-133: tells who asks of itself and its key: the facts, the limits, and what would change them', async () => {
    const parts = await service();
    many(parts.standing, peerName(ASKER), 'refused:malformed', 6);
    many(parts.standing, peerName('somebody else'), 'refused:malformed', 60);
    many(parts.standing, callerName(keys.payer.publicKey), 'answered', 2);
    const answer = await ask(parts);
    expect(answer.stranger).toBe(true);
    expect(answer.peer).toMatchObject({
      step: 1,
      points: 24,
      facts: [{ fact: 'refused:malformed', count: 6 }],
      limits: [{ what: 'peer', perSecond: 7, atOnce: 3 }],
      betterAfterCalls: 17,
    });
    expect(answer.peer.betterAfterMs).toBeGreaterThan(0);
    expect(answer.caller).toEqual({
      step: 0,
      points: 0,
      facts: [{ fact: 'answered', count: 2 }],
      limits: [{ what: 'caller', perSecond: 5, atOnce: 2 }],
      betterAfterMs: undefined,
      betterAfterCalls: undefined,
    });
  });

  it('CALL-132: is refused to everybody else, in the documented order', async () => {
    const parts = await service();
    await expect(ask(parts, 'another peer')).rejects.toMatchObject({ code: 'wrong-recipient' });
    await expect(ask(parts, ASKER, ASKER)).rejects.toMatchObject({ code: 'wrong-recipient' });
    let sent: Uint8Array = new Uint8Array(0);
    await askStanding(
      {
        clock: parts.clock,
        dice: systemDice,
        network: NETWORK,
        peerId: ASKER,
        operator: tick(keys.payer),
        suite,
        request: (_peer, body) => {
          sent = body;
          return answerStanding(parts, body, ASKER);
        },
      },
      HOST,
    );
    const good = standingQuestion.decode(sent);
    const opened = envelope.decode(good.envelope.payload);
    const remade = (change: Partial<typeof opened>, signer = keys.payer): Uint8Array =>
      standingQuestion.encode({
        ...good,
        envelope: signOne(suite, signer, NETWORK, {
          type: 'standing',
          payload: envelope.encode({ ...opened, ...change }),
        }),
      });
    const unsigned = standingQuestion.encode({
      ...good,
      envelope: { ...good.envelope, signature: new Uint8Array(0) },
    });
    const cases: readonly (readonly [string, Uint8Array])[] = [
      ['too-large', new Uint8Array(5_000)],
      ['malformed', Uint8Array.of(1, 2, 3)],
      ['signature-missing', unsigned],
      ['network-mismatch', remade({ network: 'other', to: { kind: 'agent', name: key(1) } })],
      ['wrong-recipient', remade({ to: { kind: 'agent', name: key(1) }, issuedAtMs: 1, expiresAtMs: 2 })],
      ['expired', remade({ issuedAtMs: 1_000, expiresAtMs: 2_000, bodyHash: key(3) })],
      ['malformed', remade({ bodyHash: key(3) })],
      ['signature-invalid', remade({}, keys.stranger)],
    ];
    for (const [code, body] of cases) {
      await expect(answerStanding(parts, body, ASKER), code).rejects.toMatchObject({ code });
    }
    const other = standingRequest.encode({ peer: 'another' });
    const swapped = standingQuestion.encode({ ...good, body: other });
    await expect(answerStanding(parts, swapped, ASKER)).rejects.toMatchObject({ code: 'malformed' });
  });
});
