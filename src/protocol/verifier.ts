/**
 * The standalone verifier: `scripts/build-verifier.mjs` makes one file of it that runs in a browser and in plain
 * Node, with nothing else of Sahara installed.
 */
import { explainBill, explainReceipt } from './explain.ts';
import { portableSuite } from './suite-portable.ts';
import { type BundleExpectation, type BundleVerdict, verifyBundle } from './verify-bundle.ts';

/** Verifies the evidence bundle in `file`. Never throws for what a file holds. */
export function verify(file: Uint8Array, expected: BundleExpectation = {}): BundleVerdict {
  return verifyBundle(portableSuite, file, expected);
}

/** The arithmetic of a verified bundle's receipt, line by line, and what the calls below it cost. */
export function explain(verdict: BundleVerdict): readonly string[] {
  const { summary } = verdict;
  return summary === undefined ? [] : [...explainReceipt(summary.receipt), ...explainBill(summary.bill)];
}
