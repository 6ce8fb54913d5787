/** Finds the claim that settled a call, and proves it: from this peer's own blocks, or by what peers prove. */
import { asSaharaError } from '../base/errors.ts';
import { chargeFor } from '../ledger/claim-index.ts';
import type { InclusionProof, Ledger } from '../ledger/ledger.ts';
import type { Settlement } from '../protocol/bundle.ts';
import type { Receipt } from '../protocol/payment.ts';
import { receiptPathOf, type SumNode } from '../protocol/receipt-tree.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import { transaction } from '../protocol/transaction.ts';

/** Where calls were settled. */
export interface Settlements {
  /** The proof that a claim counts `receipt`, or `undefined` while there is none, or nobody proves one. */
  of(receipt: Receipt, leaves: readonly SumNode[]): Promise<Settlement | undefined>;
  /** Whether a claim counts `receipt`. */
  has(receipt: Receipt): Promise<boolean>;
}

/** Settlements by `parts.ledger`. */
export function createSettlements({ ledger }: { readonly ledger: Pick<Ledger, 'settled'> }): Settlements {
  const find = async (
    receipt: Receipt,
  ): Promise<{ readonly proof: InclusionProof; readonly count: number } | undefined> => {
    const { channel, lane, sequence } = receipt;
    if (channel === undefined) return undefined;
    const sought = { channel, lane, count: sequence + 1 };
    try {
      const proof = await ledger.settled(sought);
      const terms = proof && chargeFor(transaction.decode(proof.transaction.payload).action, sought);
      return proof && terms && { proof, count: terms.sequence };
    } catch (error) {
      if (asSaharaError(error).code === 'state-unproven') return undefined;
      throw error;
    }
  };
  return {
    async of(receipt, leaves) {
      const found = await find(receipt);
      if (found === undefined || leaves.length < found.count) return undefined;
      const receiptPath = receiptPathOf(nativeSuite, leaves.slice(0, found.count), receipt.sequence);
      return { ...found.proof, receiptPath };
    },
    has: async (receipt) => (await find(receipt)) !== undefined,
  };
}
