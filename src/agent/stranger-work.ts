/**
 * How much work a host asks strangers for: none while it is idle, more the busier it is and the more of its free
 * calls are used up. What was asked for is taken for a while, although the host asks for more meanwhile.
 */
import type { Clock } from '../base/clock.ts';
import { SaharaError } from '../base/errors.ts';
import type { Suite } from '../protocol/suite.ts';
import { WORK_BITS_MAX, type WorkSubject, workBits } from '../protocol/work.ts';

/** How much work is asked for. */
export interface WorkOptions {
  /** Most bits that strangers are asked for; 0 never asks. Default 20, about a second of one processor. */
  readonly bitsMax: number;
}

/** Values for every option. */
export const WORK_DEFAULTS: WorkOptions = { bitsMax: 20 };

/** The least that is asked for if anything is, bits: some milliseconds. */
const BITS_MIN = 12;
/** Bits more for each step that standing has fallen. */
const BITS_PER_STEP = 2;
/** How long what was asked for is taken, milliseconds. */
export const WORK_TAKEN_MS = 60_000;

/** How a host stands at this moment. */
export interface Pressure {
  /** How busy the agent is, 0 to 1. */
  readonly load: number;
  /** How much of the free calls is used up, 0 to 1. */
  readonly free: number;
  /** Steps that the standing of who asks has fallen. */
  readonly steps: number;
}

/** Bits for `pressure`, at most `bitsMax`. Half of the free calls may go before work is asked for. */
export function bitsFor({ load, free, steps }: Pressure, bitsMax: number): number {
  const pressed = Math.min(1, load + Math.max(0, 2 * free - 1));
  if (pressed <= 0 && steps <= 0) return 0;
  return Math.min(bitsMax, Math.round(BITS_MIN + (bitsMax - BITS_MIN) * pressed) + BITS_PER_STEP * steps);
}

/** Asks strangers for work and checks what they bring. */
export class StrangerWork {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #bitsMax: number;
  /** When each number of bits was last asked for. */
  readonly #askedAtMs: number[] = [];

  constructor(clock: Pick<Clock, 'monotonicMs'>, options: Partial<WorkOptions> = {}) {
    this.#clock = clock;
    this.#bitsMax = Math.min(WORK_BITS_MAX, options.bitsMax ?? WORK_DEFAULTS.bitsMax);
  }

  /** Throws `work-required` with the bits that are asked for. Costs two hashes, or none while no work is asked for. */
  check(suite: Suite, subject: WorkSubject, work: Uint8Array | undefined, pressure: Pressure): void {
    const bits = bitsFor(pressure, this.#bitsMax);
    if (bits === 0) return;
    const brought = workBits(suite, subject, work);
    if (brought >= bits || this.#asked(brought)) return;
    this.#askedAtMs[bits] = this.#clock.monotonicMs();
    throw new SaharaError('work-required', { bits, found: brought, over: 'agent, SHA-256 of the envelope' });
  }

  /** Whether no more than `brought` was asked for a short while ago. */
  #asked(brought: number): boolean {
    const sinceMs = this.#clock.monotonicMs() - WORK_TAKEN_MS;
    return this.#askedAtMs.some((atMs, bits) => bits <= brought && atMs >= sinceMs);
  }
}
