/** Checks of how a call was settled: a signed block holds a claim that counts the receipt and pays its earners. */
import { equalBytes, toHex } from '../base/bytes.ts';
import type { ClaimBody } from './actions-channel.ts';
import { type BlockHeader, type Genesis, transactionResult } from './block.ts';
import type { Settlement } from './bundle.ts';
import type { Card } from './card.ts';
import { type NamedBlock, type OpenedHeader, openCertified } from './certified-header.ts';
import { must, mustMatch, refuse } from './evidence.ts';
import type { KeyedSuite } from './key-evidence.ts';
import { CLAIM_ASSETS_MAX } from './limits.ts';
import { type MerklePath, merkleRootFrom } from './merkle.ts';
import { paymentFault } from './once.ts';
import {
  type AssetAmount,
  attributionRoot,
  type Charge,
  charge,
  isSortedAttribution,
  type Receipt,
  type Voucher,
  voucher,
} from './payment.ts';
import { receiptLeaf, receiptRootFrom } from './receipt-tree.ts';
import { checkSigned, signed } from './signing.ts';
import { claimsOf, type Transaction, transaction } from './transaction.ts';
import { checkVoucherSigned } from './verify-voucher.ts';

/** What a settlement is checked against. */
export interface SettlementContext {
  readonly suite: KeyedSuite;
  readonly network: string;
  readonly genesis: Genesis;
  /** A block of consensus by way of which the proof has to come, where one is named. */
  readonly through?: NamedBlock | undefined;
  readonly card: Card;
  readonly receipt: Receipt;
  /** The receipt as it was signed. */
  readonly receiptPayload: Uint8Array;
}

/** The header, when it is certified. Throws `malformed` or `bundle-invalid`. */
export function readHeader(settlement: Settlement, context: SettlementContext): OpenedHeader {
  const { network, genesis, through } = context;
  // The sequencer's key is the genesis' for ever, and validators' keys are no DIDs.
  const { plain } = context.suite;
  return openCertified(plain, { network, sequencer: genesis.sequencer, through }, settlement.header);
}

/** Checks that transaction and result stand at the same place of the block, and that it took effect. */
export function checkInclusion(
  settlement: Settlement,
  header: BlockHeader,
  context: SettlementContext,
): Transaction {
  const { transactionPath, resultPath } = settlement;
  const leads = (leaf: Uint8Array, path: MerklePath, root: Uint8Array): boolean => {
    const found = merkleRootFrom(context.suite, leaf, path);
    return found !== undefined && equalBytes(found, root);
  };
  const sent = settlement.transaction;
  must(
    leads(signed.encode(sent), transactionPath, header.transactionsRoot),
    'the transaction is not in the block',
  );
  must(
    leads(transactionResult.encode(settlement.result), resultPath, header.resultsRoot),
    'the result is not in the block',
  );
  const samePlace = transactionPath.index === resultPath.index && transactionPath.count === resultPath.count;
  must(samePlace, 'the result is of another transaction');
  must(settlement.result.code === 0, `the ledger refused the transaction (${settlement.result.code})`);
  const read = transaction.decode(sent.payload);
  must(read.network === context.network, 'the transaction is of another network');
  const fault = checkSigned(context.suite, context.network, 'transaction', read.sender, sent);
  if (fault) refuse("the transaction's signature does not match");
  return read;
}

/** Checks that a transaction paid this call alone, and nothing else is shown of it. */
export function checkPaidOnce(settlement: Settlement, sent: Transaction, context: SettlementContext): void {
  const { card, receipt, suite } = context;
  must(settlement.receiptPath === undefined, 'a payment of one call is in no charge');
  const fault = paymentFault(suite, sent, { callId: receipt.callId, payer: receipt.payer, card });
  if (fault !== undefined) refuse(fault);
}

/** A claim with its records read. */
export interface Claim {
  readonly voucher: Voucher;
  readonly charge: Charge;
  readonly attribution: readonly AssetAmount[];
}

/** The claim in a transaction, when it is for the receipt's channel and lane and signed by both sides. */
export function readClaim(sent: Transaction, context: SettlementContext): Claim {
  const { receipt, network, suite } = context;
  const body = claimFor(sent, receipt) ?? refuse('the transaction claims nothing');
  const promised = voucher.decode(body.voucher.payload);
  const charged = charge.decode(body.charge.payload);
  mustMatch(body.channel, receipt.channel, 'the claim is for another channel');
  for (const side of [promised, charged]) {
    must(side.network === network, 'the claim is of another network');
    mustMatch(side.channel, receipt.channel, 'the claim is for another channel');
    must(side.lane === receipt.lane, 'the claim is for another lane');
  }
  const parties = { channel: body.channel, payer: receipt.payer, payee: receipt.payee };
  const voucherFault = checkVoucherSigned(suite, network, parties, body.voucher);
  if (voucherFault === 'key-over') refuse('the claimed voucher is signed by a key that was replaced');
  if (voucherFault) refuse("the claimed voucher's signature does not match");
  const chargeFault = checkSigned(suite, network, 'charge', receipt.payee, body.charge);
  if (chargeFault) refuse("the claimed charge's signature does not match");
  must(promised.ceiling >= charged.total, 'the claimed voucher does not cover the charge');
  return { voucher: promised, charge: charged, attribution: body.attribution };
}

/** Of the claims in a transaction the one that counts the receipt with the fewest others, or else the first. */
function claimFor({ action }: Transaction, receipt: Receipt): ClaimBody | undefined {
  const [first, ...more] = claimsOf(action);
  if (more.length === 0) return first;
  let found: ClaimBody | undefined;
  let fewest = Number.POSITIVE_INFINITY;
  for (const body of claimsOf(action)) {
    const { channel, lane, sequence } = charge.decode(body.charge.payload);
    const same =
      receipt.channel !== undefined && equalBytes(channel, receipt.channel) && lane === receipt.lane;
    if (!same || sequence <= receipt.sequence || sequence >= fewest) continue;
    found = body;
    fewest = sequence;
  }
  return found ?? first;
}

/** Checks that the receipt is one of those that the claimed charge counts. */
export function checkReceiptInClaim(settlement: Settlement, claim: Claim, context: SettlementContext): void {
  const { receipt, suite } = context;
  const path = settlement.receiptPath;
  must(path !== undefined, 'the path to the charge is missing');
  must(path.index === receipt.sequence, 'the path is of another receipt');
  must(path.count === claim.charge.sequence, 'the path is of another charge');
  const leaf = receiptLeaf(suite, context.receiptPayload, receipt.amount);
  const root = receiptRootFrom(suite, leaf, path);
  must(
    root !== undefined && equalBytes(root.hash, claim.charge.receiptRoot),
    'the receipt is not in the charge',
  );
  must(root.sum === claim.charge.total, 'the charge is not the sum of its receipts');
}

/** Checks that the claim pays every earner of the receipt at least what the receipt gives it. */
export function checkSplit(claim: Claim, context: SettlementContext): void {
  const { attribution } = claim;
  must(isSortedAttribution(attribution), 'the claimed amounts are not sorted by asset');
  mustMatch(
    attributionRoot(context.suite, attribution),
    claim.charge.attributionRoot,
    'the claimed amounts are not those of the charge',
  );
  const total = attribution.reduce((sum, entry) => sum + entry.amount, 0n);
  must(total === claim.charge.total, `the claimed amounts sum to ${total} of ${claim.charge.total}`);
  const owed = new Map<string, bigint>();
  for (const { asset, amount } of context.receipt.shares) {
    owed.set(toHex(asset), (owed.get(toHex(asset)) ?? 0n) + amount);
  }
  const paid = new Map(attribution.map(({ asset, amount }) => [toHex(asset), amount]));
  let folded = 0n;
  for (const [asset, amount] of owed) {
    const lacking = amount - (paid.get(asset) ?? 0n);
    if (lacking <= 0n) continue;
    // A full claim folds what does not fit into the agent's own asset.
    must(attribution.length === CLAIM_ASSETS_MAX, `asset ${asset} is not paid its part`);
    folded += lacking;
  }
  const own = toHex(context.card.asset);
  const spare = (paid.get(own) ?? 0n) - (owed.get(own) ?? 0n);
  must(folded === 0n || spare >= folded, 'the agent’s asset does not hold what was folded into it');
}
