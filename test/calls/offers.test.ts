import { describe, expect, it } from 'vitest';
import { createOfferBook, type OfferBook } from '../../src/agent/offer-book.ts';
import { systemClock } from '../../src/base/clock.ts';
import { systemDice } from '../../src/base/random.ts';
import { BUNDLE_FORMAT, bundle } from '../../src/protocol/bundle.ts';
import { callOpening } from '../../src/protocol/call.ts';
import { type Offer, offer as offerSchema } from '../../src/protocol/offer.ts';
import { type Signed, signed, signOne } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { nativeSuite as suite } from '../../src/protocol/suite-native.ts';
import { createToldClock } from '../mesh/support.ts';
import { createRig, hash, keys, NETWORK, QUESTION, type Rig } from './rig.ts';

const PRICE = { perCall: 40n, perInputUnit: 1n, perOutputUnit: 1n };

function offerOf(rig: Rig, changes: Partial<Offer> = {}): Offer {
  const issuedAtMs = Date.now();
  return {
    version: 1,
    network: NETWORK,
    request: systemDice.bytes(16),
    payer: keys.payer.publicKey,
    agent: rig.card.agent,
    operator: rig.card.operator,
    cardHash: suite.sha256(signed.encode(rig.target.card)),
    skill: undefined,
    price: PRICE,
    inputUnitsMax: 100,
    outputUnitsMax: 50,
    modelDigest: rig.card.model.digest,
    determinism: rig.card.model.determinism,
    deadlineMs: 30_000,
    calls: 2,
    peerId: 'peer-host',
    addresses: [],
    issuedAtMs,
    notAfterMs: issuedAtMs + 60_000,
    ...changes,
  };
}

const sign = (made: Offer, signer: Signer = keys.agent): Signed =>
  signOne(suite, signer, NETWORK, { type: 'offer', payload: offerSchema.encode(made) });

async function market(): Promise<{ readonly rig: Rig; readonly book: OfferBook }> {
  const book = createOfferBook({ suite, clock: systemClock });
  return { rig: await createRig({ hostParts: { offers: book } }), book };
}

const asked = (rig: Rig, offer: Signed, priceMax = 1_000n) =>
  rig.caller.ask({ target: rig.target, question: QUESTION, priceMax, offer }).result;

describe('a call with an offer', () => {
  it('CALL-110 CALL-113: costs what the offer says, in receipt, charge and evidence', async () => {
    const { rig, book } = await market();
    const made = offerOf(rig);
    const message = sign(made);
    expect(book.add(message, made)).toBe(true);
    const { receipt, amount, evidence } = await asked(rig, message);
    expect(receipt.price).toEqual(PRICE);
    expect(amount).toBe(40n + BigInt(receipt.inputUnits) + BigInt(receipt.outputUnits));
    expect(evidence.opening.offer).toEqual(message);
    const file = bundle.encode({
      format: BUNDLE_FORMAT,
      genesis: new Uint8Array(0),
      ...evidence,
      settlement: undefined,
      keys: undefined,
    });
    expect(bundle.decode(file).opening.offer).toEqual(message);
  });

  it('CALL-112: is priced by it as often as it says, and no oftener', async () => {
    const { rig, book } = await market();
    const made = offerOf(rig);
    const message = sign(made);
    book.add(message, made);
    await asked(rig, message);
    await asked(rig, message);
    await expect(asked(rig, message)).rejects.toMatchObject({
      code: 'offer-invalid',
      facts: { reason: 'it is used up' },
    });
    // The agent can still be asked at its published price.
    const { receipt } = await rig.caller.ask({ target: rig.target, question: QUESTION, priceMax: 1_000n })
      .result;
    expect(receipt.price).toEqual(rig.card.price);
  });

  it('CALL-112: is refused where nobody made it: by another peer, or before a restart', async () => {
    const { rig } = await market();
    await expect(asked(rig, sign(offerOf(rig)))).rejects.toMatchObject({
      code: 'offer-invalid',
      facts: { reason: 'this peer did not make it, or has forgotten it' },
    });
    const without = await createRig();
    await expect(asked(without, sign(offerOf(without)))).rejects.toMatchObject({ code: 'offer-invalid' });
    // Nothing was charged, and nothing stays reserved.
    expect(rig.payer.balances()).toMatchObject([{ charged: 0n }]);
  });

  it.each<[string, Partial<Offer>, Signer?]>([
    ['of another network', { network: 'other' }],
    ['of another agent', { agent: keys.stranger.publicKey }],
    ['of another operator', { operator: keys.stranger.publicKey }],
    ['for another payer', { payer: keys.stranger.publicKey }],
    ['under another card', { cardHash: hash(9) }],
    ['for another skill', { skill: 'juggling' }],
    ['that is over', { issuedAtMs: 1_000, notAfterMs: 2_000 }],
    ['that lasts too long', { notAfterMs: Date.now() + 10_000_000 }],
    ['from the future', { issuedAtMs: Date.now() + 100_000, notAfterMs: Date.now() + 130_000 }],
    ['for no call at all', { calls: 0 }],
    ['for shorter questions', { inputUnitsMax: 1 }],
    ['above the card', { price: { ...PRICE, perOutputUnit: 3n } }],
    ['signed by another', {}, keys.stranger],
  ])(
    'CALL-111: an offer %s is refused by the host, and a caller does not even send it',
    async (_, changes, signer) => {
      const { rig, book } = await market();
      const made = offerOf(rig, changes);
      const message = sign(made, signer);
      book.add(message, made);
      await expect(asked(rig, message)).rejects.toMatchObject({ code: 'offer-invalid' });
      // A caller that sends it all the same: an honest opening with the offer put in afterwards.
      const good = sign(offerOf(rig));
      const raw = await openingWith(rig, good, message);
      expect(await rig.raw(raw)).toMatchObject({ code: 'offer-invalid', kinds: [] });
      expect(rig.host.running).toBe(0);
    },
  );
});

/** An opening that an honest caller made with `good`, carrying `other` instead. */
async function openingWith(rig: Rig, good: Signed, other: Signed): Promise<Uint8Array> {
  let caught: Uint8Array | undefined;
  const catching = await createRig({
    card: rig.card,
    pair: {
      tap: (frame) => {
        caught ??= frame.body;
        return 'cut';
      },
    },
  });
  const call = catching.caller.ask({ target: rig.target, question: QUESTION, priceMax: 1_000n, offer: good });
  await expect(call.result).rejects.toMatchObject({ code: 'peer-gone' });
  return callOpening.encode({ ...callOpening.decode(caught ?? new Uint8Array(0)), offer: other });
}

describe('a book of offers', () => {
  it('CALL-112: forgets what is over and takes a bounded number', async () => {
    const clock = createToldClock();
    const rig = await createRig();
    const book = createOfferBook({ suite, clock }, { offersMax: 2 });
    const add = (): [boolean, Signed] => {
      const made = offerOf(rig, { notAfterMs: Date.now() + 1_000 });
      const message = sign(made);
      return [book.add(message, made), message];
    };
    const [first, early] = add();
    expect([first, add()[0], add()[0]]).toEqual([true, true, false]);
    book.take(early);
    clock.advance(60_000);
    expect(() => book.take(early)).toThrow('expired');
    expect(add()[0]).toBe(true);
  });
});
