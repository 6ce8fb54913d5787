/**
 * Calls of bridges, by the id of the question that they belong to. A question is asked once: who asks under its id again,
 * also after a restart, joins the call that runs, goes on with the one that is left over, or reads the one that ended from
 * its evidence. A call that was refused before anything was delivered is sent again.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { CallEvent, Caller, CallHandle, CallResult, CallTarget } from '../agent/caller.ts';
import type { OpenCalls } from '../agent/open-calls.ts';
import { toHex } from '../base/bytes.ts';
import { timeoutSignal } from '../base/clock.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import type {
  AgentListing,
  AgentsPort,
  AnswerEvent,
  AskRequest,
  ProofVerdict,
} from '../bridges/core/ports.ts';
import { readBundle } from '../protocol/bundle.ts';
import { type Card, card as cardSchema } from '../protocol/card.ts';
import { checkpointOf } from '../protocol/certified-header.ts';
import type { Id } from '../protocol/ids.ts';
import { chargeOf, type Receipt, receipt as receiptSchema } from '../protocol/payment.ts';
import { signed } from '../protocol/signing.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import { inputUnits } from '../protocol/units.ts';
import { readAnswer } from '../protocol/verify-answer.ts';
import { verifyBundle } from '../protocol/verify-bundle.ts';
import type { AskingParts } from './asking.ts';
import { createTape, type Tape } from './bridges-tape.ts';
import { makeRoom } from './channels.ts';
import { findAgent, targetsOf } from './finding.ts';
import { findReceipt } from './receipts.ts';
import type { Resuming } from './resuming.ts';
import { createStopwatch, type Stopwatch } from './stopwatch.ts';

/** What calls of bridges work with. */
export interface BridgeCallsParts extends AskingParts {
  readonly openCalls: OpenCalls;
  readonly resuming: Resuming;
  /** The evidence of a call with its settlement, once there is one. Throws `receipt-unknown`. */
  readonly bundleOf: (callId: string) => Promise<Uint8Array>;
}

/** Ids that a question to an agent of this peer may be asked under: the first, and one after each crash. */
const IDS_MAX = 4;
/** Words of a question and its context that a price is reckoned with before the question is known. */
const INPUT_UNITS_RECKONED = 4_096;
/** Longest wait for a card that is not known yet, milliseconds. */
const CARD_WAIT_MS = 2_000;
/** Calls that were stopped before they began and are remembered. */
const STOPPED_EARLY_MAX = 4_096;

/** Refusals of this side or of an agent's peer that money mends. */
const MENDED_BY_MONEY: ReadonlySet<string> = new Set([
  ...['channel-unknown', 'channel-closing', 'funds-insufficient', 'payment-required', 'quota-exhausted'],
]);
/** Refusals after which another of its hosts may answer. */
const TRIED_AGAIN: ReadonlySet<string> = new Set([
  ...['agent-unknown', 'certificate-invalid', 'expired', 'overloaded', 'peer-unreachable', 'rate-limited'],
]);

/** The calls of bridges over the daemon's own callers. */
export function createBridgeCalls(parts: BridgeCallsParts): AgentsPort {
  return new BridgeCalls(parts);
}

class BridgeCalls implements AgentsPort {
  readonly #parts: BridgeCallsParts;
  readonly #running = new Map<string, { readonly tape: Tape; stop(): void }>();
  readonly #stopped = new Set<string>();

  constructor(parts: BridgeCallsParts) {
    this.#parts = parts;
  }

  async list({ signal }: { readonly signal?: AbortSignal } = {}): Promise<readonly AgentListing[]> {
    const { directory, agents, clock } = this.#parts;
    // A host that hangs must not keep the others from being listed.
    const limit = timeoutSignal(clock, CARD_WAIT_MS);
    const options = { signal: signal ? AbortSignal.any([signal, limit]) : limit };
    const cards = await Promise.all(
      directory.agents().map(async (found) => {
        try {
          const own = agents.ownTarget(found.agent);
          if (own !== undefined) return listingOf(found.did, cardOf(own));
          const { bytes } = await directory.card(found, options);
          return listingOf(found.did, cardSchema.decode(signed.decode(bytes).payload));
        } catch {
          // Who does not show its card cannot be asked either.
          return undefined;
        }
      }),
    );
    return cards.filter((listing) => listing !== undefined);
  }

  ask(request: AskRequest, { signal }: { readonly signal?: AbortSignal } = {}): AsyncIterable<AnswerEvent> {
    const name = toHex(request.callId);
    const running = this.#running.get(name) ?? this.#begin(name, request);
    return running.tape.read(signal);
  }

  async cancel(callId: Id): Promise<void> {
    const name = toHex(callId);
    this.#stopped.add(name);
    for (const [oldest] of this.#stopped.entries()) {
      if (this.#stopped.size <= STOPPED_EARLY_MAX) break;
      this.#stopped.delete(oldest);
    }
    this.#running.get(name)?.stop();
  }

  async receipt(callId: Id): Promise<Receipt | undefined> {
    const path = await this.#evidenceOf(callId);
    return path === undefined ? undefined : receiptIn(await readFile(path));
  }

  async verify(callId: Id): Promise<ProofVerdict> {
    for (const attempt of idsOf(callId)) {
      const name = toHex(attempt);
      if ((await findReceipt(this.#parts.home.receipts, name)) === undefined) continue;
      const file = await this.#parts.bundleOf(name);
      // This peer believes its own chain, where a proof has no room for the way from the beginning.
      const { settlement } = readBundle(file);
      const through = settlement && checkpointOf(nativeSuite, settlement.header);
      const { ok, steps, summary } = verifyBundle(nativeSuite, file, { through });
      const block = summary?.settlement?.height;
      if (ok) return { valid: true, checks: steps.length, ...(block !== undefined && { block }) };
      const { check, detail } = steps.at(-1) ?? { check: 'bundle', detail: 'unreadable' };
      return { valid: false, reason: `${check}: ${detail}` };
    }
    throw new SaharaError('receipt-unknown', { receipt: toHex(callId) });
  }

  #begin(name: string, request: AskRequest): { readonly tape: Tape; stop(): void } {
    const tape = createTape();
    const run = new BridgeCall(this.#parts, request, tape, () => this.#stopped.has(name));
    const running = { tape, stop: () => run.stop() };
    this.#running.set(name, running);
    run
      .carry(() => this.#evidenceOf(request.callId))
      .then(
        () => tape.close(),
        (error: unknown) => tape.close(asSaharaError(error)),
      )
      .finally(() => {
        this.#running.delete(name);
        this.#stopped.delete(name);
      });
    return running;
  }

  /** The file of a question's evidence, under whichever of its ids it was answered. */
  async #evidenceOf(callId: Id): Promise<string | undefined> {
    for (const attempt of idsOf(callId)) {
      const path = await findReceipt(this.#parts.home.receipts, toHex(attempt));
      if (path !== undefined) return path;
    }
    return undefined;
  }
}

/** One question until it is answered. */
class BridgeCall {
  readonly #parts: BridgeCallsParts;
  readonly #request: AskRequest;
  readonly #tape: Tape;
  readonly #isStopped: () => boolean;
  readonly #waiting = new AbortController();
  #handle: Pick<CallHandle, 'stop'> | undefined;

  constructor(parts: BridgeCallsParts, request: AskRequest, tape: Tape, isStopped: () => boolean) {
    this.#parts = parts;
    this.#request = request;
    this.#tape = tape;
    this.#isStopped = isStopped;
  }

  stop(): void {
    this.#waiting.abort();
    this.#handle?.stop();
  }

  async carry(evidence: () => Promise<string | undefined>): Promise<void> {
    const path = await evidence();
    if (path !== undefined) return this.#retell(await readFile(path));
    const { openCalls, resuming } = this.#parts;
    for (const attempt of idsOf(this.#request.callId)) {
      const left = openCalls.find(attempt);
      if (left === undefined) continue;
      const call = resuming.resume(left.ticket, { stop: this.#isStopped() });
      this.#handle = { stop: () => void resuming.resume(left.ticket, { stop: true }) };
      await this.#follow(call);
      return;
    }
    if (this.#isStopped()) return this.#tape.push([NEVER_BEGUN]);
    try {
      await this.#ask();
    } catch (error) {
      const { code, facts } = asSaharaError(error);
      const isOver = code === 'cancelled' && this.#isStopped() && facts.outcome === undefined;
      if (!isOver) throw error;
      this.#tape.push([NEVER_BEGUN]);
    }
  }

  /** What ended before comes again out of its evidence. */
  #retell(file: Uint8Array): void {
    const { deliveries, ending } = readBundle(file);
    const receipt = receiptSchema.decode(ending.receipt.payload);
    const { text, sources, citations } = readAnswer(nativeSuite, receipt.callId, deliveries);
    this.#tape.push([
      ...sources.map((source) => ({ type: 'source', source }) as const),
      { type: 'text', text },
      ...citations.map((citation) => ({ type: 'citation', citation }) as const),
      endingOf(receipt),
    ]);
  }

  async #ask(): Promise<void> {
    const listing = await findAgent(this.#parts, this.#request.agent, this.#waiting.signal);
    const own = this.#parts.agents.ownTarget(listing.agent);
    if (own === undefined) await this.#askOthers(listing);
    else await this.#askHere(own);
  }

  /** A call to an agent of this peer that a crash ended cannot be gone on with, and was free: it has another id. */
  async #askHere(target: CallTarget): Promise<void> {
    let failure: unknown;
    for (const callId of idsOf(this.#request.callId)) {
      try {
        return await this.#call(this.#parts.callers.local, target, callId);
      } catch (error) {
        failure = error;
        if (asSaharaError(error).code !== 'replayed' || !this.#tape.isEmpty) throw error;
      }
    }
    throw failure;
  }

  /** What was refused is sent again under its id: once there is money for it, or to another host. */
  async #askOthers(listing: Parameters<typeof targetsOf>[1]): Promise<void> {
    const { signal } = this.#waiting;
    const mended = new Set<CallTarget>();
    let failure: SaharaError | undefined;
    for await (const target of targetsOf(this.#parts, listing, signal)) {
      for (;;) {
        try {
          return await this.#call(this.#parts.callers.remote, target, this.#request.callId);
        } catch (error) {
          failure = asSaharaError(error);
          if (!this.#isHarmless(failure)) throw failure;
          if (mended.has(target) || !MENDED_BY_MONEY.has(failure.code)) break;
          mended.add(target);
          await this.#setMoneyAside(target, signal);
        }
      }
    }
    throw failure ?? new SaharaError('agent-unknown', { agent: this.#request.agent });
  }

  /** The asker's money is held already: what is missing now is the operator's, which is for the operator to know. */
  async #setMoneyAside(target: CallTarget, signal: AbortSignal): Promise<void> {
    const { operator: payee } = cardOf(target);
    try {
      await makeRoom(this.#parts, { payee, needed: this.#costMax(target) }, { signal });
    } catch (error) {
      const { code, facts } = asSaharaError(error);
      if (code !== 'funds-insufficient') throw error;
      this.#parts.log.error('the operator has too little money for a call of a bridge', { ...facts });
      throw new SaharaError('payment-required', { reason: 'the operator of this bridge cannot pay' });
    }
  }

  async #call(caller: Caller, target: CallTarget, callId: Id): Promise<void> {
    const { question, context, priceMax } = this.#request;
    const isOwn = caller === this.#parts.callers.local;
    const payment = isOwn ? ({ payment: 'free' } as const) : {};
    const handle = caller.ask({ target, question, context, priceMax, callId, kept: true, ...payment });
    this.#handle = handle;
    if (this.#isStopped()) handle.stop();
    const watch = createStopwatch(this.#parts.clock);
    const { evidence } = await this.#follow({ events: handle.events(), result: handle.result }, watch);
    if (isOwn) return;
    const { receipt } = evidence.ending;
    await this.#parts.paymentPeers.met(cardOf(target).operator, target.peerId);
    void this.#parts.observations.observe({ receipt, peerId: target.peerId, ...watch.read() });
  }

  /** Tells what comes. The end is told once its evidence is on disk. */
  async #follow(
    call: { readonly events: AsyncIterable<CallEvent>; readonly result: Promise<CallResult> },
    watch?: Stopwatch,
  ): Promise<CallResult> {
    for await (const event of call.events) {
      watch?.take(event);
      const told = answerEventOf(event);
      if (told !== undefined) this.#tape.push([told]);
    }
    const result = await call.result;
    await this.#parts.callers.save(result);
    this.#tape.push([endingOf(result.receipt)]);
    return result;
  }

  /** Whether nothing was shown, nothing is owed, and asking again may help. */
  #isHarmless({ code, facts }: SaharaError): boolean {
    const isOwed = facts.outcome === 'unknown' || facts.outcome === 'charged';
    if (isOwed || !this.#tape.isEmpty || this.#isStopped()) return false;
    return MENDED_BY_MONEY.has(code) || TRIED_AGAIN.has(code);
  }

  #costMax(target: CallTarget): bigint {
    const { price, limits } = cardOf(target);
    const { question, context, priceMax } = this.#request;
    const cost = chargeOf(price, inputUnits({ question, context }), limits.outputUnits);
    return cost < priceMax ? cost : priceMax;
  }
}

const NEVER_BEGUN: AnswerEvent = { type: 'ending', ending: { finish: 'cancelled', amount: 0n } };

/** The ids under which a question may have been asked, in their order; the first is its own. */
function idsOf(callId: Id): readonly Id[] {
  const later = Array.from({ length: IDS_MAX - 1 }, (_, i) =>
    Uint8Array.from(
      createHash('sha256')
        .update('sahara/bridge/again')
        .update(callId)
        .update(String(i + 1))
        .digest()
        .subarray(0, 16),
    ),
  );
  return [callId, ...later];
}

function answerEventOf(event: CallEvent): AnswerEvent | undefined {
  if (event.type === 'text') return { type: 'text', text: event.text };
  if (event.type === 'source') return { type: 'source', source: event.source };
  return event.type === 'citation' ? { type: 'citation', citation: event.citation } : undefined;
}

function endingOf({ finish, amount }: Receipt): AnswerEvent {
  return { type: 'ending', ending: { finish, amount } };
}

function receiptIn(file: Uint8Array): Receipt {
  return receiptSchema.decode(readBundle(file).ending.receipt.payload);
}

function cardOf(target: CallTarget): Card {
  return cardSchema.decode(target.card.payload);
}

function listingOf(did: string, { name, description, price, limits }: Card): AgentListing {
  const amountMax = chargeOf(price, INPUT_UNITS_RECKONED, limits.outputUnits);
  return { did, name, description, perCall: price.perCall, amountMax };
}
