/** Evidence out of what a payer or a watchtower holds. Each answers only what proves something. */
import { type CountedLeaf, type Evidence, openEvidence, provenTotal } from './evidence-channel.ts';
import type { Hash } from './ids.ts';
import { charge } from './payment.ts';
import { receiptLeafOf, receiptPathOf } from './receipt-tree.ts';
import type { Signed } from './signing.ts';
import type { Suite } from './suite.ts';

/** What a receipt tree counts of one receipt. */
export interface CountedReceipt {
  /** SHA-256 of the receipt's payload. */
  readonly payloadHash: Hash;
  /** Grains. */
  readonly amount: bigint;
}

/** Two charges of one lane against each other, in either order; `undefined` when both can be true. */
export function contradictionOf(suite: Suite, first: Signed, second: Signed): Evidence | undefined {
  return (
    proving(suite, { type: 'two-charges', first, second }) ??
    proving(suite, { type: 'falling-total', earlier: first, later: second }) ??
    proving(suite, { type: 'falling-total', earlier: second, later: first })
  );
}

/**
 * A charge against the receipts that it counts, all of them and in order; `undefined` when they sum to its total, or
 * are not those of its tree, which proves nothing without the payee's own path.
 */
export function badSumOf(
  suite: Suite,
  message: Signed,
  receipts: readonly CountedReceipt[],
): Evidence | undefined {
  const { sequence } = charge.decode(message.payload);
  if (sequence !== receipts.length) return undefined;
  return proving(suite, { type: 'bad-sum', charge: message, leaf: countedLeaf(suite, receipts, 0) });
}

/** The leaf of one of `receipts`, with its path among them; `undefined` when there is none at `index`. */
export function countedLeaf(
  suite: Suite,
  receipts: readonly CountedReceipt[],
  index: number,
): CountedLeaf | undefined {
  const counted = receipts[index];
  if (counted === undefined) return undefined;
  const leaves = receipts.map(({ payloadHash, amount }) => receiptLeafOf(suite, payloadHash, amount));
  return { ...counted, path: receiptPathOf(suite, leaves, index) };
}

/** A receipt as a charge counts it against the receipt that the agent signed; `undefined` when it counts no more. */
export function contradictedReceiptOf(
  suite: Suite,
  held: {
    readonly charge: Signed;
    readonly leaf: CountedLeaf;
    readonly receipt: Signed;
    /** From the payee's certificate to the agent's. */
    readonly chain: readonly Signed[];
  },
): Evidence | undefined {
  return proving(suite, { type: 'contradicted-receipt', ...held });
}

function proving(suite: Suite, one: Evidence): Evidence | undefined {
  const opened = openEvidence(one);
  return opened !== undefined && provenTotal(suite, opened) !== undefined ? one : undefined;
}
