import { budgetVectors } from './budget.ts';
import { bundleVectors } from './bundle.ts';
import { consensusVectors } from './consensus.ts';
import { contentVectors } from './content.ts';
import { ed25519Vectors } from './ed25519.ts';
import { encodingVectors, recordVectors } from './encoding.ts';
import { certificateVectors, envelopeVectors } from './envelope.ts';
import { vectorText } from './file.ts';
import { offerVectors } from './offer.ts';
import { onceVectors } from './once.ts';
import { endingVectors, voucherVectors } from './payment.ts';
import { replayVectors } from './replay.ts';
import { sealVectors } from './seal.ts';
import { identityVectors, signingVectors } from './signing.ts';
import { merkleVectors, receiptTreeVectors } from './trees.ts';
import { workVectors } from './work.ts';

/** Each file of vectors by its name. The same text every time. */
export function vectorFiles(): ReadonlyMap<string, string> {
  return new Map([
    ['encoding.json', vectorText(encodingVectors())],
    ['records.json', vectorText(recordVectors())],
    ['ed25519.json', vectorText(ed25519Vectors())],
    ['identity.json', vectorText(identityVectors())],
    ['signing.json', vectorText(signingVectors())],
    ['envelope.json', vectorText(envelopeVectors())],
    ['certificate.json', vectorText(certificateVectors())],
    ['merkle.json', vectorText(merkleVectors())],
    ['receipt-tree.json', vectorText(receiptTreeVectors())],
    ['consensus.json', vectorText(consensusVectors())],
    ['content.json', vectorText(contentVectors())],
    ['budget.json', vectorText(budgetVectors())],
    ['bundle.json', vectorText(bundleVectors())],
    ['once.json', vectorText(onceVectors())],
    ['seal.json', vectorText(sealVectors())],
    ['offer.json', vectorText(offerVectors())],
    ['voucher.json', vectorText(voucherVectors())],
    ['ending.json', vectorText(endingVectors())],
    ['replay.json', vectorText(replayVectors())],
    ['work.json', vectorText(workVectors())],
  ]);
}
