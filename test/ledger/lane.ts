/** A lane as its payee and its agent keep it, honestly or not: receipts, charges over them, and claims. */

import type { ClaimBody } from '../../src/protocol/actions-channel.ts';
import { certificate } from '../../src/protocol/certificate.ts';
import { type CountedReceipt, countedLeaf } from '../../src/protocol/evidence-build.ts';
import type { CountedLeaf } from '../../src/protocol/evidence-channel.ts';
import { didOf, type Hash } from '../../src/protocol/ids.ts';
import { attributionRoot, charge, type Receipt, receipt, voucher } from '../../src/protocol/payment.ts';
import { appendLeaf, EMPTY_TREE, receiptLeafOf, treeRoot } from '../../src/protocol/receipt-tree.ts';
import { type Signed, signOne } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { suite } from './support.ts';

/** Where a lane is and whose it is. */
export interface LanePlace {
  readonly network: string;
  readonly channel: Hash;
  readonly lane: number;
  readonly payer: Signer;
  readonly payee: Signer;
  readonly agent: Signer;
}

/** When all receipts of these tests were made, and the certificates count. */
export const MADE_AT_MS = 1_760_000_100_000;

/** An asset that no ledger of these tests knows: what it earns goes to the payee. */
export const UNKNOWN_ASSET: Hash = new Uint8Array(32).fill(5);

/** The agent's receipt of the lane's call number `sequence`. */
export function receiptOf(
  place: LanePlace,
  sequence: number,
  amount: bigint,
  changes: Partial<Receipt> = {},
): Signed {
  const filled = (byte: number): Hash => new Uint8Array(32).fill(byte);
  const payload = receipt.encode({
    version: 1,
    network: place.network,
    callId: new Uint8Array(16).fill(sequence + 1),
    agent: place.agent.publicKey,
    payee: place.payee.publicKey,
    payer: place.payer.publicKey,
    channel: place.channel,
    lane: place.lane,
    sequence,
    requestHash: filled(1),
    responseHash: filled(2),
    deliveries: 1,
    cardHash: filled(3),
    manifestHash: filled(4),
    modelDigest: filled(5),
    skill: undefined,
    seed: undefined,
    finish: 'done',
    inputUnits: 1,
    outputUnits: 1,
    price: { perCall: amount, perInputUnit: 0n, perOutputUnit: 0n },
    expenses: 0n,
    amount,
    shares: [{ asset: UNKNOWN_ASSET, role: 'agent', ppm: 1_000_000, amount }],
    attributionRule: 'test/1',
    startedAtMs: MADE_AT_MS,
    finishedAtMs: MADE_AT_MS,
    ...changes,
  });
  return signOne(suite, place.agent, place.network, { type: 'receipt', payload });
}

/** What a tree counts for receipts of these amounts. */
export function countedFor(place: LanePlace, amounts: readonly bigint[]): readonly CountedReceipt[] {
  return amounts.map((amount, i) => ({
    payloadHash: suite.sha256(receiptOf(place, i, amount).payload),
    amount,
  }));
}

/** The leaf at `index` among `counted`. */
export function leafAt(counted: readonly CountedReceipt[], index: number): CountedLeaf {
  const leaf = countedLeaf(suite, counted, index);
  if (leaf === undefined) throw new TypeError('no such receipt');
  return leaf;
}

/** The payee's charge over `counted`; `total` and `by` bend it. */
export function chargeOf(
  place: LanePlace,
  counted: readonly CountedReceipt[],
  bent: { readonly total?: bigint; readonly by?: Signer; readonly attributed?: bigint } = {},
): Signed {
  const root = treeRoot(
    suite,
    counted.reduce(
      (tree, { payloadHash, amount }) => appendLeaf(suite, tree, receiptLeafOf(suite, payloadHash, amount)),
      EMPTY_TREE,
    ),
  );
  const total = bent.total ?? root.sum;
  const amounts = [{ asset: UNKNOWN_ASSET, amount: bent.attributed ?? total }];
  const payload = charge.encode({
    network: place.network,
    channel: place.channel,
    lane: place.lane,
    total,
    sequence: counted.length,
    receiptRoot: root.hash,
    attributionRoot: attributionRoot(suite, amounts),
  });
  return signOne(suite, bent.by ?? place.payee, place.network, { type: 'charge', payload });
}

/** A voucher of the lane, by the payer unless another key signs it. */
export function voucherOf(place: LanePlace, ceiling: bigint, by: Signer = place.payer): Signed {
  const payload = voucher.encode({
    network: place.network,
    channel: place.channel,
    lane: place.lane,
    ceiling,
    sequence: 1,
    receiptCount: 0,
    receiptRoot: new Uint8Array(32),
    receiptTotal: 0n,
    notAfterMs: undefined,
  });
  return signOne(suite, by, place.network, { type: 'voucher', payload });
}

/** A claim on a charge of the lane. */
export function laneClaim(place: LanePlace, charged: Signed, promised: Signed): ClaimBody {
  const { total } = charge.decode(charged.payload);
  return {
    channel: place.channel,
    voucher: promised,
    charge: charged,
    attribution: [{ asset: UNKNOWN_ASSET, amount: total }],
  };
}

/** The payee's certificate for the agent; `changes` bend what it allows. */
export function agentCertificate(
  place: Pick<LanePlace, 'network' | 'payee' | 'agent'>,
  bent: { readonly capability?: string; readonly notAfterMs?: number; readonly by?: Signer } = {},
): Signed {
  const payload = certificate.encode({
    version: 1,
    network: place.network,
    issuer: place.payee.publicKey,
    subject: { kind: 'key', id: place.agent.publicKey },
    roles: ['agent'],
    capabilities: [bent.capability ?? `serve:agent/${didOf(place.agent.publicKey)}`],
    notBeforeMs: 0,
    notAfterMs: bent.notAfterMs ?? MADE_AT_MS + 1,
    serial: new Uint8Array(16).fill(9),
  });
  return signOne(suite, bent.by ?? place.payee, place.network, { type: 'certificate', payload });
}
