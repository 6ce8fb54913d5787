/** Checks offline that a transaction is in a network's ledger. */

import { equalBytes } from '../base/bytes.ts';
import { asSaharaError } from '../base/errors.ts';
import { type BlockHeader, blockHeader, transactionResult } from '../protocol/block.ts';
import { certifiedHeader, type NetworkRoot, openCertified } from '../protocol/certified-header.ts';
import { merklePath, merkleRootFrom } from '../protocol/merkle.ts';
import { record, type Schema } from '../protocol/schema.ts';
import { signed } from '../protocol/signing.ts';
import type { Suite } from '../protocol/suite.ts';
import type { InclusionProof } from './ledger.ts';

/** The wire form of an inclusion proof. */
export const inclusionProof: Schema<InclusionProof> = record('inclusion-proof', {
  transaction: signed,
  result: transactionResult,
  transactionPath: merklePath,
  resultPath: merklePath,
  header: certifiedHeader,
});

/** What is wrong with an inclusion proof; `header-signature`: nobody who counts stands behind its block. */
export type InclusionFault = 'header-signature' | 'header-network' | 'transaction-path' | 'result-path';

/** The header that a proof leads to, or what is wrong with the proof. `malformed` when the header is no header. */
export function checkInclusion(
  suite: Suite,
  root: NetworkRoot,
  proof: InclusionProof,
): BlockHeader | InclusionFault {
  const header = blockHeader.decode(proof.header.payload);
  if (header.network !== root.network) return 'header-network';
  try {
    openCertified(suite, root, proof.header);
  } catch (error) {
    if (asSaharaError(error).code !== 'bundle-invalid') throw error;
    return 'header-signature';
  }
  return checkPaths(suite, header, proof) ?? header;
}

/** What is wrong with the paths of a proof under a header that is believed, if anything. */
export function checkPaths(
  suite: Suite,
  header: BlockHeader,
  proof: InclusionProof,
): 'transaction-path' | 'result-path' | undefined {
  const transactionRoot = merkleRootFrom(suite, signed.encode(proof.transaction), proof.transactionPath);
  if (!transactionRoot || !equalBytes(transactionRoot, header.transactionsRoot)) return 'transaction-path';
  const resultRoot = merkleRootFrom(suite, transactionResult.encode(proof.result), proof.resultPath);
  const samePlace =
    proof.resultPath.index === proof.transactionPath.index &&
    proof.resultPath.count === proof.transactionPath.count;
  return !resultRoot || !samePlace || !equalBytes(resultRoot, header.resultsRoot) ? 'result-path' : undefined;
}
