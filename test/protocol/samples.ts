import { block } from '../../src/protocol/block.ts';
import { bundle } from '../../src/protocol/bundle.ts';
import { callEnding, callOpening, callRequest, delta, source } from '../../src/protocol/call.ts';
import { advert, card } from '../../src/protocol/card.ts';
import { certificate, certificateChain } from '../../src/protocol/certificate.ts';
import {
  type CallResume,
  callChild,
  callResume,
  callVoucher,
  checkpoint,
  resumeRequest,
} from '../../src/protocol/checkpoint.ts';
import { envelope } from '../../src/protocol/envelope.ts';
import { failureSchema } from '../../src/protocol/failure.ts';
import { observation } from '../../src/protocol/observation.ts';
import { offer, offerRequest } from '../../src/protocol/offer.ts';
import { charge, receipt, voucher } from '../../src/protocol/payment.ts';
import { probe, probeAnswer } from '../../src/protocol/probe.ts';
import { receiptTree } from '../../src/protocol/receipt-tree.ts';
import type { Schema } from '../../src/protocol/schema.ts';
import { transaction } from '../../src/protocol/transaction.ts';
import {
  agent,
  filled,
  NOW_MS,
  network,
  operator,
  payer,
  sampleCard,
  sampleCertificate,
  sampleSource,
  sampleStory,
  sign,
  suite,
  tell,
} from './sample.ts';

/** A sound encoding of each record that travels or is stored. */
export function sampleBytes(): readonly { name: string; schema: Schema<unknown>; encoded: Uint8Array }[] {
  const told = tell(sampleStory());
  const settled = told.settlement;
  if (settled === undefined || !told.opening.voucher || !told.ending.charge) return [];
  const pairs: readonly (readonly [Schema<unknown>, Uint8Array])[] = [
    [envelope, told.opening.envelope.payload],
    [certificate, certificate.encode(sampleCertificate)],
    [certificateChain, sampleCard.operatorCertificate],
    [card, told.card.payload],
    [advert, advert.encode(sampleAdvert)],
    [offerRequest, offerRequest.encode(sampleOfferRequest)],
    [offer, offer.encode(sampleOffer)],
    [observation, observation.encode({ ...sampleObservation, receipt: told.ending.receipt })],
    [probe, probe.encode({ agent: agent.publicKey, nonce: filled(7) })],
    [probeAnswer, probeAnswer.encode(sampleProbeAnswer)],
    [callRequest, told.opening.request],
    [callOpening, callOpening.encode(told.opening)],
    [source, source.encode(sampleSource)],
    [delta, told.deliveries[1]?.body ?? new Uint8Array(0)],
    [callEnding, callEnding.encode(told.ending)],
    [voucher, told.opening.voucher.payload],
    [charge, told.ending.charge.payload],
    [receipt, told.ending.receipt.payload],
    [receiptTree, receiptTree.encode({ count: 1, peaks: [{ hash: filled(1), sum: 4n }] })],
    [block, block.encode({ header: settled.header, transactions: [settled.transaction] })],
    [transaction, settled.transaction.payload],
    [failureSchema, failureSchema.encode(sampleFailure)],
    [bundle, bundle.encode(told)],
    [checkpoint, checkpoint.encode(sampleCheckpoint)],
    [callVoucher, callVoucher.encode({ cover: 100n, voucher: told.opening.voucher })],
    [callResume, callResume.encode({ ...resumption(), voucher: told.opening.voucher })],
    [resumeRequest, resumption().body],
    [
      callChild,
      callChild.encode({
        envelope: told.opening.envelope,
        receipt: told.ending.receipt,
        charge: told.ending.charge,
      }),
    ],
  ];
  return pairs.map(([schema, encoded]) => ({ name: schema.name, schema, encoded: encoded.slice() }));
}

const sampleCheckpoint = {
  network,
  callId: filled(9, 16),
  channel: filled(0xf0),
  sequence: 1,
  deliveries: 3,
  chain: filled(0x44),
  inputUnits: 10,
  outputUnits: 9,
  expenses: 5n,
  amount: 109_114n,
};

/** A request to go on with the sample's call after one delivery. */
function resumption(): Pick<CallResume, 'envelope' | 'body'> {
  const body = resumeRequest.encode({
    callId: filled(9, 16),
    peer: sampleAdvert.peerId,
    deliveries: 1,
    chain: filled(0x44),
    cover: 100n,
  });
  const asked = envelope.encode({
    version: 1,
    network,
    id: filled(10, 16),
    from: payer.publicKey,
    to: { kind: 'agent', name: agent.publicKey },
    sequence: 2,
    issuedAtMs: NOW_MS,
    expiresAtMs: NOW_MS + 60_000,
    context: undefined,
    bodyType: 'resume',
    bodyHash: suite.sha256(body),
    extensions: new Map(),
  });
  return { envelope: sign(payer, 'resume', asked), body };
}

const sampleAdvert = {
  version: 1,
  network,
  agent: agent.publicKey,
  operator: operator.publicKey,
  name: 'guide',
  skills: ['answer'],
  cardHash: filled(1),
  perCall: 10n,
  queue: 0,
  latencyMs: undefined,
  modelDigest: filled(2),
  peerId: '12D3KooWGzBZpmCe1Rg3YJmPvj8sHYXkRSSWhVGUNyHmPvVtF2QY',
  addresses: ['/ip4/127.0.0.1/tcp/4001'],
  issuedAtMs: NOW_MS,
  expiresAtMs: NOW_MS + 90_000,
};

const sampleOfferRequest = {
  version: 1,
  network,
  id: filled(3, 16),
  payer: payer.publicKey,
  peerId: sampleAdvert.peerId,
  addresses: sampleAdvert.addresses,
  agent: undefined,
  skill: 'answer',
  languages: ['en'],
  inputUnits: 12,
  outputUnits: 300,
  ceiling: 5_000_000n,
  deadlineMs: 30_000,
  issuedAtMs: NOW_MS,
  expiresAtMs: NOW_MS + 60_000,
};

const sampleOffer = {
  version: 1,
  network,
  request: sampleOfferRequest.id,
  payer: payer.publicKey,
  agent: agent.publicKey,
  operator: operator.publicKey,
  cardHash: filled(1),
  skill: 'answer',
  price: { perCall: 10n, perInputUnit: 1n, perOutputUnit: 2n },
  inputUnitsMax: 12,
  outputUnitsMax: 300,
  modelDigest: filled(2),
  determinism: 'exact' as const,
  deadlineMs: 30_000,
  calls: 1,
  peerId: sampleAdvert.peerId,
  addresses: sampleAdvert.addresses,
  issuedAtMs: NOW_MS,
  notAfterMs: NOW_MS + 60_000,
};

const sampleObservation = {
  version: 1,
  network,
  payer: payer.publicKey,
  peerId: sampleAdvert.peerId,
  firstMs: 80,
  totalMs: 900,
  ahead: 0,
  issuedAtMs: NOW_MS,
};

const sampleProbeAnswer = {
  version: 1,
  network,
  agent: agent.publicKey,
  host: sampleAdvert.peerId,
  asker: '12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo',
  nonce: filled(7),
};

const sampleFailure = {
  code: 'expired',
  facts: { receiverTimeMs: 1.5, names: ['a', 'b'], yes: true, reason: 'late' },
  atMs: NOW_MS,
};
