/**
 * The port through which whatever answers a call asks other agents: with the money, depth, time and skills that its
 * own call has left, and with everything delivered and billed by the host. `child-calls.ts` provides it.
 */
import type { Turn } from '../protocol/call.ts';
import type { Card } from '../protocol/card.ts';
import type { CallEvent, CallResult } from './caller.ts';

/** A question to another agent. */
export interface BelowRequest {
  /** Name, DID, or the first characters of a DID's last part. */
  readonly agent: string;
  readonly question: string;
  /** Earlier turns, oldest first. Default none. */
  readonly context?: readonly Turn[];
  /** Has to be named where the budget names skills. */
  readonly skill?: string;
  /** Most that it may cost with everything below it, grains. Default: all that is left. */
  readonly priceMax?: bigint;
  /** What of `priceMax` it may spend on calls of its own, beyond its own price, grains. Default: it may make none. */
  readonly budget?: bigint;
  /** Most units of answer. Default: what the card allows. */
  readonly outputUnitsMax?: number;
}

/** A call below under way. */
export interface BelowCall {
  /** Who answers; rejects as `result` does when nobody was found. */
  readonly card: Promise<Card>;
  /** The answer as it comes, for one reader. Throws what `result` rejects with. */
  events(): AsyncIterable<CallEvent>;
  /**
   * Rejects with `budget-exceeded` or `call-cycle` when nothing was sent, with `agent-unknown` and the like when
   * nobody was found, and else as a caller's result does.
   */
  readonly result: Promise<CallResult>;
  /** Stops it at its price. */
  stop(): void;
}

/** Asks other agents for one call. */
export interface CallsBelow {
  /** Grains that may still be spent. */
  readonly left: bigint;
  /** How many levels of calls there may be below. */
  readonly depth: number;
  /** Begins a call. It is stopped when the call that makes it ends. */
  ask(request: BelowRequest): BelowCall;
}
