import { describe, expect, it } from 'vitest';
import { type Bundle, bundle } from '../../src/protocol/bundle.ts';
import { card as cardSchema, type PriceSchedule } from '../../src/protocol/card.ts';
import * as limits from '../../src/protocol/limits.ts';
import { type Offer, offerFault, offerRequest, offer as offerSchema } from '../../src/protocol/offer.ts';
import { chargeOf, receipt } from '../../src/protocol/payment.ts';
import { checkSigned, signed, signOne } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { nativeSuite } from '../../src/protocol/suite-native.ts';
import { portableSuite } from '../../src/protocol/suite-portable.ts';
import { verifyBundle } from '../../src/protocol/verify-bundle.ts';
import {
  agent,
  filled,
  NOW_MS,
  network,
  operator,
  payer,
  sampleCard,
  sampleStory,
  stranger,
  suite,
  tell,
} from './sample.ts';
import { bytesOf, type Case, vectors } from './vector-files.ts';

const LESS: PriceSchedule = { perCall: 60_000n, perInputUnit: 10n, perOutputUnit: 1000n };

/** A call that was charged at `price`. */
function toldAt(price: PriceSchedule): Bundle {
  const story = sampleStory();
  const amount = chargeOf(price, 10, 9);
  const knowledge = (amount * 700_000n) / 1_000_000n;
  const amounts = [knowledge, amount - knowledge];
  const { shares } = receipt.decode(tell(story).ending.receipt.payload);
  story.receipt = {
    price,
    amount,
    shares: shares.map((share, i) => ({ ...share, amount: amounts[i] ?? 0n })),
  };
  story.settled = false;
  return tell(story);
}

function withOffer(told: Bundle, changes: Partial<Offer> = {}, signer: Signer = agent): Uint8Array {
  const made: Offer = {
    version: 1,
    network,
    request: filled(3, 16),
    payer: payer.publicKey,
    agent: agent.publicKey,
    operator: operator.publicKey,
    cardHash: suite.sha256(signed.encode(told.card)),
    skill: 'answer',
    price: LESS,
    inputUnitsMax: 10,
    outputUnitsMax: 2000,
    modelDigest: sampleCard.model.digest,
    determinism: 'exact',
    deadlineMs: 30_000,
    calls: 1,
    peerId: 'host',
    addresses: [],
    issuedAtMs: NOW_MS - 1_000,
    notAfterMs: NOW_MS + 1_000,
    ...changes,
  };
  const offer = signOne(suite, signer, network, { type: 'offer', payload: offerSchema.encode(made) });
  return bundle.encode({ ...told, opening: { ...told.opening, offer } });
}

describe('evidence of a call with an offer', () => {
  it('CALL-113: is sound at the price of the offer, and says so', () => {
    const verdict = verifyBundle(suite, withOffer(toldAt(LESS)));
    expect(verdict.steps.filter(({ ok }) => !ok)).toEqual([]);
    expect(verdict.steps.find(({ check }) => check === 'question')?.detail).toContain('price of an offer');
    expect(verdict.summary?.receipt.amount).toBe(chargeOf(LESS, 10, 9));
  });

  it('CALL-113: the card’s price does not do with an offer, nor the offer’s without it', () => {
    const failed = (file: Uint8Array): string | undefined =>
      verifyBundle(suite, file).steps.find(({ ok }) => !ok)?.detail;
    expect(failed(withOffer(tell(sampleStory())))).toBe('the receipt charges another price than the offer');
    expect(failed(bundle.encode(toldAt(LESS)))).toBe('the receipt charges another price than the card');
  });

  it.each<[string, Partial<Offer>, Signer?]>([
    ['is not signed by the agent', {}, stranger],
    ['it is of another network', { network: 'other' }],
    ['it is another agent’s', { agent: stranger.publicKey }],
    ['it pays another operator', { operator: stranger.publicKey }],
    ['it is for another payer', { payer: stranger.publicKey }],
    ['it is for another card', { cardHash: filled(1) }],
    ['it is for another skill', { skill: 'sing' }],
    ['it prices no call', { notAfterMs: NOW_MS + 600_000 }],
    ['it prices no call', { calls: 0 }],
    ['it has expired', { issuedAtMs: NOW_MS - 10_000, notAfterMs: NOW_MS - 1 }],
    ['it is from the future', { issuedAtMs: NOW_MS + 30_001, notAfterMs: NOW_MS + 40_000 }],
    ['more units than it holds for', { inputUnitsMax: 9 }],
    ['more units were asked for', { outputUnitsMax: 1 }],
    ['above the price of the card', { price: { ...LESS, perInputUnit: 11n } }],
  ])('CALL-111 CALL-113: fails when the offer does not hold: %s', (reason, changes, signer) => {
    const verdict = verifyBundle(suite, withOffer(toldAt(LESS), changes, signer));
    expect(verdict.ok).toBe(false);
    expect(verdict.steps.at(-1)).toMatchObject({ check: 'question', ok: false });
    expect(verdict.steps.at(-1)?.detail).toContain(reason);
  });
});

describe('limits of the market', () => {
  it('fit each other: the largest request and offer still travel, also as one of a batch (LIM-1)', () => {
    const text = (bytes: number): string => 'x'.repeat(bytes);
    const far = Number.MAX_SAFE_INTEGER;
    const most = 10n ** 18n;
    const where = { peerId: text(64), addresses: Array.from({ length: 4 }, () => text(160)) };
    const made: Offer = {
      version: 255,
      network: text(64),
      request: filled(0, 16),
      payer: filled(0),
      agent: filled(0),
      operator: filled(0),
      cardHash: filled(0),
      skill: text(64),
      price: { perCall: most, perInputUnit: most, perOutputUnit: most },
      inputUnitsMax: 0xffff_ffff,
      outputUnitsMax: 0xffff_ffff,
      modelDigest: filled(0),
      determinism: 'none',
      deadlineMs: limits.CALL_DEADLINE_MS_MAX,
      calls: limits.OFFER_CALLS_MAX,
      ...where,
      issuedAtMs: far,
      notAfterMs: far,
    };
    const request = offerRequest.encode({
      version: 255,
      network: text(64),
      id: filled(0, 16),
      payer: filled(0),
      ...where,
      agent: filled(0),
      skill: text(64),
      languages: Array.from({ length: 8 }, () => text(16)),
      inputUnits: 0xffff_ffff,
      outputUnits: 0xffff_ffff,
      ceiling: most,
      deadlineMs: limits.CALL_DEADLINE_MS_MAX,
      issuedAtMs: far,
      expiresAtMs: far,
    });
    const siblings = Array.from({ length: limits.BATCH_DEPTH_MAX }, () => filled(0));
    const sizeOf = (payload: Uint8Array): number =>
      signed.encode({ payload, signature: new Uint8Array(64), sides: 4_095, siblings }).length;
    expect(sizeOf(request)).toBeLessThanOrEqual(limits.OFFER_REQUEST_BYTES_MAX);
    expect(sizeOf(offerSchema.encode(made))).toBeLessThanOrEqual(limits.OFFER_BYTES_MAX);
  });
});

describe.each([
  ['native', nativeSuite],
  ['portable', portableSuite],
] as const)('offer.json over the %s suite', (_, suite) => {
  const { given, valid, invalid } = vectors('offer');
  const cardMessage = signed.decode(bytesOf(given, 'card'));
  const use = {
    network: String(given.network),
    payer: bytesOf(given, 'payer'),
    card: cardSchema.decode(cardMessage.payload),
    cardHash: suite.sha256(bytesOf(given, 'card')),
    skill: String(given.skill),
    inputUnits: Number(given.inputUnits),
    issuedAtMs: Number(given.issuedAtMs),
  };
  const faultOf = (entry: Case): string | undefined => {
    const message = signed.decode(bytesOf(entry, 'offer'));
    const forged = checkSigned(suite, use.network, 'offer', use.card.agent, message);
    return forged ?? offerFault(offerSchema.decode(message.payload), use);
  };

  it.each(valid)('CALL-111: $name prices the call', (entry) => {
    expect(faultOf(entry)).toBeUndefined();
  });

  it.each(invalid)('CALL-111: $name does not', (entry) => {
    expect(faultOf(entry)).toMatch(/./);
  });
});
