/** Sound actions on channels, and sound evidence: records of the sample's call, put together anew. */

import { utf8 } from '../../../src/base/bytes.ts';
import type { ChannelAction, ClaimBody } from '../../../src/protocol/actions-channel.ts';
import type { Evidence } from '../../../src/protocol/evidence-channel.ts';
import { release } from '../../../src/protocol/payment.ts';
import { receiptLeaf, receiptPathOf } from '../../../src/protocol/receipt-tree.ts';
import { type Signed, signOne } from '../../../src/protocol/signing.ts';
import * as sample from '../../protocol/sample.ts';

/** One of each kind of evidence. */
export function evidenceSamples(): readonly Evidence[] {
  const { card, ending } = sample.tell(sample.sampleStory());
  const { charge, receipt } = ending;
  if (charge === undefined) return [];
  const leaves = [1n, 2n, 3n].map((sum) => receiptLeaf(sample.suite, utf8('receipt'), sum));
  const leaf = {
    payloadHash: sample.suite.sha256(receipt.payload),
    amount: 2n,
    path: receiptPathOf(sample.suite, leaves, 1),
  };
  return [
    { type: 'two-charges', first: charge, second: charge },
    { type: 'falling-total', earlier: charge, later: charge },
    { type: 'bad-sum', charge, leaf },
    { type: 'bad-sum', charge, leaf: undefined },
    { type: 'contradicted-receipt', charge, leaf, receipt, chain: [card] },
  ];
}

/** A claim of a story. */
export function sampleClaims(): readonly ClaimBody[] {
  const { opening, ending } = sample.tell(sample.sampleStory());
  const { voucher } = opening;
  const { charge } = ending;
  const attribution = [{ asset: sample.filled(1), amount: 5n }];
  return voucher && charge ? [{ channel: sample.filled(0xf0), voucher, charge, attribution }] : [];
}

/** One of each kind of action. */
export function channelSamples(): readonly ChannelAction[] {
  const channel = sample.filled(0xf0);
  const terms = { network: sample.network, channel, depositAfter: 5n, sequence: 2 };
  const released: Signed = signOne(sample.suite, sample.operator, sample.network, {
    type: 'release',
    payload: release.encode(terms),
  });
  return [
    { type: 'withdraw', channel, release: released },
    { type: 'request-withdraw', channel, amount: 5n },
    { type: 'cancel-withdraw', channel },
    { type: 'set-voucher-key', channel, key: sample.filled(2) },
    { type: 'set-voucher-key', channel, key: undefined },
    ...evidenceSamples().map((evidence) => ({ type: 'challenge' as const, channel, evidence })),
    {
      type: 'pay',
      payee: sample.filled(3),
      asset: sample.filled(4),
      amount: 7n,
      reference: sample.filled(5, 16),
    },
    { type: 'pay', payee: sample.filled(3), asset: undefined, amount: 7n, reference: sample.filled(5, 16) },
    { type: 'claim-batch', claims: sampleClaims() },
  ];
}
