/**
 * What a payer's book proves against a charge that its payee presented: the other charges of the lane that the payee
 * signed, and the receipts that it counted. Looking at an honest charge costs one read; only one that differs has all of
 * the lane read.
 */
import { equalBytes, prefixEnd, toHex } from '../base/bytes.ts';
import type { Store } from '../base/store.ts';
import { badSumOf, type CountedReceipt, contradictionOf } from '../protocol/evidence-build.ts';
import { type Evidence, openEvidence, provenTotal } from '../protocol/evidence-channel.ts';
import type { Hash } from '../protocol/ids.ts';
import { type Charge, charge as chargeSchema } from '../protocol/payment.ts';
import { appendLeaf, EMPTY_TREE, treeRoot } from '../protocol/receipt-tree.ts';
import type { Signed } from '../protocol/signing.ts';
import type { Suite } from '../protocol/suite.ts';
import type { PayerLane } from './payer-lane.ts';
import { bookKey, type EndingRecord, endingRecord, type LeafRecord, leafRecord } from './records.ts';

/** Evidence, and the highest total of the lane that it leaves possible, grains. */
export interface Proof {
  readonly evidence: Evidence;
  readonly total: bigint;
}

/** What is to be said of a charge. */
export type ChargeFinding =
  /** It is the sum of receipts that are here, or one that was accepted. */
  | { readonly type: 'agrees' }
  /** It counts receipts that are not here. */
  | { readonly type: 'ahead' }
  /** It counts other receipts than those that are here, and nothing here proves which are right. */
  | { readonly type: 'differs' }
  | ({ readonly type: 'contradicts' } & Proof);

/** Where a payer's statements are. */
export interface EvidenceParts {
  readonly suite: Suite;
  /** The book's. */
  readonly store: Store;
}

/** Holds `claimed`, which the payee of `lane` signed, against all that is here of the lane. */
export async function findingOn(
  parts: EvidenceParts,
  lane: PayerLane,
  claimed: Signed,
): Promise<ChargeFinding> {
  const terms = chargeSchema.decode(claimed.payload);
  if (!lane.disputed) {
    const { charge } = lane;
    if (charge && equalBytes(charge.signed.payload, claimed.payload)) return { type: 'agrees' };
    if (terms.sequence > lane.count && (charge === undefined || terms.sequence > charge.terms.sequence)) {
      const proof = charge && best(parts.suite, [contradictionOf(parts.suite, claimed, charge.signed)]);
      return proof ? { type: 'contradicts', ...proof } : { type: 'ahead' };
    }
    if (await isKnown(parts, lane, claimed, terms)) return { type: 'agrees' };
  }
  return wholeFinding(parts, lane, claimed, terms);
}

/** Whether the ending of the last receipt that a charge counts brought the same charge. */
async function isKnown(
  { store }: EvidenceParts,
  { channel, lane }: PayerLane,
  claimed: Signed,
  { sequence, total }: Charge,
): Promise<boolean> {
  if (sequence === 0) return total === 0n;
  const leaf = await store.get(bookKey.order(channel, lane, sequence - 1));
  const ending = leaf && (await store.get(bookKey.ending(leafRecord.decode(leaf).callId)));
  return ending !== undefined && equalBytes(endingRecord.decode(ending).charge.payload, claimed.payload);
}

async function wholeFinding(
  parts: EvidenceParts,
  lane: PayerLane,
  claimed: Signed,
  terms: Charge,
): Promise<ChargeFinding> {
  const { suite } = parts;
  const { charges, receipts } = await statementsOn(parts, lane);
  const found = charges.map((held) => contradictionOf(suite, claimed, held));
  found.push(badSumOf(suite, claimed, receipts.slice(0, terms.sequence)));
  // What was shown to this payer may contradict itself as well.
  if (lane.disputed) found.push(...amongThemselves(suite, charges, receipts));
  const proof = best(suite, found);
  if (proof !== undefined) return { type: 'contradicts', ...proof };
  if (charges.some(({ payload }) => equalBytes(payload, claimed.payload))) return { type: 'agrees' };
  if (terms.sequence > receipts.length) return { type: 'ahead' };
  const root = treeRoot(
    suite,
    receipts
      .slice(0, terms.sequence)
      .reduce((tree, { leaf }) => appendLeaf(suite, tree, { hash: leaf.hash, sum: leaf.amount }), EMPTY_TREE),
  );
  return equalBytes(root.hash, terms.receiptRoot) ? { type: 'agrees' } : { type: 'differs' };
}

/** What proves by itself that the payee of a lane in dispute lied; `undefined` when nothing that is here does. */
export async function ownProof(parts: EvidenceParts, lane: PayerLane): Promise<Proof | undefined> {
  const { charges, receipts } = await statementsOn(parts, lane);
  return best(parts.suite, amongThemselves(parts.suite, charges, receipts));
}

function amongThemselves(
  suite: Suite,
  charges: readonly Signed[],
  receipts: readonly CountedReceipt[],
): readonly (Evidence | undefined)[] {
  const found: (Evidence | undefined)[] = [];
  const inOrder = charges
    .map((message) => ({ message, terms: chargeSchema.decode(message.payload) }))
    .sort((a, b) => a.terms.sequence - b.terms.sequence);
  let most: (typeof inOrder)[number] | undefined;
  for (const [i, one] of inOrder.entries()) {
    const { sequence, total } = one.terms;
    const before = inOrder[i - 1];
    if (before?.terms.sequence === sequence) found.push(contradictionOf(suite, before.message, one.message));
    else found.push(badSumOf(suite, one.message, receipts.slice(0, sequence)));
    if (most && most.terms.sequence < sequence) found.push(contradictionOf(suite, most.message, one.message));
    if (most === undefined || total > most.terms.total) most = one;
  }
  return found;
}

interface HeldReceipt extends CountedReceipt {
  readonly leaf: LeafRecord;
}

/** All charges of a lane, each once, and its receipts in order as far as none is missing. */
async function statementsOn(
  { suite, store }: EvidenceParts,
  { channel, lane }: PayerLane,
): Promise<{ readonly charges: readonly Signed[]; readonly receipts: readonly HeldReceipt[] }> {
  const charges = new Map<string, Signed>();
  const contradicted = new Map<string, EndingRecord>();
  const note = ({ charge }: EndingRecord): void => {
    charges.set(toHex(suite.sha256(charge.payload)), charge);
  };
  for await (const [, value] of within(store, bookKey.allContradicted(channel, lane))) {
    const ending = endingRecord.decode(value);
    contradicted.set(toHex(suite.sha256(ending.receipt.payload)), ending);
    note(ending);
  }
  const receipts: HeldReceipt[] = [];
  let place = 0;
  for await (const [, value] of within(store, bookKey.orders(channel, lane))) {
    const leaf = leafRecord.decode(value);
    const stored = await store.get(bookKey.ending(leaf.callId));
    const ending = stored
      ? endingRecord.decode(stored)
      : [...contradicted.values()].find(({ sequence }) => sequence === place);
    if (ending === undefined) continue;
    note(ending);
    if (ending.sequence === place) {
      receipts.push({ payloadHash: suite.sha256(ending.receipt.payload), amount: leaf.amount, leaf });
      place += 1;
    }
  }
  return { charges: [...charges.values()], receipts };
}

function within(store: Store, prefix: Uint8Array): ReturnType<Store['entries']> {
  const lt = prefixEnd(prefix);
  return store.entries({ gte: prefix, ...(lt && { lt }) });
}

/** Of several proofs the one that leaves least possible. */
function best(suite: Suite, found: readonly (Evidence | undefined)[]): Proof | undefined {
  let least: Proof | undefined;
  for (const evidence of found) {
    const opened = evidence && openEvidence(evidence);
    const total = opened && provenTotal(suite, opened);
    if (evidence === undefined || total === undefined) continue;
    if (least === undefined || total < least.total) least = { evidence, total };
  }
  return least;
}

/** A lane by its name. */
export interface LaneName {
  readonly channel: Hash;
  readonly lane: number;
}
