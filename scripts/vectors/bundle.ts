import { toHex, utf8 } from '../../src/base/bytes.ts';
import { type Bundle, bundle } from '../../src/protocol/bundle.ts';
import { CALL_FRAME, chainNext, chainStart, delta, source } from '../../src/protocol/call.ts';
import { certificateChain } from '../../src/protocol/certificate.ts';
import { type Checkpoint, checkpoint } from '../../src/protocol/checkpoint.ts';
import { callsAsset, type Voucher, voucher } from '../../src/protocol/payment.ts';
import type { Signed } from '../../src/protocol/signing.ts';
import type { BundleCheck } from '../../src/protocol/verify-bundle.ts';
import {
  agent,
  filled,
  NOW_MS,
  network,
  operator,
  payer,
  type Story,
  sampleCard,
  sampleCertificate,
  sampleSource,
  sampleStory,
  sequencer,
  sign,
  signCertificate,
  stranger,
  suite,
  tell,
} from '../../test/protocol/sample.ts';
import { CALLS_STATED, withCalls } from './bundle-calls.ts';
import {
  byFormerVoucherKey,
  byKeysOf,
  byNewKeys,
  byVoucherKey,
  KEYS_HEIGHT,
  ofKeys,
  ofVoucherKeys,
} from './bundle-keys.ts';
import type { Vectors } from './file.ts';

interface SoundBundle {
  readonly name: string;
  readonly hex: string;
  readonly amount: bigint;
  readonly settled: boolean;
}

interface FaultyBundle {
  readonly name: string;
  readonly hex: string;
  /** The check that fails. */
  readonly check: BundleCheck;
}

type Change = (story: Story) => void;

const told = (change: Change): Bundle => {
  const story = sampleStory();
  change(story);
  return tell(story);
};

const text = 'In the central Sahara some years pass without any.';

function cite(change: Partial<ReturnType<typeof delta.decode>['citations'][number]>): Change {
  return (story) => {
    const citation = { start: 0, end: 50, source: 0, sourceStart: 14, sourceEnd: 64, ...change };
    story.deliveries[1] = {
      kind: CALL_FRAME.delta,
      body: delta.encode({ sequence: 1, text, citations: [citation] }),
    };
  };
}

/** Faults that a signer could make, so every signature holds and only the statement is wrong. */
const STATED: readonly (readonly [name: string, check: BundleCheck, change: Change])[] = [
  ['a card of another network', 'card', (s) => (s.card = { ...s.card, network: 'other-0123456789abcdef' })],
  ['a certificate for someone else', 'certificate', (s) => (s.card = certified(stranger.publicKey, {}))],
  [
    'a certificate to do something else',
    'certificate',
    (s) => (s.card = certified(agent.publicKey, { capabilities: ['read:*'] })),
  ],
  [
    'a certificate that had ended',
    'certificate',
    (s) => (s.card = certified(agent.publicKey, { notAfterMs: NOW_MS - 40_000 })),
  ],
  [
    'asked of another agent',
    'question',
    (s) => (s.envelope = { to: { kind: 'agent', name: stranger.publicKey } }),
  ],
  ['another question', 'question', (s) => (s.envelope = { bodyHash: filled(1) })],
  ['signed for another sender', 'question', (s) => (s.envelope = { from: stranger.publicKey })],
  ['a citation that is not in its source', 'citations', cite({ sourceStart: 13, sourceEnd: 63 })],
  ['a citation past the end of the answer', 'citations', cite({ end: 51, sourceEnd: 65 })],
  ['an empty citation', 'citations', cite({ end: 0, sourceEnd: 14 })],
  ['a citation of a source that never came', 'answer', cite({ source: 1 })],
  ['deliveries out of order', 'answer', (s) => s.deliveries.reverse()],
  ['a delivery of an unknown kind', 'answer', (s) => s.deliveries.push({ kind: 9, body: utf8('x') })],
  ['a receipt for another call', 'receipt', (s) => (s.receipt = { callId: filled(8, 16) })],
  ['a receipt that pays another operator', 'receipt', (s) => (s.receipt = { payee: stranger.publicKey })],
  ['a receipt for another payer', 'receipt', (s) => (s.receipt = { payer: stranger.publicKey })],
  ['a receipt for another model', 'receipt', (s) => (s.receipt = { modelDigest: filled(1) })],
  ['more units than asked for', 'receipt', (s) => (s.request = { ...s.request, outputUnitsMax: 8 })],
  ['a receipt over other deliveries', 'delivery', (s) => (s.receipt = { responseHash: filled(1) })],
  ['a receipt over fewer deliveries', 'delivery', (s) => (s.receipt = { deliveries: 1 })],
  ['a charge above its arithmetic', 'amount', (s) => (s.receipt = { amount: 109_110n })],
  ['more units than the answer has', 'amount', (s) => (s.receipt = { outputUnits: 10 })],
  ['more units than the question has', 'amount', (s) => (s.receipt = { inputUnits: 11 })],
  [
    'another price than the card',
    'amount',
    (s) => (s.receipt = { price: { ...sampleCard.price, perCall: 1n } }),
  ],
  ['a charge above the caller’s limit', 'amount', (s) => (s.request = { ...s.request, priceMax: 109_108n })],
  ['shares that do not sum to the whole', 'shares', shares((part) => ({ ...part, ppm: part.ppm - 1 }))],
  [
    'shares that sum to more than the amount',
    'shares',
    shares((part) => ({ ...part, amount: part.amount + 1n })),
  ],
  ['knowledge that was not cited', 'shares', shares((part) => ({ ...part, asset: filled(0xbb) }))],
  ['expenses without calls', 'calls', (s) => (s.receipt = { expenses: 1n, amount: 109_110n })],
  ['a share for calls that were not made', 'shares', forCalls],
  ['a checkpoint of another call', 'checkpoints', stated({ callId: filled(8, 16) })],
  ['a checkpoint of another channel', 'checkpoints', stated({ channel: filled(1) })],
  ['a checkpoint out of order', 'checkpoints', stated({ sequence: 1 })],
  ['a checkpoint over more than was delivered', 'checkpoints', stated({ deliveries: 3 })],
  ['a checkpoint over other deliveries', 'checkpoints', stated({ chain: filled(1) })],
  ['a checkpoint that counts too many units', 'checkpoints', stated({ outputUnits: 1, amount: 101_101n })],
  ['a checkpoint above its arithmetic', 'checkpoints', stated({ amount: 100_101n })],
  ['a voucher of another channel', 'payment', (s) => (s.voucher = { channel: filled(1) })],
  ['a voucher below the amount', 'payment', (s) => (s.voucher = { ceiling: 109_108n })],
  ['a charge that does not count the receipt', 'payment', (s) => (s.charge = { sequence: 1 })],
  ['a charge below the receipt', 'payment', (s) => (s.charge = { total: 109_108n })],
  ['a block of another sequencer', 'block', (s) => (s.header = { proposer: stranger.publicKey })],
  ['a block without the transaction', 'inclusion', (s) => (s.header = { transactionsRoot: filled(1) })],
  ['a block with another result', 'inclusion', (s) => (s.header = { resultsRoot: filled(1) })],
  ['a charge above the voucher’s ceiling', 'claim', (s) => (s.voucher = { ceiling: 209_108n })],
  ['a charge with another receipt root', 'counted', (s) => (s.charge = { receiptRoot: filled(1) })],
  ['a charge that is not the sum of its receipts', 'counted', (s) => (s.charge = { total: 209_110n })],
  ['a charge over another number of receipts', 'counted', (s) => (s.charge = { sequence: 4 })],
  ['an earner that is not paid its part', 'split', unpaid],
  ['amounts that the charge does not commit to', 'split', (s) => (s.charge = { attributionRoot: filled(1) })],
];

function certified(subject: Uint8Array, change: Partial<typeof sampleCertificate>): typeof sampleCard {
  const link = { ...sampleCertificate, subject: { kind: 'key', id: subject } as const, ...change };
  return { ...sampleCard, operatorCertificate: certificateChain.encode([signCertificate(operator, link)]) };
}

type Share = NonNullable<Story['receipt']['shares']>[number];

const soundCheckpoint: Checkpoint = {
  network,
  callId: filled(9, 16),
  channel: filled(0xf0),
  sequence: 0,
  deliveries: 1,
  chain: chainNext(suite, chainStart(suite, filled(9, 16)), CALL_FRAME.source, source.encode(sampleSource)),
  inputUnits: 10,
  outputUnits: 0,
  expenses: 0n,
  amount: 100_100n,
};

/** One checkpoint, after the source. */
function stated(change: Partial<Checkpoint>): Change {
  return (story) => {
    story.checkpoints = [{ ...soundCheckpoint, ...change }];
  };
}

function forCalls(story: Story): void {
  const [knowledge, own] = soundShares();
  const calls: Share = { asset: callsAsset(suite), role: 'calls', ppm: 0, amount: 1n };
  story.receipt = { shares: [knowledge, { ...own, amount: own.amount - 1n }, calls] };
}

/** Replaces the first share, the one for knowledge. */
function shares(change: (part: Share) => Share): Change {
  return (story) => {
    const [knowledge, own] = soundShares();
    story.receipt = { shares: [change(knowledge), own] };
  };
}

function soundShares(): readonly [Share, Share] {
  return [
    { asset: filled(0xb0), role: 'knowledge', ppm: 700_000, amount: 76_376n },
    { asset: filled(0xa0), role: 'agent', ppm: 300_000, amount: 32_733n },
  ];
}

function unpaid(story: Story): void {
  story.attribution = [
    { asset: filled(0xa0), amount: 209_109n - 76_375n },
    { asset: filled(0xb0), amount: 76_375n },
  ];
}

/** Faults that a forger without the keys can make. */
function forged(): readonly (readonly [string, BundleCheck, Bundle])[] {
  const sound = told(() => {});
  const { opening, ending, settlement } = sound;
  if (!settlement || !opening.voucher || !ending.charge) return [];
  const result = { ...settlement, result: { ...settlement.result, moved: 1n } };
  const header = sign(stranger, 'block-header', settlement.header.payload);
  const resultPath = { ...settlement.resultPath, index: 0 };
  return [
    ['another format', 'bundle', { ...sound, format: 'sahara/bundle/2' }],
    [
      'a card without a signature',
      'card',
      { ...sound, card: { ...sound.card, signature: new Uint8Array(0) } },
    ],
    ['a card signed by another key', 'card', { ...sound, card: sign(stranger, 'card', sound.card.payload) }],
    [
      'a receipt signed as a charge',
      'receipt',
      { ...sound, ending: { ...ending, receipt: sign(agent, 'charge', ending.receipt.payload) } },
    ],
    [
      'a receipt signed by the operator',
      'receipt',
      { ...sound, ending: { ...ending, receipt: sign(operator, 'receipt', ending.receipt.payload) } },
    ],
    [
      'a voucher signed by the payee',
      'payment',
      { ...sound, opening: { ...opening, voucher: sign(operator, 'voucher', opening.voucher.payload) } },
    ],
    [
      'a charge signed by the agent',
      'payment',
      { ...sound, ending: { ...ending, charge: sign(agent, 'charge', ending.charge.payload) } },
    ],
    ['a paid call without its voucher', 'payment', { ...sound, opening: { ...opening, voucher: undefined } }],
    ['a paid call without its charge', 'payment', { ...sound, ending: { ...ending, charge: undefined } }],
    [
      'a checkpoint signed by the operator',
      'checkpoints',
      { ...sound, checkpoints: [sign(operator, 'checkpoint', checkpoint.encode(soundCheckpoint))] },
    ],
    [
      'a last voucher below the amount',
      'payment',
      { ...sound, voucher: sign(payer, 'voucher', voucher.encode(lowVoucher(opening.voucher))) },
    ],
    ['a source left out', 'answer', { ...sound, deliveries: sound.deliveries.slice(1) }],
    ['a changed source', 'citations', { ...sound, deliveries: [altered(), ...sound.deliveries.slice(1)] }],
    ['a block signed by another key', 'block', { ...sound, settlement: { ...settlement, header } }],
    ['another result', 'inclusion', { ...sound, settlement: result }],
    [
      'the result of another transaction',
      'inclusion',
      { ...sound, settlement: { ...settlement, resultPath } },
    ],
    [
      'a claim signed by another key',
      'inclusion',
      {
        ...sound,
        settlement: {
          ...settlement,
          transaction: sign(payer, 'transaction', settlement.transaction.payload),
        },
      },
    ],
  ];
}

function lowVoucher(sound: Signed): Voucher {
  return { ...voucher.decode(sound.payload), ceiling: 109_108n };
}

function altered(): Bundle['deliveries'][number] {
  const changed = { ...sampleSource, text: sampleSource.text.replace('years', 'weeks') };
  return { kind: CALL_FRAME.source, body: source.encode(changed) };
}

function free(story: Story): void {
  story.paid = false;
}

/** Evidence bundles, sound and with one fault each. */
export function bundleVectors(): Vectors<SoundBundle, FaultyBundle> {
  const hex = (value: Bundle): string => toHex(bundle.encode(value));
  const sound = (name: string, change: Change, amount: bigint, settled: boolean): SoundBundle => ({
    name,
    hex: hex(told(change)),
    amount,
    settled,
  });
  return {
    about: 'Evidence bundles (RCPT-30 to RCPT-34). `check` names the first check that an invalid one fails.',
    given: { network, sequencer: toHex(sequencer.publicKey) },
    valid: [
      sound('paid and settled', () => {}, 109_109n, true),
      sound('paid, not settled yet', (story) => (story.settled = false), 109_109n, false),
      sound('with a checkpoint', stated({}), 109_109n, true),
      sound('a free call', free, 0n, false),
      sound('with calls below it', withCalls(), 111_309n, true),
      sound('by parties that rotated their keys', byNewKeys, 109_109n, true),
      sound('by keys that are retired and still count', byKeysOf(KEYS_HEIGHT), 109_109n, true),
      sound('by the voucher key of its channel', byVoucherKey(), 109_109n, true),
      sound('by a former voucher key that still counts', byVoucherKey(KEYS_HEIGHT), 109_109n, true),
      sound('by a former voucher key, of parties that rotated', byFormerVoucherKey, 109_109n, true),
    ],
    invalid: [
      ...[...STATED, ...CALLS_STATED].map(([name, check, change]) => ({
        name,
        hex: hex(told(change)),
        check,
      })),
      ...[...forged(), ...ofKeys(), ...ofVoucherKeys()].map(([name, check, value]) => ({
        name,
        hex: hex(value),
        check,
      })),
    ],
  };
}
