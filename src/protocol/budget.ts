/**
 * What the calls below a call may spend and do, and how a call proves its place below others.
 *
 * A budget rides in the signed envelope of a call and only ever shrinks on its way down. Who makes a call below
 * shows the envelopes of all calls above it, the root first, and for each the certificates by which its agent is the
 * agent of whoever makes the next one. So a host knows, without asking anybody, that the money, depth, time and
 * skills of the call in front of it were granted at every step. What only the settlement can tell, the sum over
 * calls side by side, is checked there (`bill.ts`).
 */
import { equalBytes, toHex } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import type { CallParent, CallRequest } from './call.ts';
import { type ChainExpectation, certificateChain, verifyChain, verifyChainWith } from './certificate.ts';
import { type CallBudget, type CallContext, type Envelope, envelope } from './envelope.ts';
import { didOf, type Id, PROTOCOL_VERSION } from './ids.ts';
import { CALL_DEADLINE_MS_MAX, CLOCK_SKEW_MS } from './limits.ts';
import { checkSigned, type SignatureFault, type Signed, type Verifier } from './signing.ts';
import type { Suite } from './suite.ts';

/** What a call below wants of the budget above it. */
export interface Spending {
  /** Most that it may cost together with everything below it, grains. */
  readonly amount: bigint;
  /** Absent where it is not known: a host sees the requests of the calls above it by their hash only. */
  readonly skill?: { readonly name: string | undefined };
  /** When it must have ended, or, where that is not known, when it was made, milliseconds since 1970. */
  readonly endsAtMs: number;
  /** What it passes on. */
  readonly budget: CallBudget | undefined;
}

/**
 * Why `above` does not allow a call, as `budget-exceeded` with `what`, `left` and `wanted`; `undefined` when it does.
 * The order is: a budget at all, depth, deadline, skills, amount (CALL-83).
 */
export function budgetFault(above: CallBudget | undefined, wanted: Spending): SaharaError | undefined {
  if (above === undefined) return exceeded('budget', 0, 1);
  const depth = 1 + (wanted.budget?.depth ?? 0);
  if (depth > above.depth) return exceeded('depth', above.depth, depth);
  const endsAtMs = Math.max(wanted.endsAtMs - CLOCK_SKEW_MS, wanted.budget?.deadlineMs ?? 0);
  if (endsAtMs > above.deadlineMs) return exceeded('deadline', above.deadlineMs, endsAtMs);
  const skill = foreignSkill(above.skills, wanted);
  if (skill !== undefined) return exceeded('skills', above.skills.join(', '), skill);
  const passed = wanted.budget?.amount ?? 0n;
  const amount = passed > wanted.amount ? passed : wanted.amount;
  return amount > above.amount ? exceeded('amount', above.amount, amount) : undefined;
}

/** The first skill of `wanted` that is not among those allowed; `any` for a call that leaves it open. */
function foreignSkill(allowed: readonly string[], { skill, budget }: Spending): string | undefined {
  if (allowed.length === 0) return undefined;
  if (skill !== undefined && !allowed.includes(skill.name ?? '')) return skill.name ?? 'any';
  if (budget === undefined) return undefined;
  if (budget.skills.length === 0) return 'any';
  return budget.skills.find((name) => !allowed.includes(name));
}

type Fact = string | number | bigint;

function exceeded(what: string, left: Fact, wanted: Fact): SaharaError {
  return new SaharaError('budget-exceeded', { what, left: String(left), wanted: String(wanted) });
}

/** The place of a call that starts a tree, or `undefined` for one that lets nobody call below. */
export function rootContext(id: Id, budget: CallBudget | undefined): CallContext | undefined {
  return budget && { root: id, parent: undefined, depth: 0, budget };
}

/** The place of a call that is made below `parent`. */
export function childContext(parent: Envelope, budget: CallBudget | undefined): CallContext {
  const { root = parent.id, depth = 0 } = parent.context ?? {};
  return { root, parent: parent.id, depth: depth + 1, budget };
}

/** A call with what it shows of those above it. */
export interface PlacedCall {
  readonly envelope: Envelope;
  readonly request: Pick<CallRequest, 'priceMax' | 'skill' | 'deadlineMs'>;
  readonly parents: readonly CallParent[];
}

/** The envelopes above a call, the root first, right but for their signatures: steps 1 to 3 of CALL-82. */
function readParents(network: string, call: PlacedCall): readonly Envelope[] {
  const { context, id } = call.envelope;
  const depth = context?.depth ?? 0;
  if (call.parents.length !== depth) {
    throw unplaced(`${call.parents.length} calls are shown above one of depth ${depth}`);
  }
  const parents = call.parents.map((parent) => readParent(network, parent));
  for (const [index, above] of parents.entries())
    checkPlace(above.id, above.context, parents.slice(0, index));
  if (context !== undefined) checkPlace(id, context, parents);
  return parents;
}

function readParent(network: string, { envelope: message }: CallParent): Envelope {
  if (message.signature.length === 0) throw new SaharaError('signature-missing', { what: 'call above' });
  const above = envelope.decode(message.payload);
  if (above.version !== PROTOCOL_VERSION) {
    throw new SaharaError('version-unsupported', { found: above.version, supported: PROTOCOL_VERSION });
  }
  if (above.network !== network) {
    throw new SaharaError('network-mismatch', { found: above.network, expected: network });
  }
  if (above.bodyType !== 'call' || above.to.kind !== 'agent' || above.to.name.length !== 32) {
    throw unplaced('what is shown above is no call to an agent');
  }
  return above;
}

/** Checks that a call stands below the last of `parents`, in the tree of the first. */
function checkPlace(id: Id, context: CallContext | undefined, parents: readonly Envelope[]): void {
  const last = parents.at(-1);
  if (context === undefined) throw unplaced('a call above does not say where it stands');
  if (context.depth !== parents.length) throw unplaced('the calls above are not in their order');
  if (!equalBytes(context.root, parents[0]?.id ?? id)) throw unplaced('another root');
  const linked = last ? context.parent && equalBytes(context.parent, last.id) : context.parent === undefined;
  if (!linked) throw unplaced('another call above');
}

function unplaced(reason: string): SaharaError {
  return new SaharaError('malformed', { reason });
}

/** Parts of checking what a call shows of those above it. */
export interface ParentParts {
  readonly verifier: Verifier;
  readonly network: string;
}

/**
 * Checks what a call shows of those above it. Refusals in this order: number, shape and links; a
 * signature that does not hold, the root's first; `certificate-invalid`, the root's first; from the root down
 * `budget-exceeded`; `call-cycle` (CALL-82). Answers the envelopes above, the root first.
 */
export async function checkParents(parts: ParentParts, call: PlacedCall): Promise<readonly Envelope[]> {
  const { verifier, network } = parts;
  const parents = readParents(network, call);
  // All at once, so that what was signed in one tick or seen before costs nothing more.
  const faults = await Promise.all(
    call.parents.map(({ envelope: message }, i) =>
      verifier.check(network, 'call', parents[i]?.from ?? NOBODY, message),
    ),
  );
  refuseFault(faults.find((fault) => fault !== undefined));
  const chains = certificatesOf(network, parents, call);
  const verdicts = await Promise.allSettled(
    chains.map(({ links, expected }) => verifyChainWith(verifier, links, expected)),
  );
  for (const verdict of verdicts) if (verdict.status === 'rejected') throw verdict.reason;
  checkGrants(parents, call);
  return parents;
}

/** `checkParents` at once, for evidence. */
export function verifyParents(suite: Suite, network: string, call: PlacedCall): readonly Envelope[] {
  const parents = readParents(network, call);
  for (const [i, { envelope: message }] of call.parents.entries()) {
    refuseFault(checkSigned(suite, network, 'call', parents[i]?.from ?? NOBODY, message));
  }
  for (const { links, expected } of certificatesOf(network, parents, call))
    verifyChain(suite, links, expected);
  checkGrants(parents, call);
  return parents;
}

const NOBODY = new Uint8Array(0);

function refuseFault(fault: SignatureFault | undefined): void {
  if (fault) throw new SaharaError(fault, { what: 'call above' });
}

interface AgentCertificates {
  readonly links: readonly Signed[];
  readonly expected: ChainExpectation;
}

/** What shows, for each call above, that its agent belongs to whoever made the next call. */
function certificatesOf(
  network: string,
  parents: readonly Envelope[],
  call: PlacedCall,
): readonly AgentCertificates[] {
  return parents.map((above, i) => {
    const below = parents[i + 1] ?? call.envelope;
    const agent = above.to.name;
    return {
      links: linksOf(call.parents[i]?.certificate ?? NOBODY),
      expected: {
        network,
        root: below.from,
        subject: { kind: 'key', id: agent },
        capability: `serve:agent/${didOf(agent)}`,
        // The one clock that the maker of the call below signed.
        nowMs: below.issuedAtMs,
      },
    };
  });
}

function linksOf(certificate: Uint8Array): readonly Signed[] {
  try {
    return certificateChain.decode(certificate);
  } catch (cause) {
    throw new SaharaError('certificate-invalid', { link: 0, reason: 'malformed' }, { cause });
  }
}

function checkGrants(parents: readonly Envelope[], call: PlacedCall): void {
  checkAttenuation(parents, call);
  checkCycle([...parents, call.envelope]);
}

function checkAttenuation(parents: readonly Envelope[], { envelope: own, request }: PlacedCall): void {
  for (const [index, above] of parents.entries()) {
    checkBudgetEnd(above);
    const below = parents[index + 1];
    const wanted: Spending =
      below === undefined
        ? {
            amount: request.priceMax,
            skill: { name: request.skill },
            endsAtMs: own.issuedAtMs + request.deadlineMs,
            budget: own.context?.budget,
          }
        : { amount: 0n, endsAtMs: below.issuedAtMs, budget: below.context?.budget };
    const fault = budgetFault(above.context?.budget, wanted);
    if (fault) throw fault;
  }
  checkBudgetEnd(own);
}

/** A budget ends within the longest deadline of a call, so that a chain is not good for ever. */
function checkBudgetEnd({ context, issuedAtMs }: Envelope): void {
  const endsAtMs = context?.budget?.deadlineMs ?? 0;
  const latestMs = issuedAtMs + CALL_DEADLINE_MS_MAX;
  if (endsAtMs > latestMs) throw exceeded('deadline', latestMs, endsAtMs);
}

/** Refuses an agent that stands twice on the way from the root down: `call-cycle`. */
function checkCycle(chain: readonly Envelope[]): void {
  const agents = chain.map(({ to }) => to.name);
  const seen = new Set<string>();
  for (const agent of agents) {
    const name = toHex(agent);
    if (seen.has(name)) throw new SaharaError('call-cycle', { agent: didOf(agent) });
    seen.add(name);
  }
}
