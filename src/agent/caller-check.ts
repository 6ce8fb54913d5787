/** What a caller checks of an ending before it takes it for one: the receipt against what was asked and delivered. */
import { equalBytes } from '../base/bytes.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import { readTree } from '../protocol/bill.ts';
import type { CallEnding } from '../protocol/call.ts';
import type { CallChild } from '../protocol/checkpoint.ts';
import { envelope as envelopeSchema } from '../protocol/envelope.ts';
import type { Id, PublicKey } from '../protocol/ids.ts';
import { type Receipt, receipt as receiptSchema } from '../protocol/payment.ts';
import type { Verifier } from '../protocol/signing.ts';
import type { Suite } from '../protocol/suite.ts';
import { checkAmount, checkDelivered, checkReceiptFields, checkShares } from '../protocol/verify-receipt.ts';
import type { Outgoing } from './caller-opening.ts';
import type { Incoming } from './incoming.ts';

/** Parts of the checks. */
export interface CheckParts {
  readonly suite: Suite;
  readonly verifier: Verifier;
  readonly network: string;
}

/**
 * The receipt, checked against what was asked, published and delivered (CALL-45). Its own signature and the charge
 * are checked with the money. Throws `receipt-invalid`.
 */
export function checkedReceipt(
  parts: CheckParts,
  out: Outgoing,
  ending: CallEnding,
  incoming: Incoming,
): Receipt {
  const { known, offer, envelope, request, requestHash, lease } = out;
  const { answer, frames } = incoming;
  return asReceiptFault(() => {
    const receipt = receiptSchema.decode(ending.receipt.payload);
    const { card, hash: cardHash } = known;
    const context = { network: parts.network, envelope, request, requestHash, card, cardHash, offer };
    checkReceiptFields(receipt, context);
    checkDelivered(receipt, answer, frames.length);
    checkAmount(receipt, answer, context);
    checkShares(parts.suite, receipt, answer, card);
    const channel = lease?.channel;
    const paid =
      channel && receipt.channel ? equalBytes(channel, receipt.channel) : channel === receipt.channel;
    if (!paid) throw new SaharaError('receipt-invalid', { reason: 'another channel' });
    return receipt;
  });
}

/** Checks that the calls delivered are one tree, and every signature in it (CALL-88). Throws `receipt-invalid`. */
export async function checkCallsBelow(
  { verifier, network }: CheckParts,
  { envelope }: Outgoing,
  receipt: Receipt,
  children: readonly CallChild[],
): Promise<void> {
  if (children.length === 0) return;
  const { signatures } = asReceiptFault(() => readTree({ envelope, receipt }, children));
  const faults = await Promise.all(
    signatures.map(({ type, key, message }) => verifier.check(network, type, key, message)),
  );
  const fault = faults.find((found) => found !== undefined);
  if (fault) throw new SaharaError('receipt-invalid', { reason: fault, what: 'call below' });
}

/**
 * Checks a call below as far as a payer must before it covers more on its account: it ended with a receipt of its
 * agent, and one made directly below `above` was made by its operator. Throws `answer-invalid`, `malformed`.
 */
export async function checkChild(
  { verifier, network }: Pick<CheckParts, 'verifier' | 'network'>,
  child: CallChild,
  above: { readonly callId: Id; readonly operator: PublicKey },
): Promise<void> {
  const made = envelopeSchema.decode(child.envelope.payload);
  const receipt = receiptSchema.decode(child.receipt.payload);
  const direct = made.context?.parent !== undefined && equalBytes(made.context.parent, above.callId);
  const fits =
    equalBytes(made.id, receipt.callId) &&
    equalBytes(made.from, receipt.payer) &&
    (!direct || equalBytes(made.from, above.operator));
  if (!fits) throw new SaharaError('answer-invalid', { what: 'call below', reason: 'another call' });
  const faults = await Promise.all([
    verifier.check(network, 'call', made.from, child.envelope),
    verifier.check(network, 'receipt', receipt.agent, child.receipt),
    child.charge && verifier.check(network, 'charge', receipt.payee, child.charge),
  ]);
  const reason = faults.find((found) => found !== undefined);
  if (reason) throw new SaharaError('answer-invalid', { what: 'call below', reason });
}

function asReceiptFault<T>(check: () => T): T {
  try {
    return check();
  } catch (cause) {
    const failure = asSaharaError(cause);
    if (failure.code === 'receipt-invalid') throw failure;
    throw new SaharaError('receipt-invalid', failure.facts, { cause });
  }
}
