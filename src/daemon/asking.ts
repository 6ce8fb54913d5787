/**
 * Asking from this peer: finds the agent, sees to a channel that can pay, streams the answer, and keeps the
 * evidence. Agents of this very peer are asked without a network and without money.
 */

import type { CallTarget } from '../agent/caller.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import type { Directory } from '../mesh/directory.ts';
import type { AgentListing } from '../mesh/directory-state.ts';
import type { Observations } from '../mesh/observations.ts';
import { card as cardSchema } from '../protocol/card.ts';
import { CONTEXT_TURN_BYTES_MAX, QUESTION_BYTES_MAX } from '../protocol/limits.ts';
import { type Signed, signed } from '../protocol/signing.ts';
import type { AskInput } from './admin/methods.ts';
import type { AskEvent } from './admin/types.ts';
import type { AgentKeeper } from './agents.ts';
import { askEndOf } from './ask-events.ts';
import type { Callers } from './callers.ts';
import type { ChannelParts } from './channels.ts';
import type { KnownNames } from './known-names.ts';
import type { PaymentPeers } from './payment-peers.ts';
import { type Question, seek } from './seeking.ts';

/** What asking works with. */
export interface AskingParts extends ChannelParts {
  readonly directory: Directory;
  readonly callers: Callers;
  readonly agents: AgentKeeper;
  readonly paymentPeers: PaymentPeers;
  readonly knownNames: KnownNames;
  readonly observations: Observations;
}

/** An agent that was chosen before, by its offer. */
export interface ChosenAgent {
  readonly target: CallTarget;
  /** What prices the call in place of the card. */
  readonly offer: Signed;
}

/** Asks agents and tells what happens. With `chosen` nobody is looked for. */
export type Ask = (input: AskInput, signal: AbortSignal, chosen?: ChosenAgent) => AsyncIterable<AskEvent>;

/** How long an agent that is not listed is waited for, milliseconds: adverts of a peer just met are on their way. */
const FIND_WAIT_MS = 3_000;
const FIND_EVERY_MS = 100;

/** Asking over `parts`. */
export function createAsk(parts: AskingParts): Ask {
  const { clock, callers } = parts;
  return async function* ask(input, signal, chosen) {
    const startedAtMs = clock.monotonicMs();
    checkSizes(input);
    const sought = await soughtOf(parts, { input, chosen, signal });
    const { listing, own } = sought;
    const caller = own ? callers.local : callers.remote;
    const { answered, watch } = yield* seek({ parts, caller, ...sought, input, signal, chosen });
    const { result, target, attempts, amount } = answered;
    const card = cardSchema.decode(target.card.payload);
    if (!own) {
      const { receipt } = result.evidence.ending;
      void parts.observations.observe({ receipt, peerId: target.peerId, ...watch.read() });
      await parts.paymentPeers.met(card.operator, target.peerId);
    }
    if (listing && isNameOf(listing, input.agent)) await parts.knownNames.met(listing.name, listing.did);
    yield {
      type: 'end',
      ...(await askEndOf(parts, card, result)),
      ...(attempts.length > 1 && { spent: String(amount) }),
      tookMs: Math.round(clock.monotonicMs() - startedAtMs),
    };
  };
}

/** Refuses texts that no agent takes, before anybody is looked for. Throws `too-large`. */
export function checkSizes({ question, context = [] }: Pick<AskInput, 'question' | 'context'>): void {
  const turns = context.map(({ text }) => ['earlier turn', text, CONTEXT_TURN_BYTES_MAX] as const);
  for (const [what, text, limitBytes] of [['question', question, QUESTION_BYTES_MAX] as const, ...turns]) {
    const sizeBytes = Buffer.byteLength(text);
    if (sizeBytes > limitBytes) throw new SaharaError('too-large', { what, sizeBytes, limitBytes });
  }
}

/** Who is asked: the agent that was chosen, or the one that the question names, if need be on this very peer. */
async function soughtOf(
  parts: AskingParts,
  { input, chosen, signal }: Pick<Question, 'input' | 'chosen' | 'signal'>,
): Promise<{ readonly listing?: AgentListing } & Pick<Question, 'own' | 'targets'>> {
  if (chosen) return { own: false, targets: [chosen.target] };
  const listing = await findAgent(parts, input.agent, signal);
  const own = parts.agents.ownTarget(listing.agent);
  return { listing, own: own !== undefined, targets: own ? [own] : targetsOf(parts, listing, signal) };
}

/** Whether an agent was asked for by its whole name. */
function isNameOf(listing: AgentListing, wanted: string): boolean {
  return listing.name.toLowerCase() === wanted.trim().toLowerCase();
}

/** The agent of that name or DID; one that is not listed yet is waited for a little. Throws `agent-unknown`. */
export async function findAgent(
  parts: Pick<AskingParts, 'knownNames' | 'clock' | 'directory'>,
  name: string,
  signal: AbortSignal,
): Promise<AgentListing> {
  const known = await parts.knownNames.of(name);
  const untilMs = parts.clock.monotonicMs() + FIND_WAIT_MS;
  for (;;) {
    try {
      return parts.directory.find(name, known);
    } catch (error) {
      const waiting =
        parts.clock.monotonicMs() < untilMs && asSaharaError(error).facts.reason !== 'ambiguous';
      if (!waiting || signal.aborted) throw error;
    }
    await new Promise<void>((resolve) => parts.clock.after(FIND_EVERY_MS, resolve));
  }
}

/** The agent at each of its hosts that can be reached, best first. Throws `peer-unreachable` when there is none. */
async function* targetsOf(
  parts: Pick<AskingParts, 'directory'>,
  listing: AgentListing,
  signal: AbortSignal,
): AsyncGenerator<CallTarget, void> {
  const { bytes } = await parts.directory.card(listing, { signal });
  let reached = false;
  let failure: unknown;
  for (const host of listing.hosts) {
    try {
      await parts.directory.reach(host, { signal });
    } catch (error) {
      if (signal.aborted) throw error;
      parts.directory.failed(host);
      failure = error;
      continue;
    }
    reached = true;
    yield { peerId: host.peerId, card: signed.decode(bytes) };
  }
  if (!reached) throw failure ?? new SaharaError('peer-unreachable', { agent: listing.name });
}

/** The agent at the first of its hosts that can be reached. Throws `peer-unreachable`. */
export async function targetOf(
  parts: Pick<AskingParts, 'directory'>,
  listing: AgentListing,
  signal: AbortSignal,
): Promise<CallTarget> {
  const { value } = await targetsOf(parts, listing, signal).next();
  if (value) return value;
  throw new SaharaError('peer-unreachable', { agent: listing.name });
}
