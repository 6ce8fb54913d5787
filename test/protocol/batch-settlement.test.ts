import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.ts';
import type { ClaimBody } from '../../src/protocol/actions-channel.ts';
import { blockHeader, transactionResult } from '../../src/protocol/block.ts';
import { type Bundle, bundle } from '../../src/protocol/bundle.ts';
import { merklePathOf, merkleRoot } from '../../src/protocol/merkle.ts';
import { charge } from '../../src/protocol/payment.ts';
import { signed } from '../../src/protocol/signing.ts';
import { transaction } from '../../src/protocol/transaction.ts';
import { verifyBundle } from '../../src/protocol/verify-bundle.ts';
import * as sample from './sample.ts';

const told = sample.tell(sample.sampleStory());

/** The sample's settlement with its claim inside a batch, which gave `code`. */
function inBatch(around: (own: ClaimBody) => readonly ClaimBody[], code = 0): Bundle {
  const { settlement } = told;
  if (settlement === undefined) throw new TypeError('the sample is settled');
  const sent = transaction.decode(settlement.transaction.payload);
  if (sent.action.type !== 'claim') throw new TypeError('by a claim');
  const { type: _, ...own } = sent.action;
  const payload = transaction.encode({ ...sent, action: { type: 'claim-batch', claims: around(own) } });
  const message = sample.sign(sample.operator, 'transaction', payload);
  const result = { code, moved: settlement.result.moved };
  const transactions = [utf8('first'), signed.encode(message)];
  const results = [utf8('1'), transactionResult.encode(result)];
  const header = {
    ...blockHeader.decode(settlement.header.payload),
    transactionsRoot: merkleRoot(sample.suite, transactions),
    resultsRoot: merkleRoot(sample.suite, results),
  };
  return {
    ...told,
    settlement: {
      ...settlement,
      transaction: message,
      result,
      transactionPath: merklePathOf(sample.suite, transactions, 1),
      resultPath: merklePathOf(sample.suite, results, 1),
      header: sample.sign(sample.sequencer, 'block-header', blockHeader.encode(header)),
    },
  };
}

const verdictOn = (made: Bundle) => verifyBundle(sample.suite, bundle.encode(made));

/** A claim of the same operator on another channel, or on the same lane with another number of receipts. */
function beside(own: ClaimBody, changes: { readonly lane?: number; readonly sequence?: number }): ClaimBody {
  const terms = { ...charge.decode(own.charge.payload), ...changes };
  return { ...own, charge: sample.sign(sample.operator, 'charge', charge.encode(terms)) };
}

describe('a call that was settled by a batch of claims', () => {
  it('is proved by the claim that counts its receipt, wherever that stands (RCPT-36, LEDGER-112)', () => {
    expect(verdictOn(inBatch((own) => [own])).ok).toBe(true);
    const others = (own: ClaimBody) => [
      beside(own, { lane: 9 }),
      beside(own, { sequence: 1 }),
      beside(own, { sequence: 60 }),
    ];
    expect(verdictOn(inBatch((own) => [...others(own), own])).ok).toBe(true);
    expect(verdictOn(inBatch((own) => [own, ...others(own)])).ok).toBe(true);
  });

  it('is not proved by a batch without it, an empty one, or one that held in part (RCPT-35, LEDGER-112)', () => {
    const failing = (made: Bundle): string | undefined => {
      const { ok, steps } = verdictOn(made);
      return ok ? undefined : steps.at(-1)?.check;
    };
    expect(failing(inBatch(() => []))).toBe('claim');
    expect(failing(inBatch((own) => [beside(own, { lane: 9 }), beside(own, { sequence: 1 })]))).toBe('claim');
    expect(failing(inBatch((own) => [own], 143))).toBe('inclusion');
  });
});
