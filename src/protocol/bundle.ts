/**
 * An evidence bundle: everything about one call in one file, so that anybody can check it without a network and
 * without asking anyone: what was asked and agreed, what was delivered, the receipt, and how it was settled.
 */
import { genesis, transactionResult } from './block.ts';
import {
  CALL_FRAME,
  type CallEnding,
  type CallOpening,
  callEnding,
  callOpening,
  delta,
  type Source,
  source,
} from './call.ts';
import { certifiedHeader } from './certified-header.ts';
import { malformed } from './codec.ts';
import { type KeyEvidence, keyEvidence } from './key-evidence.ts';
import { BUNDLE_BYTES_MAX, CHECKPOINTS_MAX, DELIVERIES_MAX, KEY_HEIGHTS_MAX } from './limits.ts';
import { merklePath } from './merkle.ts';
import type { CallPayment } from './once.ts';
import { type ReceiptPath, receiptPath } from './receipt-tree.ts';
import { bytesUpTo, list, optional, record, type Schema, text, uint } from './schema.ts';
import { type Signed, signed } from './signing.ts';

/** What a bundle of this version begins with. */
export const BUNDLE_FORMAT = 'sahara/bundle/1';

/** One delivered frame, as it was: `delta`, `source` or `child` of `CALL_FRAME`, and its body. */
export interface Delivery {
  readonly kind: number;
  readonly body: Uint8Array;
}

/**
 * How the call was paid on the ledger: a claim, its inclusion in a block, and the receipt's place in it; or the one
 * transaction that paid this call alone.
 */
export interface Settlement extends CallPayment {
  /** From the receipt to the `receiptRoot` of the charge in the claim, which may cover later receipts too. Absent: no claim. */
  readonly receiptPath: ReceiptPath | undefined;
}

/** An evidence bundle. */
export interface Bundle {
  readonly format: string;
  /** The network's genesis in its wire form. */
  readonly genesis: Uint8Array;
  readonly card: Signed;
  readonly opening: CallOpening;
  readonly deliveries: readonly Delivery[];
  readonly ending: CallEnding;
  /** The agent's checkpoints, in order. */
  readonly checkpoints: readonly Signed[];
  /** The last voucher of a call that was topped up; absent: the opening's is the last. */
  readonly voucher: Signed | undefined;
  readonly settlement: Settlement | undefined;
  /** The keys of parties that do not sign with their own any more, at rising heights; absent: each signs with its own. */
  readonly keys: readonly KeyEvidence[] | undefined;
}

/** Largest genesis in its wire form, bytes. */
export const GENESIS_BYTES_MAX = 65_536;
const DELIVERY_BYTES_MAX = 65_536;

const settlement: Schema<Settlement> = record('settlement', {
  transaction: signed,
  result: transactionResult,
  transactionPath: merklePath,
  resultPath: merklePath,
  header: certifiedHeader,
  receiptPath: optional(receiptPath),
});

/** The wire form of a bundle, and its file. */
export const bundle: Schema<Bundle> = record('bundle', {
  format: text(32),
  genesis: bytesUpTo(GENESIS_BYTES_MAX),
  card: signed,
  opening: callOpening,
  deliveries: list(
    record('delivery', { kind: uint(239), body: bytesUpTo(DELIVERY_BYTES_MAX) }),
    DELIVERIES_MAX,
  ),
  ending: callEnding,
  checkpoints: list(signed, CHECKPOINTS_MAX),
  voucher: optional(signed),
  settlement: optional(settlement),
  keys: optional(list(keyEvidence, KEY_HEIGHTS_MAX)),
});

/** The bundle in `file`. Throws `malformed` for anything else, also for one that is too large. */
export function readBundle(file: Uint8Array): Bundle {
  if (file.length > BUNDLE_BYTES_MAX) throw malformed(`larger than ${BUNDLE_BYTES_MAX} bytes`);
  const read = bundle.decode(file);
  if (read.format !== BUNDLE_FORMAT) throw malformed(`not a ${BUNDLE_FORMAT}`);
  genesis.decode(read.genesis);
  return read;
}

/** The answer and its sources, read back from what was delivered. Throws `malformed`. */
export function deliveredOf(deliveries: readonly Delivery[]): {
  readonly answer: string;
  readonly sources: readonly Source[];
} {
  const sources: Source[] = [];
  let answer = '';
  for (const { kind, body } of deliveries) {
    if (kind === CALL_FRAME.delta) answer += delta.decode(body).text;
    else if (kind === CALL_FRAME.source) sources.push(source.decode(body));
    else if (kind !== CALL_FRAME.child && kind !== CALL_FRAME.attribution)
      throw malformed(`delivery of kind ${kind}`);
  }
  return { answer, sources };
}
