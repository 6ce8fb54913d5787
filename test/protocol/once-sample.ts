/** The sample's call as one that a transaction paid: the same question and answer, no channel. */
import { utf8 } from '../../src/base/bytes.ts';
import { type BlockHeader, blockHeader, transactionResult } from '../../src/protocol/block.ts';
import type { Bundle, Settlement } from '../../src/protocol/bundle.ts';
import { merklePathOf, merkleRoot } from '../../src/protocol/merkle.ts';
import { ONCE_EXTENSION, ONCE_RULE, paymentReference } from '../../src/protocol/once.ts';
import { signed } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { type Action, transaction } from '../../src/protocol/transaction.ts';
import * as sample from './sample.ts';

/** What the call costs, grains. */
export const ONCE_PRICE = 100_000n;

/** Parts of the story before it is signed; a test changes some and tells it again. */
export interface OnceStory {
  readonly story: sample.Story;
  payment: Action;
  readonly payer: Signer;
  /** What the ledger said of the transaction. */
  readonly code: number;
  readonly header: Partial<BlockHeader>;
}

export function onceStory(change: Partial<OnceStory> = {}): OnceStory {
  const story = sample.sampleStory();
  story.card = { ...story.card, price: { perCall: ONCE_PRICE, perInputUnit: 0n, perOutputUnit: 0n } };
  story.envelope = { extensions: new Map([[ONCE_EXTENSION, new Uint8Array(0)]]) };
  story.paid = false;
  story.settled = false;
  story.receipt = {
    price: story.card.price,
    amount: ONCE_PRICE,
    attributionRule: ONCE_RULE,
    shares: [{ asset: story.card.asset, role: 'agent', ppm: 1_000_000, amount: ONCE_PRICE }],
  };
  const payment: Action = {
    type: 'pay',
    payee: sample.operator.publicKey,
    asset: story.card.asset,
    amount: ONCE_PRICE,
    reference: paymentReference(sample.suite, sample.filled(9, 16)),
  };
  return { story, payment, payer: sample.payer, code: 0, header: {}, ...change };
}

/** The settlement of a story: its payment, second of three transactions in a block. */
export function paymentOf({ payment, payer, code, header }: OnceStory): Settlement {
  const { suite, network } = sample;
  const payload = transaction.encode({
    ...{ version: 1, network, sender: payer.publicKey, nonce: 2, feeMax: 1000n },
    action: payment,
  });
  const message = sample.sign(payer, 'transaction', payload);
  const result = { code, moved: ONCE_PRICE };
  const transactions = [utf8('first'), signed.encode(message), utf8('third')];
  const results = [utf8('1'), transactionResult.encode(result), utf8('3')];
  const block: BlockHeader = {
    version: 1,
    network,
    height: 6,
    previous: sample.filled(0x22),
    transactionsRoot: merkleRoot(suite, transactions),
    resultsRoot: merkleRoot(suite, results),
    stateRoot: sample.filled(0x33),
    proposer: sample.sequencer.publicKey,
    timeMs: sample.NOW_MS - 1_000,
    ...header,
  };
  return {
    transaction: message,
    result,
    transactionPath: merklePathOf(suite, transactions, 1),
    resultPath: merklePathOf(suite, results, 1),
    header: sample.sign(sample.sequencer, 'block-header', blockHeader.encode(block)),
    receiptPath: undefined,
  };
}

/** The bundle of a story, whole. */
export function tellOnce(told: OnceStory): Bundle {
  return { ...sample.tell(told.story), settlement: paymentOf(told) };
}
