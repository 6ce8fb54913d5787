import { toHex } from '../../src/base/bytes.ts';
import { card as cardSchema } from '../../src/protocol/card.ts';
import { type Offer, offer as offerSchema } from '../../src/protocol/offer.ts';
import { signed, signOne } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import {
  agent,
  filled,
  NOW_MS,
  network,
  operator,
  payer,
  sampleCard,
  stranger,
  suite,
} from '../../test/protocol/sample.ts';
import type { Vectors } from './file.ts';

interface OfferCase {
  readonly name: string;
  /** The signed offer in its wire form. */
  readonly offer: string;
}

const card = signed.encode(
  signOne(suite, agent, network, { type: 'card', payload: cardSchema.encode(sampleCard) }),
);

const sound: Offer = {
  version: 1,
  network,
  request: filled(3, 16),
  payer: payer.publicKey,
  agent: agent.publicKey,
  operator: operator.publicKey,
  cardHash: suite.sha256(card),
  skill: 'answer',
  price: { perCall: 60_000n, perInputUnit: 10n, perOutputUnit: 1_000n },
  inputUnitsMax: 10,
  outputUnitsMax: 300,
  modelDigest: sampleCard.model.digest,
  determinism: sampleCard.model.determinism,
  deadlineMs: 30_000,
  calls: 1,
  peerId: '12D3KooWGzBZpmCe1Rg3YJmPvj8sHYXkRSSWhVGUNyHmPvVtF2QY',
  addresses: ['/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWGzBZpmCe1Rg3YJmPvj8sHYXkRSSWhVGUNyHmPvVtF2QY'],
  issuedAtMs: NOW_MS - 1_000,
  notAfterMs: NOW_MS + 60_000,
};

function entry(
  name: string,
  change: Partial<Offer> = {},
  by: { signer?: Signer; type?: string } = {},
): OfferCase {
  const { signer = agent, type = 'offer' } = by;
  const payload = offerSchema.encode({ ...sound, ...change });
  return { name, offer: toHex(signed.encode(signOne(suite, signer, network, { type, payload }))) };
}

/** Offers held against one call, and what does not hold. */
export function offerVectors(): Vectors<OfferCase, OfferCase> {
  const { price } = sampleCard;
  return {
    about:
      'Offers (CALL-111): each prices the call in `given`, or must be refused with `offer-invalid`. The call is for the agent of the card, by the payer, with the skill, question units and time of issue that stand there.',
    given: {
      network,
      card: toHex(card),
      payer: toHex(payer.publicKey),
      skill: 'answer',
      inputUnits: 10,
      issuedAtMs: NOW_MS,
    },
    valid: [
      entry('below the card in some parts'),
      entry('as dear as the card', { price }),
      entry('for nothing', { price: { perCall: 0n, perInputUnit: 0n, perOutputUnit: 0n } }),
      entry('for any skill', { skill: undefined }),
      entry('for sixteen calls', { calls: 16 }),
      entry('until this very millisecond', { notAfterMs: NOW_MS }),
      entry('by a clock that is 30 seconds ahead', { issuedAtMs: NOW_MS + 30_000 }),
      entry('for ten minutes', { issuedAtMs: NOW_MS, notAfterMs: NOW_MS + 600_000 }),
    ],
    invalid: [
      entry('signed by another key', {}, { signer: stranger }),
      entry('signed as a receipt', {}, { type: 'receipt' }),
      entry('of a later version', { version: 2 }),
      entry('of another network', { network: 'other-0000000000000000' }),
      entry('of another agent', { agent: stranger.publicKey }),
      entry('of another operator', { operator: stranger.publicKey }),
      entry('for another payer', { payer: stranger.publicKey }),
      entry('under another card', { cardHash: filled(1) }),
      entry('for another skill', { skill: 'sing' }),
      entry('for no call', { calls: 0 }),
      entry('over a millisecond ago', { notAfterMs: NOW_MS - 1 }),
      entry('that ends as it begins', { issuedAtMs: NOW_MS, notAfterMs: NOW_MS }),
      entry('that ends before it begins', { issuedAtMs: NOW_MS + 2, notAfterMs: NOW_MS + 1 }),
      entry('for a millisecond more than ten minutes', { issuedAtMs: NOW_MS, notAfterMs: NOW_MS + 600_001 }),
      entry('from the future', { issuedAtMs: NOW_MS + 30_001, notAfterMs: NOW_MS + 60_000 }),
      entry('for a shorter question', { inputUnitsMax: 9 }),
      entry('above the card by a grain for the call', { price: { ...price, perCall: price.perCall + 1n } }),
      entry('above the card by a grain for input', {
        price: { ...price, perInputUnit: price.perInputUnit + 1n },
      }),
      entry('above the card by a grain for output', {
        price: { ...price, perOutputUnit: price.perOutputUnit + 1n },
      }),
    ],
  };
}
