/** Proves which keys signed for the parties of a call, so that its evidence holds offline after they rotated. */
import { equalBytes, toHex } from '../base/bytes.ts';
import { asSaharaError } from '../base/errors.ts';
import { keyEvidenceOf } from '../ledger/key-evidence.ts';
import type { Bundle } from '../protocol/bundle.ts';
import { card } from '../protocol/card.ts';
import { certificate, certificateChain } from '../protocol/certificate.ts';
import { envelope } from '../protocol/envelope.ts';
import type { PublicKey } from '../protocol/ids.ts';
import type { KeyEvidence } from '../protocol/key-evidence.ts';
import { receipt } from '../protocol/payment.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import { transaction } from '../protocol/transaction.ts';
import { readAnswer } from '../protocol/verify-answer.ts';
import type { Core } from './core.ts';

/** What keys are proved with. */
export type KeyProofParts = Pick<Core, 'ledger' | 'trust'>;

/**
 * The keys of those of `dids` whose present key is not their first; `undefined` when that is nobody, or when nobody
 * proves it now.
 */
export async function proveKeys(
  { ledger, trust }: KeyProofParts,
  dids: readonly PublicKey[],
): Promise<readonly [KeyEvidence] | undefined> {
  try {
    // Where keys have to be asked for, one that is not known yet would look like one that never changed.
    await Promise.all(dids.map((did) => trust.ready?.(did)));
    const rotated = dids.filter((did) => {
      const [key = did] = trust.signersOf(did, 'receipt') ?? [];
      return !equalBytes(key, did);
    });
    const evidence = await keyEvidenceOf(ledger, rotated);
    return evidence && [evidence];
  } catch (error) {
    // A call's evidence is kept all the same; it proves less.
    if (asSaharaError(error).code === 'state-unproven') return undefined;
    throw error;
  }
}

/** Everybody whose signature stands in the evidence of a call and of its settlement, each once. */
export function partiesOf(
  evidence: Pick<Bundle, 'card' | 'opening' | 'ending' | 'deliveries'> & Partial<Pick<Bundle, 'settlement'>>,
): readonly PublicKey[] {
  const { agent, operator, operatorCertificate } = card.decode(evidence.card.payload);
  const { callId, payer, payee } = receipt.decode(evidence.ending.receipt.payload);
  const parties = [operator, payer, payee, agent, ...issuersOf(operatorCertificate)];
  for (const above of evidence.opening.parents) {
    parties.push(envelope.decode(above.envelope.payload).from, ...issuersOf(above.certificate));
  }
  const { children } = readAnswer(nativeSuite, callId, evidence.deliveries);
  for (const child of children) {
    const below = receipt.decode(child.receipt.payload);
    parties.push(below.payee, below.payer, below.agent);
  }
  const { settlement } = evidence;
  // Anybody may send a claim.
  if (settlement !== undefined) parties.push(transaction.decode(settlement.transaction.payload).sender);
  return [...new Map(parties.map((did) => [toHex(did), did])).values()];
}

/** Who signed the links of a chain. */
function issuersOf(chain: Uint8Array): readonly PublicKey[] {
  return certificateChain.decode(chain).map(({ payload }) => certificate.decode(payload).issuer);
}
