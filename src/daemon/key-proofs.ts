/** Proves which keys signed for the parties of a call, so that its evidence holds offline after they rotated. */
import { equalBytes, toHex } from '../base/bytes.ts';
import { asSaharaError } from '../base/errors.ts';
import { identityKey } from '../ledger/identities.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { headerIn } from '../protocol/block.ts';
import type { Bundle } from '../protocol/bundle.ts';
import { card } from '../protocol/card.ts';
import { envelope } from '../protocol/envelope.ts';
import { identityRecord } from '../protocol/identity.ts';
import type { PublicKey } from '../protocol/ids.ts';
import type { KeyEvidence } from '../protocol/key-evidence.ts';
import { KEY_EVIDENCE_DIDS_MAX } from '../protocol/limits.ts';
import { receipt } from '../protocol/payment.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import { readAnswer } from '../protocol/verify-answer.ts';

type ProvingLedger = Pick<Ledger, 'identity' | 'stateProof' | 'blocks' | 'head'>;

/**
 * The keys of those of `dids` whose present key is not their first, at the ledger's head; `undefined` when that is
 * nobody, or when this ledger cannot prove it.
 */
export async function proveKeys(
  ledger: ProvingLedger,
  dids: readonly PublicKey[],
): Promise<KeyEvidence | undefined> {
  try {
    const rotated = dids.filter((did) => {
      const known = ledger.identity(did);
      return known !== undefined && !equalBytes(known.key, did);
    });
    if (rotated.length === 0) return undefined;
    // All in one turn, so that the proofs are of this very height.
    const { height } = ledger.head();
    const identities = rotated.slice(0, KEY_EVIDENCE_DIDS_MAX).flatMap((did) => {
      const { value, proof } = ledger.stateProof(identityKey(did));
      return value === undefined ? [] : [{ did, record: identityRecord.decode(value), proof }];
    });
    const [wire] = await ledger.blocks(height);
    return wire && { header: headerIn(wire), identities };
  } catch (error) {
    const { code } = asSaharaError(error);
    if (code === 'ledger-light' || code === 'state-unproven') return undefined;
    throw error;
  }
}

/** Everybody whose signature stands in the evidence of a call, each once. */
export function partiesOf(
  evidence: Pick<Bundle, 'card' | 'opening' | 'ending' | 'deliveries'>,
): readonly PublicKey[] {
  const { agent, operator } = card.decode(evidence.card.payload);
  const { callId, payer, payee } = receipt.decode(evidence.ending.receipt.payload);
  const parties = [operator, payer, payee, agent];
  for (const above of evidence.opening.parents) parties.push(envelope.decode(above.envelope.payload).from);
  const { children } = readAnswer(nativeSuite, callId, evidence.deliveries);
  for (const child of children) {
    const below = receipt.decode(child.receipt.payload);
    parties.push(below.payee, below.payer, below.agent);
  }
  return [...new Map(parties.map((did) => [toHex(did), did])).values()];
}
