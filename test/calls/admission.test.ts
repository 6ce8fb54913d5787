/** What a call passes before its signature is checked, in order, and the work that strangers are asked for. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openStanding, type StandingBook } from '../../src/agent/standing.ts';
import { callerName, peerName } from '../../src/agent/standing-names.ts';
import { bitsFor, StrangerWork, WORK_TAKEN_MS } from '../../src/agent/stranger-work.ts';
import { findWork } from '../../src/agent/work.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { explainError } from '../../src/base/error-text.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { systemDice } from '../../src/base/random.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { type CallOpening, type CallRequest, callOpening, callRequest } from '../../src/protocol/call.ts';
import { type Envelope, envelope } from '../../src/protocol/envelope.ts';
import { voucher } from '../../src/protocol/payment.ts';
import { EMPTY_TREE, treeRoot } from '../../src/protocol/receipt-tree.ts';
import { signed, signOne } from '../../src/protocol/signing.ts';
import { nativeSuite as suite } from '../../src/protocol/suite-native.ts';
import { WORK_BITS_MAX, workBits } from '../../src/protocol/work.ts';
import {
  CHANNEL,
  cardOf,
  createRig,
  hash,
  keys,
  NETWORK,
  QUESTION,
  quotingAnswerer,
  type Rig,
  type RigOptions,
} from './rig.ts';

/** Time of day goes on, rates stand still. */
const still: Clock = { ...systemClock, monotonicMs: () => 0 };

/** One opening, and what is wrong with it. */
interface Wrong {
  readonly envelope?: Partial<Envelope>;
  readonly request?: Partial<CallRequest>;
  readonly signer?: (typeof keys)[keyof typeof keys];
  readonly free?: boolean;
  readonly voucherSigner?: (typeof keys)[keyof typeof keys];
  readonly work?: Uint8Array;
}

function opening(rig: Rig, wrong: Wrong = {}): CallOpening {
  const request = callRequest.encode({
    cardHash: suite.sha256(signed.encode(rig.target.card)),
    skill: undefined,
    question: QUESTION,
    context: [],
    priceMax: wrong.free ? 0n : 1_000n,
    cover: wrong.free ? 0n : 1_000n,
    outputUnitsMax: 100,
    deadlineMs: 60_000,
    seed: undefined,
    ...wrong.request,
  });
  const nowMs = Date.now();
  const signer = wrong.signer ?? keys.payer;
  const payload = envelope.encode({
    version: 1,
    network: NETWORK,
    id: systemDice.bytes(16),
    from: keys.payer.publicKey,
    to: { kind: 'agent', name: keys.agent.publicKey },
    sequence: 0,
    issuedAtMs: nowMs,
    expiresAtMs: nowMs + 60_000,
    context: undefined,
    bodyType: 'call',
    bodyHash: suite.sha256(request),
    extensions: new Map(),
    ...wrong.envelope,
  });
  const empty = treeRoot(suite, EMPTY_TREE);
  const promise = voucher.encode({
    network: NETWORK,
    channel: CHANNEL,
    lane: 0,
    ceiling: 100_000n,
    sequence: 1,
    receiptCount: 0,
    receiptRoot: empty.hash,
    receiptTotal: 0n,
    notAfterMs: undefined,
  });
  const payer = wrong.voucherSigner ?? keys.payer;
  return {
    envelope: signOne(suite, signer, NETWORK, { type: 'call', payload }),
    request,
    voucher: wrong.free ? undefined : signOne(suite, payer, NETWORK, { type: 'voucher', payload: promise }),
    offer: undefined,
    work: wrong.work,
    parents: [],
  };
}

const send = (rig: Rig, wrong: Wrong = {}, from = 'peer'): ReturnType<Rig['raw']> =>
  rig.raw(callOpening.encode(opening(rig, wrong)), from);

/** Waits until so many calls run or wait at the agent. */
const queued = async (rig: Rig, calls: number): Promise<void> => {
  const seen = (): number => rig.host.loadOf(keys.agent.publicKey).queue;
  await expect.poll(seen, { interval: 5, timeout: 20_000 }).toBe(calls);
};

/** An agent whose first answer does not come until `release` was called. */
function holding(): { readonly answerer: ReturnType<typeof quotingAnswerer>; release(): void } {
  const held = Promise.withResolvers<void>();
  let first = true;
  return {
    answerer: quotingAnswerer({
      before: () => {
        if (!first) return undefined;
        first = false;
        return held.promise;
      },
    }),
    release: () => held.resolve(),
  };
}

/** A fault: of the opening, or a limit of the host that the call before it has used up. */
interface Fault {
  readonly name: string;
  readonly code: string;
  readonly what?: string;
  readonly wrong?: Wrong;
  readonly limits?: Readonly<Record<string, number>>;
  /** Needs a voucher; needs none. */
  readonly paid?: boolean;
}

/** In the order of CALL-10 and CALL-121. */
const FAULTS: readonly Fault[] = [
  {
    name: 'expiry',
    code: 'expired',
    wrong: { envelope: { issuedAtMs: 1_000, expiresAtMs: 2_000 } },
  },
  { name: 'the rate of the peer', code: 'rate-limited', what: 'peer', limits: { peerPerSecond: 1 } },
  { name: 'the calls of the peer', code: 'overloaded', what: 'peer', limits: { peerAtOnce: 1 } },
  { name: 'the calls of the host', code: 'overloaded', what: 'host', limits: { atOnce: 1 } },
  {
    name: 'the rate of the caller',
    code: 'rate-limited',
    what: 'caller',
    limits: { callerPerSecond: 1, strangerPerSecond: 1 },
  },
  {
    name: 'the calls of the caller',
    code: 'overloaded',
    what: 'caller',
    limits: { callerAtOnce: 1, strangerAtOnce: 1 },
  },
  {
    name: 'the rate of the channel',
    code: 'rate-limited',
    what: 'channel',
    limits: { channelPerSecond: 1 },
    paid: true,
  },
  {
    name: 'the calls of the channel',
    code: 'overloaded',
    what: 'channel',
    limits: { channelAtOnce: 1 },
    paid: true,
  },
  { name: 'work', code: 'work-required', wrong: { free: true }, paid: false },
  { name: 'the signature', code: 'signature-invalid', wrong: { signer: keys.stranger } },
  { name: 'the skill', code: 'skill-unknown', wrong: { request: { skill: 'dance' } } },
  { name: 'the price', code: 'price-above-max', wrong: { request: { priceMax: 1n, cover: 1n } }, paid: true },
  { name: 'the voucher', code: 'voucher-invalid', wrong: { voucherSigner: keys.stranger }, paid: true },
];

const PAIRS = FAULTS.flatMap((first, i) =>
  FAULTS.slice(i + 1)
    .filter((second) => first.paid === undefined || second.paid === undefined || first.paid === second.paid)
    .map((second) => ({ first, second, pair: `${first.name} before ${second.name}` })),
);

describe('the order of refusals', () => {
  const told = async (faults: readonly Fault[]): Promise<readonly [string | undefined, unknown]> => {
    const { answerer, release } = holding();
    const refused: SaharaError[] = [];
    const standing = await openStanding({ store: createMemoryStore(), clock: still });
    const rig = await createRig({
      clock: still,
      answerer,
      // The one place is taken, so that strangers are asked for work.
      card: { free: { calls: 10, windowSeconds: 3_600 }, limits: { ...cardOf().limits, concurrency: 1 } },
      hostParts: { standing },
      hostOptions: { limits: Object.assign({}, ...faults.map(({ limits }) => limits)) },
      onStream: (_near, far) => {
        const fail = far.fail.bind(far);
        far.fail = (error) => {
          refused.push(error);
          fail(error);
        };
      },
    });
    const before = send(rig);
    await queued(rig, 1);
    const wrong: Wrong = Object.assign({}, ...faults.map((fault) => fault.wrong));
    const request = Object.assign({}, ...faults.map((fault) => fault.wrong?.request));
    const { code } = await send(rig, { ...wrong, request });
    release();
    await before;
    return [code, refused[0]?.facts.what];
  };

  it.each(FAULTS)('CALL-121: tells $name', async (fault) => {
    const [code, what] = await told([fault]);
    expect([code, fault.what && what]).toEqual([fault.code, fault.what]);
  });

  it.each(PAIRS)('CALL-10 CALL-121: $pair', async ({ first, second }) => {
    const [code, what] = await told([first, second]);
    expect([code, first.what && what]).toEqual([first.code, first.what]);
  });

  it('CALL-121: has done nothing for a call that is refused, and takes it once there is room', async () => {
    const { answerer, release } = holding();
    const rig = await createRig({ answerer, hostOptions: { limits: { callerAtOnce: 1 } } });
    const before = send(rig);
    await queued(rig, 1);
    const body = callOpening.encode(opening(rig));
    expect((await rig.raw(body)).code).toBe('overloaded');
    release();
    expect((await before).code).toBeUndefined();
    expect((await rig.raw(body)).code).toBeUndefined();
    expect(rig.host.running).toBe(0);
  });
});

describe('standing', () => {
  const watched = async (
    hostParts: RigOptions['hostParts'] = {},
  ): Promise<{ readonly rig: Rig; readonly standing: StandingBook }> => {
    const standing = await openStanding({ store: createMemoryStore(), clock: systemClock });
    return { rig: await createRig({ hostParts: { standing, ...hostParts } }), standing };
  };

  it('CALL-131: what comes before the signature counts for the peer, what comes after it for the key', async () => {
    const early = { 'refused:malformed': 1, 'refused:signature-invalid': 1 };
    const late = { 'refused:voucher-invalid': 1 };
    // What a stranger does counts for its peer too.
    for (const known of [true, false]) {
      const { rig, standing } = await watched({ hasChannel: () => known });
      await rig.raw(Uint8Array.of(1), 'peer');
      await send(rig, { signer: keys.stranger });
      await send(rig, { voucherSigner: keys.stranger });
      const facts = (name: string): object => Object.fromEntries(standing.of(name).facts);
      expect(facts(peerName('peer'))).toEqual(known ? early : { ...early, ...late });
      expect(facts(callerName(keys.payer.publicKey))).toEqual(late);
    }
  });

  it('CALL-130: calls that were answered and paid speak for peer and key', async () => {
    const { rig, standing } = await watched();
    expect((await send(rig)).code).toBeUndefined();
    for (const name of [peerName('peer'), callerName(keys.payer.publicKey)]) {
      const { facts } = standing.of(name);
      expect(facts.get('answered')).toBe(1);
      expect(facts.get('paid')).toBeGreaterThan(100);
    }
    expect(standing.knows(keys.payer.publicKey)).toBe(true);
  });

  it('CALL-134: a peer that only sends rubbish is limited more and more, and recovers', async () => {
    let nowMs = Date.now();
    const clock: Clock = { ...systemClock, nowMs: () => nowMs };
    const standing = await openStanding({ store: createMemoryStore(), clock });
    const rig = await createRig({ clock, hostParts: { standing } });
    const shares = new Set<number>();
    for (let i = 0; i < 100; i++) {
      await rig.raw(Uint8Array.of(1), 'peer');
      shares.add(standing.shareOf(peerName('peer')));
    }
    expect([...shares]).toEqual([1, 1 / 8, 1 / 64, 1 / 1_024]);
    // Nobody is refused for standing alone.
    expect((await send(rig)).code).toBeUndefined();
    nowMs += 6 * 1_800_000;
    expect(standing.shareOf(peerName('peer'))).toBe(1);
  });
});

describe('work', () => {
  it('CALL-124: is not asked for by an idle host, and rises with load, free calls used and steps of standing', () => {
    expect(bitsFor({ load: 0, free: 0.5, steps: 0 }, 20)).toBe(0);
    expect(bitsFor({ load: 1, free: 1, steps: 0 }, 20)).toBe(20);
    const unit = fc.double({ min: 0, max: 1, noNaN: true });
    const pressures = fc.record({ load: unit, free: unit, steps: fc.nat(3) });
    fc.assert(
      fc.property(pressures, pressures, fc.integer({ min: 0, max: WORK_BITS_MAX }), (a, b, bitsMax) => {
        const bits = bitsFor(a, bitsMax);
        expect(bits).toBeGreaterThanOrEqual(0);
        expect(bits).toBeLessThanOrEqual(bitsMax);
        const more = {
          load: Math.max(a.load, b.load),
          free: Math.max(a.free, b.free),
          steps: Math.max(a.steps, b.steps),
        };
        expect(bitsFor(more, bitsMax)).toBeGreaterThanOrEqual(bits);
      }),
    );
  });

  const subject = { network: NETWORK, agent: keys.agent.publicKey, envelope: hash(7) };
  const codeOf = (attempt: () => void): unknown => {
    try {
      attempt();
      return 'taken';
    } catch (error) {
      return (error as SaharaError).facts.bits;
    }
  };

  it('CALL-126: what was asked for is taken for a while, although more is asked for meanwhile', async () => {
    let nowMs = 0;
    const desk = new StrangerWork({ monotonicMs: () => nowMs });
    const [calm, busy] = [
      { load: 0.01, free: 0, steps: 0 },
      { load: 0.6, free: 0, steps: 0 },
    ];
    const work = await findWork(subject, 12, { dice: systemDice });
    const brought = workBits(suite, subject, work);
    const check = (pressure: typeof calm): unknown =>
      codeOf(() => desk.check(suite, subject, work, pressure));
    // Nobody was asked for so little: it does not count.
    if (brought < bitsFor(busy, 20)) expect(check(busy)).toBe(bitsFor(busy, 20));
    expect(codeOf(() => desk.check(suite, subject, undefined, calm))).toBe(12);
    nowMs = WORK_TAKEN_MS;
    expect(check(busy)).toBe('taken');
    nowMs = WORK_TAKEN_MS + 1;
    if (brought < bitsFor(busy, 20)) expect(check(busy)).toBe(bitsFor(busy, 20));
    expect(codeOf(() => desk.check(suite, subject, undefined, { load: 0, free: 0, steps: 0 }))).toBe('taken');
  });

  interface BusyRig {
    readonly rig: Rig;
    readonly standing: StandingBook;
    /** Codes of what was refused so far. */
    readonly refusals: readonly string[];
    free(): Promise<void>;
  }

  const busyRig = async ({ hostParts, ...options }: RigOptions = {}): Promise<BusyRig> => {
    const { answerer, release } = holding();
    const refusals: string[] = [];
    const standing = await openStanding({ store: createMemoryStore(), clock: systemClock });
    const rig = await createRig({
      answerer,
      card: { free: { calls: 10, windowSeconds: 3_600 }, limits: { ...cardOf().limits, concurrency: 1 } },
      hostParts: { standing, ...hostParts },
      onStream: (_near, far) => {
        const fail = far.fail.bind(far);
        far.fail = (error) => {
          refusals.push(error.code);
          fail(error);
        };
      },
      ...options,
    });
    const running = send(rig, {}, 'another peer');
    await queued(rig, 1);
    const free = async (): Promise<void> => {
      release();
      await running;
    };
    return { rig, standing, refusals, free };
  };

  it('CALL-124 CALL-125: lets a stranger in who brings it, and nobody else with the same', async () => {
    const { rig, free } = await busyRig();
    const asked = opening(rig, { free: true });
    expect((await rig.raw(callOpening.encode(asked), 'peer')).code).toBe('work-required');
    const of = { network: NETWORK, agent: keys.agent.publicKey, envelope: asked.envelope.payload };
    const work = await findWork(of, 12, { dice: systemDice });
    const other = opening(rig, { free: true, work });
    expect(workBits(suite, { ...of, envelope: other.envelope.payload }, work)).toBeLessThan(12);
    expect((await rig.raw(callOpening.encode(other), 'peer')).code).toBe('work-required');
    const short = callOpening.encode({ ...asked, work: work.subarray(1) });
    expect((await rig.raw(short, 'peer')).code).toBe('work-required');
    const taken = rig.raw(callOpening.encode({ ...asked, work }), 'peer');
    await queued(rig, 2);
    await free();
    const answered = await taken;
    expect([answered.code, answered.kinds.at(0), answered.kinds.at(-1)]).toEqual([undefined, 6, 4]);
    // The envelope is taken once.
    expect((await rig.raw(callOpening.encode({ ...asked, work }), 'third peer')).code).toBe('replayed');
  });

  it('CALL-124: is asked neither of who pays, nor of who has a channel, nor of who was answered before', async () => {
    for (const known of ['channel', 'answered', 'voucher', 'nothing']) {
      const { rig, standing, free } = await busyRig({ hostParts: { hasChannel: () => known === 'channel' } });
      if (known === 'answered') standing.note(callerName(keys.payer.publicKey), 'answered');
      const call = send(rig, { free: known !== 'voucher' });
      if (known === 'nothing') expect((await call).code).toBe('work-required');
      else await queued(rig, 2);
      await free();
      await call;
    }
  });

  it('CALL-127: a caller that is asked for work does it once and is answered', async () => {
    const { rig, free } = await busyRig();
    const call = rig.caller.ask({ target: rig.target, question: QUESTION, priceMax: 0n, payment: 'free' });
    await queued(rig, 2);
    await free();
    const { evidence, receipt } = await call.result;
    const { work, envelope: sent } = evidence.opening;
    const of = { network: NETWORK, agent: keys.agent.publicKey, envelope: sent.payload };
    expect(workBits(suite, of, work)).toBeGreaterThanOrEqual(12);
    expect(receipt.amount).toBe(0n);
  });

  it('CALL-127: a caller does no more work than it was told to', async () => {
    const { rig, free } = await busyRig({ callerOptions: { workBitsMax: 11 } });
    const call = rig.caller.ask({ target: rig.target, question: QUESTION, priceMax: 0n, payment: 'free' });
    await expect(call.result).rejects.toMatchObject({ code: 'work-required', facts: { bits: 12, found: 0 } });
    await free();
  });

  it('CALL-127: a caller that is stopped while it works ends at once', async () => {
    const { rig, refusals, free } = await busyRig({
      callerOptions: { workBitsMax: WORK_BITS_MAX },
      // So that it asks for more than can be found soon.
      hostOptions: { work: { bitsMax: WORK_BITS_MAX }, queueMax: 1 },
    });
    const call = rig.caller.ask({ target: rig.target, question: QUESTION, priceMax: 0n, payment: 'free' });
    await expect.poll(() => refusals, { interval: 1, timeout: 20_000 }).toContain('work-required');
    call.stop();
    await expect(call.result).rejects.toMatchObject({ code: 'cancelled' });
    await free();
  });

  it('says what a person can do about it', () => {
    const said = explainError(new SaharaError('work-required', { bits: 14, found: 0 }));
    expect(said).toContain('14 bits');
    expect(said).toContain('channel');
  });
});
