/** One whole sound call, made from fixed seeds: what the vectors are written from and the tests take apart. */
import { utf8 } from '../../src/base/bytes.ts';
import {
  type BlockHeader,
  blockHeader,
  type Genesis,
  genesis,
  networkOf,
  transactionResult,
} from '../../src/protocol/block.ts';
import { BUNDLE_FORMAT, type Bundle, bundle, type Delivery } from '../../src/protocol/bundle.ts';
import {
  CALL_FRAME,
  type CallRequest,
  callRequest,
  chainNext,
  chainStart,
  delta,
  type Source,
  source,
} from '../../src/protocol/call.ts';
import { type Card, card } from '../../src/protocol/card.ts';
import { type Certificate, certificate, certificateChain } from '../../src/protocol/certificate.ts';
import { type Checkpoint, checkpoint } from '../../src/protocol/checkpoint.ts';
import { type Envelope, envelope } from '../../src/protocol/envelope.ts';
import type { KeyEvidence } from '../../src/protocol/key-evidence.ts';
import { merklePathOf, merkleRoot } from '../../src/protocol/merkle.ts';
import {
  type AssetAmount,
  attributionRoot,
  type Charge,
  charge,
  chargeOf,
  type Receipt,
  receipt,
  type Voucher,
  voucher,
} from '../../src/protocol/payment.ts';
import {
  appendLeaf,
  EMPTY_TREE,
  receiptLeaf,
  receiptPathOf,
  treeRoot,
} from '../../src/protocol/receipt-tree.ts';
import { type Signed, signed, signOne } from '../../src/protocol/signing.ts';
import type { Signer, Suite } from '../../src/protocol/suite.ts';
import { createSigner, nativeSuite } from '../../src/protocol/suite-native.ts';
import { transaction } from '../../src/protocol/transaction.ts';

export const suite: Suite = nativeSuite;

/** 32 bytes that differ by `fill`. */
export const filled = (fill: number, length = 32): Uint8Array => new Uint8Array(length).fill(fill);

export const operator: Signer = createSigner(filled(1));
export const agent: Signer = createSigner(filled(2));
export const payer: Signer = createSigner(filled(3));
export const sequencer: Signer = createSigner(filled(4));
const contributor: Signer = createSigner(filled(5));
export const stranger: Signer = createSigner(filled(6));

export const NOW_MS = 1_790_000_000_000;

export const sampleGenesis: Genesis = {
  version: 1,
  name: 'sample',
  createdAtMs: NOW_MS - 86_400_000,
  sequencer: sequencer.publicKey,
  parameters: {
    transactionFee: 1000n,
    depositMin: 1_000_000n,
    closeDelayBlocks: 20,
    blockIntervalMs: 1000,
    unbondDelayBlocks: 40,
    bondMin: 1_000_000_000n,
    slashPpm: 500_000,
    rewardPpm: 500_000,
    epochBlocks: 60,
  },
  faucet: { perAccount: 100_000_000_000n, supply: 1_000_000_000_000n },
  accounts: [{ owner: payer.publicKey, balance: 50_000_000_000n }],
};
export const genesisBytes: Uint8Array = genesis.encode(sampleGenesis);
export const network: string = networkOf(suite, genesisBytes);

export const sign = (signer: Signer, type: string, payload: Uint8Array): Signed =>
  signOne(suite, signer, network, { type, payload });

export const sampleCertificate: Certificate = {
  version: 1,
  network,
  issuer: operator.publicKey,
  subject: { kind: 'key', id: agent.publicKey },
  roles: ['agent'],
  capabilities: ['serve:agent/*'],
  notBeforeMs: NOW_MS - 3_600_000,
  notAfterMs: NOW_MS + 3_600_000,
  serial: filled(7, 16),
};

export const signCertificate = (signer: Signer, body: Certificate): Signed =>
  sign(signer, 'certificate', certificate.encode(body));

const assets = { agent: filled(0xa0), knowledge: filled(0xb0) };

export const sampleCard: Card = {
  version: 1,
  network,
  agent: agent.publicKey,
  operator: operator.publicKey,
  name: 'guide',
  description: 'Answers questions about the desert.',
  languages: ['en'],
  skills: [{ name: 'answer', description: 'Answers from its documents.', examples: ['How dry is it?'] }],
  price: { perCall: 100_000n, perInputUnit: 10n, perOutputUnit: 1001n },
  free: { calls: 3, windowSeconds: 86_400 },
  limits: { questionBytes: 4096, outputUnits: 2000, deadlineMs: 60_000, concurrency: 8 },
  licence: 'CC-BY-4.0',
  manifestHash: filled(0xc0),
  model: { name: 'extractive', digest: filled(0xd0), determinism: 'exact' },
  asset: assets.agent,
  issuedAtMs: NOW_MS - 600_000,
  operatorCertificate: certificateChain.encode([signCertificate(operator, sampleCertificate)]),
};

/** Everything that goes into a bundle, before it is signed and linked; a test changes a part and builds again. */
export interface Story {
  card: Card;
  request: Omit<CallRequest, 'cardHash'>;
  envelope: Partial<Envelope>;
  deliveries: Delivery[];
  receipt: Partial<Receipt>;
  voucher: Partial<Voucher>;
  charge: Partial<Charge>;
  header: Partial<BlockHeader>;
  attribution: AssetAmount[];
  checkpoints: Checkpoint[];
  paid: boolean;
  settled: boolean;
  /** Who signs for each party. */
  signers: { readonly payer: Signer; readonly agent: Signer; readonly operator: Signer };
  /** Signs vouchers in place of the payer. */
  voucherSigner: Signer | undefined;
  keys: KeyEvidence | undefined;
}

const passage = 'Rain is rare. In the central Sahara some years pass without any.';
const answerText = 'In the central Sahara some years pass without any.';

export const sampleSource: Source = {
  chunk: filled(0xe0),
  document: 'climate.md',
  title: 'Climate › Rain',
  text: passage,
  contributor: contributor.publicKey,
  asset: assets.knowledge,
  licence: 'CC-BY-4.0',
};

export function sampleStory(): Story {
  const start = passage.indexOf(answerText);
  const citation = {
    start: 0,
    end: answerText.length,
    source: 0,
    sourceStart: start,
    sourceEnd: passage.length,
  };
  return {
    card: sampleCard,
    request: {
      skill: 'answer',
      question: 'How often does it rain in the central Sahara?',
      context: [{ role: 'user', text: 'Hello' }],
      priceMax: 1_000_000n,
      cover: 1_000_000n,
      outputUnitsMax: 1000,
      deadlineMs: 30_000,
      seed: 42,
    },
    envelope: {},
    deliveries: [
      { kind: CALL_FRAME.source, body: source.encode(sampleSource) },
      {
        kind: CALL_FRAME.delta,
        body: delta.encode({ sequence: 1, text: answerText, citations: [citation] }),
      },
    ],
    receipt: {},
    voucher: {},
    charge: {},
    header: {},
    attribution: [],
    checkpoints: [],
    paid: true,
    settled: true,
    signers: { payer, agent, operator },
    voucherSigner: undefined,
    keys: undefined,
  };
}

function sampleReceipt(story: Story, facts: Pick<Receipt, 'cardHash' | 'requestHash'>): Receipt {
  let responseHash = chainStart(suite, filled(9, 16));
  for (const { kind, body } of story.deliveries) responseHash = chainNext(suite, responseHash, kind, body);
  const amount = story.paid ? chargeOf(sampleCard.price, 10, 9) : 0n;
  const knowledge = (amount * 700_000n) / 1_000_000n;
  return {
    version: 1,
    network,
    callId: filled(9, 16),
    agent: agent.publicKey,
    payee: operator.publicKey,
    payer: payer.publicKey,
    channel: story.paid ? filled(0xf0) : undefined,
    lane: 0,
    sequence: story.paid ? 1 : 0,
    ...facts,
    responseHash,
    deliveries: story.deliveries.length,
    manifestHash: filled(0xc0),
    modelDigest: filled(0xd0),
    skill: 'answer',
    seed: 42,
    finish: 'done',
    inputUnits: 10,
    outputUnits: 9,
    price: sampleCard.price,
    expenses: 0n,
    amount,
    shares: [
      { asset: assets.knowledge, role: 'knowledge', ppm: 700_000, amount: knowledge },
      { asset: assets.agent, role: 'agent', ppm: 300_000, amount: amount - knowledge },
    ],
    attributionRule: 'passages/1',
    startedAtMs: NOW_MS + 5,
    finishedAtMs: NOW_MS + 250,
    ...story.receipt,
  };
}

/** The bundle of a story, whole. */
export function tell(story: Story): Bundle {
  const { signers } = story;
  const cardMessage = sign(signers.agent, 'card', card.encode(story.card));
  const cardHash = suite.sha256(signed.encode(cardMessage));
  const request = callRequest.encode({ cardHash, ...story.request });
  const requestHash = suite.sha256(request);
  const asked: Envelope = {
    version: 1,
    network,
    id: filled(9, 16),
    from: payer.publicKey,
    to: { kind: 'agent', name: agent.publicKey },
    sequence: 1,
    issuedAtMs: NOW_MS,
    expiresAtMs: NOW_MS + 60_000,
    context: undefined,
    bodyType: 'call',
    bodyHash: requestHash,
    extensions: new Map(),
    ...story.envelope,
  };
  const final = sampleReceipt(story, { cardHash, requestHash });
  const receiptPayload = receipt.encode(final);
  const money = payments(story, final, receiptPayload);
  return {
    format: BUNDLE_FORMAT,
    genesis: genesisBytes,
    card: cardMessage,
    opening: {
      envelope: sign(signers.payer, 'call', envelope.encode(asked)),
      request,
      voucher: money?.voucher,
      offer: undefined,
      work: undefined,
      parents: [],
    },
    deliveries: story.deliveries,
    ending: { receipt: sign(signers.agent, 'receipt', receiptPayload), charge: money?.charge },
    checkpoints: story.checkpoints.map((stated) =>
      sign(signers.agent, 'checkpoint', checkpoint.encode(stated)),
    ),
    voucher: undefined,
    settlement: story.settled ? money?.settlement : undefined,
    keys: story.keys && [story.keys],
  };
}

/** The file of a story's bundle. */
export const fileOf = (story: Story): Uint8Array => bundle.encode(tell(story)).slice();

function payments(story: Story, final: Receipt, payload: Uint8Array) {
  if (final.channel === undefined) return undefined;
  const other = receiptLeaf(suite, utf8('another receipt of the lane'), 50_000n);
  const leaves = [other, receiptLeaf(suite, payload, final.amount), other];
  const tree = leaves.reduce((grown, leaf) => appendLeaf(suite, grown, leaf), EMPTY_TREE);
  const root = treeRoot(suite, tree);
  const amounts =
    story.attribution.length > 0
      ? story.attribution
      : [
          { asset: assets.agent, amount: root.sum - (final.shares[0]?.amount ?? 0n) },
          { asset: assets.knowledge, amount: final.shares[0]?.amount ?? 0n },
        ];
  const promised: Voucher = {
    network,
    channel: final.channel,
    lane: 0,
    ceiling: 1_000_000n,
    sequence: 2,
    receiptCount: 1,
    receiptRoot: filled(0x11),
    receiptTotal: 50_000n,
    notAfterMs: undefined,
    ...story.voucher,
  };
  const charged: Charge = {
    network,
    channel: final.channel,
    lane: 0,
    total: root.sum,
    sequence: 3,
    receiptRoot: root.hash,
    attributionRoot: attributionRoot(suite, amounts),
    ...story.charge,
  };
  const { signers, voucherSigner = signers.payer } = story;
  const voucherMessage = sign(voucherSigner, 'voucher', voucher.encode(promised));
  const chargeMessage = sign(signers.operator, 'charge', charge.encode(charged));
  const claim = transaction.encode({
    version: 1,
    network,
    sender: operator.publicKey,
    nonce: 4,
    feeMax: 1000n,
    action: {
      type: 'claim',
      channel: final.channel,
      voucher: voucherMessage,
      charge: chargeMessage,
      attribution: amounts,
    },
  });
  const message = sign(signers.operator, 'transaction', claim);
  const result = { code: 0, moved: charged.total };
  const transactions = [utf8('first'), signed.encode(message), utf8('third')];
  const results = [utf8('1'), transactionResult.encode(result), utf8('3')];
  const header: BlockHeader = {
    version: 1,
    network,
    height: 7,
    previous: filled(0x22),
    transactionsRoot: merkleRoot(suite, transactions),
    resultsRoot: merkleRoot(suite, results),
    stateRoot: filled(0x33),
    proposer: sequencer.publicKey,
    timeMs: NOW_MS + 5000,
    ...story.header,
  };
  return {
    voucher: voucherMessage,
    charge: chargeMessage,
    settlement: {
      transaction: message,
      result,
      transactionPath: merklePathOf(suite, transactions, 1),
      resultPath: merklePathOf(suite, results, 1),
      header: sign(sequencer, 'block-header', blockHeader.encode(header)),
      receiptPath: receiptPathOf(suite, leaves, 1),
    },
  };
}
