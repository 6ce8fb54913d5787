/**
 * One question until somebody has answered it: what a channel is missing is set aside first, a host that dies or
 * refuses is followed by the next, and whoever asked sees each step.
 */
import { CALLER_DEFAULTS, type Caller, type CallTarget } from '../agent/caller.ts';
import {
  askInTurn,
  type FailoverEvent,
  type FailoverRequest,
  type FailoverResult,
} from '../agent/failover.ts';
import { parseAmount } from '../base/amount.ts';
import { toHex } from '../base/bytes.ts';
import type { SaharaError } from '../base/errors.ts';
import { type Card, card as cardSchema } from '../protocol/card.ts';
import type { CallBudget } from '../protocol/envelope.ts';
import { didOf } from '../protocol/ids.ts';
import { offer as offerSchema } from '../protocol/offer.ts';
import { chargeOf } from '../protocol/payment.ts';
import { inputUnits } from '../protocol/units.ts';
import type { AskInput } from './admin/methods.ts';
import type { AskEvent } from './admin/types.ts';
import { askEventOf } from './ask-events.ts';
import type { ChosenAgent } from './asking.ts';
import { type ChannelParts, makeRoom } from './channels.ts';
import { createStopwatch, type Stopwatch } from './stopwatch.ts';

/** A question and who could answer it. */
export interface Question {
  readonly parts: ChannelParts;
  readonly caller: Caller;
  readonly targets: FailoverRequest['targets'];
  readonly input: AskInput;
  readonly signal: AbortSignal;
  readonly chosen: ChosenAgent | undefined;
  /** Whether the agent is one of this peer, which costs nothing of its own. */
  readonly own: boolean;
}

/** An answer, and how long its call took. */
export interface Sought {
  readonly answered: FailoverResult;
  readonly watch: Stopwatch;
}

/** Asks and tells what happens. Throws what the last call failed with. */
export async function* seek(question: Question): AsyncGenerator<AskEvent, Sought> {
  const { parts, caller, targets, input, signal, own } = question;
  const run = async (target: CallTarget, { code }: SaharaError): Promise<unknown> => {
    // A key changed while the call was on its way; the next goes on a stream with the new certificate.
    if (!MENDED_BY_MONEY.has(code)) return undefined;
    const card = cardOf(target);
    return makeRoom(parts, { payee: card.operator, needed: costMax(question, card) }, { signal });
  };
  const sought = askInTurn(
    { caller, ...(!own && { mend: { codes: MENDED, run } }) },
    { targets, ...requestOf(question), ...(input.race === true && !own && { race: 2 as const }) },
    { signal },
  );
  const teller = new Teller(question);
  try {
    for (;;) {
      const next = await sought.next();
      if (next.done) return { answered: next.value, watch: teller.watch };
      yield* teller.tell(next.value);
    }
  } finally {
    // Who leaves early stops the agent. A generator that is closed has no result, though its type asks for one.
    await sought.return(undefined as never);
  }
}

/** Says what happens in the words of the admin API. */
class Teller {
  watch: Stopwatch;
  readonly #question: Question;
  #target: CallTarget | undefined;

  constructor(question: Question) {
    this.#question = question;
    this.watch = createStopwatch(question.parts.clock);
  }

  *tell(event: FailoverEvent): Generator<AskEvent, void> {
    if (event.type === 'mending') {
      if (!MENDED_BY_MONEY.has(event.failure.code)) return;
      const { name } = cardOf(event.target);
      const detail = `Setting money aside for the operator of ${name}; what is not used comes back.`;
      yield { type: 'progress', step: 'channel', detail };
    } else if (event.type === 'attempt') {
      yield* this.#attempt(event.target, toHex(event.callId));
    } else {
      this.watch.take(event);
      const told = askEventOf(event);
      if (told !== undefined) yield told;
    }
  }

  *#attempt(target: CallTarget, callId: string): Generator<AskEvent, void> {
    this.watch = createStopwatch(this.#question.parts.clock);
    const card = cardOf(target);
    if (this.#target !== undefined && this.#target !== target) {
      const detail = `${card.name} did not answer there; asking another of its hosts.`;
      yield { type: 'progress', step: 'again', detail };
    }
    yield { type: 'call', callId };
    if (this.#target !== target) yield agentEvent(card, this.#question.chosen);
    this.#target = target;
  }
}

function cardOf(target: CallTarget): Card {
  return cardSchema.decode(target.card.payload);
}

/** Who answers, and at which price. */
export function agentEvent(card: Card, chosen?: ChosenAgent): AskEvent {
  const { perCall } = chosen ? offerSchema.decode(chosen.offer.payload).price : card.price;
  const price = String(perCall);
  return { type: 'agent', name: card.name, did: didOf(card.agent), operator: didOf(card.operator), price };
}

const MENDED_BY_MONEY: ReadonlySet<string> = new Set([
  'channel-unknown',
  'channel-closing',
  'funds-insufficient',
  'payment-required',
  'quota-exhausted',
]);

const MENDED: ReadonlySet<string> = new Set([...MENDED_BY_MONEY, 'certificate-invalid']);

function requestOf(question: Question): Omit<FailoverRequest, 'targets'> {
  const { input, chosen, own } = question;
  const budget = budgetOf(question);
  return {
    question: input.question,
    priceMax: priceMaxOf(question),
    ...(input.context !== undefined && { context: input.context }),
    ...(input.skill !== undefined && { skill: input.skill }),
    ...(input.deadlineMs !== undefined && { deadlineMs: input.deadlineMs }),
    ...(chosen && { offer: chosen.offer }),
    ...(budget && { budget }),
    ...(own && { payment: 'free' as const }),
  };
}

/** Most that the question may cost with all calls below its own. */
export function priceMaxOf({ parts, input }: Pick<Question, 'parts' | 'input'>): bigint {
  if (input.priceMax !== undefined) return BigInt(input.priceMax);
  return (parseAmount(parts.config.wallet.priceMax) ?? 0n) + BigInt(input.budget?.amount ?? 0);
}

/** How many levels of calls there may be below when the asker does not say. */
const DEPTH_DEFAULT = 3;

/** What the agent may spend on calls of its own, until it must have answered. */
function budgetOf({ parts, input }: Question): CallBudget | undefined {
  if (input.budget === undefined) return undefined;
  const { amount, depth = DEPTH_DEFAULT, skills = [] } = input.budget;
  const waitMs = input.deadlineMs ?? CALLER_DEFAULTS.deadlineMs;
  return { amount: BigInt(amount), depth, deadlineMs: parts.clock.nowMs() + waitMs, skills };
}

/** Most that one call can cost: by its card or offer, but never more than the asker allows. */
function costMax(question: Question, card: Card): bigint {
  const { input, chosen } = question;
  const units = inputUnits({ question: input.question, context: input.context ?? [] });
  const { price } = chosen ? offerSchema.decode(chosen.offer.payload) : card;
  const byPrice = chargeOf(price, units, card.limits.outputUnits) + BigInt(input.budget?.amount ?? 0);
  const allowed = priceMaxOf(question);
  return byPrice < allowed ? byPrice : allowed;
}
