/**
 * Calls that one transaction pays, for who has no channel to the payee (`spec/calls.md` CALL-140). The payer hands the
 * transaction in itself and shows with the opening that a block has it; the price is the card's for one call, whatever
 * the answer says. So nobody holds a transaction of somebody else, and nobody answers for money that may not come.
 */
import { equalBytes, utf8 } from '../base/bytes.ts';
import { type TransactionResult, transactionResult } from './block.ts';
import type { Card } from './card.ts';
import { type CertifiedHeader, certifiedHeader } from './certified-header.ts';
import type { Envelope } from './envelope.ts';
import type { Id, PublicKey } from './ids.ts';
import { type MerklePath, merklePath } from './merkle.ts';
import type { ReceiptShare } from './payment.ts';
import { record, type Schema } from './schema.ts';
import { type Signed, signed } from './signing.ts';
import type { Suite } from './suite.ts';
import type { Transaction } from './transaction.ts';

/** The critical extension of the envelope of a call that one transaction pays. Its value is empty. */
export const ONCE_EXTENSION = '!once';

/** Whether the caller says that one transaction pays its call. */
export function isOnce({ extensions }: Pick<Envelope, 'extensions'>): boolean {
  return extensions.has(ONCE_EXTENSION);
}

/** A payment and its place in a block. */
export interface CallPayment {
  /** The `pay` transaction, signed by the payer. */
  readonly transaction: Signed;
  readonly result: TransactionResult;
  /** From the transaction's wire form to the header's `transactionsRoot`. */
  readonly transactionPath: MerklePath;
  /** From the result's wire form to the header's `resultsRoot`. */
  readonly resultPath: MerklePath;
  /** Of its block, with what makes it believed. */
  readonly header: CertifiedHeader;
}

/** The wire form of a payment. */
export const callPayment: Schema<CallPayment> = record('call-payment', {
  transaction: signed,
  result: transactionResult,
  transactionPath: merklePath,
  resultPath: merklePath,
  header: certifiedHeader,
});

/** Why a call cannot be paid by one transaction, in words; `undefined` when it can (CALL-141). */
export function onceFault(call: {
  readonly card: Pick<Card, 'price'>;
  /** Whether an offer prices it. */
  readonly offered: boolean;
  readonly context: Envelope['context'];
}): string | undefined {
  const { perCall, perInputUnit, perOutputUnit } = call.card.price;
  if (call.context !== undefined) return 'it has a budget, or is made below another call';
  if (call.offered) return 'an offer prices it';
  if (perInputUnit > 0n || perOutputUnit > 0n) return 'the agent is priced by the unit';
  return perCall === 0n ? 'the agent asks nothing for a call' : undefined;
}

/** What a payment must be for. */
export interface PaidCall {
  readonly callId: Id;
  readonly payer: PublicKey;
  readonly card: Pick<Card, 'operator' | 'asset' | 'price'>;
}

const REFERENCE = utf8('sahara/1/call-payment');
const REFERENCE_BYTES = 16;

/**
 * What a payment of a call names it by (PAY-75): the ledger shows it to everybody before the call is opened, and who knew
 * the call's id by then could take it at the host for a call of their own.
 */
export function paymentReference(suite: Pick<Suite, 'sha256'>, callId: Id): Id {
  return suite.sha256(REFERENCE, callId).slice(0, REFERENCE_BYTES);
}

/** Why a transaction is not the payment of a call, in words; `undefined` when it is (PAY-75). */
export function paymentFault(
  suite: Pick<Suite, 'sha256'>,
  { sender, action }: Transaction,
  call: PaidCall,
): string | undefined {
  const { callId, payer, card } = call;
  if (action.type !== 'pay') return 'the transaction is no payment';
  if (!equalBytes(sender, payer)) return 'the payment is of another payer';
  if (!equalBytes(action.payee, card.operator)) return 'the payment is to another payee';
  if (action.asset === undefined || !equalBytes(action.asset, card.asset)) {
    return 'the payment is to another asset';
  }
  if (action.amount !== card.price.perCall) return 'the payment is of another amount';
  return equalBytes(action.reference, paymentReference(suite, callId))
    ? undefined
    : 'the payment is for another call';
}

/** The name of the rule by which the whole of such a call goes to the card's asset. */
export const ONCE_RULE = 'once/1';

/** Who earns a call that one transaction paid: the asset that received it, all of it. */
export function onceShares(card: Pick<Card, 'asset' | 'price'>): readonly ReceiptShare[] {
  return [{ asset: card.asset, role: 'agent', ppm: 1_000_000, amount: card.price.perCall }];
}

/** Whether these shares are those of such a call. */
export function areOnceShares(shares: readonly ReceiptShare[], card: Pick<Card, 'asset' | 'price'>): boolean {
  const [only] = shares;
  return (
    shares.length === 1 &&
    only?.role === 'agent' &&
    only.amount === card.price.perCall &&
    equalBytes(only.asset, card.asset)
  );
}
