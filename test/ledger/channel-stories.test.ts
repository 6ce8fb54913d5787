import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toHex } from '../../src/base/bytes.ts';
import { verifyChain } from '../../src/ledger/verify.ts';
import { contradictionOf } from '../../src/protocol/evidence-build.ts';
import type { Hash } from '../../src/protocol/ids.ts';
import { release } from '../../src/protocol/payment.ts';
import { type Signed, signOne } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { type Action, channelId } from '../../src/protocol/transaction.ts';
import { chargeOf, countedFor, type LanePlace, laneClaim, voucherOf } from './lane.ts';
import { alice, Bench, bob, carol, person, signAction, suite } from './support.ts';

const MIN = 1_000_000n;
const DELAY = 3;
const agent = person('agent');
const keys = ['hot', 'warm', 'cold'].map(person);
const amount = fc.bigInt({ min: 0n, max: 2_500_000n });
const pick = fc.nat({ max: 100 });
const lane = fc.nat({ max: 1 });

/** What the payer and strangers try, and what the payee serves meanwhile. */
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('serve' as const), lane, amount }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('voucher' as const), lane, amount, key: pick }) },
  fc.record({ do: fc.constant('request-withdraw' as const), amount }),
  fc.record({ do: fc.constant('cancel-withdraw' as const) }),
  fc.record({ do: fc.constant('release' as const), amount }),
  fc.record({ do: fc.constant('withdraw' as const), at: pick }),
  fc.record({ do: fc.constant('request-close' as const) }),
  fc.record({ do: fc.constant('cancel-close' as const) }),
  fc.record({ do: fc.constant('set-key' as const), key: pick }),
  fc.record({ do: fc.constant('top-up' as const), amount }),
  fc.record({ do: fc.constant('junk' as const), lane, amount, at: pick, kind: pick }),
  fc.record({ do: fc.constant('wait' as const) }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** A voucher that the payee holds, and by which key. */
interface Held {
  readonly message: Signed;
  readonly ceiling: bigint;
  readonly by: Signer;
}

/** A payee that keeps the rules against a payer who tries everything. */
class Story {
  readonly bench: Bench;
  readonly channel: Hash;
  readonly served: bigint[][] = [[], []];
  readonly held: (Held | undefined)[] = [undefined, undefined];
  readonly signedMost = [0n, 0n];
  readonly releases: Signed[] = [];
  /** What the payee has released: it counts no more than this of the deposit while the revision stands. */
  released: { readonly revision: number; readonly depositAfter: bigint } | undefined;

  constructor(bench: Bench, channel: Hash) {
    this.bench = bench;
    this.channel = channel;
  }

  static async open(): Promise<Story> {
    const bench = await Bench.create();
    const channel = channelId(suite, bench.network, alice.publicKey, bob.publicKey, 0);
    await bench.run(alice, { type: 'open-channel', payee: bob.publicKey, deposit: 5n * MIN });
    return new Story(bench, channel);
  }

  place(number: number): LanePlace {
    const { network } = this.bench;
    return { network, channel: this.channel, lane: number, payer: alice, payee: bob, agent };
  }

  total(number: number): bigint {
    return (this.served[number] ?? []).reduce((sum, one) => sum + one, 0n);
  }

  /** What the payee lets be used: nothing of a closing channel, and no money that is on its way out. */
  room(): bigint {
    const known = this.bench.queries.channel(this.channel);
    if (known === undefined || known.state === 'closing') return 0n;
    const stands = this.released?.revision === known.revision ? this.released.depositAfter : known.deposit;
    return stands - (known.withdrawal?.amount ?? 0n) - this.total(0) - this.total(1);
  }

  /** Last height at which what the payee holds of a lane can still be claimed. */
  deadline(number: number): number {
    const known = this.bench.queries.channel(this.channel);
    const held = this.held[number];
    if (known === undefined || held === undefined) return Number.POSITIVE_INFINITY;
    const named = known.voucherKeys.find(({ key }) => toHex(key) === toHex(held.by.publicKey));
    // Its time is over, and so it was removed: what it covers was claimed, and nothing more is served on it.
    if (named === undefined && held.by !== alice) return 0;
    const until = named?.until;
    const ends = [known.closeAt, known.withdrawal?.at, until];
    return Math.min(...ends.map((end) => end ?? Number.POSITIVE_INFINITY));
  }

  claim(number: number): Action | undefined {
    const held = this.held[number];
    const amounts = this.served[number];
    if (held === undefined || amounts === undefined || amounts.length === 0) return undefined;
    const here = this.place(number);
    return { type: 'claim', ...laneClaim(here, chargeOf(here, countedFor(here, amounts)), held.message) };
  }

  /** Makes a block of what others sent, and behind it whatever the payee must claim at its last moment. */
  async block(action: Action | undefined, by: Signer = alice): Promise<string> {
    const { bench } = this;
    const next = bench.chain.head().height + 1;
    const messages = action === undefined ? [] : [signAction(bench.network, by, bench.nonce(by), action)];
    let nonce = bench.nonce(bob);
    for (const number of [0, 1]) {
      const due = this.deadline(number) <= next ? this.claim(number) : undefined;
      if (due !== undefined) messages.push(signAction(bench.network, bob, nonce++, due));
    }
    const [result] = await bench.block(messages);
    return action === undefined ? '' : (result?.name ?? '');
  }

  async take(one: Step): Promise<string> {
    const { channel } = this;
    switch (one.do) {
      case 'serve':
        return this.#serve(one.lane, one.amount);
      case 'voucher':
        return this.#voucher(one);
      case 'release':
        return this.#release(one.amount);
      case 'withdraw': {
        const message = this.releases[one.at % Math.max(1, this.releases.length)];
        return message === undefined ? '' : this.block({ type: 'withdraw', channel, release: message });
      }
      case 'request-withdraw':
        return this.block({ type: 'request-withdraw', channel, amount: one.amount });
      case 'set-key': {
        const key = [...keys, undefined][one.key % 4]?.publicKey;
        return this.block({ type: 'set-voucher-key', channel, key });
      }
      case 'top-up':
        return this.block({ type: 'top-up', channel, amount: one.amount }, carol);
      case 'junk':
        return this.#claimJunk(one);
      case 'wait':
        return this.block(undefined);
      default:
        return this.block({ type: one.do, channel });
    }
  }

  #serve(number: number, wanted: bigint): string {
    const ceiling = this.held[number]?.ceiling ?? 0n;
    const room = this.room();
    const covered = ceiling - this.total(number);
    const most = covered < room ? covered : room;
    const served = wanted < most ? wanted : most;
    // With a key that counts no more for ever, service would rest on a claim in time.
    if (served > 0n && this.deadline(number) === Number.POSITIVE_INFINITY) this.served[number]?.push(served);
    return '';
  }

  /** The payer signs by its own key or any other; the payee takes what counts for ever and is no lower. */
  #voucher(one: Extract<Step, { do: 'voucher' }>): string {
    const by = [alice, ...keys, carol][one.key % 5] ?? alice;
    const present = this.bench.queries
      .channel(this.channel)
      ?.voucherKeys.find(({ until }) => until === undefined);
    const counts = by === alice || (present !== undefined && toHex(present.key) === toHex(by.publicKey));
    const ceiling = (this.held[one.lane]?.ceiling ?? 0n) + one.amount;
    if (!counts) return '';
    if (ceiling > (this.signedMost[one.lane] ?? 0n)) this.signedMost[one.lane] = ceiling;
    this.held[one.lane] = { message: voucherOf(this.place(one.lane), ceiling, by), ceiling, by };
    return '';
  }

  #release(wanted: bigint): string {
    const known = this.bench.queries.channel(this.channel);
    const used = this.total(0) + this.total(1);
    if (known === undefined || used + wanted >= known.deposit) return '';
    // While it stands, an announced withdrawal would take from the same money.
    if (known.withdrawal !== undefined) return '';
    const terms = { network: this.bench.network, channel: this.channel, sequence: known.revision };
    const standing = this.released?.revision === known.revision ? this.released.depositAfter : known.deposit;
    const depositAfter = used + wanted;
    const payload = release.encode({ ...terms, depositAfter });
    this.releases.push(signOne(suite, bob, this.bench.network, { type: 'release', payload }));
    if (depositAfter < standing) this.released = { revision: known.revision, depositAfter };
    return '';
  }

  /** Somebody claims with what is not the payee's, is not the payer's, is old, or is for elsewhere. */
  async #claimJunk(one: Extract<Step, { do: 'junk' }>): Promise<string> {
    const here = this.place(one.lane);
    const counted = countedFor(here, [one.amount]);
    const forged = laneClaim(here, chargeOf(here, counted, { by: carol }), voucherOf(here, one.amount));
    const unpromised = laneClaim(here, chargeOf(here, counted), voucherOf(here, one.amount, carol));
    const elsewhere = laneClaim(
      here,
      chargeOf(this.place(1 - one.lane), counted),
      voucherOf(here, one.amount),
    );
    const bodies = [forged, unpromised, elsewhere];
    const body = bodies[one.kind % bodies.length] ?? forged;
    const batch = one.at % 2 === 0;
    const action: Action = batch ? { type: 'claim-batch', claims: [body, body] } : { type: 'claim', ...body };
    return this.block(action, carol);
  }
}

test('LEDGER-2 LEDGER-3 LEDGER-100 to LEDGER-106: an honest payee gets all that it served, whatever the payer does', async () => {
  const seen = new Set<string>();
  let servedInAll = 0n;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 15, maxLength: 60 }), async (steps) => {
      const story = await Story.open();
      const { bench, channel } = story;
      const { total } = bench.queries.supply();
      const start = bench.balance(bob);
      let claimed = 0n;
      for (const one of steps) {
        const name = await story.take(one);
        if (name !== '') seen.add(`${one.do} ${name}`);
        const known = bench.queries.channel(channel);
        if (known === undefined) break;
        expect(known.claimed >= claimed && known.claimed <= known.deposit).toBe(true);
        expect(known.deposit >= MIN).toBe(true);
        claimed = known.claimed;
        // An honest payer loses no more than it signed, lane by lane.
        for (const { lane: number, paid } of known.lanes) {
          expect(paid <= (story.signedMost[number] ?? 0n)).toBe(true);
        }
        expect(await bench.supply()).toBe(total);
      }
      const open = bench.queries.channel(channel) !== undefined;
      const last = [0, 1].flatMap((number) => (open ? (story.claim(number) ?? []) : []));
      await bench.block(last.map((one, i) => signAction(bench.network, bob, bench.nonce(bob) + i, one)));
      const served = story.total(0) + story.total(1);
      servedInAll += served;
      expect(bench.balance(bob) - start).toBe(served);
      // Time passes: what is announced ends, what has ended is forgotten, and nothing stays on the agenda.
      if (bench.queries.channel(channel))
        await bench.run(bob, { type: 'close-by-payee', channel, claim: undefined });
      for (let i = 0; i < 3 * DELAY; i++) await bench.block([]);
      expect(bench.queries.endedChannel(channel)).toBeUndefined();
      const quiet = bench.chain.head().stateRoot;
      await bench.block([]);
      expect(bench.chain.head().stateRoot).toEqual(quiet);
      const report = await verifyChain(bench.parts);
      expect(report.faults).toEqual([]);
      expect(report.supply).toBe(total);
    }),
    { numRuns: 30 },
  );
  expect(servedInAll > 0n).toBe(true);
  expect(seen.size).toBeGreaterThan(10);
});

/** A payee that lies about one lane: charges of whatever totals, and challenges by anyone. */
const lie = fc.oneof(
  fc.record({ do: fc.constant('claim' as const), a: pick }),
  fc.record({ do: fc.constant('challenge' as const), a: pick, b: pick }),
  fc.record({ do: fc.constant('bond' as const) }),
  fc.record({ do: fc.constant('close' as const) }),
  fc.record({ do: fc.constant('wait' as const) }),
);

test('LEDGER-2 LEDGER-107 LEDGER-109: a frozen lane stays frozen, falls only, and pays nobody twice', async () => {
  const seen = new Set<string>();
  const history = fc.array(fc.bigInt({ min: 1n, max: 900_000n }), { minLength: 1, maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(history, { minLength: 2, maxLength: 5 }),
      fc.array(lie, { minLength: 5, maxLength: 25 }),
      async (histories, steps) => {
        const bench = await Bench.create();
        const channel = channelId(suite, bench.network, alice.publicKey, bob.publicKey, 0);
        await bench.run(alice, { type: 'open-channel', payee: bob.publicKey, deposit: 5n * MIN });
        const place: LanePlace = {
          network: bench.network,
          channel,
          lane: 0,
          payer: alice,
          payee: bob,
          agent,
        };
        const charges = histories.map((amounts) => chargeOf(place, countedFor(place, amounts)));
        const promised = voucherOf(place, 5n * MIN);
        const { total } = bench.queries.supply();
        let frozen: bigint | undefined;
        let paid = 0n;
        for (const one of steps) {
          const at = (n: number): Signed => charges[n % charges.length] as Signed;
          let name = '';
          if (one.do === 'claim') {
            name = (await bench.run(bob, { type: 'claim', ...laneClaim(place, at(one.a), promised) })).name;
          } else if (one.do === 'challenge') {
            const evidence = contradictionOf(suite, at(one.a), at(one.b));
            if (evidence) name = (await bench.run(carol, { type: 'challenge', channel, evidence })).name;
          } else if (one.do === 'bond') {
            const terms = { role: 'provider' as const, amount: 1_000_000_000n, commission: undefined };
            name = (await bench.run(bob, { type: 'bond', ...terms })).name;
          } else if (one.do === 'close') {
            name = (await bench.run(bob, { type: 'close-by-payee', channel, claim: undefined })).name;
          } else await bench.block([]);
          seen.add(`${one.do} ${name}`);
          const known = bench.queries.channel(channel) ?? bench.queries.endedChannel(channel);
          const now = known?.lanes.find(({ lane: number }) => number === 0);
          if (now !== undefined) {
            // Nothing is paid beyond what was proven, once it was.
            expect(now.paid >= paid).toBe(true);
            if (frozen !== undefined) expect(now.paid <= frozen || now.paid === paid).toBe(true);
            if (frozen !== undefined)
              expect(now.frozen !== undefined && now.frozen.total <= frozen).toBe(true);
            const back = now.frozen?.returned ?? 0n;
            const beyond = now.paid - (now.frozen?.total ?? now.paid);
            expect(back <= (beyond > 0n ? beyond : 0n)).toBe(true);
            frozen = now.frozen?.total ?? frozen;
            paid = now.paid;
          }
          expect(await bench.supply()).toBe(total);
        }
        expect((await verifyChain(bench.parts)).faults).toEqual([]);
      },
    ),
    { numRuns: 40 },
  );
  expect(seen.size).toBeGreaterThan(6);
});

interface Claimed {
  readonly lane: number;
  readonly receipts: number;
  readonly ceiling: bigint;
}

/** What `claims` leave: the payee's balance, and what each lane has paid. */
async function settle(
  amounts: readonly bigint[],
  claims: readonly Claimed[],
  together: boolean,
): Promise<unknown> {
  const bench = await Bench.create();
  const channel = channelId(suite, bench.network, alice.publicKey, bob.publicKey, 0);
  await bench.run(alice, { type: 'open-channel', payee: bob.publicKey, deposit: 5n * MIN });
  const bodies = claims.map((one) => {
    const place = { network: bench.network, channel, lane: one.lane, payer: alice, payee: bob, agent };
    const charged = chargeOf(place, countedFor(place, amounts.slice(0, one.receipts)));
    return laneClaim(place, charged, voucherOf(place, one.ceiling));
  });
  if (together) await bench.run(bob, { type: 'claim-batch', claims: bodies });
  else for (const body of bodies) await bench.run(bob, { type: 'claim', ...body });
  const lanes = bench.queries.channel(channel)?.lanes ?? [];
  const paid = lanes.map(({ lane: number, paid }) => [number, paid] as const);
  return [bench.balance(bob), paid.toSorted(([a], [b]) => a - b)];
}

const history = fc.array(fc.bigInt({ min: 0n, max: 1_500n }), { minLength: 4, maxLength: 4 });
const ceilings = fc.array(fc.bigInt({ min: 0n, max: 4_000n }), { minLength: 8, maxLength: 8 });
const shuffled = fc.shuffledSubarray([0, 1, 2, 3, 4, 5, 6, 7], { minLength: 1 });

test('LEDGER-113: claims of a growing lane pay the same in every order, one by one, together, or twice', async () => {
  await fc.assert(
    fc.asyncProperty(shuffled, history, ceilings, fc.nat(), async (order, amounts, limits, turn) => {
      const growing = limits.toSorted((a, b) => Number(a - b));
      const claims = order.map((i) => ({ lane: i % 2, receipts: 1 + (i >> 1), ceiling: growing[i] ?? 0n }));
      const turned = [...claims.slice(turn % claims.length), ...claims.slice(0, turn % claims.length)];
      const expected = await settle(
        amounts,
        claims.toSorted((a, b) => a.receipts - b.receipts),
        false,
      );
      expect(await settle(amounts, turned, false)).toEqual(expected);
      expect(await settle(amounts, turned, true)).toEqual(expected);
      expect(await settle(amounts, [...turned, ...claims], true)).toEqual(expected);
    }),
    { numRuns: 25 },
  );
});

test('LEDGER-113: whatever was claimed before, the highest voucher with the last charge pays all that is due', async () => {
  await fc.assert(
    fc.asyncProperty(shuffled, history, ceilings, async (order, amounts, limits) => {
      const before = order.map((i) => ({ lane: 0, receipts: 1 + (i % 4), ceiling: limits[i] ?? 0n }));
      const highest = limits.reduce((a, b) => (a > b ? a : b));
      const best = { lane: 0, receipts: 4, ceiling: highest };
      expect(await settle(amounts, [...before, best], false)).toEqual(await settle(amounts, [best], false));
    }),
    { numRuns: 25 },
  );
});
