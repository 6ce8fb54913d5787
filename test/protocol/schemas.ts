/** Every record that the protocol's modules declare, found through those that stand alone. */
import { collectPath } from '../../src/protocol/actions-asset.ts';
import { recoveryRequest } from '../../src/protocol/actions-identity.ts';
import { audit, auditSubject } from '../../src/protocol/audit.ts';
import { block, blockHeader, genesis, transactionResult } from '../../src/protocol/block.ts';
import { bundle } from '../../src/protocol/bundle.ts';
import { callEnding, callOpening, callRequest, delta, progress, source } from '../../src/protocol/call.ts';
import { advert, card, priceSchedule } from '../../src/protocol/card.ts';
import { certificate, certificateChain } from '../../src/protocol/certificate.ts';
import { certifiedHeader, twoCertified } from '../../src/protocol/certified-header.ts';
import {
  callChild,
  callResume,
  callVoucher,
  checkpoint,
  resumeRequest,
} from '../../src/protocol/checkpoint.ts';
import { consensusBlock, consensusProof, firstValidators } from '../../src/protocol/consensus.ts';
import { chunkProof, contentProof } from '../../src/protocol/content.ts';
import { envelope } from '../../src/protocol/envelope.ts';
import { evidence } from '../../src/protocol/evidence-channel.ts';
import { failureSchema } from '../../src/protocol/failure.ts';
import { identityRecord, recoveryPolicy } from '../../src/protocol/identity.ts';
import { keyEvidence } from '../../src/protocol/key-evidence.ts';
import { licenceTerms } from '../../src/protocol/licence.ts';
import { merklePath } from '../../src/protocol/merkle.ts';
import { observation } from '../../src/protocol/observation.ts';
import { offer, offerRequest } from '../../src/protocol/offer.ts';
import { callPayment } from '../../src/protocol/once.ts';
import { attribution, charge, receipt, release, voucher } from '../../src/protocol/payment.ts';
import { paymentAnswer, paymentQuery } from '../../src/protocol/payment-query.ts';
import { probe, probeAnswer } from '../../src/protocol/probe.ts';
import { receiptPath, receiptTree } from '../../src/protocol/receipt-tree.ts';
import type { Schema } from '../../src/protocol/schema.ts';
import { callQuestion, callSealed, callVia } from '../../src/protocol/sealed-message.ts';
import { signed } from '../../src/protocol/signing.ts';
import { standingAnswer, standingQuestion, standingRequest } from '../../src/protocol/standing.ts';
import { stateProof } from '../../src/protocol/state-proof.ts';
import { action, commitment, transaction } from '../../src/protocol/transaction.ts';
import { watchAnswer, watchRequest } from '../../src/protocol/watchtower.ts';

/** The schemas that modules export, in the order in which `spec/records.md` shows them. */
export const SCHEMAS: readonly Schema<unknown>[] = [
  signed,
  envelope,
  identityRecord,
  recoveryPolicy,
  recoveryRequest,
  certificate,
  certificateChain,
  card,
  priceSchedule,
  advert,
  offerRequest,
  offer,
  observation,
  probe,
  probeAnswer,
  callRequest,
  callOpening,
  source,
  delta,
  progress,
  callEnding,
  checkpoint,
  callVoucher,
  callPayment,
  callResume,
  resumeRequest,
  callChild,
  callSealed,
  callVia,
  callQuestion,
  voucher,
  charge,
  release,
  attribution,
  receipt,
  paymentQuery,
  paymentAnswer,
  watchRequest,
  watchAnswer,
  standingRequest,
  standingQuestion,
  standingAnswer,
  receiptTree,
  receiptPath,
  merklePath,
  stateProof,
  keyEvidence,
  genesis,
  blockHeader,
  certifiedHeader,
  twoCertified,
  consensusProof,
  firstValidators,
  consensusBlock,
  block,
  transactionResult,
  transaction,
  action,
  collectPath,
  evidence,
  commitment,
  contentProof,
  chunkProof,
  licenceTerms,
  failureSchema,
  bundle,
  audit,
  auditSubject,
];
