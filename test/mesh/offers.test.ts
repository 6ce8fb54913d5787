import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { systemDice } from '../../src/base/random.ts';
import type { Directory } from '../../src/mesh/directory.ts';
import type { Instant } from '../../src/mesh/directory-state.ts';
import type { Mesh } from '../../src/mesh/interface.ts';
import type { Measured } from '../../src/mesh/measures.ts';
import type { GatheredOffer } from '../../src/mesh/offer-desk.ts';
import { createOfferRules } from '../../src/mesh/offer-rules.ts';
import { type Bid, expectedPrice, rankBids, SCORE_WEIGHTS, scoreOf } from '../../src/mesh/offer-score.ts';
import { createOffers, OFFER_PROTOCOL, type Offers, type OfferWish } from '../../src/mesh/offers.ts';
import { topicName } from '../../src/mesh/topics.ts';
import { OFFER_REQUEST_LIFE_MS_MAX, OFFERS_PER_PEER_MAX } from '../../src/protocol/limits.ts';
import {
  type Offer,
  type OfferRequest,
  offerRequest,
  offer as offerSchema,
} from '../../src/protocol/offer.ts';
import { type Signed, signed, signOne } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import {
  createDirectories,
  type MadeAgent,
  makeAgent,
  NETWORK,
  newKey,
  partsOf,
  suite,
  tickSigner,
} from './market.ts';
import { addressOf, createFleet, failureOf, until } from './support.ts';

const fleet = createFleet();
const directories = createDirectories();
const markets: Offers[] = [];
afterEach(async () => {
  for (const market of markets.splice(0)) market.stop();
  await directories.stop();
  await fleet.stop();
});

const TOPIC = topicName(NETWORK, 'offers');
const QUIET = { probeIntervalMs: 3_600_000 };

/** An offer of `agent` at `host`, as an honest one is, with changes. */
function offerOf(
  agent: MadeAgent,
  host: Pick<Mesh, 'peerId' | 'addresses'>,
  asked: OfferRequest,
  changes: Partial<Offer> = {},
): Offer {
  const issuedAtMs = Date.now();
  return {
    version: 1,
    network: NETWORK,
    request: asked.id,
    payer: asked.payer,
    agent: agent.card.agent,
    operator: agent.card.operator,
    cardHash: agent.hash,
    skill: asked.skill,
    price: agent.card.price,
    inputUnitsMax: asked.inputUnits,
    outputUnitsMax: asked.outputUnits,
    modelDigest: agent.card.model.digest,
    determinism: agent.card.model.determinism,
    deadlineMs: asked.deadlineMs,
    calls: 1,
    peerId: host.peerId,
    addresses: host.addresses().slice(0, 1),
    issuedAtMs,
    notAfterMs: issuedAtMs + 60_000,
    ...changes,
  };
}

const signedOffer = (key: Signer, made: Offer): Signed =>
  signOne(suite, key, NETWORK, { type: 'offer', payload: offerSchema.encode(made) });

interface Trader {
  readonly mesh: Mesh;
  readonly directory: Directory;
  readonly market: Offers;
  readonly asked: OfferRequest[];
}

/** A peer that takes part in the market and answers as it is told. */
async function trader(
  answer: (request: OfferRequest, mesh: Mesh) => readonly Signed[] = () => [],
): Promise<Trader> {
  const mesh = await fleet.start({ peersTarget: 0 });
  const directory = directories.start(mesh, QUIET);
  const asked: OfferRequest[] = [];
  const market = createOffers(
    {
      ...partsOf(mesh),
      payer: tickSigner(newKey()),
      card: directory.card,
      reach: directory.reach,
      async answer(request) {
        asked.push(request);
        return answer(request, mesh);
      },
    },
    { network: NETWORK },
  );
  markets.push(market);
  return { mesh, directory, market, asked };
}

const WISH: OfferWish = {
  agent: undefined,
  skill: 'ask',
  languages: [],
  inputUnits: 10,
  outputUnits: 100,
  ceiling: 1_000n,
  deadlineMs: 5_000,
};

describe('the market', () => {
  it('MESH-70 MESH-72: a request goes round by gossip, offers come straight to who asked', async () => {
    const cheap = makeAgent('cheap', { price: { perCall: 5n, perInputUnit: 0n, perOutputUnit: 1n } });
    const dear = makeAgent('dear');
    const offering =
      (agent: MadeAgent) =>
      (request: OfferRequest, mesh: Mesh): Signed[] => [
        signedOffer(agent.key, offerOf(agent, mesh, request)),
      ];
    const [a, b, c] = [await trader(), await trader(offering(cheap)), await trader(offering(dear))];
    b.directory.announce(cheap.local);
    c.directory.announce(dear.local);
    // A line: what reaches the far end was passed on, and the offer comes back by a connection of its own.
    await b.mesh.connect(addressOf(a.mesh));
    await c.mesh.connect(addressOf(b.mesh));
    let found: readonly GatheredOffer[] = [];
    await until(async () => {
      found = await a.market.gather(WISH, { waitMs: 3_000, countMax: 2 });
      return found.length === 2;
    });
    const names = found.map(({ card }) => card.card.name).sort();
    expect(names).toEqual(['cheap', 'dear']);
    const bids = found.map((gathered) => ({ ...gathered, measured: undefined }));
    expect(rankBids(bids, WISH)[0]?.card.card.name).toBe('cheap');
    // What was gossiped says how much is asked, and nothing of what.
    const [request = expect.fail('a request')] = c.asked;
    expect(Object.keys(request)).not.toContain('question');
    expect(request).toMatchObject({ inputUnits: 10, outputUnits: 100, ceiling: 1_000n, skill: 'ask' });
  });

  it('MESH-73: takes no offer that is foreign, forged, above the card or the ceiling, expired or repeated', {
    timeout: 60_000,
  }, async () => {
    const agent = makeAgent('agent');
    const other = makeAgent('other');
    const refusals: [string, (asked: OfferRequest, mesh: Mesh) => Signed][] = [
      [
        'for somebody else',
        (asked, mesh) => signedOffer(agent.key, offerOf(agent, mesh, asked, { payer: newKey().publicKey })),
      ],
      [
        'for another request',
        (asked, mesh) =>
          signedOffer(agent.key, offerOf(agent, mesh, asked, { request: systemDice.bytes(16) })),
      ],
      ['signed by another key', (asked, mesh) => signedOffer(other.key, offerOf(agent, mesh, asked))],
      [
        'at another peer',
        (asked, mesh) => signedOffer(agent.key, offerOf(agent, mesh, asked, { peerId: asked.peerId })),
      ],
      [
        'above the card',
        (asked, mesh) =>
          signedOffer(
            agent.key,
            offerOf(agent, mesh, asked, { price: { ...agent.card.price, perCall: 101n } }),
          ),
      ],
      [
        'over',
        (asked, mesh) =>
          signedOffer(agent.key, offerOf(agent, mesh, asked, { issuedAtMs: 1, notAfterMs: 2 })),
      ],
      [
        'for ever',
        (asked, mesh) => signedOffer(agent.key, offerOf(agent, mesh, asked, { notAfterMs: 10 ** 14 })),
      ],
      ['for no call', (asked, mesh) => signedOffer(agent.key, offerOf(agent, mesh, asked, { calls: 0 }))],
      [
        'under a card of somebody else',
        (asked, mesh) => signedOffer(agent.key, offerOf(agent, mesh, asked, { cardHash: other.hash })),
      ],
      [
        'for less than is wanted',
        (asked, mesh) => signedOffer(agent.key, offerOf(agent, mesh, asked, { outputUnitsMax: 99 })),
      ],
      [
        'slower than is wanted',
        (asked, mesh) => signedOffer(agent.key, offerOf(agent, mesh, asked, { deadlineMs: 5_001 })),
      ],
      [
        'of another network',
        (asked, mesh) => signedOffer(agent.key, offerOf(agent, mesh, asked, { network: 'other' })),
      ],
    ];
    const asker = await trader();
    const told: string[] = [];
    let turn = 0;
    const host = await fleet.start({ peersTarget: 0 });
    const there = directories.start(host, QUIET);
    there.announce(agent.local);
    there.announce(other.local);
    host.subscribe(TOPIC, {
      sizeBytesMax: 2_048,
      validate: () => 'accept',
      deliver(message) {
        const asked = offerRequest.decode(signed.decode(message).payload);
        const at = turn++;
        const make = refusals[at]?.[1];
        if (!make) return;
        const question = signed.encode(make(asked, host));
        void failureOf(host.request(asker.mesh.peerId, OFFER_PROTOCOL, question, { answerBytesMax: 0 })).then(
          (code) => {
            told[at] = code;
          },
        );
      },
    });
    await host.connect(addressOf(asker.mesh));
    let got = 0;
    await until(async () => {
      got += (await asker.market.gather(WISH, { waitMs: 1_100, countMax: 1 })).length;
      return turn >= refusals.length && told.filter(Boolean).length === refusals.length;
    });
    expect(got).toBe(0);
    const expected = refusals.map(([name]) => [name, 'offer-invalid']);
    expected[refusals.findIndex(([name]) => name === 'under a card of somebody else')] = [
      'under a card of somebody else',
      'malformed',
    ];
    expect(refusals.map(([name], i) => [name, told[i]])).toEqual(expected);
  });

  it('MESH-73: one offer of each agent, few of each peer, none without a request', async () => {
    const agents = Array.from({ length: OFFERS_PER_PEER_MAX + 2 }, (_, i) => makeAgent(`agent ${i}`));
    const outcomes: string[] = [];
    const asker = await trader();
    const host = await fleet.start({ peersTarget: 0 });
    const there = directories.start(host, QUIET);
    for (const agent of agents) there.announce(agent.local);
    const send = (message: Signed): Promise<string> =>
      failureOf(
        host.request(asker.mesh.peerId, OFFER_PROTOCOL, signed.encode(message), { answerBytesMax: 0 }),
      );
    let last: Signed | undefined;
    host.subscribe(TOPIC, {
      sizeBytesMax: 2_048,
      validate: () => 'accept',
      async deliver(message) {
        const asked = offerRequest.decode(signed.decode(message).payload);
        if (outcomes.length > 0) return;
        const [first = expect.fail('an agent')] = agents;
        last = signedOffer(first.key, offerOf(first, host, asked));
        outcomes.push(await send(last), await send(last));
        for (const agent of agents.slice(1)) {
          outcomes.push(await send(signedOffer(agent.key, offerOf(agent, host, asked))));
        }
      },
    });
    await host.connect(addressOf(asker.mesh));
    let found: readonly GatheredOffer[] = [];
    await until(async () => {
      found = await asker.market.gather(WISH, { waitMs: 3_000, countMax: 64 });
      return found.length > 0;
    });
    expect(found).toHaveLength(OFFERS_PER_PEER_MAX);
    expect(outcomes.filter((code) => code === 'none')).toHaveLength(OFFERS_PER_PEER_MAX);
    expect(outcomes.slice(0, 2)).toEqual(['none', 'offer-invalid']);
    // The request is closed: a late offer, or the same one again, finds nobody.
    expect(await send(last ?? expect.fail('an offer'))).toBe('offer-invalid');
  });

  it('MESH-75: can be called off, ends with the time, and holds few requests at once', async () => {
    const { market } = await trader();
    expect(await market.gather(WISH, { waitMs: 50, countMax: 1 })).toEqual([]);
    const stop = new AbortController();
    const waiting = market.gather(WISH, { waitMs: 3_600_000, countMax: 1, signal: stop.signal });
    stop.abort();
    expect(await failureOf(waiting)).toBe('cancelled');
    const many = Array.from({ length: 16 }, () =>
      failureOf(market.gather(WISH, { waitMs: 60_000, countMax: 1, signal: stopAll.signal })),
    );
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await failureOf(market.gather(WISH, { waitMs: 50, countMax: 1 }))).toBe('overloaded');
    stopAll.abort();
    expect(new Set(await Promise.all(many))).toEqual(new Set(['cancelled']));
  });
  const stopAll = new AbortController();

  it('MESH-71: forged requests cost who gossips them its standing and are not answered', async () => {
    const answering = await trader();
    const bad = await fleet.start({ peersTarget: 0 });
    bad.subscribe(TOPIC, { sizeBytesMax: 2_048, validate: () => 'ignore', deliver: () => {} });
    await bad.connect(addressOf(answering.mesh));
    const forger = newKey();
    await until(async () => {
      const nowMs = Date.now();
      const asked: OfferRequest = {
        version: 1,
        network: NETWORK,
        id: systemDice.bytes(16),
        payer: newKey().publicKey,
        peerId: bad.peerId,
        addresses: [],
        ...WISH,
        issuedAtMs: nowMs,
        expiresAtMs: nowMs + 60_000,
      };
      const message = signOne(suite, forger, NETWORK, {
        type: 'offer-request',
        payload: offerRequest.encode(asked),
      });
      await bad.publish(TOPIC, signed.encode(message));
      await new Promise((resolve) => setTimeout(resolve, 200));
      return answering.mesh.peers().length === 0;
    });
    expect(answering.asked).toEqual([]);
  });

  it('MESH-71 MESH-72: a request is answered once, also when another peer says it again', async () => {
    const agent = makeAgent('agent');
    const host = await trader((request, mesh) => [signedOffer(agent.key, offerOf(agent, mesh, request))]);
    host.directory.announce(agent.local);
    const asker = await trader();
    const parrot = await fleet.start({ peersTarget: 0 });
    const heard: Uint8Array[] = [];
    parrot.subscribe(TOPIC, {
      sizeBytesMax: 2_048,
      validate(message) {
        heard.push(message.slice());
        return 'ignore';
      },
      deliver: () => {},
    });
    await asker.mesh.connect(addressOf(host.mesh));
    await parrot.connect(addressOf(host.mesh));
    await until(async () => {
      await asker.market.gather(WISH, { waitMs: 1_100, countMax: 1 });
      return heard.length > 0;
    });
    let repeated = 0;
    await until(async () => {
      await asker.market.gather(WISH, { waitMs: 1_100, countMax: 1 });
      for (const message of heard.splice(0)) repeated += (await parrot.publish(TOPIC, message)).recipients;
      return repeated > 0;
    });
    await asker.market.gather(WISH, { waitMs: 1_100, countMax: 1 });
    const ids = host.asked.map(({ id }) => id.join());
    expect(ids.length).toBeGreaterThan(0);
    expect(new Set(ids).size).toBe(ids.length);
  });
});

describe('the rules of requests', () => {
  const at = (ms: number): Instant => ({ wallMs: 1_000_000 + ms, monotonicMs: ms });
  const said = (changes: Partial<OfferRequest> = {}): OfferRequest => ({
    version: 1,
    network: NETWORK,
    id: new Uint8Array(16),
    payer: new Uint8Array(32),
    peerId: 'peer',
    addresses: [],
    ...WISH,
    issuedAtMs: 1_000_000,
    expiresAtMs: 1_060_000,
    ...changes,
  });

  it('MESH-71: verdicts, in the order of the rules', () => {
    const judge = (changes: Partial<OfferRequest>, ms = 0): string =>
      createOfferRules({ network: NETWORK }).judge(said(changes), 'peer', at(ms));
    expect(judge({})).toBe('accept');
    expect(judge({ version: 2, network: 'other' })).toBe('ignore');
    expect(judge({ network: 'other' })).toBe('reject');
    // A third peer would be dialled by everybody.
    expect(judge({ peerId: 'victim' })).toBe('reject');
    expect(judge({ addresses: ['/ip4/1.2.3.4/tcp/1/p2p/victim'] })).toBe('reject');
    expect(judge({ addresses: ['/ip4/1.2.3.4/tcp/1/p2p/peer'] })).toBe('accept');
    expect(judge({ skill: undefined })).toBe('reject');
    expect(judge({ skill: undefined, agent: new Uint8Array(32) })).toBe('accept');
    expect(judge({ expiresAtMs: 1_000_000 })).toBe('reject');
    expect(judge({ expiresAtMs: 1_000_000 + OFFER_REQUEST_LIFE_MS_MAX + 1 })).toBe('reject');
    expect(judge({}, 60_000)).toBe('ignore');
    expect(judge({ issuedAtMs: 1_030_001, expiresAtMs: 1_090_000 })).toBe('ignore');
  });

  it('MESH-71: known ones are ignored, and so is a flood, by peer and by key', () => {
    const rules = createOfferRules({ network: NETWORK });
    expect(rules.mark(said(), at(0))).toBe(true);
    expect(rules.mark(said(), at(1))).toBe(false);
    expect(rules.judge(said(), 'peer', at(1))).toBe('ignore');
    const flood = (author: (i: number) => string, payer: (i: number) => number): number => {
      const fresh = createOfferRules({ network: NETWORK });
      return Array.from({ length: 100 }, (_, i) => {
        const request = said({
          id: new Uint8Array(16).fill(i),
          payer: new Uint8Array(32).fill(payer(i)),
          peerId: author(i),
        });
        return fresh.judge(request, author(i), at(0)) === 'accept' && fresh.mark(request, at(0));
      }).filter(Boolean).length;
    };
    expect(
      flood(
        () => 'peer',
        (i) => i,
      ),
    ).toBe(8);
    expect(
      flood(
        (i) => `peer ${i}`,
        () => 1,
      ),
    ).toBe(8);
    expect(
      flood(
        (i) => `peer ${i}`,
        (i) => i,
      ),
    ).toBe(100);
  });
});

describe('forged requests', () => {
  it('MESH-71: do not use up what the key that they name may ask', () => {
    const rules = createOfferRules({ network: NETWORK });
    const victim = newKey().publicKey;
    const nowMs = Date.now();
    const now = { wallMs: nowMs, monotonicMs: 0 };
    const claimed = (author: string, id: number): OfferRequest => ({
      version: 1,
      network: NETWORK,
      id: new Uint8Array(16).fill(id),
      payer: victim,
      peerId: author,
      addresses: [],
      ...WISH,
      issuedAtMs: nowMs,
      expiresAtMs: nowMs + 60_000,
    });
    // Judged, but never marked: their signatures are wrong.
    for (let i = 0; i < 100; i++) rules.judge(claimed(`liar ${i}`, i), `liar ${i}`, now);
    expect(rules.judge(claimed('honest', 200), 'honest', now)).toBe('accept');
    expect(rules.mark(claimed('honest', 200), now)).toBe(true);
  });
});

describe('choosing among offers', () => {
  const measure = fc.record<Measured>({
    firstMs: fc.constant(1),
    totalMs: fc.integer({ min: 0, max: 20_000 }),
    ahead: fc.constant(0),
    paid: fc.constant(1n),
    failed: fc.double({ min: 0, max: 1, noNaN: true }),
    payers: fc.integer({ min: 1, max: 64 }),
    from: fc.constantFrom('own', 'paid', 'free'),
  });
  const base = makeAgent('base');
  const asked: OfferRequest = {
    version: 1,
    network: NETWORK,
    id: new Uint8Array(16),
    payer: new Uint8Array(32),
    peerId: 'asker',
    addresses: [],
    ...WISH,
    issuedAtMs: 1,
    expiresAtMs: 2,
  };
  const bidOf = (perCall: bigint, measured: Measured | undefined, peerId = 'p'): Bid => {
    const made = offerOf(base, { peerId, addresses: () => [] }, asked, {
      price: { perCall, perInputUnit: 0n, perOutputUnit: 0n },
    });
    return { offer: made, measured };
  };
  const bid = fc
    .tuple(fc.bigInt(0n, 1_000n), fc.option(measure, { nil: undefined }), fc.string())
    .map(([perCall, measured, peerId]) => bidOf(perCall, measured, peerId));

  it('MESH-74: is the same in whatever order they came', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(bid, { minLength: 1, maxLength: 8, selector: ({ offer }) => offer.peerId }),
        (bids) => {
          const chosen = rankBids(bids, WISH);
          expect(rankBids([...bids].reverse(), WISH)).toEqual(chosen);
          const scores = chosen.map((one) => scoreOf(one, WISH));
          expect(scores).toEqual([...scores].sort((a, b) => a - b));
          for (const score of scores) {
            expect(score).toBeGreaterThanOrEqual(0);
            expect(score).toBeLessThanOrEqual(1 + 1e-9);
          }
        },
      ),
    );
  });

  it('MESH-74: who is cheaper, faster and fails less is never passed over', () => {
    fc.assert(
      fc.property(
        fc.bigInt(0n, 900n),
        measure,
        fc.nat(100),
        fc.nat(5_000),
        (perCall, measured, more, slower) => {
          const better = bidOf(perCall, measured, 'better');
          const worse = bidOf(
            perCall + BigInt(more) + 1n,
            { ...measured, totalMs: measured.totalMs + slower, failed: Math.min(1, measured.failed * 1.5) },
            'worse',
          );
          expect(rankBids([worse, better], WISH)[0]).toBe(better);
        },
      ),
    );
  });

  it('MESH-74: weighs price, time and doubt as the page says', () => {
    expect(SCORE_WEIGHTS.price + SCORE_WEIGHTS.time + SCORE_WEIGHTS.doubt).toBeCloseTo(1);
    const took = (totalMs: number, failed: number, from: Measured['from'], payers: number): Measured => ({
      firstMs: 1,
      totalMs,
      ahead: 0,
      paid: 1n,
      failed,
      payers,
      from,
    });
    expect(scoreOf(bidOf(500n, undefined), WISH)).toBeCloseTo(0.25 + 0.15 + 0.1);
    expect(scoreOf(bidOf(500n, took(1_000, 0, 'own', 1)), WISH)).toBeCloseTo(0.25 + 0.06);
    expect(scoreOf(bidOf(0n, took(99_000, 1, 'own', 1)), WISH)).toBeCloseTo(0.3 + 0.2);
    expect(scoreOf(bidOf(0n, took(0, 0, 'paid', 4)), WISH)).toBeCloseTo(0.2 * 0.1);
    expect(scoreOf(bidOf(0n, took(0, 0, 'free', 4)), WISH)).toBeCloseTo(0.1);
    expect(expectedPrice(bidOf(7n, undefined).offer, WISH)).toBe(7n);
  });
});
