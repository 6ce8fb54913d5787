/**
 * Going on with calls that are left over: from before this process was started, from a stream that could not be
 * mended in time, or from another peer of the same operator. Their endings are fetched without anybody asking, so
 * that the evidence of every call is there; who asks gets the whole answer from its first word.
 */
import type { CallEvent, CallHandle, CallResult } from '../agent/caller.ts';
import { Incoming } from '../agent/incoming.ts';
import { type CallTicket, callTicket, type OpenCalls, readTicket } from '../agent/open-calls.ts';
import { fromHex, toHex } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { card as cardSchema } from '../protocol/card.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import type { AdminHandlers } from './admin/methods.ts';
import { askEndOf, askEventOf } from './ask-events.ts';
import type { Callers } from './callers.ts';

/** What resuming works with. */
export interface ResumingParts {
  readonly callers: Callers;
  readonly openCalls: OpenCalls;
  readonly clock: Clock;
  readonly log: Log;
}

/** How often calls that are left over are tried, milliseconds, and how many at a time. */
const TRY_EVERY_MS = 30_000;
/** Each try that fails doubles the wait for the next one of its call, up to this, milliseconds. */
const TRY_WAIT_MS_MAX = 3_600_000;
const FIRST_TRY_MS = 500;
const AT_A_TIME_MAX = 16;

/** A call that goes on. */
export interface ResumedCall {
  readonly ticket: CallTicket;
  /** What happens, from the call's beginning; who leaves it leaves the call to itself. */
  readonly events: AsyncIterable<CallEvent>;
  readonly result: Promise<CallResult>;
}

/** Goes on with calls that are left over. */
export interface Resuming {
  /** The call whose id begins with `prefix`, hexadecimal; the newest one left over when it is empty. Throws `call-unknown`. */
  find(prefix: string): CallTicket;
  /**
   * Goes on with a call, or joins it where that is happening already; with `stop` only to its ending, which charges what
   * was delivered. Throws `call-conflict` for one under way for somebody else.
   */
  resume(ticket: CallTicket, options?: { readonly stop?: boolean }): ResumedCall;
  stop(): Promise<void>;
}

/** Begins to fetch the endings of calls that are left over. */
export function createResuming(parts: ResumingParts): Resuming {
  const resuming = new CallResuming(parts);
  resuming.lookSoon(FIRST_TRY_MS);
  return resuming;
}

/** `resume` and `resume.ticket`: a call from its first word, and what it takes to go on with it elsewhere. */
export function resumeHandlers(parts: {
  readonly resuming: Resuming;
  readonly callers: Callers;
  readonly ledger: Pick<Ledger, 'read'>;
  readonly clock: Clock;
}): Pick<AdminHandlers, 'resume' | 'resume.ticket'> {
  const { resuming, clock } = parts;
  return {
    async *resume({ callId = '', ticket, stop = false }) {
      const startedAtMs = clock.monotonicMs();
      const call = resuming.resume(
        ticket === undefined ? resuming.find(callId) : readTicket(Buffer.from(ticket, 'base64')),
        { stop },
      );
      yield { type: 'call', callId: toHex(call.ticket.callId) };
      const card = cardSchema.decode(call.ticket.card.payload);
      for await (const event of call.events) {
        const told = askEventOf(event);
        if (told !== undefined) yield told;
      }
      const end = await askEndOf(parts, card, await call.result);
      yield { type: 'end', ...end, tookMs: Math.round(clock.monotonicMs() - startedAtMs) };
    },
    async 'resume.ticket'({ callId }) {
      const ticket = resuming.find(callId);
      const text = Buffer.from(callTicket.encode(ticket)).toString('base64');
      return { callId: toHex(ticket.callId), ticket: text };
    },
  };
}

class CallResuming implements Resuming {
  readonly #parts: ResumingParts;
  readonly #running = new Map<string, CallHandle>();
  readonly #tried = new Map<string, { readonly waitMs: number; readonly dueMs: number }>();
  readonly #stopping = new AbortController();
  #round: Promise<void> = Promise.resolve();
  #cancel: () => void = () => {};

  constructor(parts: ResumingParts) {
    this.#parts = parts;
  }

  lookSoon(afterMs: number): void {
    this.#cancel = this.#parts.clock.after(afterMs, () => {
      this.#round = this.#fetch().finally(() => {
        if (!this.#stopping.signal.aborted) this.lookSoon(TRY_EVERY_MS);
      });
    });
  }

  find(prefix: string): CallTicket {
    const { openCalls } = this.#parts;
    const wanted = prefix.toLowerCase();
    const whole = wanted.length === 32 ? fromHex(wanted) : undefined;
    const live = whole && openCalls.find(whole)?.ticket;
    if (live) return live;
    const running = [...this.#running.values()].flatMap(({ callId }) => openCalls.find(callId)?.ticket ?? []);
    const fits = [...openCalls.left(), ...running].filter(({ callId }) => toHex(callId).startsWith(wanted));
    const found = wanted === '' || fits.length === 1 ? fits.at(-1) : undefined;
    if (found) return found;
    if (wanted === '') throw new SaharaError('call-unknown', { reason: 'none is left over' });
    throw new SaharaError('call-unknown', {
      callId: prefix,
      reason: fits.length > 1 ? 'several fit' : 'it has ended, or was not begun here',
    });
  }

  resume(ticket: CallTicket, { stop = false }: { readonly stop?: boolean } = {}): ResumedCall {
    const name = toHex(ticket.callId);
    const running = this.#running.get(name);
    const handle = running ?? this.#begin(ticket);
    if (stop) handle.stop();
    const { result } = handle;
    return { ticket, events: running ? eventsOf(result) : handle.events(), result };
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#cancel();
    await this.#round;
  }

  #begin(ticket: CallTicket): CallHandle {
    const { callers, log } = this.#parts;
    const name = toHex(ticket.callId);
    // One that is left alone goes on: its price was agreed to when it was asked.
    const handle = callers.remote.resume(ticket);
    this.#running.set(name, handle);
    handle.result
      .then(
        ({ amount }) => {
          this.#tried.delete(name);
          log.info('a call that was left over has ended', { call: name, amount: String(amount) });
        },
        (error: unknown) => {
          this.#waitLonger(name);
          log.debug('a call that was left over has not ended', told(name, error));
        },
      )
      .finally(() => this.#running.delete(name));
    return handle;
  }

  #waitLonger(name: string): void {
    const waitMs = Math.min(TRY_WAIT_MS_MAX, 2 * (this.#tried.get(name)?.waitMs ?? TRY_EVERY_MS / 2));
    this.#tried.set(name, { waitMs, dueMs: this.#parts.clock.monotonicMs() + waitMs });
  }

  async #fetch(): Promise<void> {
    const { openCalls, clock } = this.#parts;
    const due = (name: string): boolean => (this.#tried.get(name)?.dueMs ?? 0) <= clock.monotonicMs();
    const left = openCalls.left();
    const names = new Set(left.map(({ callId }) => toHex(callId)));
    for (const name of this.#tried.keys()) if (!names.has(name)) this.#tried.delete(name);
    const waiting = left.filter(({ callId }) => due(toHex(callId)));
    const work = async (): Promise<void> => {
      for (let ticket = waiting.shift(); ticket && !this.#stopping.signal.aborted; ticket = waiting.shift()) {
        if (this.#running.has(toHex(ticket.callId))) continue;
        const stopped = new Promise<void>((resolve) =>
          this.#stopping.signal.addEventListener('abort', () => resolve(), { once: true }),
        );
        const ended = this.#begin(ticket).result.then(
          () => {},
          () => {},
        );
        await Promise.race([ended, stopped]);
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME_MAX }, work));
  }
}

function told(call: string, error: unknown): Readonly<Record<string, string>> {
  const { code, facts } = asSaharaError(error);
  return { call, code, outcome: String(facts.outcome ?? '') };
}

/** Everything that a call told, once it has ended. */
async function* eventsOf(ended: Promise<CallResult>): AsyncGenerator<CallEvent> {
  const { callId, evidence, receipt } = await ended;
  const incoming = new Incoming(nativeSuite, callId);
  for (const { kind, body } of evidence.deliveries) yield* incoming.take(kind, body);
  yield { type: 'ending', receipt };
}
