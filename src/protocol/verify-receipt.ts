/** Checks of a receipt against what was asked, published and delivered, and of its arithmetic. */
import { equalBytes, toHex } from '../base/bytes.ts';
import type { CallRequest } from './call.ts';
import type { Card } from './card.ts';
import { type Envelope, envelope as envelopeSchema } from './envelope.ts';
import { must, mustMatch } from './evidence.ts';
import type { Hash } from './ids.ts';
import { PPM } from './limits.ts';
import type { Offer } from './offer.ts';
import { areOnceShares, isOnce } from './once.ts';
import {
  type Charge,
  callsAsset,
  chargeOf,
  costOf,
  type Receipt,
  type ReceiptShare,
  receipt as receiptSchema,
  type Voucher,
} from './payment.ts';
import type { Suite } from './suite.ts';
import { countUnits, inputUnits } from './units.ts';
import type { Answer } from './verify-answer.ts';

/** What a receipt must agree with. */
export interface ReceiptContext {
  readonly network: string;
  readonly envelope: Envelope;
  readonly request: CallRequest;
  readonly requestHash: Hash;
  readonly card: Card;
  readonly cardHash: Hash;
  /** The offer that prices the call in place of its card. */
  readonly offer?: Offer | undefined;
}

/** Checks that a receipt speaks of this call. Throws `bundle-invalid`. */
export function checkReceiptFields(receipt: Receipt, context: ReceiptContext): void {
  const { envelope, request, card } = context;
  must(receipt.version === 1, 'the receipt is of another version');
  must(receipt.network === context.network, 'the receipt is of another network');
  mustMatch(receipt.callId, envelope.id, 'the receipt is of another call');
  mustMatch(receipt.agent, card.agent, 'the receipt is of another agent');
  mustMatch(receipt.payee, card.operator, 'the receipt pays another operator');
  mustMatch(receipt.payer, envelope.from, 'the receipt names another payer');
  mustMatch(receipt.requestHash, context.requestHash, 'the receipt is for another question');
  mustMatch(receipt.cardHash, context.cardHash, 'the receipt names another card');
  mustMatch(receipt.manifestHash, card.manifestHash, 'the receipt names another manifest');
  mustMatch(receipt.modelDigest, card.model.digest, 'the receipt names another model');
  must(receipt.skill === request.skill, 'the receipt names another skill');
  must(request.seed === undefined || receipt.seed === request.seed, 'the receipt names another seed');
  must(receipt.outputUnits <= request.outputUnitsMax, 'more units than were asked for');
  must(receipt.startedAtMs <= receipt.finishedAtMs, 'the receipt ends before it begins');
}

/** Checks that the receipt covers exactly these deliveries. Throws `bundle-invalid`. */
export function checkDelivered(receipt: Receipt, answer: Answer, deliveries: number): void {
  must(receipt.deliveries === deliveries, `the receipt covers ${receipt.deliveries} deliveries`);
  mustMatch(receipt.responseHash, answer.chain, 'what was delivered is not what the receipt covers');
}

/** Checks the units, which anyone can count, the price, the amount and its limit. Throws `bundle-invalid`. */
export function checkAmount(receipt: Receipt, answer: Answer, context: ReceiptContext): void {
  const asked = inputUnits(context.request);
  must(receipt.inputUnits === asked, `the question has ${asked} units`);
  const said = countUnits(answer.text);
  must(receipt.outputUnits === said, `the answer has ${said} units`);
  const { price } = context.offer ?? context.card;
  const same =
    receipt.price.perCall === price.perCall &&
    receipt.price.perInputUnit === price.perInputUnit &&
    receipt.price.perOutputUnit === price.perOutputUnit;
  must(same, `the receipt charges another price than the ${context.offer ? 'offer' : 'card'}`);
  must(receipt.expenses === expensesOf(receipt, answer), 'the receipt counts other calls than were made');
  if (isOnce(context.envelope)) checkOnceDue(receipt, context.card);
  else checkDue(receipt);
  must(receipt.amount <= context.request.priceMax, 'more than the caller allowed');
}

/** Checks that the amount is what price, units and expenses come to. Throws `bundle-invalid`. */
export function checkDue(receipt: Receipt): void {
  const { price, inputUnits: input, outputUnits: output, expenses, channel, amount } = receipt;
  if (channel === undefined) {
    must(amount === 0n, 'an amount without a channel');
    must(expenses === 0n || equalBytes(receipt.payer, receipt.payee), 'a free call that spent on others');
    return;
  }
  const due = chargeOf(price, input, output) + expenses;
  // What it paid others is due even where it asks nothing for itself.
  const mayBeFree = UNCHARGED.has(receipt.finish) || output === 0;
  must(amount === due || (mayBeFree && amount === expenses), `${due} grains are due`);
}

/** Checks what the receipt of a call says that one transaction paid: its price for a call, all of it the agent's. */
function checkOnceDue(receipt: Receipt, card: Card): void {
  const { channel, lane, sequence, amount, shares } = receipt;
  must(channel === undefined && lane === 0 && sequence === 0, 'a call without a channel has a place in one');
  const price = card.price.perCall;
  must(amount === price, `one transaction pays ${price} grains, the receipt says ${amount}`);
  must(areOnceShares(shares, card), 'not all of it is the agent’s');
}

/** What the calls made directly below this one cost by their receipts. */
function expensesOf(receipt: Receipt, answer: Answer): bigint {
  let sum = 0n;
  for (const child of answer.children) {
    const { context } = envelopeSchema.decode(child.envelope.payload);
    const direct = context?.parent !== undefined && equalBytes(context.parent, receipt.callId);
    if (direct) sum += costOf(receiptSchema.decode(child.receipt.payload));
  }
  return sum;
}

const UNCHARGED: ReadonlySet<Receipt['finish']> = new Set(['nothing-found', 'failed']);

/** Checks who earns: the parts sum exactly, and knowledge is paid only for what was cited. */
export function checkShares(suite: Suite, receipt: Receipt, answer: Answer, card: Card): void {
  const { shares } = receipt;
  if (shares.length === 0) {
    must(receipt.amount === 0n, 'an amount that nobody earns');
    return;
  }
  const ppm = shares.reduce((sum, share) => sum + share.ppm, 0);
  must(ppm === PPM, `the shares sum to ${ppm} of ${PPM} parts`);
  const amount = shares.reduce((sum, share) => sum + share.amount, 0n);
  must(amount === receipt.amount, `the shares sum to ${amount} of ${receipt.amount} grains`);
  const seen = new Set<string>();
  let repaid = 0n;
  const cited = new Set(
    answer.citations.map(({ source }) => toHex(answer.sources[source]?.asset ?? NOTHING)),
  );
  for (const share of shares) {
    const name = `${share.role} ${toHex(share.asset)}`;
    must(!seen.has(name), `${name} is paid twice`);
    seen.add(name);
    const least = ((receipt.amount - receipt.expenses) * BigInt(share.ppm)) / BigInt(PPM);
    must(share.amount >= least, `${name} gets less than its part`);
    must(takesPart(share), `${name} earns without having taken part`);
    if (share.role === 'calls') repaid += share.amount;
  }
  must(repaid === receipt.expenses || receipt.amount === 0n, `${receipt.expenses} grains of calls are due`);

  function takesPart({ role, asset, ppm: parts }: ReceiptShare): boolean {
    if (role === 'agent') return equalBytes(asset, card.asset);
    if (role === 'knowledge') return cited.has(toHex(asset));
    return role !== 'calls' || (parts === 0 && equalBytes(asset, callsAsset(suite)));
  }
}

const NOTHING = new Uint8Array(0);

/** Checks that the payer's voucher backs a receipt of its lane. Throws `bundle-invalid`. */
export function checkVoucher(voucher: Voucher, receipt: Receipt, network: string): void {
  must(voucher.network === network, 'the voucher is of another network');
  mustMatch(voucher.channel, receipt.channel, 'the voucher is of another channel');
  must(voucher.lane === receipt.lane, 'the voucher is of another lane');
  must(voucher.ceiling >= receipt.amount, 'the voucher does not cover the amount');
}

/** Checks that the payee's charge counts this receipt. Throws `bundle-invalid`. */
export function checkCharge(charge: Charge, receipt: Receipt, network: string): void {
  must(charge.network === network, 'the charge is of another network');
  mustMatch(charge.channel, receipt.channel, 'the charge is of another channel');
  must(charge.lane === receipt.lane, 'the charge is of another lane');
  must(charge.sequence > receipt.sequence, 'the charge does not count this receipt');
  must(charge.total >= receipt.amount, 'the charge is less than this receipt');
}
