/**
 * An audit file: what the ledger says of one call, one asset or one DID, in one file that anybody can check without a
 * network. It holds records of the state with their proofs, all against one header that the network's sequencer signed, or its validators decided on,
 * and transactions that caused them with proofs of their own. Nothing in it counts because its maker says so.
 */
import { type TransactionResult, transactionResult } from './block.ts';
import { GENESIS_BYTES_MAX } from './bundle.ts';
import { type CertifiedHeader, certifiedHeader } from './certified-header.ts';
import { malformed } from './codec.ts';
import type { Hash, PublicKey } from './ids.ts';
import {
  AUDIT_BYTES_MAX,
  AUDIT_CLAIMS_MAX,
  AUDIT_LISTED_MAX,
  AUDIT_RECORDS_MAX,
  BUNDLE_BYTES_MAX,
} from './limits.ts';
import { type MerklePath, merklePath } from './merkle.ts';
import {
  bytes,
  bytesUpTo,
  list,
  optional,
  record,
  type Schema,
  text,
  type UnionOf,
  u32,
  union,
} from './schema.ts';
import { type Signed, signed } from './signing.ts';
import { type StateProof, stateProof } from './state-proof.ts';

/** What an audit file of this version begins with. */
export const AUDIT_FORMAT = 'sahara/audit/1';

/** Where an asset earned. */
export interface AuditedLane {
  readonly channel: Hash;
  readonly lane: number;
}

/** A call, with its evidence bundle as it is. */
export interface AuditedReceipt {
  readonly bundle: Uint8Array;
}

/** An asset; what its maker knows of lanes that paid it, and of assets made from it. */
export interface AuditedAsset {
  readonly asset: Hash;
  readonly lanes: readonly AuditedLane[];
  readonly children: readonly Hash[];
}

/** A DID; what its maker knows of its channels and of assets that it owns a share of. */
export interface AuditedDid {
  readonly did: PublicKey;
  readonly channels: readonly Hash[];
  readonly assets: readonly Hash[];
}

const VARIANTS: {
  readonly receipt: readonly [1, Schema<AuditedReceipt>];
  readonly asset: readonly [2, Schema<AuditedAsset>];
  readonly did: readonly [3, Schema<AuditedDid>];
} = {
  receipt: [1, record('audited-receipt', { bundle: bytesUpTo(BUNDLE_BYTES_MAX) })],
  asset: [
    2,
    record('audited-asset', {
      asset: bytes(32),
      lanes: list(record('audited-lane', { channel: bytes(32), lane: u32 }), AUDIT_LISTED_MAX),
      children: list(bytes(32), AUDIT_LISTED_MAX),
    }),
  ],
  did: [
    3,
    record('audited-did', {
      did: bytes(32),
      channels: list(bytes(32), AUDIT_LISTED_MAX),
      assets: list(bytes(32), AUDIT_LISTED_MAX),
    }),
  ],
};

/** What a file is about. */
export type AuditSubject = UnionOf<typeof VARIANTS>;

/** The wire form of what a file is about. */
export const auditSubject: Schema<AuditSubject> = union('audit-subject', VARIANTS);

/** What the state holds under one key, or that it holds nothing. */
export interface AuditRecord {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
  readonly proof: StateProof;
}

/** A transaction and what it gave, as a signed block has them. */
export interface AuditedTransaction {
  readonly transaction: Signed;
  readonly result: TransactionResult;
  readonly transactionPath: MerklePath;
  readonly resultPath: MerklePath;
  readonly header: CertifiedHeader;
}

/** An audit file. */
export interface Audit {
  readonly format: string;
  /** The network's genesis in its wire form. */
  readonly genesis: Uint8Array;
  /** Whose state root every record is proved against. */
  readonly header: CertifiedHeader;
  readonly subject: AuditSubject;
  /** In the order of their keys, each once. */
  readonly records: readonly AuditRecord[];
  readonly transactions: readonly AuditedTransaction[];
}

/** Longest key and largest record that a file holds, bytes. */
const KEY_BYTES_MAX = 256;
const RECORD_BYTES_MAX = 131_072;

/** The wire form of an audit file. */
export const audit: Schema<Audit> = record('audit', {
  format: text(32),
  genesis: bytesUpTo(GENESIS_BYTES_MAX),
  header: certifiedHeader,
  subject: auditSubject,
  records: list(
    record('audit-record', {
      key: bytesUpTo(KEY_BYTES_MAX),
      value: optional(bytesUpTo(RECORD_BYTES_MAX)),
      proof: stateProof,
    }),
    AUDIT_RECORDS_MAX,
  ),
  transactions: list(
    record('audited-transaction', {
      transaction: signed,
      result: transactionResult,
      transactionPath: merklePath,
      resultPath: merklePath,
      header: certifiedHeader,
    }),
    AUDIT_CLAIMS_MAX,
  ),
});

const FORMAT_AT = 2;

/** Whether a file says of itself that it is an audit file. */
export function looksLikeAudit(file: Uint8Array): boolean {
  const said = file.subarray(FORMAT_AT, FORMAT_AT + AUDIT_FORMAT.length);
  return String.fromCharCode(...said) === AUDIT_FORMAT;
}

/** The audit in `file`. Throws `malformed` for anything else, also for one that is too large. */
export function readAudit(file: Uint8Array): Audit {
  if (file.length > AUDIT_BYTES_MAX) throw malformed(`larger than ${AUDIT_BYTES_MAX} bytes`);
  const read = audit.decode(file);
  if (read.format !== AUDIT_FORMAT) throw malformed(`not a ${AUDIT_FORMAT}`);
  return read;
}
