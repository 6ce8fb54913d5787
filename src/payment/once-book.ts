/**
 * Payments of single calls at their payee. A payment proves itself: a block that the network certified has it, and it
 * names payer, payee, asset, amount and call. What is left to remember is which of them have had their answer, for as
 * long as they can be presented.
 */
import type { Clock } from '../base/clock.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import type { ReplayStore } from '../base/replay.ts';
import { checkInclusion } from '../ledger/inclusion.ts';
import { type BlockHeader, blockHeader } from '../protocol/block.ts';
import type { Id, PublicKey } from '../protocol/ids.ts';
import { CALL_PAYMENT_LIFE_MS, CLOCK_SKEW_MS } from '../protocol/limits.ts';
import { type CallPayment, type PaidCall, paymentFault } from '../protocol/once.ts';
import type { Suite } from '../protocol/suite.ts';
import { transaction } from '../protocol/transaction.ts';

/** What the book works with. */
export interface OnceBookParts {
  readonly suite: Suite;
  readonly clock: Clock;
  readonly network: string;
  /** Whose blocks count: a key, or the hash of the validators with whom the network began. */
  readonly sequencer: PublicKey;
  /** The calls whose payments have had their answer; the book has it for itself. */
  readonly used: ReplayStore;
}

/** Payments of single calls to one payee. */
export interface OnceBook {
  /** Whether `payment` is that of this call and can still be presented. Throws `payment-invalid`, `malformed`. */
  check(call: PaidCall, payment: CallPayment): void;
  /** Whether the payment of this call has had its answer. */
  isUsed(callId: Id): boolean;
  /** Resolves once that is kept. Throws `overloaded`. */
  use(callId: Id, payment: CallPayment): Promise<void>;
}

/** The book over `parts.used`. */
export function createOnceBook(parts: OnceBookParts): OnceBook {
  const { clock, used } = parts;
  return {
    check(call, payment) {
      const { timeMs } = headerOf(parts, payment);
      if (payment.result.code !== 0) throw invalid('the ledger refused the payment');
      const paid = transaction.decode(payment.transaction.payload);
      const reason =
        paid.network === parts.network
          ? paymentFault(parts.suite, paid, call)
          : 'the payment is of another network';
      if (reason !== undefined) throw invalid(reason);
      if (clock.nowMs() > timeMs + CALL_PAYMENT_LIFE_MS) throw invalid('the payment is more than a day old');
    },
    isUsed: (callId) => used.has(callId),
    async use(callId, payment) {
      const { timeMs } = blockHeader.decode(payment.header.payload);
      used.claim(callId, timeMs + CALL_PAYMENT_LIFE_MS + CLOCK_SKEW_MS);
      await used.flushed();
    },
  };
}

/** The header of the block that has a payment. Whose signature the transaction has, who ordered it has checked. */
function headerOf({ suite, network, sequencer }: OnceBookParts, payment: CallPayment): BlockHeader {
  let found: ReturnType<typeof checkInclusion>;
  try {
    found = checkInclusion(suite, { network, sequencer }, payment);
  } catch (error) {
    if (asSaharaError(error).code !== 'malformed') throw error;
    throw invalid('the block cannot be read');
  }
  if (typeof found === 'string') throw invalid('no block of this network has the payment');
  return found;
}

function invalid(reason: string): SaharaError {
  return new SaharaError('payment-invalid', { reason });
}
