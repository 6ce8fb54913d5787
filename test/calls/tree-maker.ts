/** Signed trees of calls, made from a plan: every operator and agent with a key of its own. */
import type { CallParent } from '../../src/protocol/call.ts';
import type { PriceSchedule } from '../../src/protocol/card.ts';
import { type Certificate, certificate, certificateChain } from '../../src/protocol/certificate.ts';
import type { CallChild } from '../../src/protocol/checkpoint.ts';
import { type CallBudget, type Envelope, envelope } from '../../src/protocol/envelope.ts';
import { didOf } from '../../src/protocol/ids.ts';
import { charge, chargeOf, costOf, type Finish, type Receipt, receipt } from '../../src/protocol/payment.ts';
import { type Signed, signOne } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { createSigner, nativeSuite as suite } from '../../src/protocol/suite-native.ts';

export const NETWORK = 'test-0000000000000000';
export const NOW_MS = 1_800_000_000_000;

/** The key of somebody: an agent, an operator, the payer of it all. */
export function keyOf(kind: 'agent' | 'operator' | 'payer', number: number): Signer {
  const seed = new Uint8Array(32).fill({ agent: 1, operator: 2, payer: 3 }[kind]);
  new DataView(seed.buffer).setUint32(0, number);
  return createSigner(seed);
}

export function sign(signer: Signer, type: string, payload: Uint8Array): Signed {
  return signOne(suite, signer, NETWORK, { type, payload });
}

/** A call to make. */
export interface Plan {
  /** Numbers of the agent called and of its operator. */
  readonly agent: number;
  readonly operator: number;
  readonly price: PriceSchedule;
  readonly inputUnits: number;
  readonly outputUnits: number;
  readonly finish: Finish;
  readonly skill: string;
  /** Without a channel. */
  readonly free: boolean;
  /** Granted beyond what the calls below cost, grains. */
  readonly slack: bigint;
  readonly children: readonly Plan[];
}

/** A made call: what it said, what it cost, and everything below it. */
export interface Made {
  readonly envelope: Envelope;
  readonly signedEnvelope: Signed;
  readonly receipt: Receipt;
  readonly ending: CallChild;
  /** Everything below, the deepest first. */
  readonly below: readonly Made[];
  readonly direct: readonly Made[];
}

/** What a test changes before a call is signed. */
export interface Changes {
  readonly envelope?: (sound: Envelope, plan: Plan) => Envelope;
  readonly receipt?: (sound: Receipt, plan: Plan) => Receipt;
}

/** How many levels of calls a plan has below itself. */
export function levelsOf(plan: Plan): number {
  return plan.children.reduce((most, child) => Math.max(most, 1 + levelsOf(child)), 0);
}

/** What a plan costs whoever makes it. */
export function plannedCost(plan: Plan, payer: number | undefined): bigint {
  const below = plan.children.reduce((sum, child) => sum + plannedCost(child, plan.operator), 0n);
  if (plan.free) return plan.operator === payer ? below : 0n;
  const own = chargeOf(plan.price, plan.inputUnits, plan.outputUnits);
  return (plan.finish === 'nothing-found' || plan.finish === 'failed' ? 0n : own) + below;
}

/** What a call grants to those below it: all that they can cost, and its slack. */
export function grantOf(plan: Plan): bigint {
  const most = (child: Plan): bigint => {
    const spent = child.children.reduce((sum, below) => sum + plannedCost(below, child.operator), 0n);
    const left = child.children.length > 0 ? grantOf(child) - spent : 0n;
    return plannedCost(child, plan.operator) + left;
  };
  return plan.children.reduce((sum, child) => sum + most(child), plan.slack);
}

/** Makes the calls of a plan, from the payer down. */
export function makeTree(plan: Plan, changes: Changes = {}): Made {
  let count = 0;
  const make = (at: Plan, above: Envelope | undefined, payer: Signer): Made => {
    const id = new Uint8Array(16);
    new DataView(id.buffer).setUint32(0, ++count);
    const operator = keyOf('operator', at.operator);
    const agent = keyOf('agent', at.agent);
    const budget: CallBudget = {
      amount: grantOf(at),
      depth: levelsOf(at),
      deadlineMs: NOW_MS + 60_000,
      skills: [],
    };
    const sound: Envelope = {
      version: 1,
      network: NETWORK,
      id,
      from: payer.publicKey,
      to: { kind: 'agent', name: agent.publicKey },
      sequence: count,
      issuedAtMs: NOW_MS,
      expiresAtMs: NOW_MS + 60_000,
      context: {
        root: above?.context?.root ?? id,
        parent: above?.id,
        depth: above ? (above.context?.depth ?? 0) + 1 : 0,
        budget: at.children.length > 0 ? budget : undefined,
      },
      bodyType: 'call',
      bodyHash: suite.sha256(id),
      extensions: new Map(),
    };
    const said = changes.envelope?.(sound, at) ?? sound;
    const direct = at.children.map((child) => make(child, said, operator));
    const below = direct.flatMap((child) => [...child.below, child]);
    const expenses = direct.reduce((sum, child) => sum + costOf(child.receipt), 0n);
    const uncharged = at.finish === 'nothing-found' || at.finish === 'failed';
    const own = uncharged ? 0n : chargeOf(at.price, at.inputUnits, at.outputUnits);
    const plain: Receipt = {
      version: 1,
      network: NETWORK,
      callId: said.id,
      agent: said.to.name,
      payee: operator.publicKey,
      payer: payer.publicKey,
      channel: at.free ? undefined : suite.sha256(payer.publicKey, operator.publicKey),
      lane: 0,
      sequence: at.free ? 0 : count,
      requestHash: said.bodyHash,
      responseHash: suite.sha256(said.id),
      deliveries: 1,
      cardHash: suite.sha256(agent.publicKey),
      manifestHash: suite.sha256(agent.publicKey),
      modelDigest: suite.sha256(agent.publicKey),
      skill: at.skill,
      seed: undefined,
      finish: at.finish,
      inputUnits: at.inputUnits,
      outputUnits: at.outputUnits,
      price: at.price,
      expenses,
      amount: at.free ? 0n : own + expenses,
      shares: [],
      attributionRule: 'test/1',
      startedAtMs: NOW_MS,
      finishedAtMs: NOW_MS + 5,
    };
    const final = changes.receipt?.(plain, at) ?? plain;
    const signedEnvelope = sign(payer, 'call', envelope.encode(said));
    const charged = {
      network: NETWORK,
      channel: final.channel ?? new Uint8Array(32),
      lane: 0,
      total: final.amount + 7n,
      sequence: final.sequence + 1,
      receiptRoot: new Uint8Array(32),
      attributionRoot: new Uint8Array(32),
    };
    const ending: CallChild = {
      envelope: signedEnvelope,
      receipt: sign(agent, 'receipt', receipt.encode(final)),
      charge: final.channel && sign(operator, 'charge', charge.encode(charged)),
    };
    return { envelope: said, signedEnvelope, receipt: final, ending, below, direct };
  };
  return make(plan, undefined, keyOf('payer', 0));
}

/** What is delivered of the calls below a made one. */
export function deliveredBelow(made: Made): readonly CallChild[] {
  return made.below.map(({ ending }) => ending);
}

/** An operator's certificate for one of its agents. */
export function certify(operator: Signer, agent: Uint8Array, change: Partial<Certificate> = {}): Uint8Array {
  const statement: Certificate = {
    version: 1,
    network: NETWORK,
    issuer: operator.publicKey,
    subject: { kind: 'key', id: agent },
    roles: ['agent'],
    capabilities: [`serve:agent/${didOf(agent)}`],
    notBeforeMs: NOW_MS - 1_000,
    notAfterMs: NOW_MS + 86_400_000,
    serial: new Uint8Array(16),
    ...change,
  };
  return certificateChain.encode([sign(operator, 'certificate', certificate.encode(statement))]);
}

/** What the last call of a line of calls shows of those above it. */
export function parentsOf(line: readonly Made[], operators: readonly number[]): readonly CallParent[] {
  return line.slice(0, -1).map((made, i) => ({
    envelope: made.signedEnvelope,
    certificate: certify(keyOf('operator', operators[i] ?? 0), made.envelope.to.name),
  }));
}
