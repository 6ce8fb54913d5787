import { beforeEach, describe, expect, test } from 'vitest';
import { verifyChain } from '../../src/ledger/verify.ts';
import { badSumOf, contradictedReceiptOf, contradictionOf } from '../../src/protocol/evidence-build.ts';
import type { Evidence } from '../../src/protocol/evidence-channel.ts';
import type { Hash } from '../../src/protocol/ids.ts';
import { release } from '../../src/protocol/payment.ts';
import { type Signed, signBatch, signOne } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { channelId } from '../../src/protocol/transaction.ts';
import { register, rotate, runAs } from './identity-support.ts';
import {
  agentCertificate,
  chargeOf,
  countedFor,
  type LanePlace,
  laneClaim,
  leafAt,
  MADE_AT_MS,
  receiptOf,
  voucherOf,
} from './lane.ts';
import { replayedOnTheSpot } from './on-the-spot.ts';
import { alice, Bench, bob, carol, person, START, signAction, suite } from './support.ts';

const DEPOSIT = 100_000_000n;
const BOND = 2_000_000_000n;
const agent = person('agent');
const nowhere: Hash = new Uint8Array(32).fill(7);

let ledger: Bench;
let place: LanePlace;

beforeEach(async () => {
  ledger = await Bench.create();
  const channel = channelId(suite, ledger.network, alice.publicKey, bob.publicKey, 0);
  await ledger.run(alice, { type: 'open-channel', payee: bob.publicKey, deposit: DEPOSIT });
  place = { network: ledger.network, channel, lane: 3, payer: alice, payee: bob, agent };
});

const bondBob = () =>
  ledger.run(bob, { type: 'bond', role: 'provider', amount: BOND, commission: undefined });
const challenge = (evidence: Evidence, by: Signer = carol, channel = place.channel) =>
  ledger.run(by, { type: 'challenge', channel, evidence });
const claim = (charged: Signed, ceiling: bigint = DEPOSIT) =>
  ledger.run(bob, { type: 'claim', ...laneClaim(place, charged, voucherOf(place, ceiling)) });
const laneNow = () => ledger.queries.channel(place.channel)?.lanes.find(({ lane }) => lane === place.lane);
const blocks = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await ledger.block([]);
};

function must<T>(value: T | undefined): T {
  if (value === undefined) throw new TypeError('nothing proves it');
  return value;
}

describe('what a payee signed against itself', () => {
  test('LEDGER-108 LEDGER-109: two charges for one sequence freeze the lane at the lower, and the bond pays back', async () => {
    await bondBob();
    const high = chargeOf(place, countedFor(place, [40n, 60n]));
    const low = chargeOf(place, countedFor(place, [40n, 20n]));
    expect(await claim(high)).toEqual({ name: 'ok', moved: 100n });
    const evidence = must(contradictionOf(suite, high, low));
    const before = ledger.balance(carol);
    const penalty = BOND / 2n;
    expect(await challenge(evidence)).toEqual({ name: 'ok', moved: 40n + penalty });
    expect(laneNow()).toMatchObject({ paid: 100n, frozen: { total: 60n, returned: 40n } });
    expect(ledger.balance(alice)).toBe(START - DEPOSIT + 40n);
    expect(ledger.balance(carol)).toBe(before + penalty / 2n);
    // The lane never pays beyond what was proven again, whatever is claimed.
    const more = chargeOf(place, countedFor(place, [40n, 60n, 500n]));
    expect(await claim(more)).toEqual({ name: 'ok', moved: 0n });
    expect(await ledger.supply()).toBe(ledger.queries.supply().total);
    expect((await verifyChain(ledger.parts)).faults).toEqual([]);
  });

  test('LEDGER-109: a lane that was frozen before it was claimed on pays up to what was proven', async () => {
    const high = chargeOf(place, countedFor(place, [90n]));
    const low = chargeOf(place, countedFor(place, [70n]));
    expect(await challenge(must(contradictionOf(suite, low, high)))).toEqual({ name: 'ok', moved: 0n });
    expect(laneNow()).toEqual({ lane: 3, paid: 0n, total: 0n, frozen: { total: 70n, returned: 0n } });
    expect(await claim(high)).toEqual({ name: 'ok', moved: 70n });
    expect(await claim(high)).toEqual({ name: 'ok', moved: 0n });
  });

  test('LEDGER-108: a total that falls while receipts are added', async () => {
    const earlier = chargeOf(place, countedFor(place, [50n]));
    const later = chargeOf(place, countedFor(place, [10n, 20n]));
    await claim(earlier);
    const evidence = must(contradictionOf(suite, later, earlier));
    expect(evidence.type).toBe('falling-total');
    await bondBob();
    expect((await challenge(evidence)).name).toBe('ok');
    expect(laneNow()).toMatchObject({ paid: 50n, frozen: { total: 30n, returned: 20n } });
  });

  test('LEDGER-108: a total that is not the sum of its receipts, at any of them', async () => {
    const counted = countedFor(place, [10n, 20n, 30n]);
    const over = chargeOf(place, counted, { total: 90n });
    await claim(over);
    for (const index of [0, 1, 2]) {
      const evidence: Evidence = { type: 'bad-sum', charge: over, leaf: leafAt(counted, index) };
      expect((await challenge(evidence)).name).toBe(index === 0 ? 'ok' : 'lane-frozen');
    }
    expect(laneNow()).toMatchObject({ frozen: { total: 60n } });
    const alone = chargeOf({ ...place, lane: 4 }, countedFor(place, [5n]), { total: 6n });
    expect((await challenge(must(badSumOf(suite, alone, countedFor(place, [5n]))))).name).toBe('ok');
    const nothing = chargeOf({ ...place, lane: 5 }, [], { total: 6n });
    expect((await challenge(must(badSumOf(suite, nothing, [])))).name).toBe('ok');
  });

  test('LEDGER-110: the same statements count once, in whatever order, batch or path they come', async () => {
    await bondBob();
    const payloads = [countedFor(place, [9n]), countedFor(place, [4n])].map(
      (counted) => chargeOf(place, counted).payload,
    );
    const [one, two] = signBatch(
      suite,
      bob,
      ledger.network,
      payloads.map((payload) => ({ type: 'charge', payload })),
    );
    const [first, second] = [must(one), must(two)];
    expect((await challenge({ type: 'two-charges', first, second })).name).toBe('ok');
    const left = ledger.balance(carol);
    expect((await challenge({ type: 'two-charges', first: second, second: first })).name).toBe('lane-frozen');
    const alone = contradictionOf(suite, chargeOf(place, countedFor(place, [4n])), first);
    expect((await challenge(must(alone))).name).toBe('lane-frozen');
    expect(ledger.balance(carol)).toBe(left);
    // A lower total is another lie, and freezes the lane further.
    const lower = contradictionOf(suite, chargeOf(place, countedFor(place, [1n])), second);
    expect((await challenge(must(lower))).name).toBe('ok');
    expect(laneNow()).toMatchObject({ frozen: { total: 1n } });
  });

  test('LEDGER-109: what a bond could not pay back, later evidence asks for again', async () => {
    const high = chargeOf(place, countedFor(place, [80n]));
    await claim(high);
    expect(
      (await challenge(must(contradictionOf(suite, high, chargeOf(place, countedFor(place, [50n])))))).name,
    ).toBe('ok');
    expect(laneNow()).toMatchObject({ frozen: { total: 50n, returned: 0n } });
    await bondBob();
    expect(
      (await challenge(must(contradictionOf(suite, high, chargeOf(place, countedFor(place, [45n])))))).name,
    ).toBe('ok');
    expect(laneNow()).toMatchObject({ frozen: { total: 45n, returned: 35n } });
  });
});

describe('what an agent signed against its payee', () => {
  const accuse = (changes: Partial<Extract<Evidence, { type: 'contradicted-receipt' }>> = {}): Evidence => {
    const counted = countedFor(place, [10n, 25n]);
    const said = {
      charge: chargeOf(place, counted),
      leaf: leafAt(counted, 1),
      receipt: receiptOf(place, 1, 5n),
      chain: [agentCertificate(place)],
    };
    return { type: 'contradicted-receipt', ...said, ...changes };
  };

  test('LEDGER-108: a receipt that the charge counts for more', async () => {
    await bondBob();
    const evidence = accuse();
    if (evidence.type !== 'contradicted-receipt') throw new TypeError('another kind');
    expect(contradictedReceiptOf(suite, evidence)).toEqual(evidence);
    await claim(evidence.charge);
    expect((await challenge(evidence)).name).toBe('ok');
    expect(laneNow()).toMatchObject({ paid: 35n, frozen: { total: 15n, returned: 20n } });
  });

  test('LEDGER-107: the agent must be the payee’s by certificate when the receipt was made', async () => {
    const refusals: readonly Evidence[] = [
      accuse({ chain: [] }),
      accuse({ chain: [agentCertificate(place, { by: carol })] }),
      accuse({ chain: [agentCertificate(place, { capability: 'read:*' })] }),
      accuse({ chain: [agentCertificate(place, { notAfterMs: MADE_AT_MS - 60_000 })] }),
      accuse({ chain: [agentCertificate({ ...place, payee: carol })] }),
      accuse({ chain: [chargeOf(place, [])] }),
      accuse({ receipt: receiptOf({ ...place, agent: carol }, 1, 5n) }),
    ];
    for (const evidence of refusals)
      expect((await challenge(evidence)).name).toBe('evidence-signature-invalid');
    const star = agentCertificate(place, { capability: 'serve:agent/*' });
    expect((await challenge(accuse({ chain: [star] }))).name).toBe('ok');
  });

  test('LEDGER-107: a certificate that was taken back counts as long as it takes to end a channel', async () => {
    await ledger.run(bob, { type: 'revoke-certificate', serial: new Uint8Array(16).fill(9) });
    await blocks(2);
    expect((await challenge(accuse())).name).toBe('ok');
    const late = { ...place, lane: 8 };
    const counted = countedFor(late, [25n]);
    const evidence: Evidence = {
      type: 'contradicted-receipt',
      charge: chargeOf(late, counted),
      leaf: leafAt(counted, 0),
      receipt: receiptOf(late, 0, 5n),
      chain: [agentCertificate(late)],
    };
    expect((await challenge(evidence)).name).toBe('evidence-signature-invalid');
  });
});

describe('refusals', () => {
  test('LEDGER-107: come in documented order, cost the fee and change nothing', async () => {
    const high = chargeOf(place, countedFor(place, [40n]));
    const low = chargeOf(place, countedFor(place, [30n]));
    const broken = { ...low, payload: Uint8Array.of(1) };
    const two = (first: Signed, second: Signed): Evidence => ({ type: 'two-charges', first, second });
    expect((await challenge(two(broken, broken), carol, nowhere)).name).toBe('channel-unknown');
    expect((await challenge(two(high, broken))).name).toBe('evidence-malformed');
    const elsewhere = chargeOf({ ...place, lane: 9 }, countedFor(place, [40n]));
    expect((await challenge(two(high, elsewhere))).name).toBe('evidence-mismatch');
    expect((await challenge(two(high, chargeOf({ ...place, network: 'other' }, [])))).name).toBe(
      'evidence-mismatch',
    );
    const other = { ...place, channel: nowhere };
    expect((await challenge(two(chargeOf(other, []), chargeOf(other, [])))).name).toBe('evidence-mismatch');
    expect((await challenge(two(high, high))).name).toBe('evidence-unproven');
    const forged = chargeOf(place, countedFor(place, [30n]), { by: carol });
    expect((await challenge(two(high, forged))).name).toBe('evidence-signature-invalid');
    expect(laneNow()).toBeUndefined();
    expect((await challenge(two(high, low))).name).toBe('ok');
    expect((await challenge(two(high, forged))).name).toBe('lane-frozen');
    const counted = countedFor(place, [5n, 5n]);
    const foreign = receiptOf({ ...place, payee: carol }, 0, 1n);
    const chain = [agentCertificate(place)];
    const accused = { charge: chargeOf(place, counted), leaf: leafAt(counted, 0), chain };
    expect((await challenge({ type: 'contradicted-receipt', ...accused, receipt: foreign })).name).toBe(
      'evidence-mismatch',
    );
  });

  test('LEDGER-107: a channel without room for the lane, and one that has ended', async () => {
    for (let lane = 10; lane < 74; lane++) {
      const here = { ...place, lane };
      const body = laneClaim(here, chargeOf(here, countedFor(here, [1n])), voucherOf(here, 1n));
      expect((await ledger.run(bob, { type: 'claim', ...body })).name).toBe('ok');
    }
    const evidence = must(
      contradictionOf(
        suite,
        chargeOf(place, countedFor(place, [2n])),
        chargeOf(place, countedFor(place, [3n])),
      ),
    );
    expect((await challenge(evidence)).name).toBe('lanes-exhausted');
  });

  test('LEDGER-21 LEDGER-107: a payee does not escape by ending the channel, until it is forgotten', async () => {
    await bondBob();
    const high = chargeOf(place, countedFor(place, [40n]));
    const body = laneClaim(place, high, voucherOf(place, 1_000n));
    await ledger.run(bob, { type: 'close-by-payee', channel: place.channel, claim: body });
    expect(ledger.queries.channel(place.channel)).toBeUndefined();
    const until = ledger.chain.head().height + 3;
    const lanes = [{ lane: 3, paid: 40n }];
    expect(ledger.queries.endedChannel(place.channel)).toMatchObject({
      until,
      lanes,
      payer: alice.publicKey,
    });
    const other = { ...place, lane: 4 };
    const never = contradictionOf(
      suite,
      chargeOf(other, countedFor(other, [1n])),
      chargeOf(other, countedFor(other, [2n])),
    );
    expect((await challenge(must(never))).name).toBe('channel-unknown');
    const evidence = (amount: bigint) =>
      must(contradictionOf(suite, high, chargeOf(place, countedFor(place, [amount]))));
    expect((await challenge(evidence(30n))).name).toBe('ok');
    expect(ledger.queries.endedChannel(place.channel)?.lanes).toEqual([
      { lane: 3, paid: 40n, frozen: { total: 30n, returned: 10n } },
    ]);
    expect((await challenge(evidence(20n))).name).toBe('ok');
    expect(ledger.chain.head().height).toBe(until);
    expect((await challenge(evidence(10n))).name).toBe('channel-unknown');
    expect(ledger.queries.endedChannel(place.channel)).toBeUndefined();
    expect(ledger.balance(alice)).toBe(START - 20n);
  });

  test('LEDGER-71 LEDGER-107: a retired key’s charges count against its DID a closing delay longer than for it', async () => {
    const first = person('bob next');
    expect(await runAs(ledger, bob, bob, register(first))).toBe('ok');
    const old = chargeOf(place, countedFor(place, [40n]));
    expect(await runAs(ledger, bob, bob, rotate(first, person('bob later')))).toBe('signature-invalid');
    expect(await runAs(ledger, bob, first, rotate(first, person('bob later')))).toBe('ok');
    const fresh = chargeOf(place, countedFor(place, [20n]), { by: first });
    expect((await challenge(must(contradictionOf(suite, old, fresh)))).name).toBe('ok');
    await blocks(6);
    const late = { ...place, lane: 4 };
    const gone = contradictionOf(
      suite,
      chargeOf(late, countedFor(late, [4n])),
      chargeOf(late, countedFor(late, [2n]), { by: first }),
    );
    expect((await challenge(must(gone))).name).toBe('evidence-signature-invalid');
  });

  test('LEDGER-111: what an honest payee signs proves nothing, in any pair and with any receipt', async () => {
    const amounts = [5n, 0n, 12n, 7n];
    const charges = amounts.map((_, i) => chargeOf(place, countedFor(place, amounts.slice(0, i + 1))));
    for (const [i, a] of charges.entries()) {
      for (const b of charges) expect(contradictionOf(suite, a, b)).toBeUndefined();
      const counted = countedFor(place, amounts.slice(0, i + 1));
      expect(badSumOf(suite, a, counted)).toBeUndefined();
      for (const [at, amount] of amounts.slice(0, i + 1).entries()) {
        const held = {
          charge: a,
          leaf: leafAt(counted, at),
          receipt: receiptOf(place, at, amount),
          chain: [],
        };
        expect(contradictedReceiptOf(suite, held)).toBeUndefined();
        const evidence: Evidence = { type: 'contradicted-receipt', ...held };
        expect((await challenge(evidence)).name).toBe('evidence-unproven');
      }
    }
    expect(ledger.queries.channel(place.channel)?.lanes).toEqual([]);
  });
});

test('LEDGER-107: what evidence and releases were signed with is verified before they are executed', async () => {
  const evidence = must(
    contradictionOf(
      suite,
      chargeOf(place, countedFor(place, [9n])),
      chargeOf(place, countedFor(place, [4n])),
    ),
  );
  const { network, channel } = place;
  const payload = release.encode({ network, channel, depositAfter: DEPOSIT / 2n, sequence: 0 });
  const released = signOne(suite, bob, network, { type: 'release', payload });
  const messages = [
    signAction(network, carol, ledger.nonce(carol), { type: 'challenge', channel, evidence }),
    signAction(network, alice, ledger.nonce(alice), { type: 'withdraw', channel, release: released }),
  ];
  const { onTheSpot, results } = await replayedOnTheSpot(ledger, messages);
  expect(results).toEqual([
    { code: 0, moved: 0n },
    { code: 0, moved: DEPOSIT / 2n },
  ]);
  expect(onTheSpot).toBe(0);
});
