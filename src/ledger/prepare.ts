/** What can be said about a transaction without the state: parsed once, at the edge. */
import { SaharaError } from '../base/errors.ts';
import { type OpenedEvidence, openEvidence } from '../protocol/evidence-channel.ts';
import { type Hash, PROTOCOL_VERSION } from '../protocol/ids.ts';
import { TRANSACTION_BYTES_MAX } from '../protocol/limits.ts';
import { type Charge, charge, type Release, release, type Voucher, voucher } from '../protocol/payment.ts';
import { type Signed, signed } from '../protocol/signing.ts';
import type { Suite } from '../protocol/suite.ts';
import {
  type Action,
  claimsOf,
  type Transaction,
  transaction,
  transactionId,
} from '../protocol/transaction.ts';
import type { ResultName } from './result-codes.ts';

/** A claim whose voucher and charge were read. */
export interface OpenedClaim {
  readonly voucher: Voucher;
  readonly charge: Charge;
}

/** The signed records inside an action, read once; `undefined` for those that could not be read. */
export interface OpenedRecords {
  /** Of each claim of the action, in order. */
  readonly claims: readonly (OpenedClaim | undefined)[];
  readonly release: Release | undefined;
  readonly evidence: OpenedEvidence | undefined;
}

/** A transaction on its way to execution. */
export interface Prepared {
  readonly id: Hash;
  readonly signed: Signed;
  /** Canonical bytes of `signed`. */
  readonly wire: Uint8Array;
  readonly content:
    | { readonly fault: ResultName }
    | { readonly fault?: never; readonly transaction: Transaction; readonly opened: OpenedRecords };
}

/** Parses a signed transaction. Its faults are found in the order of `spec/ledger.md`. */
export function prepareTransaction(suite: Suite, network: string, message: Signed): Prepared {
  const wire = signed.encode(message);
  const id = transactionId(suite, network, message.payload);
  return { id, signed: message, wire, content: contentOf(network, message, wire.length) };
}

function contentOf(network: string, message: Signed, sizeBytes: number): Prepared['content'] {
  if (sizeBytes > TRANSACTION_BYTES_MAX) return { fault: 'malformed' };
  const parsed = read(() => transaction.decode(message.payload));
  if (parsed === undefined) return { fault: 'malformed' };
  if (parsed.version !== PROTOCOL_VERSION) return { fault: 'version-unsupported' };
  if (parsed.network !== network) return { fault: 'network-mismatch' };
  return { transaction: parsed, opened: openRecords(parsed.action) };
}

function openRecords(action: Action): OpenedRecords {
  const claims = claimsOf(action).map((body) =>
    read(() => ({
      voucher: voucher.decode(body.voucher.payload),
      charge: charge.decode(body.charge.payload),
    })),
  );
  return {
    claims,
    release: action.type === 'withdraw' ? read(() => release.decode(action.release.payload)) : undefined,
    evidence: action.type === 'challenge' ? openEvidence(action.evidence) : undefined,
  };
}

function read<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    if (error instanceof SaharaError && error.code === 'malformed') return undefined;
    throw error;
  }
}
