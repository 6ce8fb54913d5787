/** A sound encoding of every record that the protocol exports. */

import { fromHex, utf8 } from '../../../src/base/bytes.ts';
import { blockMessage } from '../../../src/ledger/network.ts';
import { collectPath } from '../../../src/protocol/actions-asset.ts';
import { recoveryRequest } from '../../../src/protocol/actions-identity.ts';
import { audit, auditSubject } from '../../../src/protocol/audit.ts';
import { block, blockHeader, genesis, transactionResult } from '../../../src/protocol/block.ts';
import { bundle } from '../../../src/protocol/bundle.ts';
import { progress } from '../../../src/protocol/call.ts';
import { priceSchedule } from '../../../src/protocol/card.ts';
import { certifiedHeader, twoCertified } from '../../../src/protocol/certified-header.ts';
import { consensusBlock, consensusProof, firstValidators } from '../../../src/protocol/consensus.ts';
import { type ChunkProof, chunkProof, contentProof } from '../../../src/protocol/content.ts';
import { evidence } from '../../../src/protocol/evidence-channel.ts';
import { identityRecord, recoveryPolicy } from '../../../src/protocol/identity.ts';
import { keyEvidence } from '../../../src/protocol/key-evidence.ts';
import { LICENCE_PRESETS, licenceTerms } from '../../../src/protocol/licence.ts';
import { merklePath, merklePathOf } from '../../../src/protocol/merkle.ts';
import { callPayment } from '../../../src/protocol/once.ts';
import { attribution, release } from '../../../src/protocol/payment.ts';
import { paymentAnswer, paymentQuery } from '../../../src/protocol/payment-query.ts';
import { receiptLeaf, receiptPath, receiptPathOf } from '../../../src/protocol/receipt-tree.ts';
import type { Schema } from '../../../src/protocol/schema.ts';
import { callQuestion, callSealed, callVia } from '../../../src/protocol/sealed-message.ts';
import { signed } from '../../../src/protocol/signing.ts';
import {
  type StandingView,
  standingAnswer,
  standingQuestion,
  standingRequest,
} from '../../../src/protocol/standing.ts';
import { stateProof } from '../../../src/protocol/state-proof.ts';
import { action, commitment, transaction } from '../../../src/protocol/transaction.ts';
import { watchAnswer, watchRequest } from '../../../src/protocol/watchtower.ts';
import * as sample from '../../protocol/sample.ts';
import { hot, proveChannel, sampleKeyEvidence } from '../../protocol/sample-keys.ts';
import { sampleBytes } from '../../protocol/samples.ts';
import { SCHEMAS } from '../../protocol/schemas.ts';
import { vectorBytes, vectorFile } from '../corpus.ts';
import { channelSamples, evidenceSamples, sampleClaims } from './channel-samples.ts';

/** A record with sound encodings of it. */
export interface Sampled {
  readonly schema: Schema<unknown>;
  readonly samples: readonly Uint8Array[];
}

/** Every exported record, each with at least one sound encoding. */
export function sampledRecords(): readonly Sampled[] {
  const samples = [...sampleBytes(), ...others(), ...recordVectors()];
  return [...SCHEMAS, blockMessage].map((schema) => ({
    schema,
    samples: samples.filter(({ name }) => name === schema.name).map(({ encoded }) => encoded),
  }));
}

interface Named {
  readonly name: string;
  readonly encoded: Uint8Array;
}

const sampleView: StandingView = {
  step: 1,
  points: 24,
  facts: [{ fact: 'refused:malformed', count: 6 }],
  limits: [{ what: 'peer', perSecond: 2_500, atOnce: 512 }],
  betterAfterMs: undefined,
  betterAfterCalls: undefined,
};

const sampleCommitment = { scheme: 'sha256-merkle-1mib', root: sample.filled(5), sizeBytes: 5 };
const sampleChunks: ChunkProof = {
  file: {
    about: { path: 'a/b.txt', sizeBytes: 5, root: sample.filled(6) },
    place: { index: 0, count: 2, siblings: [sample.filled(7)] },
  },
  first: 0,
  chunks: [utf8('chunk')],
  siblings: [sample.filled(8)],
};

const samplePolicy = {
  guardians: [sample.filled(4), sample.filled(5)],
  threshold: 2,
  delayBlocks: 10,
};

const sampleRecovery = { did: sample.filled(1), key: sample.filled(6), next: sample.filled(7) };

function others(): readonly Named[] {
  const told = sample.tell(sample.sampleStory());
  const settled = told.settlement;
  if (settled === undefined) return [];
  const ending = { type: 'ending' as const, state: 'ended' as const, ending: told.ending };
  const state = {
    type: 'state' as const,
    serves: 7,
    voucher: told.opening.voucher,
    charge: told.ending.charge,
  };
  const leaves = [1n, 2n, 3n].map((sum) => receiptLeaf(sample.suite, utf8('receipt'), sum));
  const texts = ['a', 'b', 'c'].map(utf8);
  const certified = vectorBytes('consensus', ['header']).map((wire) => certifiedHeader.decode(wire));
  const proofs = certified.flatMap(({ consensus }) => consensus ?? []);
  const query = {
    network: sample.network,
    payer: sample.payer.publicKey,
    payee: sample.operator.publicKey,
    id: sample.filled(1, 16),
    issuedAtMs: sample.NOW_MS,
  };
  const callId = sample.filled(9, 16);
  const channel = sample.filled(0xf0);
  const made = <T>(schema: Schema<T>, value: T): Named => ({
    name: schema.name,
    encoded: schema.encode(value),
  });
  return [
    made(callPayment, settled),
    ...certified.map((one) => made(certifiedHeader, one)),
    ...certified.map((one) => made(twoCertified, { one, other: one })),
    ...proofs.map((one) => made(consensusProof, one)),
    ...proofs.flatMap(({ blocks }) => blocks.map((one) => made(consensusBlock, one))),
    ...proofs.slice(0, 2).map(({ first }) => made(firstValidators, first)),
    made(signed, told.opening.envelope),
    made(signed, { ...told.card, sides: 1, siblings: [sample.filled(3)] }),
    made(priceSchedule, sample.sampleCard.price),
    ...channelSamples().map((one) => made(action, one)),
    ...evidenceSamples().map((one) => made(evidence, one)),
    made(release, { network: sample.network, channel, depositAfter: 5n, sequence: 2 }),
    made(action, { type: 'bond', role: 'provider', amount: 5n, commission: 100_000 }),
    made(action, { type: 'unbond', role: 'validator', amount: 5n }),
    made(action, { type: 'delegate', did: sample.filled(1), role: 'steward', amount: 5n }),
    made(action, { type: 'undelegate', did: sample.filled(1), role: 'consumer', amount: 5n }),
    made(action, { type: 'release-bond', did: sample.filled(1), role: 'host', owner: sample.filled(2) }),
    made(action, { type: 'report-double-signing', first: settled.header, second: settled.header }),
    made(action, { type: 'collect-reward', epoch: 7, did: sample.filled(1) }),
    made(action, { type: 'approve-upgrade', version: 2, height: 100 }),
    made(stateProof, { leaf: undefined, siblings: [] }),
    made(keyEvidence, sampleKeyEvidence()),
    made(keyEvidence, proveChannel([{ key: hot.publicKey, until: 40 }])),
    made(recoveryPolicy, samplePolicy),
    made(recoveryRequest, { version: 1, network: sample.network, ...sampleRecovery }),
    made(action, { type: 'register-identity', next: sample.filled(2), policy: samplePolicy }),
    made(action, {
      type: 'rotate-key',
      key: sample.filled(2),
      next: sample.filled(3),
      policy: { guardians: [], threshold: 0, delayBlocks: 10 },
    }),
    made(action, {
      type: 'recover-identity',
      ...sampleRecovery,
      consent: sample.filled(8, 64),
    }),
    made(action, { type: 'cancel-recovery' }),
    made(action, { type: 'finish-recovery', ...sampleRecovery }),
    made(action, { type: 'revoke-certificate', serial: sample.filled(9, 16) }),
    made(identityRecord, {
      key: sample.filled(1),
      next: sample.filled(2),
      retired: [{ key: sample.filled(3), retiredAt: 7, until: 17 }],
      policy: samplePolicy,
      recoveries: [
        { key: sample.filled(6), next: sample.filled(7), votes: [sample.filled(4)], effectiveAt: undefined },
        { key: sample.filled(8), next: sample.filled(7), votes: [sample.filled(5)], effectiveAt: 30 },
      ],
    }),
    made(progress, { stage: 'queued', ahead: 3 }),
    made(attribution, [{ asset: sample.filled(1), amount: 5n }]),
    made(paymentQuery, { ...query, ask: { type: 'ending', callId } }),
    made(paymentQuery, { ...query, ask: { type: 'state', channel, lane: 0, fromSequence: 0 } }),
    made(paymentQuery, { ...query, ask: { type: 'release', channel, amount: 5n } }),
    made(paymentAnswer, { type: 'release', release: told.ending.receipt }),
    made(paymentAnswer, ending),
    made(paymentAnswer, { ...state, endings: [told.ending] }),
    made(watchRequest, { network: sample.network, claims: [] }),
    made(watchRequest, { network: sample.network, claims: sampleClaims() }),
    made(watchAnswer, { network: sample.network, verdicts: ['watched', 'unverified'] }),
    made(standingRequest, { peer: 'peer' }),
    made(standingQuestion, {
      envelope: told.opening.envelope,
      body: standingRequest.encode({ peer: 'peer' }),
    }),
    made(standingAnswer, {
      network: sample.network,
      atMs: sample.NOW_MS,
      stranger: true,
      peer: sampleView,
      caller: { ...sampleView, betterAfterMs: 60_000, betterAfterCalls: 7 },
    }),
    made(callSealed, {
      agent: sample.agent.publicKey,
      encapsulated: sample.filled(1),
      salt: sample.filled(2),
      sealed: sample.filled(3, 272),
    }),
    made(callVia, { peerId: '12D3KooWRdLVfD9NC7BUT8aoQtq1TiaKU9jUvKB8Dxcu38gRiCqC' }),
    made(callQuestion, { protocol: '/sahara/payment/1', body: sample.filled(4, 40) }),
    made(receiptPath, receiptPathOf(sample.suite, leaves, 1)),
    made(merklePath, merklePathOf(sample.suite, texts, 1)),
    made(genesis, sample.sampleGenesis),
    { name: blockHeader.name, encoded: settled.header.payload },
    made(transactionResult, { code: 3, moved: 7n }),
    made(action, transaction.decode(settled.transaction.payload).action),
    ...Object.values(LICENCE_PRESETS).map((terms) => made(licenceTerms, terms)),
    made(commitment, sampleCommitment),
    made(contentProof, { version: 1, commitment: sampleCommitment, body: chunkProof.encode(sampleChunks) }),
    made(chunkProof, { ...sampleChunks, file: undefined }),
    made(chunkProof, sampleChunks),
    made(collectPath, { assets: [sample.filled(1), sample.filled(2)] }),
    made(action, { type: 'collect-path', assets: [sample.filled(1)] }),
    made(licenceTerms, {
      ...LICENCE_PRESETS['commercial-remix'],
      territories: ['DE', 'FR'],
      ceiling: 5n,
      expiresAt: 9,
      grant: { price: 3n, blocks: 7 },
    }),
    made(blockMessage, { type: 'announcement', header: settled.header }),
    made(blockMessage, {
      type: 'block',
      block: block.encode({ header: settled.header, transactions: [settled.transaction] }),
    }),
    made(bundle, sample.tell({ ...sample.sampleStory(), settled: false })),
    made(bundle, sample.tell({ ...sample.sampleStory(), paid: false, settled: false })),
    ...auditFiles(),
  ];
}

function recordVectors(): readonly Named[] {
  const { valid } = vectorFile('records') as { readonly valid: readonly { record: string; hex: string }[] };
  return valid.map(({ record, hex }) => ({ name: record, encoded: fromHex(hex) ?? new Uint8Array(0) }));
}

function auditFiles(): readonly Named[] {
  const { valid } = vectorFile('audit') as { readonly valid: readonly { hex: string }[] };
  return valid.flatMap(({ hex }) => {
    const file = audit.decode(fromHex(hex) ?? new Uint8Array(0));
    return [
      { name: audit.name, encoded: audit.encode(file) },
      { name: auditSubject.name, encoded: auditSubject.encode(file.subject) },
    ];
  });
}
