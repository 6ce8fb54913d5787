/**
 * The tree of a call: the calls that were made below it, each delivered with its signed receipt, and what every one
 * of them cost. The tree is read from what the call delivered and its own receipt alone, so anybody can check that it
 * is whole, that nothing is counted twice or billed above its budget, and that it sums to the grain.
 */
import { equalBytes, toHex } from '../base/bytes.ts';
import type { SaharaError } from '../base/errors.ts';
import { budgetFault } from './budget.ts';
import type { PriceSchedule } from './card.ts';
import type { CallChild } from './checkpoint.ts';
import { type Envelope, envelope as envelopeSchema } from './envelope.ts';
import { must, mustMatch, refuse } from './evidence.ts';
import { type Id, PROTOCOL_VERSION, type PublicKey } from './ids.ts';
import { TREE_CALLS_MAX } from './limits.ts';
import {
  type Charge,
  charge as chargeSchema,
  costOf,
  type Finish,
  type Receipt,
  receipt as receiptSchema,
} from './payment.ts';
import { checkSigned, type Signed } from './signing.ts';
import type { Suite } from './suite.ts';
import { checkCharge, checkDue } from './verify-receipt.ts';

/** One call of a tree and what it cost, grains. */
export interface BilledCall {
  readonly callId: Id;
  /** 0 for the call that the tree was read from. */
  readonly level: number;
  readonly agent: PublicKey;
  /** Who was paid for it, and who paid. */
  readonly operator: PublicKey;
  readonly payer: PublicKey;
  readonly skill: string | undefined;
  readonly finish: Finish;
  readonly inputUnits: number;
  readonly outputUnits: number;
  readonly price: PriceSchedule;
  /** What the call itself cost. */
  readonly own: bigint;
  /** What the calls directly below it cost, with everything below them. */
  readonly below: bigint;
  /** Both together: what it cost whoever made it. */
  readonly total: bigint;
  /** In the order in which they were delivered. */
  readonly children: readonly BilledCall[];
}

/** A signature that a tree rests on. */
export interface TreeSignature {
  readonly type: 'call' | 'receipt' | 'charge';
  readonly key: PublicKey;
  readonly message: Signed;
}

/** A tree whose statements fit together; its signatures are the reader's to check. */
export interface CallTree {
  readonly bill: BilledCall;
  readonly signatures: readonly TreeSignature[];
}

/** The call that a tree is read from. */
export interface TreeTop {
  readonly envelope: Envelope;
  readonly receipt: Receipt;
}

/**
 * Reads the tree of a call out of the calls that it delivered. Checks everything but the signatures, which it names
 * (RCPT-41 to RCPT-46). Throws `bundle-invalid` or `malformed`.
 */
export function readTree(top: TreeTop, delivered: readonly CallChild[]): CallTree {
  must(delivered.length <= TREE_CALLS_MAX, `more than ${TREE_CALLS_MAX} calls below`);
  const nodes = new Map<string, Node>();
  const root: Node = { ...top, at: 0, charge: undefined, signed: undefined, children: [] };
  nodes.set(toHex(top.envelope.id), root);
  const below = delivered.map((child, index) => readNode(child, index + 1));
  for (const node of below) {
    const name = toHex(node.envelope.id);
    must(!nodes.has(name), `${nameOf(node)} is counted twice`);
    nodes.set(name, node);
  }
  for (const node of below) {
    const parent = node.envelope.context?.parent;
    const above = parent && nodes.get(toHex(parent));
    if (above === undefined) refuse(`${nameOf(node)} was made by a call that is not in the tree`);
    above.children.push(node);
  }
  const walk: Walk = { network: top.receipt.network, root: rootOf(top.envelope), agents: [], placed: 0 };
  const bill = walkNode(walk, root, 0);
  must(walk.placed === nodes.size, 'calls that made each other');
  return { bill, signatures: below.flatMap(signaturesOf) };
}

/** `readTree`, then its signatures. Throws `bundle-invalid` or `malformed`. */
export function verifyTree(suite: Suite, top: TreeTop, delivered: readonly CallChild[]): BilledCall {
  const { bill, signatures } = readTree(top, delivered);
  for (const { type, key, message } of signatures) {
    const fault = checkSigned(suite, top.receipt.network, type, key, message);
    must(fault === undefined, `the ${type} of a call below is not signed by who must sign it`);
  }
  return bill;
}

/** Every call of a bill, each before those below it. */
export function billLines(bill: BilledCall): readonly BilledCall[] {
  return [bill, ...bill.children.flatMap(billLines)];
}

interface Node extends TreeTop {
  /** Place among the calls delivered, from 1; 0 for the call itself. */
  readonly at: number;
  readonly charge: Charge | undefined;
  readonly signed: CallChild | undefined;
  readonly children: Node[];
}

interface Walk {
  readonly network: string;
  readonly root: Id;
  /** From the top down to where the walk is. */
  readonly agents: PublicKey[];
  placed: number;
}

function nameOf({ at }: Node): string {
  return at === 0 ? 'the call' : `call ${at} below`;
}

function rootOf({ id, context }: Envelope): Id {
  return context?.root ?? id;
}

function readNode(child: CallChild, at: number): Node {
  return {
    envelope: envelopeSchema.decode(child.envelope.payload),
    receipt: receiptSchema.decode(child.receipt.payload),
    charge: child.charge && chargeSchema.decode(child.charge.payload),
    at,
    signed: child,
    children: [],
  };
}

function signaturesOf({ envelope, receipt, signed }: Node): readonly TreeSignature[] {
  if (signed === undefined) return [];
  return [
    { type: 'call', key: envelope.from, message: signed.envelope },
    { type: 'receipt', key: receipt.agent, message: signed.receipt },
    ...(signed.charge ? [{ type: 'charge' as const, key: receipt.payee, message: signed.charge }] : []),
  ];
}

/** Checks a call and everything below it, and bills it. */
function walkNode(walk: Walk, node: Node, level: number): BilledCall {
  const { envelope, receipt } = node;
  walk.placed++;
  const again = walk.agents.some((agent) => equalBytes(agent, receipt.agent));
  must(!again, `${nameOf(node)} is to an agent that is already answering above it`);
  walk.agents.push(receipt.agent);
  const children = node.children.map((child) => {
    checkChild(walk, node, child);
    return walkNode(walk, child, level + 1);
  });
  walk.agents.pop();
  const below = children.reduce((sum, child) => sum + child.total, 0n);
  must(receipt.expenses === below, `${nameOf(node)} counts ${receipt.expenses} of ${below} grains below it`);
  const budget = envelope.context?.budget?.amount ?? 0n;
  must(below <= budget, `${nameOf(node)} spent ${below} grains of a budget of ${budget}`);
  const total = costOf(receipt);
  return {
    callId: envelope.id,
    level,
    agent: receipt.agent,
    operator: receipt.payee,
    payer: receipt.payer,
    skill: receipt.skill,
    finish: receipt.finish,
    inputUnits: receipt.inputUnits,
    outputUnits: receipt.outputUnits,
    price: receipt.price,
    own: total - below,
    below,
    total,
    children,
  };
}

/** Checks that `child` is a call that `parent` made, paid and was allowed to make. */
function checkChild(walk: Walk, parent: Node, child: Node): void {
  const name = nameOf(child);
  const { envelope, receipt } = child;
  must(envelope.version === PROTOCOL_VERSION && receipt.version === 1, `${name} is of another version`);
  must(envelope.network === walk.network, `${name} is of another network`);
  must(receipt.network === walk.network, `the receipt of ${name} is of another network`);
  must(envelope.bodyType === 'call' && envelope.to.kind === 'agent', `${name} is no call to an agent`);
  const { context } = envelope;
  if (context === undefined) refuse(`${name} does not say where it stands`);
  mustMatch(context.root, walk.root, `${name} is of another tree`);
  const depth = (parent.envelope.context?.depth ?? 0) + 1;
  must(context.depth === depth, `${name} stands at another depth`);
  mustMatch(envelope.from, parent.receipt.payee, `${name} was made by another operator`);
  mustMatch(receipt.callId, envelope.id, `the receipt of ${name} is of another call`);
  mustMatch(receipt.agent, envelope.to.name, `the receipt of ${name} is of another agent`);
  mustMatch(receipt.payer, envelope.from, `the receipt of ${name} names another payer`);
  mustMatch(receipt.requestHash, envelope.bodyHash, `the receipt of ${name} is for another question`);
  must(receipt.startedAtMs <= receipt.finishedAtMs, `${name} ends before it begins`);
  checkDue(receipt);
  checkPaid(walk, child);
  const fault = budgetFault(parent.envelope.context?.budget, {
    amount: costOf(receipt),
    skill: { name: receipt.skill },
    endsAtMs: envelope.issuedAtMs,
    budget: context.budget,
  });
  if (fault) refuse(`${name} is outside of the budget: ${wordsOf(fault)}`);
}

function checkPaid(walk: Walk, node: Node): void {
  const { receipt, charge } = node;
  if (receipt.channel === undefined) {
    must(charge === undefined, `${nameOf(node)} is free and has a charge`);
    return;
  }
  if (charge === undefined) refuse(`${nameOf(node)} was paid and has no charge`);
  checkCharge(charge, receipt, walk.network);
}

function wordsOf({ facts }: SaharaError): string {
  if (facts.what === 'budget') return 'none was granted';
  return `${String(facts.what)} ${String(facts.wanted)}, allowed ${String(facts.left)}`;
}
