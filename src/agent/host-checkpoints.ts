/**
 * The checkpoints of one metered call: what was delivered so far and what it costs, signed by the agent. Delivery does
 * not wait for a signature, so a checkpoint may leave after later deliveries; it leaves in order, and only once what it
 * says would survive the end of the process.
 */
import { asSaharaError, type SaharaError } from '../base/errors.ts';
import { point } from '../base/points.ts';
import { CALL_FRAME } from '../protocol/call.ts';
import { checkpoint as checkpointSchema } from '../protocol/checkpoint.ts';
import type { Hash, Id } from '../protocol/ids.ts';
import { type Signed, signed as signedSchema, type TickSigner } from '../protocol/signing.ts';
import type { Delivery } from './delivery.ts';
import type { HostLine } from './host-line.ts';
import type { Meter } from './host-meter.ts';
import type { AnswerRun, CallFrame } from './ports.ts';
import type { RunningCall } from './running-calls.ts';

/** Parts of a call's checkpoints. */
export interface CheckpointParts {
  readonly network: string;
  readonly callId: Id;
  readonly channel: Hash;
  readonly inputUnits: number;
  /** Signs with the agent's key. */
  readonly signer: TickSigner;
  readonly meter: Meter;
  readonly delivery: Delivery;
  readonly line: HostLine;
  /** Where the call is kept to go on after a restart. */
  readonly kept: RunningCall | undefined;
  /** The voucher that covers the call at the moment. */
  voucher(): Signed | undefined;
  /** A checkpoint could not be made or kept. */
  failed(error: SaharaError): void;
}

/** The checkpoints of one call. */
export class Checkpoints {
  readonly #parts: CheckpointParts;
  readonly #run: AnswerRun;
  #sending: Promise<void> = Promise.resolve();
  #last: CallFrame | undefined;
  #made = false;
  #closed = false;

  /** `last`: the one that was kept before a restart. */
  constructor(parts: CheckpointParts, run: AnswerRun, last: CallFrame | undefined) {
    this.#parts = parts;
    this.#run = run;
    this.#last = last;
    this.#made = last !== undefined;
  }

  /** The last one that was sent. */
  get last(): CallFrame | undefined {
    return this.#last;
  }

  /** Whether there was one. */
  get made(): boolean {
    return this.#made;
  }

  /** Makes one of what is delivered by now. */
  make(): void {
    const { network, callId, channel, inputUnits, signer, meter, delivery, kept } = this.#parts;
    const { units, expenses, chain, frames } = delivery;
    const amount = meter.amount(units, expenses);
    const payload = checkpointSchema.encode({
      network,
      callId,
      channel,
      sequence: meter.checkpoint(amount),
      deliveries: frames.length,
      chain,
      inputUnits,
      outputUnits: units,
      expenses,
      amount,
    });
    this.#made = true;
    const signing = signer.sign('checkpoint', payload);
    const delivered = kept && { text: delivery.text, citations: delivery.citations.slice() };
    const deliveries = frames.length;
    this.#follow(async () => {
      const message = await signing;
      if (this.#closed) return;
      point('host:checkpoint');
      const voucher = this.#parts.voucher();
      if (kept !== undefined && delivered !== undefined && voucher !== undefined) {
        const { rule, shares } = await this.#run.shares(delivered);
        if (this.#closed) return;
        const { cover } = meter;
        await kept.keep({ checkpoint: message, deliveries, cover, voucher, rule, shares }, frames);
        point('host:kept');
      }
      const frame = { kind: CALL_FRAME.checkpoint, body: signedSchema.encode(message) };
      this.#last = frame;
      if (!this.#closed) this.#parts.line.send(frame);
      point('host:checkpointed');
    });
    // Heard where the checkpoint's turn comes, unless that never comes.
    signing.catch(() => {});
  }

  /** Sends `frame` after the checkpoints that are under way. */
  sendAfter(frame: CallFrame): void {
    this.#follow(async () => {
      if (!this.#closed) this.#parts.line.send(frame);
    });
  }

  /** The ending follows: what has not left does not leave any more. */
  close(): void {
    this.#closed = true;
  }

  #follow(step: () => Promise<void>): void {
    this.#sending = this.#sending.then(step).catch((error: unknown) => {
      if (!this.#closed) this.#parts.failed(asSaharaError(error));
    });
  }
}
