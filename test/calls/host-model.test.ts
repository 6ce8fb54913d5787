/**
 * A host against whoever may speak to it: random calls, cuts, resumptions, vouchers, stops, deadlines and restarts, in
 * any order and at virtual times. What must hold whatever happens is checked after every step and at the end.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CALL_FRAME } from '../../src/protocol/call.ts';
import { chargeOf, type Receipt } from '../../src/protocol/payment.ts';
import { countUnits } from '../../src/protocol/units.ts';
import {
  callIdOf,
  createHostRig,
  type HostRig,
  LEAST,
  openingOf,
  Purse,
  resumeOf,
  settle,
  snapshot,
  TestClock,
  textOf,
  topUpOf,
  type Wire,
  WORD,
  wordAnswerer,
} from './host-rig.ts';
import { cardOf, keys } from './rig.ts';

const WORDS = 90;
const CALLS = 2;

const call = fc.nat(CALLS - 1);
const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('open' as const), call, part: fc.integer({ min: 25, max: 95 }) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('cover' as const), call, words: fc.nat(60) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('cut' as const), call }) },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('resume' as const), call, had: fc.nat(100), words: fc.nat(60) }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('make' as const), words: fc.nat(60) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(20_000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('stop' as const), call }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel' as const), call }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('wrong' as const), call, how: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** One call as its caller sees it over all its streams. */
interface Seen {
  readonly id: number;
  wire: Wire | undefined;
  /** The most that any of its vouchers covers. */
  cover: bigint;
  /** Deliveries by position, in hexadecimal, as the running process told them. */
  readonly told: Map<number, string>;
  readonly endings: Set<string>;
  receipt: Receipt | undefined;
}

class World {
  readonly clock = new TestClock();
  readonly purse = new Purse();
  readonly calls: readonly Seen[] = Array.from({ length: CALLS }, (_, i) => ({
    ...{ id: i + 1, wire: undefined, cover: 0n, receipt: undefined },
    ...{ told: new Map<number, string>(), endings: new Set<string>() },
  }));
  readonly #wires: { readonly wire: Wire; readonly seen: Seen; readonly from: number }[] = [];
  #rig: HostRig | undefined;
  #allowed = 0;
  #bell: (() => void)[] = [];

  get rig(): HostRig {
    if (this.#rig === undefined) throw new Error('the host has not started');
    return this.#rig;
  }

  async start(): Promise<void> {
    const before = this.#rig;
    await before?.flushed();
    this.#rig = await createHostRig({
      clock: this.clock,
      answerer: wordAnswerer(WORDS, { before: (word) => this.#untilAllowed(word) }),
      ...(before && { store: await snapshot(before.store), channels: before.channels }),
    });
    await this.rig.host.recover();
    await settle();
  }

  async take(action: Step): Promise<void> {
    const seen = 'call' in action ? this.calls[action.call] : undefined;
    if (action.do === 'wait') await this.clock.pass(action.ms);
    if (action.do === 'make') {
      this.#allowed += action.words;
      for (const wake of this.#bell.splice(0)) wake();
    }
    if (action.do === 'restart') await this.#kill();
    if (seen !== undefined) this.#speak(action, seen);
    await settle();
    await this.check();
  }

  #speak(action: Step, seen: Seen): void {
    const { clock } = this;
    if (action.do === 'open') {
      const cover = LEAST + BigInt(action.part) * WORD;
      const wire = this.#wire(seen, 0);
      if (cover > seen.cover) seen.cover = cover;
      wire.send(CALL_FRAME.opening, openingOf({ id: seen.id, cover, outputUnitsMax: 80, clock }, this.purse));
    }
    if (action.do === 'resume') {
      const had = this.#had(seen).slice(0, action.had);
      const more = BigInt(action.words) * WORD;
      seen.cover += more;
      const paid = more > 0n ? { cover: seen.cover, voucher: this.purse.more(more) } : {};
      const wire = this.#wire(seen, had.length);
      wire.send(CALL_FRAME.resume, resumeOf(seen.id, had, { ...paid, clock }));
    }
    const { wire } = seen;
    if (wire === undefined || wire.over) return;
    if (action.do === 'cover') {
      const more = BigInt(action.words) * WORD;
      seen.cover += more;
      wire.send(CALL_FRAME.voucher, topUpOf(seen.cover, this.purse.more(more)));
    }
    if (action.do === 'cut') wire.end.cut();
    if (action.do === 'stop') wire.send(CALL_FRAME.stop);
    if (action.do === 'cancel') wire.cancel();
    if (action.do === 'wrong') this.#wrong(wire, seen, action.how);
  }

  #wrong(wire: Wire, seen: Seen, how: number): void {
    if (how === 0) wire.send(CALL_FRAME.stop, Uint8Array.of(1));
    if (how === 1) wire.send(77, Uint8Array.of(1));
    if (how === 2) wire.send(CALL_FRAME.voucher, topUpOf(10_000n, this.purse.sign(5_000_000n, 9_999)));
    if (how === 3) wire.send(CALL_FRAME.opening, openingOf({ id: seen.id, clock: this.clock }, undefined));
    if (how === 4) {
      const other = this.#wire(seen, 0, false);
      other.send(CALL_FRAME.resume, resumeOf(seen.id, [], { from: keys.stranger, clock: this.clock }));
    }
  }

  #wire(seen: Seen, from: number, own = true): Wire {
    const wire = this.rig.stream();
    if (own) {
      seen.wire = wire;
      this.#wires.push({ wire, seen, from });
    }
    return wire;
  }

  /** What the caller has, from the first delivery on without a gap. */
  #had(seen: Seen): { kind: number; body: Uint8Array }[] {
    const had: { kind: number; body: Uint8Array }[] = [];
    for (let at = 0; seen.told.has(at); at++) {
      had.push({ kind: CALL_FRAME.delta, body: Buffer.from(seen.told.get(at) ?? '', 'hex') });
    }
    return had;
  }

  /** The process ends at once; what it wrote stays. */
  async #kill(): Promise<void> {
    for (const { wire } of this.#wires) wire.end.cut();
    await settle();
    this.#note();
    // What came after the last checkpoint that was kept counts as not delivered, unless the call has ended.
    for (const seen of this.calls) if (seen.endings.size === 0) seen.told.clear();
    this.#wires.length = 0;
    await this.start();
  }

  #note(): void {
    for (const { wire, seen, from } of this.#wires) {
      wire.deliveries.forEach(({ body }, i) => {
        const hex = Buffer.from(body).toString('hex');
        const before = seen.told.get(from + i);
        // The same bytes at every place, however often they are told.
        if (before !== undefined) expect(hex).toBe(before);
        seen.told.set(from + i, hex);
      });
      if (wire.receiptBytes !== undefined) {
        seen.endings.add(wire.receiptBytes);
        seen.receipt = wire.receipt;
      }
    }
  }

  async check(): Promise<void> {
    this.#note();
    const { price } = cardOf();
    let charged = 0n;
    for (const seen of this.calls) {
      // One receipt for each call.
      expect(seen.endings.size).toBeLessThanOrEqual(1);
      const found = await this.rig.records.find('host', callIdOf(seen.id));
      if (found === undefined) continue;
      charged += found.amount;
      const text = textOf(found.deliveries);
      expect(found.amount).toBe(chargeOf(price, 10, countUnits(text)));
      expect(found.amount).toBeLessThanOrEqual(seen.cover);
      if (seen.receipt !== undefined) expect(seen.receipt.amount).toBe(found.amount);
    }
    expect(await this.rig.charged()).toBe(charged);
  }

  /** Everything ends once time passes. */
  async finish(): Promise<void> {
    await this.clock.pass(200_000);
    await this.check();
    expect(this.rig.host.running).toBe(0);
    for (const seen of this.calls) {
      // Nothing that was delivered is left uncharged.
      if (seen.told.size > 0) expect(await this.rig.records.find('host', callIdOf(seen.id))).toBeDefined();
      const wire = this.#wire(seen, 0);
      wire.send(CALL_FRAME.resume, resumeOf(seen.id, [], { clock: this.clock }));
    }
    await settle();
    await this.check();
    for (const { wire } of this.#wires.slice(-CALLS)) {
      expect(wire.failure?.code ?? 'ended').toMatch(/^(ended|call-unknown)$/);
    }
  }

  async #untilAllowed(word: number): Promise<void> {
    while (word >= this.#allowed) await new Promise<void>((resolve) => this.#bell.push(resolve));
  }
}

describe('a host under whatever its callers do', () => {
  it('CALL-3 CALL-56 CALL-69 PAY-13: every call ends, costs what it delivered and no more than was covered, once, and is told the same way', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { size: 'max', minLength: 6, maxLength: 40 }), async (steps) => {
        const world = new World();
        await world.start();
        for (const action of steps) await world.take(action);
        await world.finish();
      }),
      { numRuns: Number(process.env.MODEL_RUNS ?? 25) },
    );
  }, 120_000);
});
