/**
 * Serves calls. Each walks the host's table of `session.ts`: the opening is checked in the documented order before any
 * work, the answer is delivered as fast as its reader takes it and as far as it is paid for, and what was delivered is
 * charged exactly, whether the answer came to its end, was stopped, or broke off. A call outlives its streams for a
 * while, and a metered one this process.
 */
import { toHex } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { invariant, SaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { Passing } from '../base/passing.ts';
import type { Id, PublicKey } from '../protocol/ids.ts';
import type { AdmissionParts, HostedAgent } from './admission.ts';
import {
  CALL_QUEUE_MAX,
  DETACHED_CALLS_MAX,
  DISOWNED_CALLS_MAX,
  DRAIN_GRACE_MS,
  RESUME_GRACE_MS,
} from './call-limits.ts';
import type { CallRecords } from './call-records.ts';
import type { ChildCallsParts } from './child-calls.ts';
import { Entrance, type EntranceOptions, type EntranceParts } from './entrance.ts';
import { Gate } from './gate.ts';
import type { HostCall } from './host-call.ts';
import { Arrival } from './host-door.ts';
import { recoverCalls } from './host-recover.ts';
import type { CallStream, OncePayee, PayeePort } from './ports.ts';
import type { QuotaBook } from './quota.ts';
import type { RunningCalls } from './running-calls.ts';
import type { CallerLimits } from './standing-service.ts';

/** Parts of a host. */
export interface HostParts extends AdmissionParts, Pick<EntranceParts, 'standing' | 'hasChannel'> {
  readonly payee: PayeePort;
  /** Takes calls that one transaction pays; without it they are refused. */
  readonly once?: OncePayee;
  readonly records: CallRecords;
  readonly quota: QuotaBook;
  readonly log: Log;
  readonly clock: Clock;
  /** What agents ask others with; without it they ask nobody. */
  readonly below?: ChildCallsParts;
  /** Where metered calls are kept across a restart; without it they end with this process. */
  readonly running?: RunningCalls;
}

/** Options of a host. */
export interface HostOptions extends EntranceOptions {
  /** Calls that may wait for a free place at one agent. Default 256. */
  readonly queueMax: number;
  /** How long a call whose stream is gone waits for its caller, milliseconds; 0 ends it at once. Default 30,000. */
  readonly resumeGraceMs: number;
  /** Calls that wait for their callers; with more the one that waited longest ends. Default 256. */
  readonly detachedMax: number;
}

/** Values for every option. */
export const HOST_DEFAULTS: HostOptions = {
  queueMax: CALL_QUEUE_MAX,
  resumeGraceMs: RESUME_GRACE_MS,
  detachedMax: DETACHED_CALLS_MAX,
  limits: {},
  work: {},
};

/** How busy an agent is. */
export interface AgentLoad {
  /** Calls waiting or running. */
  readonly queue: number;
  /** Median time to the end of recent answers, milliseconds; absent before the first. */
  readonly latencyMs: number | undefined;
}

/** Serves the calls of this peer's agents. */
export interface Host {
  /** Takes a call's stream. Never throws: what is wrong is told to the caller. */
  serve(stream: CallStream): void;
  /**
   * Takes up the calls that were under way when the process ended; they wait for their callers from now on. Once, when
   * the agents are there. Until then their callers are told to wait.
   */
  recover(): Promise<void>;
  /** How busy an agent is. */
  loadOf(agent: PublicKey): AgentLoad;
  /** What a peer and a key get here now. */
  limitsOf(peerId: string, caller: PublicKey): CallerLimits;
  /** Calls under way. */
  readonly running: number;
  /**
   * Refuses new calls and resolves when the running ones have ended; those that wait for their callers end at once.
   * After `deadlineMs` all are stopped, and `DRAIN_GRACE_MS` later it resolves whatever they do.
   */
  drain(deadlineMs: number): Promise<void>;
}

/** Calls whose time is remembered per agent. */
const LATENCIES_MAX = 64;

/** What calls and streams share. */
export interface HostState {
  readonly parts: HostParts;
  readonly options: HostOptions;
  readonly entrance: Entrance;
  gateOf(hosted: HostedAgent): Gate;
  /** Calls under way by id, in hexadecimal. */
  readonly byId: Pick<Passing<string, HostCall>, 'get' | 'has'>;
  /** A call waits for its caller from now on. */
  waits(call: HostCall): void;
  /** A call does not wait any longer. */
  waitsNoMore(call: HostCall): void;
  /** A call begins, or goes on after a restart. */
  began(call: HostCall): void;
  /** A call is over. */
  finished(call: HostCall): void;
  /** A stream is over, or carries a call. */
  departed(arrival: Arrival): void;
  latency(agent: PublicKey, milliseconds: number): void;
  /** `caller`: the key, once it was proven. */
  refused(error: SaharaError, peerId: string, caller: PublicKey | undefined): void;
  /** A caller was told that its call is unknown here. */
  disown(callId: Id, caller: PublicKey): void;
  /** Whether a caller was told so. */
  disowned(callId: Id, caller: PublicKey): boolean;
  /** Resolves once a kept call has been taken up; `undefined` for one that is not kept. Throws `overloaded` before. */
  recovering(callId: Id): Promise<void> | undefined;
  readonly draining: boolean;
}

/** A host of `parts.agents`. */
export function createHost(parts: HostParts, options: Partial<HostOptions> = {}): Host {
  return new CallHost(parts, { ...HOST_DEFAULTS, ...options });
}

class CallHost implements Host, HostState {
  readonly parts: HostParts;
  readonly options: HostOptions;
  readonly entrance: Entrance;
  readonly byId = new Passing<string, HostCall>();
  draining = false;
  readonly #arrivals = new Set<Arrival>();
  readonly #gates = new Map<string, { readonly gate: Gate; readonly concurrency: number }>();
  readonly #latencies = new Map<string, number[]>();
  /** In the order in which they began to wait. */
  readonly #waiting = new Set<HostCall>();
  readonly #disowned = new Set<string>();
  #recovery: Promise<void> | undefined;
  #idle: (() => void)[] = [];

  constructor(parts: HostParts, options: HostOptions) {
    this.parts = parts;
    this.options = options;
    this.entrance = new Entrance(parts, options);
  }

  get running(): number {
    return this.#arrivals.size + this.byId.size;
  }

  serve(stream: CallStream): void {
    const arrival = new Arrival(this, stream);
    this.#arrivals.add(arrival);
    arrival.start();
  }

  recover(): Promise<void> {
    const { running } = this.parts;
    this.#recovery ??= running === undefined ? Promise.resolve() : recoverCalls(this, running);
    return this.#recovery;
  }

  recovering(callId: Id): Promise<void> | undefined {
    const { running } = this.parts;
    if (running === undefined || !running.has(callId) || this.byId.has(toHex(callId))) return undefined;
    if (this.#recovery === undefined) {
      throw new SaharaError('overloaded', { what: 'host', reason: 'starting' });
    }
    return running.isLeft(callId) ? this.#recovery : undefined;
  }

  gateOf(hosted: HostedAgent): Gate {
    const name = toHex(hosted.card.agent);
    const { concurrency } = hosted.card.limits;
    const known = this.#gates.get(name);
    // A new card may change how many run at a time; calls under way leave through the gate they came by.
    if (known?.concurrency === concurrency) return known.gate;
    const gate = new Gate(concurrency, this.options.queueMax);
    this.#gates.set(name, { gate, concurrency });
    return gate;
  }

  began(call: HostCall): void {
    invariant(!this.byId.has(call.name), 'a call runs once at a time');
    this.byId.set(call.name, call);
  }

  finished(call: HostCall): void {
    if (this.byId.get(call.name) === call) this.byId.delete(call.name);
    this.#rest();
  }

  departed(arrival: Arrival): void {
    this.#arrivals.delete(arrival);
    this.#rest();
  }

  waits(call: HostCall): void {
    this.#waiting.add(call);
    const [longest] = this.#waiting;
    if (this.#waiting.size > this.options.detachedMax) longest?.giveUp();
  }

  waitsNoMore(call: HostCall): void {
    this.#waiting.delete(call);
  }

  disown(callId: Id, caller: PublicKey): void {
    this.#disowned.add(`${toHex(callId)} ${toHex(caller)}`);
    const [oldest] = this.#disowned;
    if (this.#disowned.size > DISOWNED_CALLS_MAX && oldest !== undefined) this.#disowned.delete(oldest);
  }

  disowned(callId: Id, caller: PublicKey): boolean {
    return this.#disowned.size > 0 && this.#disowned.has(`${toHex(callId)} ${toHex(caller)}`);
  }

  latency(agent: PublicKey, milliseconds: number): void {
    const name = toHex(agent);
    const known = this.#latencies.get(name) ?? [];
    known.push(milliseconds);
    if (known.length > LATENCIES_MAX) known.shift();
    this.#latencies.set(name, known);
  }

  refused(error: SaharaError, peerId: string, caller: PublicKey | undefined): void {
    this.parts.log.debug('call refused', { peer: peerId, code: error.code });
    this.entrance.refused(error, peerId, caller);
  }

  limitsOf(peerId: string, caller: PublicKey): CallerLimits {
    return this.entrance.limitsOf(peerId, caller);
  }

  loadOf(agent: PublicKey): AgentLoad {
    const name = toHex(agent);
    const sorted = [...(this.#latencies.get(name) ?? [])].sort((a, b) => a - b);
    const median = sorted[sorted.length >> 1];
    return {
      queue: this.#gates.get(name)?.gate.load ?? 0,
      latencyMs: median === undefined ? undefined : Math.ceil(median),
    };
  }

  async drain(deadlineMs: number): Promise<void> {
    this.draining = true;
    for (const arrival of this.#arrivals) arrival.turnAway();
    for (const call of this.#waiting) call.giveUp();
    if (this.running === 0) return;
    const { clock } = this.parts;
    await new Promise<void>((resolve) => {
      let cancel = clock.after(deadlineMs, () => {
        cancel = clock.after(DRAIN_GRACE_MS, resolve);
        for (const arrival of this.#arrivals) arrival.stop();
        for (const call of this.byId.values()) call.stop();
      });
      this.#idle.push(() => {
        cancel();
        resolve();
      });
    });
  }

  #rest(): void {
    if (this.running > 0) return;
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
  }
}
