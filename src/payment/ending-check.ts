import { equalBytes } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import type { Hash, PublicKey } from '../protocol/ids.ts';
import {
  type Charge,
  charge as chargeSchema,
  type Receipt,
  receipt as receiptSchema,
} from '../protocol/payment.ts';
import type { Signed, Verifier } from '../protocol/signing.ts';

/** An ending whose signatures and parties are right. */
export interface CheckedEnding {
  readonly receipt: Receipt;
  readonly receiptSigned: Signed;
  readonly charge: { readonly signed: Signed; readonly terms: Charge };
}

/** What an ending must belong to. */
export interface EndingExpectation {
  readonly channel: Hash;
  readonly lane: number;
  readonly payee: PublicKey;
}

/**
 * The receipt by the agent that it names, and the charge by the payee, both about this lane. Throws
 * `receipt-invalid` with the reason. Whether they fit the call and what was accepted before is not decided here.
 */
export async function checkEnding(
  parts: {
    readonly network: string;
    readonly verifier: Verifier;
    readonly operator: { readonly publicKey: PublicKey };
  },
  expected: EndingExpectation,
  ending: { readonly receipt: Signed; readonly charge: Signed },
): Promise<CheckedEnding> {
  const { receipt, charge } = decoded(ending);
  const { channel, lane, payee } = expected;
  if (receipt.network !== parts.network || charge.network !== parts.network) throw invalid('another network');
  if (receipt.channel === undefined || !equalBytes(receipt.channel, channel))
    throw invalid('another channel');
  if (!equalBytes(charge.channel, channel)) throw invalid('a charge of another channel');
  if (receipt.lane !== lane || charge.lane !== lane) throw invalid('another lane');
  if (!equalBytes(receipt.payee, payee)) throw invalid('another payee');
  if (!equalBytes(receipt.payer, parts.operator.publicKey)) throw invalid('another payer');
  const faults = await Promise.all([
    parts.verifier.check(parts.network, 'receipt', receipt.agent, ending.receipt),
    parts.verifier.check(parts.network, 'charge', payee, ending.charge),
  ]);
  if (faults[0]) throw invalid(`receipt: ${faults[0]}`);
  if (faults[1]) throw invalid(`charge: ${faults[1]}`);
  return { receipt, receiptSigned: ending.receipt, charge: { signed: ending.charge, terms: charge } };
}

function decoded(ending: { readonly receipt: Signed; readonly charge: Signed }): {
  readonly receipt: Receipt;
  readonly charge: Charge;
} {
  try {
    return {
      receipt: receiptSchema.decode(ending.receipt.payload),
      charge: chargeSchema.decode(ending.charge.payload),
    };
  } catch (cause) {
    throw new SaharaError('receipt-invalid', { reason: 'malformed' }, { cause });
  }
}

function invalid(reason: string): SaharaError {
  return new SaharaError('receipt-invalid', { reason });
}
