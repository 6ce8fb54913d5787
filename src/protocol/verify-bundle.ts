/**
 * Verifies an evidence bundle: pure, without a clock, a network or a disk, in Node and in a browser alike. The
 * checks run in a fixed order and stop at the first that fails; what passed before it is still reported.
 */
import { formatAmount } from '../base/amount.ts';
import { toHex } from '../base/bytes.ts';
import { type BilledCall, verifyTree } from './bill.ts';
import { type Genesis, genesis, networkOf } from './block.ts';
import { verifyParents } from './budget.ts';
import { type Bundle, readBundle, type Settlement } from './bundle.ts';
import { type BundleSummary, summaryOf } from './bundle-summary.ts';
import { callRequest } from './call.ts';
import { type Card, card } from './card.ts';
import { certificateChain, verifyChain } from './certificate.ts';
import { certifiedBy } from './certified-header.ts';
import { type Envelope, envelope, openEnvelope } from './envelope.ts';
import { must, mustMatch, refuse } from './evidence.ts';
import { counted } from './explain.ts';
import { didOf, type PublicKey } from './ids.ts';
import {
  type FormerKey,
  type KeyEvidence,
  type KeyedSuite,
  type KnownKeys,
  keyedSuite,
  OWN_KEYS,
  openKeysAtHeights,
} from './key-evidence.ts';
import { modelMadeDigest } from './model-made.ts';
import { isOnce, ONCE_EXTENSION, onceFault } from './once.ts';
import { charge, type Receipt, receipt, voucher } from './payment.ts';
import { checkSigned, type Signed, signed, signedBytes } from './signing.ts';
import type { Suite } from './suite.ts';
import { transactionId } from './transaction.ts';
import { type Expectation, judge, type RunCheck, type Verdict } from './verdict.ts';
import { type Answer, checkCitations, readAnswer } from './verify-answer.ts';
import { checkCheckpoints } from './verify-checkpoints.ts';
import { checkOffer } from './verify-offer.ts';
import {
  checkAmount,
  checkCharge,
  checkDelivered,
  checkReceiptFields,
  checkShares,
  checkVoucher,
  type ReceiptContext,
} from './verify-receipt.ts';
import {
  checkInclusion,
  checkPaidOnce,
  checkReceiptInClaim,
  checkSplit,
  readClaim,
  readHeader,
  type SettlementContext,
} from './verify-settlement.ts';
import { checkVoucherSigned } from './verify-voucher.ts';

/**
 * The checks, in the order in which they run. `keys` needs key evidence, those from `block` on a settlement: `paid` one
 * by a transaction that paid this call alone, the last three one by a claim.
 */
export type BundleCheck =
  | 'bundle'
  | 'network'
  | 'keys'
  | 'card'
  | 'certificate'
  | 'question'
  | 'answer'
  | 'citations'
  | 'receipt'
  | 'delivery'
  | 'calls'
  | 'amount'
  | 'shares'
  | 'checkpoints'
  | 'payment'
  | 'block'
  | 'inclusion'
  | 'paid'
  | 'claim'
  | 'counted'
  | 'split';

/** The verdict on a bundle. */
export type BundleVerdict = Verdict<BundleCheck, BundleSummary>;

/** Verifies the bundle in `file`. Never throws for what a file holds. */
export function verifyBundle(suite: Suite, file: Uint8Array, expected: Expectation = {}): BundleVerdict {
  return judge<BundleCheck, BundleSummary>('bundle', (run) => runChecks({ suite, run, expected }, file));
}

interface Work {
  readonly suite: Suite;
  readonly run: RunCheck<BundleCheck>;
  readonly expected: Expectation;
}

function runChecks(work: Work, file: Uint8Array): BundleSummary {
  const { run } = work;
  const evidence = run('bundle', () => [readBundle(file), `${file.length} bytes`]);
  const network = run('network', () => networkStep(work, evidence));
  const { keys } = evidence;
  const known = keys === undefined ? OWN_KEYS : run('keys', () => keysStep(work, evidence, keys));
  const suite = keyedSuite(work.suite, known);
  const agent = run('card', () => cardStep(suite, network, evidence.card));
  run('certificate', () => certificateStep(suite, evidence, agent, network));
  const context = run('question', () => questionStep(suite, network, evidence, agent));
  const answer = run('answer', () => {
    const read = readAnswer(suite, context.envelope.id, evidence.deliveries);
    return [
      read,
      `${counted(read.sources.length, 'source')}, ${counted(evidence.deliveries.length, 'frame')}`,
    ];
  });
  run('citations', () => {
    checkCitations(answer);
    return [undefined, `${counted(answer.citations.length, 'citation')}, word for word in the sources`];
  });
  const final = run('receipt', () => receiptStep(suite, context, evidence.ending.receipt));
  run('delivery', () => {
    checkDelivered(final, answer, evidence.deliveries.length);
    return [undefined, `the receipt covers ${counted(final.deliveries, 'frame')}, all that came`];
  });
  const bill = run('calls', () => callsStep(suite, context, final, answer));
  run('amount', () => {
    checkAmount(final, answer, context);
    return [undefined, `${formatAmount(final.amount)} for ${final.inputUnits} + ${final.outputUnits} units`];
  });
  run('shares', () => {
    checkShares(suite, final, answer, agent);
    return [undefined, `${counted(final.shares.length, 'share')}, summing to the amount`];
  });
  run('checkpoints', () => checkpointStep(suite, evidence, final));
  run('payment', () =>
    isOnce(context.envelope)
      ? oncePaymentStep(context, evidence)
      : paymentStep(suite, network, evidence, final),
  );
  const settlement = settlementSteps(work, evidence, { suite, network, card: agent, receipt: final });
  return summaryOf({ context, answer, receipt: final, bill, settlement });
}

function networkStep(work: Work, evidence: Bundle): readonly [string, string] {
  const network = networkOf(work.suite, evidence.genesis);
  const { network: wanted = network } = work.expected;
  must(network === wanted, `it is of ${network}, not of ${wanted}`);
  return [network, network];
}

function envelopeOf(evidence: Bundle): Envelope {
  return envelope.decode(evidence.opening.envelope.payload);
}

function cardStep(suite: KeyedSuite, network: string, message: Signed): readonly [Card, string] {
  const read = card.decode(message.payload);
  must(read.version === 1, 'the card is of another version');
  must(read.network === network, 'the card is of another network');
  const { made, digest } = read.model;
  if (made !== undefined) mustMatch(digest, modelMadeDigest(suite, made), 'the model is not made as it says');
  signedBy({ suite, network, type: 'card' }, read.agent, message);
  return [read, `signed by agent ${read.name}`];
}

function certificateStep(
  suite: Suite,
  evidence: Bundle,
  agent: Card,
  network: string,
): readonly [undefined, string] {
  // The certificate counts at the time of the call, and the only clock in a bundle that the payer signed is this.
  const links = certificateChain.decode(agent.operatorCertificate);
  verifyChain(suite, links, {
    network,
    root: agent.operator,
    subject: { kind: 'key', id: agent.agent },
    capability: `serve:agent/${didOf(agent.agent)}`,
    nowMs: envelopeOf(evidence).issuedAtMs,
  });
  return [undefined, `operator ${didOf(agent.operator)} vouches for the agent`];
}

function questionStep(
  suite: KeyedSuite,
  network: string,
  evidence: Bundle,
  agent: Card,
): readonly [ReceiptContext, string] {
  const { envelope: message, request } = evidence.opening;
  const opened = openEnvelope(suite, message, request, {
    network,
    to: { kind: 'agent', name: agent.agent },
    bodyType: 'call',
    nowMs: envelopeOf(evidence).issuedAtMs,
    critical: [ONCE_EXTENSION],
  });
  signedBy({ suite, network, type: 'call' }, opened.from, message);
  const read = callRequest.decode(request);
  verifyParents(suite, network, { envelope: opened, request: read, parents: evidence.opening.parents });
  const cardHash = suite.sha256(signed.encode(evidence.card));
  mustMatch(read.cardHash, cardHash, 'the question was asked under another card');
  const requestHash = suite.sha256(request);
  const asked = { network, envelope: opened, request: read, requestHash, card: agent, cardHash };
  const { offer: offered } = evidence.opening;
  const context = { ...asked, offer: offered && checkOffer(suite, asked, offered) };
  return [context, `signed by ${didOf(opened.from)}${offered ? ', at the price of an offer' : ''}`];
}

function receiptStep(
  suite: KeyedSuite,
  context: ReceiptContext,
  message: Signed,
): readonly [Receipt, string] {
  const read = receipt.decode(message.payload);
  signedBy({ suite, network: context.network, type: 'receipt' }, context.card.agent, message);
  checkReceiptFields(read, context);
  return [read, `signed by the agent; the call ended: ${read.finish}`];
}

function checkpointStep(suite: KeyedSuite, evidence: Bundle, final: Receipt): readonly [undefined, string] {
  for (const message of evidence.checkpoints) {
    signedBy({ suite, network: final.network, type: 'checkpoint' }, final.agent, message);
  }
  checkCheckpoints(suite, final, evidence);
  const { length } = evidence.checkpoints;
  return [
    undefined,
    length === 0 ? 'none' : `${counted(length, 'checkpoint')}, each a beginning of the whole`,
  ];
}

function callsStep(
  suite: Suite,
  { envelope: top }: ReceiptContext,
  final: Receipt,
  answer: Answer,
): readonly [BilledCall, string] {
  const bill = verifyTree(suite, { envelope: top, receipt: final }, answer.children);
  const { length } = answer.children;
  return [
    bill,
    length === 0 ? 'none below' : `${counted(length, 'call')} below: ${formatAmount(bill.below)}`,
  ];
}

function paymentStep(
  suite: KeyedSuite,
  network: string,
  evidence: Bundle,
  final: Receipt,
): readonly [undefined, string] {
  const promised = evidence.voucher ?? evidence.opening.voucher;
  const { charge: charged } = evidence.ending;
  if (final.channel === undefined) {
    must(promised === undefined && charged === undefined, 'a free call with a voucher or charge');
    return [undefined, 'a free call'];
  }
  if (!promised || !charged) return refuse('a paid call without its voucher or charge');
  const channel = { channel: final.channel, payer: final.payer, payee: final.payee };
  const fault = checkVoucherSigned(suite, network, channel, promised);
  if (fault === 'key-over') refuse('the voucher is signed by a key of the channel that was replaced');
  if (fault !== undefined) signedBy({ suite, network, type: 'voucher' }, final.payer, promised);
  checkVoucher(voucher.decode(promised.payload), final, network);
  signedBy({ suite, network, type: 'charge' }, final.payee, charged);
  checkCharge(charge.decode(charged.payload), final, network);
  const own = checkSigned(suite, network, 'voucher', final.payer, promised) === undefined;
  const by = own ? 'the payer' : 'the key that the ledger has for it';
  return [undefined, `voucher signed by ${by}, charge signed by the payee`];
}

/** One transaction pays the call, which has to be there: nothing else says that the payee got its money. */
function oncePaymentStep(
  { card: agent, envelope: opened }: ReceiptContext,
  evidence: Bundle,
): readonly [undefined, string] {
  const { opening, ending, voucher: topUp, settlement } = evidence;
  const fault = onceFault({ card: agent, offered: opening.offer !== undefined, context: opened.context });
  must(fault === undefined, `one transaction cannot pay it: ${fault}`);
  const promised = topUp ?? opening.voucher ?? ending.charge;
  must(promised === undefined, 'a call that one transaction pays with a voucher or charge');
  must(settlement !== undefined, 'the transaction that paid it is missing');
  return [undefined, 'one transaction, which the payer made for it'];
}

function settlementSteps(
  { suite: plain, run, expected }: Work,
  evidence: Bundle,
  known: Pick<SettlementContext, 'suite' | 'network' | 'card' | 'receipt'>,
): BundleSummary['settlement'] {
  const settled: Settlement | undefined = evidence.settlement;
  if (settled === undefined) return undefined;
  const start: Genesis = genesis.decode(evidence.genesis);
  const receiptPayload = evidence.ending.receipt.payload;
  const { through } = expected;
  const context: SettlementContext = { genesis: start, through, receiptPayload, ...known };
  const once = isOnce(envelopeOf(evidence));
  const { header, decided } = run('block', () => {
    must(once || known.receipt.channel !== undefined, 'a free call is not settled');
    const read = readHeader(settled, context);
    return [read, `block ${read.header.height}, ${certifiedBy(read)}`];
  });
  const sent = run('inclusion', () => [
    checkInclusion(settled, header, context),
    `transaction ${settled.transactionPath.index + 1} of ${settled.transactionPath.count} in the block took effect`,
  ]);
  const found = {
    height: header.height,
    timeMs: header.timeMs,
    decision: decided?.decision,
    transaction: toHex(transactionId(plain, known.network, settled.transaction.payload)),
  };
  if (once) {
    run('paid', () => {
      checkPaidOnce(settled, sent, context);
      return [undefined, `it paid ${formatAmount(known.receipt.amount)} to the agent’s asset, for this call`];
    });
    return { ...found, by: 'payment', chargeTotal: known.receipt.amount };
  }
  const claim = run('claim', () => {
    const read = readClaim(sent, context);
    return [read, `voucher and charge claim ${formatAmount(read.charge.total)}`];
  });
  run('counted', () => {
    checkReceiptInClaim(settled, claim, context);
    return [undefined, `receipt ${known.receipt.sequence + 1} of the ${claim.charge.sequence} in the charge`];
  });
  run('split', () => {
    checkSplit(claim, context);
    return [undefined, `the claim pays ${counted(claim.attribution.length, 'asset')}, every earner its part`];
  });
  return { ...found, by: 'claim', chargeTotal: claim.charge.total };
}

function keysStep(
  { suite, expected }: Work,
  evidence: Bundle,
  keys: readonly KeyEvidence[],
): readonly [KnownKeys, string] {
  const network = networkOf(suite, evidence.genesis);
  const { sequencer } = genesis.decode(evidence.genesis);
  const known = openKeysAtHeights(suite, keys, { network, sequencer, through: expected.through });
  const channels = new Set(keys.flatMap((one) => (one.channels ?? []).map(({ channel }) => toHex(channel))));
  const whose = `those of ${counted(known.count, 'DID')}${channels.size > 0 ? ` and ${counted(channels.size, 'channel')}` : ''}`;
  return [
    known,
    `${whose} at ${keys.length > 1 ? `${keys.length} blocks up to ${known.height}` : `block ${known.height}`}`,
  ];
}

function signedBy(
  where: { readonly suite: KeyedSuite; readonly network: string; readonly type: string },
  key: PublicKey,
  message: Signed,
): void {
  const { suite, network, type } = where;
  const fault = checkSigned(suite, network, type, key, message);
  const what = type === 'call' ? 'question' : type;
  if (fault === 'signature-missing') refuse(`the ${what} is not signed`);
  if (fault === undefined) return;
  const former = suite.formerSigner(key, signedBytes(suite, network, type, message), message.signature);
  if (former !== undefined) refuse(`the ${what} is signed by a key that was ${retired(former)}`);
  refuse(`the ${what}'s signature does not match`);
}

function retired({ retiredAt }: FormerKey): string {
  return retiredAt === undefined
    ? 'replaced long before'
    : `retired at block ${retiredAt} and counts no more`;
}
