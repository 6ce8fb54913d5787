/**
 * Calls that a hosted agent makes while it answers one. Each is paid by the agent's operator out of the budget of the
 * call above, shows the calls above it, and when it has ended is delivered to the caller above with everything below
 * it, so that the whole can be checked and billed. When the call above ends, what still runs is stopped at its price.
 */

import type { Clock } from '../base/clock.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Spending } from '../protocol/budget.ts';
import { CALL_FRAME, type CallParent } from '../protocol/call.ts';
import { type Card, card as cardSchema } from '../protocol/card.ts';
import { callChild } from '../protocol/checkpoint.ts';
import { type Envelope, envelope } from '../protocol/envelope.ts';
import type { PublicKey } from '../protocol/ids.ts';
import { TREE_CALLS_MAX } from '../protocol/limits.ts';
import { chargeOf, costOf } from '../protocol/payment.ts';
import { inputUnits } from '../protocol/units.ts';
import type { CallTerms, ReadOpening } from './admission.ts';
import { CallBook, type CallHold } from './call-book.ts';
import { CHILD_MARGIN_MS } from './call-limits.ts';
import type { CallEvent, Caller, CallHandle, CallResult, CallTarget } from './caller.ts';
import type { BelowCall, BelowRequest, CallsBelow } from './calls-below.ts';
import { EventQueue } from './events.ts';
import type { AnswerPart } from './ports.ts';

/** What calls below are made with. */
export interface ChildCallsParts {
  readonly clock: Clock;
  readonly log: Log;
  /** Asks agents of others, and pays. */
  readonly caller: Caller;
  /** Asks agents of this operator, without money. */
  readonly own: Caller;
  /** Finds an agent. Throws `agent-unknown`, `peer-unreachable`. */
  find(
    agent: string,
    options: { readonly signal: AbortSignal },
  ): Promise<{ readonly target: CallTarget; readonly own: boolean }>;
  /** Sees to a channel to `payee` with room for `needed` grains. */
  makeRoom(payee: PublicKey, needed: bigint, options: { readonly signal: AbortSignal }): Promise<void>;
  /** A call below has ended; its evidence is worth keeping. */
  ended(result: CallResult, target: CallTarget): Promise<void>;
}

/** The call above. */
export interface CallAbove {
  readonly read: Pick<ReadOpening, 'opening' | 'envelope' | 'hosted'>;
  readonly startedAtMs: number;
  readonly terms: Pick<CallTerms, 'deadlineMs'>;
  /** Stops it, and with it every call below. */
  readonly signal: AbortSignal;
}

/** What asks for the call above; `undefined` where its host can ask nobody, or was granted nothing to do it with. */
export function callsBelow(parts: ChildCallsParts | undefined, above: CallAbove): ChildCalls | undefined {
  return above.read.envelope.context?.budget && parts && new ChildCalls(parts, above);
}

/** A call made below, as the host delivers it. */
export type ChildPart = Extract<AnswerPart, { type: 'child' }>;

/** Failures that a channel mends, all from before anything was sent. */
const MENDED_BY_MONEY: ReadonlySet<string> = new Set([
  'channel-unknown',
  'channel-closing',
  'funds-insufficient',
  'payment-required',
  'quota-exhausted',
]);

/** What every call below one shows of those above it. */
interface Place {
  readonly envelope: Envelope;
  readonly parents: readonly CallParent[];
}

/** The calls below one call. */
export class ChildCalls implements CallsBelow {
  readonly #parts: ChildCallsParts;
  readonly #above: CallAbove;
  readonly #place: Place;
  readonly #book: CallBook;
  readonly #running = new Set<Child>();
  readonly #parted: ChildPart[] = [];
  readonly #stop = new AbortController();

  constructor(parts: ChildCallsParts, above: CallAbove) {
    const { opening, envelope: own, hosted } = above.read;
    const certificate = hosted.card.operatorCertificate;
    this.#parts = parts;
    this.#above = above;
    this.#place = {
      envelope: own,
      parents: [...opening.parents, { envelope: opening.envelope, certificate }],
    };
    const agents = this.#place.parents.map((parent) => envelope.decode(parent.envelope.payload).to.name);
    this.#book = new CallBook(own.context?.budget, agents);
  }

  get left(): bigint {
    return this.#book.left;
  }

  get depth(): number {
    return this.#book.granted?.depth ?? 0;
  }

  ask(request: BelowRequest): BelowCall {
    const signal = AbortSignal.any([this.#stop.signal, this.#above.signal]);
    const { startedAtMs, terms } = this.#above;
    const child = new Child(
      {
        ...this.#parts,
        place: this.#place,
        book: this.#book,
        endsAtMs: startedAtMs + terms.deadlineMs,
        signal,
        ended: (result, target) => this.#ended(result, target),
      },
      request,
    );
    this.#running.add(child);
    void child.over.then(() => this.#running.delete(child));
    return child;
  }

  /** `parts` with each call below as soon as it has ended, and all of them before the end. */
  async *within(parts: AsyncIterable<AnswerPart>): AsyncGenerator<AnswerPart> {
    let next = 0;
    for await (const part of parts) {
      if (part.type === 'end') await this.close();
      for (; next < this.#parted.length; next++) yield this.#parted[next] as ChildPart;
      yield part;
    }
  }

  /** Stops what still runs; answers every call that was made, in the order in which they are delivered. */
  async close(): Promise<readonly ChildPart[]> {
    this.#stop.abort(new SaharaError('cancelled'));
    await Promise.all([...this.#running].map(({ over }) => over));
    return this.#parted;
  }

  #ended(result: CallResult, target: CallTarget): void {
    this.#add(result);
    void this.#parts
      .ended(result, target)
      .catch((error: unknown) =>
        this.#parts.log.warn('evidence not kept', { code: asSaharaError(error).code }),
      );
  }

  /** Adds a call that ended with a receipt, after those below it. */
  #add({ evidence, receipt }: CallResult): void {
    const { opening, ending, deliveries } = evidence;
    const deeper = deliveries.filter(({ kind }) => kind === CALL_FRAME.child);
    if (this.#parted.length + deeper.length >= TREE_CALLS_MAX) {
      // More than a caller takes: what it cost cannot be passed on.
      this.#parts.log.warn('too many calls below one', { limit: TREE_CALLS_MAX });
      return;
    }
    for (const { body } of deeper) this.#parted.push({ type: 'child', body, amount: 0n });
    const body = callChild.encode({ envelope: opening.envelope, ...ending });
    this.#parted.push({ type: 'child', body, amount: costOf(receipt) });
  }
}

interface ChildParts extends Omit<ChildCallsParts, 'ended'> {
  readonly place: Place;
  readonly book: CallBook;
  /** When the call above must have ended, milliseconds since 1970. */
  readonly endsAtMs: number;
  readonly signal: AbortSignal;
  readonly ended: (result: CallResult, target: CallTarget) => void;
}

interface Found {
  readonly target: CallTarget;
  readonly card: Card;
  readonly caller: Caller;
}

/** One call below. */
class Child implements BelowCall {
  readonly card: Promise<Card>;
  readonly result: Promise<CallResult>;
  /** Resolves when it has ended, however it did. */
  readonly over: Promise<void>;
  readonly #parts: ChildParts;
  readonly #request: BelowRequest;
  readonly #queue = new EventQueue<CallEvent>();
  readonly #stop = new AbortController();

  constructor(parts: ChildParts, request: BelowRequest) {
    this.#parts = parts;
    this.#request = request;
    const found = this.#find();
    this.card = found.then(({ card }) => card);
    this.result = found.then((agent) => this.#ask(agent));
    // Who looks at one of them hears of a failure there.
    this.card.catch(() => {});
    this.over = this.result.then(
      () => this.#queue.close(),
      (error: unknown) => this.#queue.close(asSaharaError(error)),
    );
  }

  events(): AsyncIterable<CallEvent> {
    return this.#queue.read();
  }

  stop(): void {
    this.#stop.abort(new SaharaError('cancelled'));
  }

  get #signal(): AbortSignal {
    return AbortSignal.any([this.#parts.signal, this.#stop.signal]);
  }

  async #find(): Promise<Found> {
    const signal = this.#signal;
    signal.throwIfAborted();
    const { target, own } = await this.#parts.find(this.#request.agent, { signal });
    const card = cardSchema.decode(target.card.payload);
    return { target, card, caller: own ? this.#parts.own : this.#parts.caller };
  }

  async #ask(agent: Found): Promise<CallResult> {
    const signal = this.#signal;
    signal.throwIfAborted();
    const { card, caller, target } = agent;
    const { book, ended } = this.#parts;
    const spending = this.#spending(card, caller);
    const hold = book.hold(card.agent, spending);
    let held: CallHold | undefined = hold;
    try {
      const result = await this.#mended(agent, spending, signal);
      held = undefined;
      hold.end(costOf(result.receipt));
      ended(result, target);
      return result;
    } catch (error) {
      const failure = asSaharaError(error);
      // What it may have cost stays held: nobody may spend it twice.
      if (failure.facts.outcome === 'unknown' || failure.facts.outcome === 'charged') held = undefined;
      held?.end(0n);
      throw failure;
    }
  }

  /** Asks, and once more when what kept the call from being made can be mended. */
  async #mended(agent: Found, spending: Spending, signal: AbortSignal): Promise<CallResult> {
    try {
      return await this.#once(agent, spending, signal);
    } catch (error) {
      const failure = asSaharaError(error);
      const { code, facts } = failure;
      const owed = facts.outcome !== undefined && facts.outcome !== 'uncharged';
      if (owed || agent.caller === this.#parts.own) throw failure;
      // A key changed while the call was on its way; the next goes on a stream with the new certificate.
      if (code !== 'certificate-invalid') {
        if (!MENDED_BY_MONEY.has(code) || spending.amount === 0n) throw failure;
        await this.#parts.makeRoom(agent.card.operator, spending.amount, { signal });
      }
      return this.#once(agent, spending, signal);
    }
  }

  async #once({ target, caller }: Found, spending: Spending, signal: AbortSignal): Promise<CallResult> {
    const { agent: _name, budget: _budget, priceMax: _price, ...question } = this.#request;
    const { place, clock } = this.#parts;
    const handle: CallHandle = caller.ask(
      {
        ...question,
        target,
        priceMax: spending.amount,
        deadlineMs: Math.max(1, spending.endsAtMs - clock.nowMs()),
        payment: spending.amount === 0n ? 'free' : 'auto',
        below: { parent: place.envelope, parents: place.parents },
        ...(spending.budget && { budget: spending.budget }),
      },
      { signal },
    );
    handle.result.catch(() => {});
    const stopped = new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    for await (const event of handle.events()) {
      const waiting = this.#queue.push([event]);
      // A reader that takes its time holds the agent back, but never the end of a call that was stopped.
      if (waiting !== undefined && !signal.aborted) await Promise.race([waiting, stopped]);
    }
    return handle.result;
  }

  /** What the call may cost at most, by its card and what is left. Throws `budget-exceeded` for time that is over. */
  #spending(card: Card, caller: Caller): Spending {
    const { clock, book, endsAtMs: lastMs } = this.#parts;
    const { granted, left } = book;
    const { question, context = [], skill, outputUnitsMax = card.limits.outputUnits } = this.#request;
    const nowMs = clock.nowMs();
    const untilMs = Math.min(granted?.deadlineMs ?? nowMs, lastMs);
    const endsAtMs = Math.floor(untilMs - CHILD_MARGIN_MS);
    if (granted !== undefined && endsAtMs <= nowMs) {
      const facts = { what: 'deadline', left: String(untilMs), wanted: String(nowMs + CHILD_MARGIN_MS) };
      throw new SaharaError('budget-exceeded', facts);
    }
    const units = inputUnits({ question, context });
    const least = chargeOf(card.price, units, 0);
    const most = chargeOf(card.price, units, Math.min(outputUnitsMax, card.limits.outputUnits));
    const { priceMax = left } = this.#request;
    const limit = priceMax < left ? priceMax : left;
    const passes = granted !== undefined && granted.depth > 1 && this.#request.budget !== undefined;
    // What it asks for itself comes first.
    const below = passes ? clamp(limit - most, 0n, this.#request.budget ?? 0n) : 0n;
    const budget = passes
      ? { amount: below, depth: granted.depth - 1, deadlineMs: endsAtMs, skills: granted.skills }
      : undefined;
    const amount = this.#amount({ least: least + below, most: most + below, limit, left }, card, caller);
    return { amount, skill: { name: skill }, endsAtMs, budget };
  }

  #amount(
    { least, most, limit, left }: Readonly<Record<'least' | 'most' | 'limit' | 'left', bigint>>,
    card: Card,
    caller: Caller,
  ): bigint {
    if (caller === this.#parts.own) return 0n;
    // An agent that gives calls away is asked for one where there is no money for it.
    if (card.free.calls > 0 && left < least) return 0n;
    // More than is left is refused by the book; less than it costs by the caller.
    if (left < least) return least;
    return most < limit ? most : limit;
  }
}

function clamp(value: bigint, least: bigint, most: bigint): bigint {
  if (value < least) return least;
  return value > most ? most : value;
}
