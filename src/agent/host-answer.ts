/**
 * Delivers an answer: part by part, as fast as the line takes it and as far as it is paid for. While there is no open
 * line, or what comes next is not covered, the backend is not asked for more.
 */
import { asSaharaError, SaharaError } from '../base/errors.ts';
import { CALL_FRAME, progress } from '../protocol/call.ts';
import type { Finish } from '../protocol/payment.ts';
import type { ChildCalls } from './child-calls.ts';
import type { Delivery } from './delivery.ts';
import type { Checkpoints } from './host-checkpoints.ts';
import type { HostLine } from './host-line.ts';
import type { Meter } from './host-meter.ts';
import type { AnswerPart, CallFrame } from './ports.ts';
import type { HostEvent, HostState, Session } from './session.ts';

/** What meters a call whose opening does not cover all of it. */
export interface Metering {
  readonly meter: Meter;
  readonly checkpoints: Checkpoints;
}

/** Parts of the delivery of one answer. */
export interface AnsweringParts {
  readonly line: HostLine;
  readonly delivery: Delivery;
  readonly session: Session<HostState, HostEvent>;
  /** Absent for a free call. */
  readonly meter: Meter | undefined;
  /** Absent unless the call is metered. */
  readonly metering: Metering | undefined;
  /** The calls that the agent makes while it answers. Absent where it may make none. */
  readonly calls: ChildCalls | undefined;
  /** Stops the answer. */
  readonly signal: AbortSignal;
}

type Delivered = Exclude<AnswerPart, { type: 'end' }>;

const PAUSED: CallFrame = {
  kind: CALL_FRAME.progress,
  body: progress.encode({ stage: 'paused', ahead: 0 }),
};

/** The delivery of one answer. */
export class Answering {
  readonly #parts: AnsweringParts;

  constructor(parts: AnsweringParts) {
    this.#parts = parts;
  }

  /** Delivers until the end, a stop or a failure; a failure with nothing delivered is thrown. */
  async deliver(answer: AsyncIterable<AnswerPart>): Promise<Finish> {
    const { delivery, signal } = this.#parts;
    const ended = await this.#run(answer).catch((error: unknown) => ({ error }));
    if (this.#parts.calls !== undefined) await this.#settleCalls(this.#parts.calls);
    if (typeof ended === 'string') return ended;
    const billed = delivery.deltas > 0 || delivery.frames.some(({ kind }) => kind === CALL_FRAME.child);
    if (!billed) throw signal.aborted ? signal.reason : backendError(ended.error);
    return signal.aborted ? 'cancelled' : 'failed';
  }

  async #run(answer: AsyncIterable<AnswerPart>): Promise<Finish> {
    const { delivery, line, signal, calls } = this.#parts;
    const parts = (calls?.within(answer) ?? answer)[Symbol.asyncIterator]();
    let leave = (): void => {};
    const stopped = new Promise<undefined>((resolve) => {
      leave = () => resolve(undefined);
      signal.addEventListener('abort', leave, { once: true });
    });
    try {
      for (;;) {
        if (signal.aborted) throw signal.reason;
        const next = await Promise.race([parts.next(), stopped]);
        if (next === undefined) throw signal.reason;
        if (next.done) throw new SaharaError('backend-failed', { reason: 'no end' });
        if (next.value.type === 'end') return delivery.cut ? 'length' : next.value.finish;
        if (!line.open) await line.ready(signal);
        const waiting = this.#part(next.value);
        if (waiting !== undefined) await waiting;
        if (delivery.cut) return 'length';
      }
    } finally {
      signal.removeEventListener('abort', leave);
      // A backend that does not come back from here has its own signal to obey.
      parts.return?.().then(undefined, () => {});
    }
  }

  /** Delivers the calls below that were not delivered yet, whatever the pace of the reader. */
  async #settleCalls(calls: ChildCalls): Promise<void> {
    const { delivery, signal } = this.#parts;
    const made = await calls.close();
    const delivered = new Set(delivery.frames.map(({ body }) => body));
    for (const { body, amount } of made) {
      if (!delivered.has(body)) delivery.child(body, amount, signal)?.catch(() => {});
    }
  }

  #part(part: Delivered): Promise<void> | undefined {
    const { delivery, signal, metering } = this.#parts;
    if (part.type === 'source') return delivery.source(part.source, signal);
    if (part.type === 'attribution') return delivery.attribution(part.body, signal);
    if (part.type === 'child') return this.#child(part.body, part.amount);
    const waiting = delivery.say(part.text, part.citations, signal);
    return metering === undefined ? waiting : this.#metered(metering, waiting);
  }

  /** What calls below may cost is covered from the beginning. */
  #child(body: Uint8Array, amount: bigint): Promise<void> | undefined {
    const { delivery, meter, metering, signal } = this.#parts;
    meter?.checkBudget(amount, delivery.expenses);
    const waiting = delivery.child(body, amount, signal);
    if (metering !== undefined) this.#checkpoint(metering);
    return waiting;
  }

  async #metered(metering: Metering, waiting: Promise<void> | undefined): Promise<void> {
    const { delivery, line, signal } = this.#parts;
    if (waiting !== undefined) await waiting;
    this.#checkpoint(metering);
    while (delivery.held !== undefined) {
      if (!(await this.#covered(metering))) {
        delivery.drop();
        return;
      }
      if (!line.open) await line.ready(signal);
      await delivery.release(signal);
      this.#checkpoint(metering);
    }
  }

  #checkpoint({ meter, checkpoints }: Metering): void {
    const { units, expenses } = this.#parts.delivery;
    if (meter.due(meter.amount(units, expenses))) checkpoints.make();
  }

  /** Waits for more cover; false when no checkpoint is left that could ask for it. Throws the reason of a stop. */
  async #covered({ meter, checkpoints }: Metering): Promise<boolean> {
    const { delivery, line, session, signal } = this.#parts;
    while (delivery.unitsPaid <= delivery.units) {
      if (meter.open(meter.amount(delivery.units, delivery.expenses))) {
        if (meter.spent) return false;
        checkpoints.make();
      }
      if (session.state === 'answering') {
        session.move('pause');
        checkpoints.sendAfter(PAUSED);
      }
      await line.bell.wait(signal);
    }
    if (session.state === 'paused') session.move('cover');
    return true;
  }
}

function backendError(error: unknown): SaharaError {
  const known = asSaharaError(error);
  // What went wrong inside a backend is the operator's business, not the caller's.
  return known.code === 'internal' ? new SaharaError('backend-failed', {}, { cause: error }) : known;
}
