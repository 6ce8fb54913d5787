/**
 * What proves that a payee lied about a channel: statements that it signed itself, or that an agent signed which it
 * named by certificate, and that cannot all be true. Whoever holds them can prove it, a payer, a watchtower or
 * anybody else; nothing else counts, above all nothing that one party merely says of the other. What was not
 * delivered cannot be proven here: an agent's signature says what was sent, and nothing says what arrived.
 */
import { compareBytes, equalBytes } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import { certificateChain } from './certificate.ts';
import { domainHash, type Hash } from './ids.ts';
import { type Charge, charge, type Receipt, receipt } from './payment.ts';
import {
  type ReceiptPath,
  receiptLeafOf,
  receiptPath,
  receiptRootFrom,
  type SumNode,
} from './receipt-tree.ts';
import { bytes, grains, optional, record, type Schema, type UnionOf, union } from './schema.ts';
import { type Signed, signed } from './signing.ts';
import type { Suite } from './suite.ts';

/** A receipt as a charge's tree counts it. */
export interface CountedLeaf {
  /** SHA-256 of the receipt's payload. */
  readonly payloadHash: Hash;
  /** What the tree counts it for, grains. */
  readonly amount: bigint;
  readonly path: ReceiptPath;
}

const countedLeaf: Schema<CountedLeaf> = record('counted-leaf', {
  payloadHash: bytes(32),
  amount: grains,
  path: receiptPath,
});

const VARIANTS: {
  /** Two different charges for one sequence. */
  readonly 'two-charges': readonly [1, Schema<{ readonly first: Signed; readonly second: Signed }>];
  /** A charge of more receipts that totals less than one of fewer. */
  readonly 'falling-total': readonly [2, Schema<{ readonly earlier: Signed; readonly later: Signed }>];
  /** A charge whose tree does not sum to its total; without a leaf, one that charges for no receipts. */
  readonly 'bad-sum': readonly [
    3,
    Schema<{ readonly charge: Signed; readonly leaf: CountedLeaf | undefined }>,
  ];
  /** A charge that counts a receipt for more than the agent's receipt of that sequence says. */
  readonly 'contradicted-receipt': readonly [
    4,
    Schema<{
      readonly charge: Signed;
      readonly leaf: CountedLeaf;
      readonly receipt: Signed;
      /** From the payee's certificate to the agent's. */
      readonly chain: readonly Signed[];
    }>,
  ];
} = {
  'two-charges': [1, record('two-charges', { first: signed, second: signed })],
  'falling-total': [2, record('falling-total', { earlier: signed, later: signed })],
  'bad-sum': [3, record('bad-sum', { charge: signed, leaf: optional(countedLeaf) })],
  'contradicted-receipt': [
    4,
    record('contradicted-receipt', {
      charge: signed,
      leaf: countedLeaf,
      receipt: signed,
      chain: certificateChain,
    }),
  ],
};

/** What proves that a payee lied. */
export type Evidence = UnionOf<typeof VARIANTS>;

/** The wire form of evidence. */
export const evidence: Schema<Evidence> = union('evidence', VARIANTS);

/** Evidence whose records were read. Nothing of it is checked. */
export interface OpenedEvidence {
  readonly charges: readonly { readonly message: Signed; readonly terms: Charge }[];
  readonly receipt: { readonly message: Signed; readonly terms: Receipt } | undefined;
  readonly evidence: Evidence;
}

/** The records in a piece of evidence; `undefined` when one is none. */
export function openEvidence(one: Evidence): OpenedEvidence | undefined {
  try {
    return {
      charges: chargesIn(one).map((message) => ({ message, terms: charge.decode(message.payload) })),
      receipt:
        one.type === 'contradicted-receipt'
          ? { message: one.receipt, terms: receipt.decode(one.receipt.payload) }
          : undefined,
      evidence: one,
    };
  } catch (error) {
    if (error instanceof SaharaError && error.code === 'malformed') return undefined;
    throw error;
  }
}

function chargesIn(one: Evidence): readonly Signed[] {
  if (one.type === 'two-charges') return [one.first, one.second];
  return one.type === 'falling-total' ? [one.earlier, one.later] : [one.charge];
}

/** Where evidence must belong. */
export interface EvidencePlace {
  readonly network: string;
  readonly channel: Hash;
  readonly payee: Uint8Array;
}

/** The lane that every record of a piece of evidence is about; `undefined` when they are not all of this place. */
export function laneOf(opened: OpenedEvidence, place: EvidencePlace): number | undefined {
  const lane = opened.charges[0]?.terms.lane;
  const here = (one: {
    readonly network: string;
    readonly channel: Hash | undefined;
    readonly lane: number;
  }) =>
    one.network === place.network &&
    one.channel !== undefined &&
    equalBytes(one.channel, place.channel) &&
    one.lane === lane;
  if (!opened.charges.every(({ terms }) => here(terms))) return undefined;
  const said = opened.receipt?.terms;
  if (said !== undefined && !(here(said) && equalBytes(said.payee, place.payee))) return undefined;
  return lane;
}

/**
 * The highest total of the lane that can still be true, grains, if all of the evidence was signed; `undefined` when
 * its records do not contradict each other.
 */
export function provenTotal(
  suite: Suite,
  { evidence: one, charges, receipt }: OpenedEvidence,
): bigint | undefined {
  const [a, b] = charges.map(({ terms }) => terms);
  if (a === undefined) return undefined;
  if (one.type === 'two-charges') {
    const same =
      b === undefined || a.sequence !== b.sequence || equalBytes(one.first.payload, one.second.payload);
    return same ? undefined : least(a.total, b.total);
  }
  if (one.type === 'falling-total') {
    return b !== undefined && a.sequence < b.sequence && a.total > b.total ? b.total : undefined;
  }
  if (one.leaf === undefined) return a.sequence === 0 && a.total > 0n ? 0n : undefined;
  const root = rootIn(suite, a, one.leaf);
  if (root === undefined) return undefined;
  if (one.type === 'bad-sum') return root.sum === a.total ? undefined : least(root.sum, a.total);
  if (receipt === undefined || receipt.terms.sequence !== one.leaf.path.index) return undefined;
  const over = one.leaf.amount - receipt.terms.amount;
  return over > 0n && over <= a.total ? a.total - over : undefined;
}

/** The root of a charge's tree with its sum, when a leaf's path leads there. */
function rootIn(suite: Suite, { sequence, receiptRoot }: Charge, leaf: CountedLeaf): SumNode | undefined {
  if (leaf.path.count !== sequence) return undefined;
  const root = receiptRootFrom(suite, receiptLeafOf(suite, leaf.payloadHash, leaf.amount), leaf.path);
  return root !== undefined && equalBytes(root.hash, receiptRoot) ? root : undefined;
}

/**
 * The name of what is proven: the same for the same contradicting statements, in whatever order, batch or path they
 * are presented.
 */
export function evidenceId(suite: Suite, network: string, opened: OpenedEvidence): Hash {
  const said = [...opened.charges, ...(opened.receipt === undefined ? [] : [opened.receipt])];
  const hashes = said.map(({ message }) => suite.sha256(message.payload)).sort(compareBytes);
  return domainHash(suite, network, 'evidence-id', ...hashes);
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
