/**
 * The standalone verifier: `scripts/build-verifier.mjs` makes one file of it that runs in a browser and in plain
 * Node, with nothing else of Sahara installed.
 */
import { looksLikeAudit } from './audit.ts';
import { explainBill, explainReceipt } from './explain.ts';
import { portableSuite } from './suite-portable.ts';
import type { Expectation } from './verdict.ts';
import { type AuditVerdict, verifyAudit } from './verify-audit.ts';
import { type BundleVerdict, verifyBundle } from './verify-bundle.ts';

/** Verifies the evidence bundle or audit file in `file`, whichever it says that it is. Never throws for what a file holds. */
export function verify(file: Uint8Array, expected: Expectation = {}): BundleVerdict | AuditVerdict {
  return looksLikeAudit(file)
    ? verifyAudit(portableSuite, file, expected)
    : verifyBundle(portableSuite, file, expected);
}

/** The arithmetic of a verified bundle's receipt and what the calls below it cost, or what an audit proves and what not, line by line. */
export function explain(verdict: BundleVerdict | AuditVerdict): readonly string[] {
  const { summary } = verdict;
  if (summary === undefined) return [];
  if ('receipt' in summary) return [...explainReceipt(summary.receipt), ...explainBill(summary.bill)];
  return [...summary.proven, ...summary.unproven.map((line) => `Not proved: ${line}`)];
}
