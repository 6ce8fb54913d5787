import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CallEvent } from '../../src/agent/caller.ts';
import { createHosting } from '../../src/agent/hosting.ts';
import { parseManifest } from '../../src/agent/manifest.ts';
import { createOfferBook } from '../../src/agent/offer-book.ts';
import { toHex } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { systemDice } from '../../src/base/random.ts';
import type { AskEvent } from '../../src/daemon/admin/types.ts';
import type { Ask } from '../../src/daemon/asking.ts';
import { askInTurn, type RankedBid } from '../../src/daemon/auction.ts';
import { createOffering, discounted, type OfferingOptions } from '../../src/daemon/offering.ts';
import { createStopwatch } from '../../src/daemon/stopwatch.ts';
import { didOf } from '../../src/protocol/ids.ts';
import { OFFERS_PER_PEER_MAX } from '../../src/protocol/limits.ts';
import { type Offer, type OfferRequest, offerFault, offer as offerSchema } from '../../src/protocol/offer.ts';
import { chargeOf } from '../../src/protocol/payment.ts';
import { checkSigned } from '../../src/protocol/signing.ts';
import { nativeSuite } from '../../src/protocol/suite-native.ts';
import { NETWORK, newKey, tickSigner } from '../mesh/market.ts';
import { createToldClock } from '../mesh/support.ts';

const suite = nativeSuite;
const payer = newKey();

const request = (changes: Partial<OfferRequest> = {}): OfferRequest => ({
  version: 1,
  network: NETWORK,
  id: systemDice.bytes(16),
  payer: payer.publicKey,
  peerId: 'asker',
  addresses: [],
  agent: undefined,
  skill: 'answer',
  languages: [],
  inputUnits: 10,
  outputUnits: 100,
  ceiling: 10_000n,
  deadlineMs: 30_000,
  issuedAtMs: Date.now(),
  expiresAtMs: Date.now() + 10_000,
  ...changes,
});

/** A home with agents, of which some are busy. */
async function home(manifests: readonly string[], options: Partial<OfferingOptions> = {}) {
  const operator = tickSigner(newKey());
  const hosting = createHosting({ suite, clock: systemClock, network: NETWORK, operator });
  for (const text of manifests) {
    const manifest = parseManifest(text, { file: 'agent.yaml' });
    await hosting.publish({
      manifest,
      signer: newKey(),
      asset: systemDice.bytes(32),
      model: { name: 'extractive', digest: systemDice.bytes(32), determinism: 'exact' },
      answerer: {
        answer: () => {
          throw new TypeError('nobody is asked here');
        },
      },
    });
  }
  const queues = new Map<string, number>();
  const book = createOfferBook({ suite, clock: systemClock });
  const answer = createOffering(
    {
      mesh: { peerId: 'host', addresses: () => ['/ip4/127.0.0.1/tcp/1/p2p/host'] },
      clock: systemClock,
      network: NETWORK,
      book,
      agents: () => hosting.list(),
      queueOf: (agent) => queues.get(didOf(agent)) ?? 0,
    },
    options,
  );
  const offers = async (asked: OfferRequest): Promise<readonly Offer[]> =>
    (await answer(asked)).map((message) => offerSchema.decode(message.payload));
  return { hosting, queues, book, answer, offers };
}

const manifestOf = (name: string, more = ''): string =>
  `name: ${name}
vaults: [docs]
languages: [en]
skills: [{ name: answer, description: Answers. }]
price: { perCall: 1000, perInputUnit: 10, perOutputUnit: 20 }
limits: { outputUnits: 500, deadlineSeconds: 20, concurrency: 4 }
${more}`;

describe('what agents here offer', () => {
  it('MESH-72: a signed offer at the published price, which holds for the call that was asked about', async () => {
    const { hosting, answer, book } = await home([manifestOf('guide')]);
    const asked = request();
    const [message = expect.fail('an offer')] = await answer(asked);
    const [agent = expect.fail('an agent')] = hosting.list();
    expect(checkSigned(suite, NETWORK, 'offer', agent.card.agent, message)).toBeUndefined();
    const made = offerSchema.decode(message.payload);
    expect(made.price).toEqual(agent.card.price);
    expect(
      offerFault(made, {
        network: NETWORK,
        payer: payer.publicKey,
        card: agent.card,
        cardHash: agent.cardHash,
        skill: 'answer',
        inputUnits: 10,
        issuedAtMs: Date.now(),
      }),
    ).toBeUndefined();
    expect(made).toMatchObject({ request: asked.id, peerId: 'host', calls: 1, deadlineMs: 20_000 });
    // It was remembered before it left.
    book.take(message);
    expect(() => book.take(message)).toThrow('used up');
  });

  it('MESH-72: nothing for who is not served, for a skill or language that is lacking, too much or too dear', async () => {
    const { hosting, offers } = await home([manifestOf('guide')]);
    const count = async (changes: Partial<OfferRequest>): Promise<number> =>
      (await offers(request(changes))).length;
    const [agent = expect.fail('an agent')] = hosting.list();
    expect(await count({})).toBe(1);
    expect(await count({ skill: 'juggle' })).toBe(0);
    expect(await count({ skill: undefined, agent: agent.card.agent })).toBe(1);
    expect(await count({ agent: payer.publicKey })).toBe(0);
    expect(await count({ languages: ['pt', 'en'] })).toBe(1);
    expect(await count({ languages: ['pt'] })).toBe(0);
    expect(await count({ outputUnits: 501 })).toBe(0);
    const price = chargeOf(agent.card.price, 10, 100);
    expect(await count({ ceiling: price })).toBe(1);
    expect(await count({ ceiling: price - 1n })).toBe(0);
    const listed = await home([manifestOf('guide', `policy: { callers: ["${didOf(payer.publicKey)}"] }`)]);
    expect(await listed.offers(request())).toHaveLength(1);
    expect(await listed.offers(request({ payer: newKey().publicKey }))).toHaveLength(0);
    const silent = await home([manifestOf('guide')], { offers: false });
    expect(await silent.offers(request())).toHaveLength(0);
  });

  it('MESH-72: an agent without a free place offers nothing, and the busier it is the less it lets go', async () => {
    const { hosting, offers, queues } = await home([manifestOf('guide')], { discountPercent: 40 });
    const did = didOf(hosting.list()[0]?.card.agent ?? new Uint8Array(32));
    const prices: (bigint | undefined)[] = [];
    for (const queue of [0, 1, 2, 3, 4, 9]) {
      queues.set(did, queue);
      prices.push((await offers(request()))[0]?.price.perCall);
    }
    expect(prices).toEqual([600n, 700n, 800n, 900n, undefined, undefined]);
  });

  it('MESH-72: of many agents the cheapest few', async () => {
    const manifests = Array.from({ length: OFFERS_PER_PEER_MAX + 3 }, (_, i) =>
      manifestOf(`agent${i}`).replace('perCall: 1000', `perCall: ${2000 - 100 * i}`),
    );
    const { offers } = await home(manifests);
    const prices = (await offers(request())).map(({ price }) => price.perCall);
    expect(prices).toEqual([1400n, 1500n, 1600n, 1700n]);
  });

  it('MESH-73: no discount makes a price dearer, and none is below what the percentage says', () => {
    const grains = fc.bigInt(0n, 10n ** 18n);
    fc.assert(
      fc.property(
        fc.record({ perCall: grains, perInputUnit: grains, perOutputUnit: grains }),
        fc.integer({ min: 0, max: 100 }),
        fc.integer({ min: 1, max: 64 }),
        fc.integer({ min: 0, max: 64 }),
        (price, discountPercent, places, free) => {
          const less = discounted(price, { discountPercent, free, places });
          for (const part of ['perCall', 'perInputUnit', 'perOutputUnit'] as const) {
            expect(less[part] <= price[part]).toBe(true);
            expect(less[part] * 100n >= price[part] * BigInt(100 - discountPercent)).toBe(true);
          }
        },
      ),
    );
  });
});

describe('asking who offered', () => {
  async function bidsOf(count: number): Promise<RankedBid[]> {
    const { hosting, answer } = await home([manifestOf('guide')]);
    const [agent = expect.fail('an agent')] = hosting.list();
    const card = { card: agent.card, bytes: agent.cardBytes, hash: agent.cardHash };
    const made = await Promise.all(Array.from({ length: count }, () => answer(request())));
    return made.flat().map((message) => ({
      message,
      offer: offerSchema.decode(message.payload),
      card,
      measured: undefined,
    }));
  }

  /** Puts the question to each in turn; `outcomes` say what becomes of it. */
  async function asked(outcomes: readonly (SaharaError | 'answers' | 'breaks')[]) {
    const bids = await bidsOf(outcomes.length);
    const chosenOffers: string[] = [];
    const ask: Ask = async function* (_input, _signal, chosen) {
      const outcome = outcomes[chosenOffers.length];
      chosenOffers.push(toHex(chosen?.offer.payload ?? new Uint8Array(0)));
      if (outcome instanceof SaharaError) throw outcome;
      yield { type: 'delta', text: 'a', citations: [] };
      if (outcome === 'breaks') throw new SaharaError('peer-gone');
    };
    const events: AskEvent[] = [];
    let failure = 'none';
    try {
      const { signal } = new AbortController();
      for await (const event of askInTurn(ask, bids, { input: { question: 'why' }, signal }))
        events.push(event);
    } catch (error) {
      failure = error instanceof SaharaError ? error.code : String(error);
    }
    expect(chosenOffers).toEqual(
      bids.slice(0, chosenOffers.length).map(({ message }) => toHex(message.payload)),
    );
    return { tries: chosenOffers.length, failure, events: events.map(({ type }) => type) };
  }

  it('CALL-114: the next best is asked when an offer is not honoured, a few times', async () => {
    const refused = new SaharaError('offer-invalid');
    expect(await asked(['answers', 'answers'])).toEqual({ tries: 1, failure: 'none', events: ['delta'] });
    expect(await asked([refused, new SaharaError('overloaded'), 'answers'])).toEqual({
      tries: 3,
      failure: 'none',
      events: ['progress', 'progress', 'delta'],
    });
    expect(await asked([refused, refused, refused, 'answers'])).toMatchObject({
      tries: 3,
      failure: 'offer-invalid',
    });
  });

  it('CALL-114: nobody else is asked once something was delivered, may be owed, or was wrong with the call', async () => {
    expect(await asked(['breaks', 'answers'])).toMatchObject({ tries: 1, failure: 'peer-gone' });
    const unknown = new SaharaError('peer-gone', { outcome: 'unknown' });
    expect(await asked([unknown, 'answers'])).toMatchObject({ tries: 1, failure: 'peer-gone' });
    expect(await asked([new SaharaError('too-large'), 'answers'])).toMatchObject({
      tries: 1,
      failure: 'too-large',
    });
  });
});

describe('a stopwatch of a call', () => {
  it('MESH-76: tells first part, whole and the longest queue', () => {
    const clock = createToldClock();
    const watch = createStopwatch(clock);
    const say = (event: CallEvent): void => watch.take(event);
    say({ type: 'progress', stage: 'queued', ahead: 3 });
    clock.advance(100);
    say({ type: 'progress', stage: 'queued', ahead: 1 });
    expect(watch.read()).toEqual({ firstMs: 100, totalMs: 100, ahead: 3 });
    say({ type: 'text', text: 'a' });
    clock.advance(400);
    say({ type: 'text', text: 'b' });
    expect(watch.read()).toEqual({ firstMs: 100, totalMs: 500, ahead: 3 });
  });
});
