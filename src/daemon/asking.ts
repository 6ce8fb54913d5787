/**
 * Asking from this peer: finds the agent, sees to a channel that can pay, streams the answer, and keeps the
 * evidence. Agents of this very peer are asked without a network and without money.
 */

import { CALLER_DEFAULTS, type Caller, type CallResult, type CallTarget } from '../agent/caller.ts';
import { parseAmount } from '../base/amount.ts';
import { toHex } from '../base/bytes.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import type { Directory } from '../mesh/directory.ts';
import type { AgentListing } from '../mesh/directory-state.ts';
import type { Observations } from '../mesh/observations.ts';
import { type Card, card as cardSchema } from '../protocol/card.ts';
import type { CallBudget } from '../protocol/envelope.ts';
import { didOf } from '../protocol/ids.ts';
import { CONTEXT_TURN_BYTES_MAX, QUESTION_BYTES_MAX } from '../protocol/limits.ts';
import { offer as offerSchema } from '../protocol/offer.ts';
import { chargeOf } from '../protocol/payment.ts';
import { type Signed, signed } from '../protocol/signing.ts';
import { inputUnits } from '../protocol/units.ts';
import type { AskInput } from './admin/methods.ts';
import type { AskEvent } from './admin/types.ts';
import type { AgentKeeper } from './agents.ts';
import { askEndOf, askEventOf } from './ask-events.ts';
import type { Callers } from './callers.ts';
import { type ChannelParts, makeRoom } from './channels.ts';
import type { KnownNames } from './known-names.ts';
import type { PaymentPeers } from './payment-peers.ts';
import { createStopwatch, type Stopwatch } from './stopwatch.ts';

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
    const { listing, own, target } = await soughtOf(parts, { input, chosen, signal });
    const card = cardSchema.decode(target.card.payload);
    yield agentEvent(card, chosen);
    const watch = createStopwatch(clock);
    const question = {
      parts,
      caller: own ? callers.local : callers.remote,
      target,
      card,
      input,
      signal,
      chosen,
      watch,
      own,
    };
    const result = yield* own ? once(question) : paid(question);
    if (!own) {
      const { receipt } = result.evidence.ending;
      void parts.observations.observe({ receipt, peerId: target.peerId, ...watch.read() });
      await parts.paymentPeers.met(card.operator, target.peerId);
    }
    if (listing && isNameOf(listing, input.agent)) await parts.knownNames.met(listing.name, listing.did);
    yield {
      type: 'end',
      ...(await askEndOf(parts, card, result)),
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

interface Question {
  readonly parts: AskingParts;
  readonly caller: Caller;
  readonly target: CallTarget;
  readonly card: Card;
  readonly input: AskInput;
  readonly signal: AbortSignal;
  readonly chosen: ChosenAgent | undefined;
  readonly watch: Stopwatch;
  /** Whether the agent is one of this peer, which costs nothing of its own. */
  readonly own: boolean;
}

/** Who is asked: the agent that was chosen, or the one that the question names, if need be on this very peer. */
async function soughtOf(
  parts: AskingParts,
  { input, chosen, signal }: Pick<Question, 'input' | 'chosen' | 'signal'>,
): Promise<{ readonly listing?: AgentListing; readonly own: boolean; readonly target: CallTarget }> {
  if (chosen) return { own: false, target: chosen.target };
  const listing = await findAgent(parts, input.agent, signal);
  const own = parts.agents.ownTarget(listing.agent);
  return { listing, own: own !== undefined, target: own ?? (await targetOf(parts, listing, signal)) };
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

/** The agent's card, and the first of its hosts that can be reached. Throws `peer-unreachable`. */
export async function targetOf(
  parts: Pick<AskingParts, 'directory'>,
  listing: AgentListing,
  signal: AbortSignal,
): Promise<CallTarget> {
  const { bytes } = await parts.directory.card(listing, { signal });
  let failure: unknown;
  for (const host of listing.hosts) {
    try {
      await parts.directory.reach(host, { signal });
      return { peerId: host.peerId, card: signed.decode(bytes) };
    } catch (error) {
      if (signal.aborted) throw error;
      parts.directory.failed(host);
      failure = error;
    }
  }
  throw failure ?? new SaharaError('peer-unreachable', { agent: listing.name });
}

function agentEvent(card: Card, chosen: ChosenAgent | undefined): AskEvent {
  const { perCall } = chosen ? offerSchema.decode(chosen.offer.payload).price : card.price;
  const price = String(perCall);
  return { type: 'agent', name: card.name, did: didOf(card.agent), operator: didOf(card.operator), price };
}

/** One call; what a channel is missing is mended once, and only before anything was sent. */
async function* paid(question: Question): AsyncGenerator<AskEvent, CallResult> {
  const { parts, card, signal } = question;
  try {
    return yield* once(question);
  } catch (error) {
    const failure = asSaharaError(error);
    if (!MENDED_BY_MONEY.has(failure.code) || failure.facts.outcome === 'unknown') throw failure;
    const detail = `Setting money aside for the operator of ${card.name}; what is not used comes back.`;
    yield { type: 'progress', step: 'channel', detail };
    await makeRoom(parts, { payee: card.operator, needed: costMax(question) }, { signal });
    return yield* once(question);
  }
}

const MENDED_BY_MONEY: ReadonlySet<string> = new Set([
  'channel-unknown',
  'channel-closing',
  'funds-insufficient',
  'payment-required',
  'quota-exhausted',
]);

/** Most that the call may cost with all calls below it. */
function priceMaxOf({ parts, input }: Question): bigint {
  if (input.priceMax !== undefined) return BigInt(input.priceMax);
  return (parseAmount(parts.config.wallet.priceMax) ?? 0n) + BigInt(input.budget?.amount ?? 0);
}

/** How many levels of calls there may be below when the asker does not say. */
const DEPTH_DEFAULT = 3;

/** What the agent may spend on calls of its own, until it must have answered. */
function budgetOf({ parts, input, card }: Question): CallBudget | undefined {
  if (input.budget === undefined) return undefined;
  const { amount, depth = DEPTH_DEFAULT, skills = [] } = input.budget;
  const waitMs = Math.min(input.deadlineMs ?? CALLER_DEFAULTS.deadlineMs, card.limits.deadlineMs);
  return { amount: BigInt(amount), depth, deadlineMs: parts.clock.nowMs() + waitMs, skills };
}

/** Most that this call can cost: by its card or offer, but never more than the asker allows. */
function costMax(question: Question): bigint {
  const { card, input, chosen } = question;
  const units = inputUnits({ question: input.question, context: input.context ?? [] });
  const { price } = chosen ? offerSchema.decode(chosen.offer.payload) : card;
  const byPrice = chargeOf(price, units, card.limits.outputUnits) + BigInt(input.budget?.amount ?? 0);
  const allowed = priceMaxOf(question);
  return byPrice < allowed ? byPrice : allowed;
}

async function* once(question: Question): AsyncGenerator<AskEvent, CallResult> {
  const { caller, target, input, signal, chosen, watch, own } = question;
  const budget = budgetOf(question);
  const handle = caller.ask(
    {
      target,
      question: input.question,
      priceMax: priceMaxOf(question),
      ...(input.context !== undefined && { context: input.context }),
      ...(input.skill !== undefined && { skill: input.skill }),
      ...(input.deadlineMs !== undefined && { deadlineMs: input.deadlineMs }),
      ...(chosen && { offer: chosen.offer }),
      ...(budget && { budget }),
      ...(own && { payment: 'free' }),
    },
    { signal },
  );
  // Who leaves early stops the agent; the result is heard of below or not at all.
  handle.result.catch(() => {});
  let over = false;
  yield { type: 'call', callId: toHex(handle.callId) };
  try {
    for await (const event of handle.events()) {
      watch.take(event);
      const told = askEventOf(event);
      if (told !== undefined) yield told;
    }
    over = true;
    return await handle.result;
  } finally {
    if (!over) handle.stop();
  }
}
