/** The sample call with two calls below it, one below the other, for the vectors of evidence bundles. */
import { compareBytes } from '../../src/base/bytes.ts';
import { CALL_FRAME } from '../../src/protocol/call.ts';
import { type CallChild, callChild } from '../../src/protocol/checkpoint.ts';
import { type CallBudget, type Envelope, envelope } from '../../src/protocol/envelope.ts';
import { type Charge, callsAsset, charge, type Receipt, receipt } from '../../src/protocol/payment.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { createSigner } from '../../src/protocol/suite-native.ts';
import type { BundleCheck } from '../../src/protocol/verify-bundle.ts';
import {
  agent,
  filled,
  NOW_MS,
  network,
  operator,
  type Story,
  sampleCard,
  sign,
  stranger,
  suite,
} from '../../test/protocol/sample.ts';

type Change = (story: Story) => void;

const second = { agent: createSigner(filled(0x21)), operator: createSigner(filled(0x22)) };
const third = { agent: createSigner(filled(0x31)), operator: createSigner(filled(0x32)) };

const ROOT = filled(9, 16);
const OWN = 109_109n;
const PRICE = { perCall: 1_000n, perInputUnit: 1n, perOutputUnit: 10n };
/** Of either call below: 10 units asked, 9 answered. */
const EACH = 1_100n;

const budgetOf = (amount: bigint, depth: number): CallBudget => ({
  amount,
  depth,
  deadlineMs: NOW_MS + 20_000,
  skills: ['answer'],
});

/** What a test vector changes of one call below. */
interface Differs {
  readonly envelope?: Partial<Envelope>;
  readonly receipt?: Partial<Receipt>;
  readonly charge?: Partial<Charge>;
  readonly receiptBy?: Signer;
  readonly envelopeBy?: Signer;
  readonly chargeBy?: Signer;
  readonly uncharged?: boolean;
}

interface Below {
  readonly number: 2 | 3;
  readonly expenses: bigint;
}

function below({ number, expenses }: Below, differs: Differs): CallChild {
  const who = number === 2 ? second : third;
  const sender = number === 2 ? operator : second.operator;
  const made: Envelope = {
    version: 1,
    network,
    id: filled(number, 16),
    from: sender.publicKey,
    to: { kind: 'agent', name: who.agent.publicKey },
    sequence: number,
    issuedAtMs: NOW_MS + 10,
    expiresAtMs: NOW_MS + 40_000,
    context: {
      root: ROOT,
      parent: number === 2 ? ROOT : filled(2, 16),
      depth: number - 1,
      budget: number === 2 ? budgetOf(EACH, 1) : undefined,
    },
    bodyType: 'call',
    bodyHash: filled(0x50 + number),
    extensions: new Map(),
    ...differs.envelope,
  };
  const final: Receipt = {
    version: 1,
    network,
    callId: made.id,
    agent: who.agent.publicKey,
    payee: who.operator.publicKey,
    payer: sender.publicKey,
    channel: filled(0x60 + number),
    lane: 0,
    sequence: 4,
    requestHash: made.bodyHash,
    responseHash: filled(0x70 + number),
    deliveries: 1,
    cardHash: filled(0x71),
    manifestHash: filled(0x72),
    modelDigest: filled(0x73),
    skill: 'answer',
    seed: undefined,
    finish: 'done',
    inputUnits: 10,
    outputUnits: 9,
    price: PRICE,
    expenses,
    amount: EACH + expenses,
    shares: [],
    attributionRule: 'passages/1',
    startedAtMs: NOW_MS + 11,
    finishedAtMs: NOW_MS + 90,
    ...differs.receipt,
  };
  const charged: Charge = {
    network,
    channel: filled(0x60 + number),
    lane: 0,
    total: 90_000n,
    sequence: 5,
    receiptRoot: filled(0x74),
    attributionRoot: filled(0x75),
    ...differs.charge,
  };
  return {
    envelope: sign(differs.envelopeBy ?? sender, 'call', envelope.encode(made)),
    receipt: sign(differs.receiptBy ?? who.agent, 'receipt', receipt.encode(final)),
    charge: differs.uncharged
      ? undefined
      : sign(differs.chargeBy ?? who.operator, 'charge', charge.encode(charged)),
  };
}

/** How a story with calls differs from the sound one. */
interface Differences {
  readonly second?: Differs;
  readonly third?: Differs;
  readonly expenses?: bigint;
  readonly budget?: CallBudget | undefined;
  /** What is delivered of the sound calls; by default the deeper one and then the other. */
  readonly delivered?: (calls: readonly [CallChild, CallChild]) => readonly CallChild[];
}

/** The sample call with calls below it. */
export function withCalls(differs: Differences = {}): Change {
  const { delivered = ([first, other]) => [other, first], expenses = 2n * EACH } = differs;
  const budget = 'budget' in differs ? differs.budget : budgetOf(2n * EACH, 2);
  const calls = [
    below({ number: 2, expenses: EACH }, differs.second ?? {}),
    below({ number: 3, expenses: 0n }, differs.third ?? {}),
  ] as const;
  return (story) => {
    const frames = delivered(calls).map((call) => ({ kind: CALL_FRAME.child, body: callChild.encode(call) }));
    story.deliveries.push(...frames);
    story.envelope = { context: { root: ROOT, parent: undefined, depth: 0, budget } };
    const knowledge = (OWN * 700_000n) / 1_000_000n;
    const repaid = callsAsset(suite);
    story.receipt = {
      expenses,
      amount: OWN + expenses,
      shares: [
        { asset: filled(0xb0), role: 'knowledge', ppm: 700_000, amount: knowledge },
        { asset: filled(0xa0), role: 'agent', ppm: 300_000, amount: OWN - knowledge },
        { asset: repaid, role: 'calls', ppm: 0, amount: expenses },
      ],
    };
    story.attribution = [
      { asset: filled(0xa0), amount: OWN - knowledge + 100_000n },
      { asset: filled(0xb0), amount: knowledge },
      { asset: repaid, amount: expenses },
    ].sort((a, b) => compareBytes(a.asset, b.asset));
  };
}

const contextOf = (number: 2 | 3): NonNullable<Envelope['context']> => ({
  root: ROOT,
  parent: number === 2 ? ROOT : filled(2, 16),
  depth: number - 1,
  budget: number === 2 ? budgetOf(EACH, 1) : undefined,
});

/** Trees that do not hold, by the first check that fails. */
export const CALLS_STATED: readonly (readonly [name: string, check: BundleCheck, change: Change])[] = [
  ['a call below that is left out', 'calls', withCalls({ delivered: ([first]) => [first] })],
  ['calls below that are all left out', 'calls', withCalls({ delivered: () => [] })],
  ['a call below without the one above it', 'calls', withCalls({ delivered: ([, other]) => [other] })],
  [
    'a call below counted twice',
    'calls',
    withCalls({ delivered: ([first, other]) => [other, first, first] }),
  ],
  ['expenses that are not the sum of the calls', 'calls', withCalls({ expenses: 2n * EACH + 1n })],
  [
    'expenses of a call below that are not the sum',
    'calls',
    withCalls({ second: { receipt: { expenses: EACH - 1n, amount: 2n * EACH - 1n } } }),
  ],
  ['a call below above its arithmetic', 'calls', withCalls({ third: { receipt: { amount: EACH + 1n } } })],
  ['no budget for calls below', 'calls', withCalls({ budget: undefined })],
  ['calls below above their budget', 'calls', withCalls({ budget: budgetOf(2n * EACH - 1n, 2) })],
  ['calls below deeper than allowed', 'calls', withCalls({ budget: budgetOf(2n * EACH, 1) })],
  [
    'a call below of a skill that was not granted',
    'calls',
    withCalls({ budget: { ...budgetOf(2n * EACH, 2), skills: ['sing'] } }),
  ],
  [
    'a call below after the budget had ended',
    'calls',
    withCalls({ budget: { ...budgetOf(2n * EACH, 2), deadlineMs: NOW_MS - 30_000 } }),
  ],
  [
    'a call below of another tree',
    'calls',
    withCalls({ third: { envelope: { context: { ...contextOf(3), root: filled(8, 16) } } } }),
  ],
  [
    'a call below at another depth',
    'calls',
    withCalls({ third: { envelope: { context: { ...contextOf(3), depth: 1 } } } }),
  ],
  [
    'a call below billed to another than who made it',
    'calls',
    withCalls({ third: { envelope: { context: { ...contextOf(3), parent: ROOT, depth: 1 } } } }),
  ],
  [
    'a call below to an agent that already answers above',
    'calls',
    withCalls({
      third: {
        envelope: { to: { kind: 'agent', name: agent.publicKey } },
        receipt: { agent: agent.publicKey },
        receiptBy: agent,
      },
    }),
  ],
  [
    'a receipt below for another question',
    'calls',
    withCalls({ third: { receipt: { requestHash: filled(1) } } }),
  ],
  ['a receipt below for another call', 'calls', withCalls({ third: { receipt: { callId: filled(1, 16) } } })],
  ['a receipt below signed by somebody else', 'calls', withCalls({ third: { receiptBy: stranger } })],
  ['a call below signed by somebody else', 'calls', withCalls({ third: { envelopeBy: stranger } })],
  ['a charge below signed by somebody else', 'calls', withCalls({ third: { chargeBy: stranger } })],
  ['a call below without its charge', 'calls', withCalls({ third: { uncharged: true } })],
  ['a charge below of another channel', 'calls', withCalls({ third: { charge: { channel: filled(1) } } })],
  [
    'a charge below that does not count the receipt',
    'calls',
    withCalls({ third: { charge: { sequence: 4 } } }),
  ],
  [
    'expenses that nobody gets back',
    'shares',
    (story) => {
      withCalls()(story);
      const [knowledge, own] = story.receipt.shares ?? [];
      if (!knowledge || !own) return;
      const shares = [knowledge, { ...own, amount: own.amount + 2n * EACH }];
      story.receipt = { ...story.receipt, shares };
    },
  ],
  [
    'expenses that the agent gets as its own',
    'shares',
    (story) => {
      withCalls()(story);
      const [knowledge, own, calls] = story.receipt.shares ?? [];
      if (!knowledge || !own || !calls) return;
      const shares = [knowledge, own, { ...calls, asset: sampleCard.asset }];
      story.receipt = { ...story.receipt, shares };
    },
  ],
];
