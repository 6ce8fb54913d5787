/**
 * Asking from this peer: finds the agent, sees to a channel that can pay, streams the answer, and keeps the
 * evidence. Agents of this very peer are asked without a network and without money.
 */

import type { CallTarget } from '../agent/caller.ts';
import { SaharaError } from '../base/errors.ts';
import type { Directory } from '../mesh/directory.ts';
import type { AgentListing } from '../mesh/directory-state.ts';
import type { Observations } from '../mesh/observations.ts';
import { card as cardSchema } from '../protocol/card.ts';
import { CONTEXT_TURN_BYTES_MAX, QUESTION_BYTES_MAX } from '../protocol/limits.ts';
import type { Signed } from '../protocol/signing.ts';
import type { AskInput } from './admin/methods.ts';
import type { AskEvent } from './admin/types.ts';
import type { AgentKeeper } from './agents.ts';
import { askEndOf } from './ask-events.ts';
import { askOnce } from './asking-once.ts';
import type { Callers } from './callers.ts';
import type { ChannelParts } from './channels.ts';
import { findAgent, isNameOf, targetsOf } from './finding.ts';
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

/** Asking over `parts`. */
export function createAsk(parts: AskingParts): Ask {
  const { clock, callers } = parts;
  return async function* ask(input, signal, chosen) {
    const startedAtMs = clock.monotonicMs();
    checkSizes(input);
    if (input.once === true) {
      yield* askOnce(parts, input, signal);
      return;
    }
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
