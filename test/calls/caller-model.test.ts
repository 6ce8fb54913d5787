import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CallHandle, CallResult } from '../../src/agent/caller.ts';
import { SaharaError } from '../../src/base/errors.ts';
import type { Checkpoint } from '../../src/protocol/checkpoint.ts';
import { countUnits } from '../../src/protocol/units.ts';
import { type CallerRig, createCallerRig } from './caller-rig.ts';
import type { RawCall } from './raw-agent.ts';
import { hash, QUESTION } from './rig.ts';

/** 100 grains a call, 1 for each of the question's 10 units, 2 for each of the answer's. */
const LEAST = 110n;
const STEP = 64n;
const SCRIPT = Array.from({ length: 400 }, (_, n) => `w${n} `);

const action = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('say' as const), words: fc.integer({ min: 1, max: 20 }) }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('checkpoint' as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('cut' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('again' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('stop' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('wrong' as const), how: fc.nat(3) }) },
);

type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

const WRONG: readonly Partial<Checkpoint>[] = [
  { amount: 5_000n },
  { chain: hash(1) },
  { outputUnits: 399 },
  { deliveries: 9_999 },
];

type Outcome = CallResult | SaharaError;

/** An agent's peer that follows the rules, except where an action says otherwise, and what a reader saw of it. */
class Model {
  readonly rig: CallerRig;
  readonly handle: CallHandle;
  readonly call: RawCall;
  readonly outcome: Promise<Outcome>;
  seen = '';
  /** Amount of the last checkpoint that holds. */
  verified = LEAST;
  kept = 0;
  cheated = false;
  over = false;

  constructor(rig: CallerRig, handle: CallHandle, call: RawCall) {
    this.rig = rig;
    this.handle = handle;
    this.call = call;
    this.outcome = handle.result.catch((error: SaharaError) => error);
    void this.outcome.then(() => {
      this.over = true;
      call.ring();
    });
    const read = async (): Promise<void> => {
      for await (const event of handle.events()) if (event.type === 'text') this.seen += event.text;
    };
    read().catch(() => {});
  }

  check(): void {
    const { call, handle, verified } = this;
    expect(call.cover).toBeLessThanOrEqual(verified + STEP);
    expect(handle.cover).toBeLessThanOrEqual(verified + STEP);
    expect(call.cover).toBeLessThanOrEqual(call.request.priceMax);
    expect(SCRIPT.join('').startsWith(this.seen)).toBe(true);
  }

  /** The next words of the script, as many as are paid for. */
  async say(words: number): Promise<void> {
    const { call } = this;
    const at = countUnits(call.text);
    if ((call.cover - call.amount) / 2n < BigInt(words)) await this.settle();
    const paid = Number((call.cover - call.amount) / 2n);
    const text = SCRIPT.slice(at, at + Math.min(words, paid)).join('');
    if (text !== '') call.say(text);
  }

  checkpoint(): void {
    const { call } = this;
    const { amount, deliveries } = call.checkpoint();
    this.verified = amount > this.verified ? amount : this.verified;
    this.kept = deliveries;
  }

  /** Waits for cover, as a host that is paused does. */
  async settle(): Promise<void> {
    const { call } = this;
    if (call.amount > this.verified) this.checkpoint();
    call.pause();
    await call.until(() => this.over || call.stopped || call.cover >= this.verified + STEP);
  }

  async joined(): Promise<void> {
    await this.call.until(() => this.over || this.call.stream !== undefined);
  }

  /** The agent's peer restarts with what it kept at its last checkpoint. */
  async restart(): Promise<void> {
    const { call, rig, kept } = this;
    if (call.checkpoints.length === 0) return;
    rig.agent.refuseResume = ({ request }) =>
      request.deliveries > kept ? new SaharaError('call-conflict', { deliveries: kept }) : undefined;
    call.cut();
    call.forget(kept);
    await this.joined();
    rig.agent.refuseResume = undefined;
  }

  async act(step: Action): Promise<void> {
    const { call } = this;
    if (step.do === 'say') await this.say(step.words);
    if (step.do === 'checkpoint') this.checkpoint();
    if (step.do === 'restart') await this.restart();
    if (step.do === 'stop') this.handle.stop();
    if (step.do === 'cut') call.cut();
    if (step.do === 'cut') await this.joined();
    if (step.do === 'again') {
      // What the caller has is told again without having been asked for.
      const last = call.frames.at(-1);
      if (last !== undefined) {
        this.cheated = true;
        call.send(last);
      }
    }
    if (step.do === 'wrong') {
      this.cheated = true;
      call.checkpoint(WRONG[step.how]);
    }
  }
}

async function run(steps: readonly Action[]): Promise<void> {
  const limits = { questionBytes: 4_096, outputUnits: 400, deadlineMs: 60_000, concurrency: 4 };
  // So patient that no slow machine makes it give up.
  const patience = { stopTimeoutMs: 600_000, resumeForMs: 600_000 };
  const rig = await createCallerRig({ card: { limits }, caller: patience });
  const handle = rig.caller.ask({ target: rig.target, question: QUESTION, priceMax: 10_000n });
  const model = new Model(rig, handle, await rig.agent.call());
  for (const step of steps) {
    if (model.over) break;
    await model.act(step);
    for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
    model.check();
    if (model.cheated) break;
  }
  if (!model.over && !model.cheated) await model.call.end(model.call.stopped ? 'cancelled' : 'done');
  const outcome = await model.outcome;
  model.check();
  const { charged, reserved } = rig.payer.balances()[0] ?? { charged: 0n, reserved: 0n };
  if (outcome instanceof SaharaError) {
    expect(model.cheated, `${outcome.code} ${JSON.stringify(outcome.facts)}`).toBe(true);
    expect(['answer-invalid', 'malformed']).toContain(outcome.code);
    expect([handle.state, charged]).toEqual(['rejected', 0n]);
    expect(reserved).toBeLessThanOrEqual(model.verified + STEP);
    return;
  }
  expect(handle.state).toBe('settled');
  expect(outcome.text).toBe(model.call.text);
  expect(model.seen.startsWith(outcome.text)).toBe(true);
  expect([outcome.amount, charged, reserved]).toEqual([model.call.amount, model.call.amount, 0n]);
}

describe('a caller', () => {
  it('CALL-2 CALL-49 CALL-72 CALL-73 CALL-76: whatever comes in whatever order, it covers at most one step above what it checked, loses and repeats no word, and ends', async () => {
    await fc.assert(fc.asyncProperty(fc.array(action, { maxLength: 24 }), run), { numRuns: 150 });
  }, 120_000);
});
