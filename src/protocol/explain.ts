/** The arithmetic of a receipt in words, one line each, so that a person can follow it with a pencil. */
import { formatAmount } from '../base/amount.ts';
import type { BilledCall } from './bill.ts';
import { didOf, shortHex } from './ids.ts';
import { PPM } from './limits.ts';
import { chargeOf, type Finish, type Receipt, type ReceiptShare } from './payment.ts';

const FINISHES: Readonly<Record<Finish, string>> = {
  done: 'The agent finished its answer.',
  length: 'The answer reached the length that was asked for.',
  'nothing-found': 'The agent found nothing to answer from.',
  cancelled: 'The caller cancelled; what had been delivered until then counts.',
  failed: 'The agent could not finish.',
};

const ROLES: Readonly<Record<ReceiptShare['role'], string>> = {
  knowledge: 'for knowledge that the answer cites',
  agent: 'for the agent itself',
  model: 'for the model',
  prompt: 'for the prompt',
  calls: 'for calls that it made and paid',
};

/** How the amount of `receipt` comes about and who earns it. */
export function explainReceipt(receipt: Receipt): readonly string[] {
  const lines = [
    `Call ${shortHex(receipt.callId)} to agent ${didOf(receipt.agent)}.`,
    FINISHES[receipt.finish],
    ...amountLines(receipt),
  ];
  if (receipt.shares.length > 0) lines.push(`Who earns it, by the rule ${receipt.attributionRule}:`);
  for (const share of receipt.shares) lines.push(shareLine(receipt, share));
  if (receipt.shares.length > 0) lines.push(`Together: ${formatAmount(receipt.amount)}.`);
  return lines;
}

function amountLines(receipt: Receipt): readonly string[] {
  const { price, inputUnits, outputUnits } = receipt;
  const due = chargeOf(price, inputUnits, outputUnits) + receipt.expenses;
  if (receipt.channel === undefined && receipt.amount > 0n) {
    return [`What it cost: ${formatAmount(receipt.amount)} for the call, paid before it by one transaction.`];
  }
  if (receipt.channel === undefined) return ['It was a free call: nothing is charged.'];
  if (receipt.amount !== due) {
    return [
      `By its price it would have cost ${formatAmount(due)}; ${formatAmount(receipt.amount)} is charged.`,
    ];
  }
  return [
    'What it cost:',
    `  for the call: ${formatAmount(price.perCall)}`,
    ...unitLine('question', inputUnits, price.perInputUnit),
    ...unitLine('answer', outputUnits, price.perOutputUnit),
    ...(receipt.expenses === 0n ? [] : [`  for calls made below: ${formatAmount(receipt.expenses)}`]),
    `  sum: ${formatAmount(due)}`,
  ];
}

function unitLine(what: string, units: number, price: bigint): readonly string[] {
  if (price === 0n) return [];
  const sum = formatAmount(price * BigInt(units));
  return [`  for the ${what}: ${counted(units, 'unit')} × ${formatAmount(price)} = ${sum}`];
}

function shareLine(receipt: Receipt, share: ReceiptShare): string {
  const percent = `${(share.ppm * 100) / PPM}`;
  if (share.role === 'calls') return `  ${formatAmount(share.amount)} to the operator, ${ROLES.calls}.`;
  const part = ((receipt.amount - receipt.expenses) * BigInt(share.ppm)) / BigInt(PPM);
  const rest = share.amount - part;
  const rounding = rest === 0n ? '' : `, with ${counted(rest, 'grain')} that rounding left over`;
  return `  ${formatAmount(share.amount)} (${percent} %) to asset ${shortHex(share.asset)}, ${ROLES[share.role]}${rounding}.`;
}

/** What the calls below a call cost, one line each; nothing where there are none. */
export function explainBill(bill: BilledCall): readonly string[] {
  if (bill.children.length === 0) return [];
  const lines = ['Calls that were made below it:'];
  const tell = (call: BilledCall): void => {
    const own = `${formatAmount(call.own)} of its own`;
    const cost = call.below === 0n ? own : `${own} and ${formatAmount(call.below)} below it`;
    const units = `${call.inputUnits} + ${counted(call.outputUnits, 'unit')}`;
    lines.push(
      `${'  '.repeat(call.level)}${formatAmount(call.total)} to agent ${didOf(call.agent)}: ${cost}, ${units}.`,
    );
    for (const child of call.children) tell(child);
  };
  for (const child of bill.children) tell(child);
  lines.push(`Together: ${formatAmount(bill.below)}.`);
  return lines;
}

/** `1 unit`, `2 units`. */
export function counted(count: number | bigint, noun: string): string {
  return `${count} ${noun}${BigInt(count) === 1n ? '' : 's'}`;
}
