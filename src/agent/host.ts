/**
 * Serves calls. One `HostCall` per stream walks the host's table of `session.ts`: the opening is checked in the
 * documented order before any work, the answer is delivered as fast as its reader takes it, and what was delivered
 * is charged exactly, whether the answer came to its end, was stopped, or broke off.
 */
import { toHex } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import type { SaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { PublicKey } from '../protocol/ids.ts';
import type { AdmissionParts, HostedAgent } from './admission.ts';
import { CALL_QUEUE_MAX, DRAIN_GRACE_MS } from './call-limits.ts';
import type { CallRecords } from './call-records.ts';
import { Entrance, type EntranceOptions, type EntranceParts } from './entrance.ts';
import { Gate } from './gate.ts';
import { HostCall } from './host-call.ts';
import type { CallStream, PayeePort } from './ports.ts';
import type { QuotaBook } from './quota.ts';

/** Parts of a host. */
export interface HostParts extends AdmissionParts, Pick<EntranceParts, 'standing' | 'hasChannel'> {
  readonly payee: PayeePort;
  readonly records: CallRecords;
  readonly quota: QuotaBook;
  readonly log: Log;
  readonly clock: Clock;
}

/** Options of a host. */
export interface HostOptions extends EntranceOptions {
  /** Calls that may wait for a free place at one agent. Default 256. */
  readonly queueMax: number;
}

/** Values for every option. */
export const HOST_DEFAULTS: HostOptions = { queueMax: CALL_QUEUE_MAX, limits: {}, work: {} };

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
  /** How busy an agent is. */
  loadOf(agent: PublicKey): AgentLoad;
  /** Calls under way. */
  readonly running: number;
  /**
   * Refuses new calls and resolves when the running ones have ended; after `deadlineMs` they are stopped, and
   * `DRAIN_GRACE_MS` later it resolves whatever they do.
   */
  drain(deadlineMs: number): Promise<void>;
}

/** Calls whose time is remembered per agent. */
const LATENCIES_MAX = 64;

/** What running calls share. */
export interface HostState {
  readonly parts: HostParts;
  readonly entrance: Entrance;
  gateOf(hosted: HostedAgent): Gate;
  /** Calls under way by id, in hexadecimal. */
  readonly byId: Map<string, HostCall>;
  finished(call: HostCall, callId?: string): void;
  latency(agent: PublicKey, milliseconds: number): void;
  /** `caller`: the key, once it was proven. */
  refused(error: SaharaError, peerId: string, caller: PublicKey | undefined): void;
  readonly draining: boolean;
}

/** A host of `parts.agents`. */
export function createHost(parts: HostParts, options: Partial<HostOptions> = {}): Host {
  return new CallHost(parts, { ...HOST_DEFAULTS, ...options });
}

class CallHost implements Host, HostState {
  readonly parts: HostParts;
  readonly entrance: Entrance;
  readonly byId = new Map<string, HostCall>();
  draining = false;
  readonly #options: HostOptions;
  readonly #calls = new Set<HostCall>();
  readonly #gates = new Map<string, { readonly gate: Gate; readonly concurrency: number }>();
  readonly #latencies = new Map<string, number[]>();
  #idle: (() => void)[] = [];

  constructor(parts: HostParts, options: HostOptions) {
    this.parts = parts;
    this.#options = options;
    this.entrance = new Entrance(parts, options);
  }

  get running(): number {
    return this.#calls.size;
  }

  serve(stream: CallStream): void {
    const call = new HostCall(this, stream);
    this.#calls.add(call);
    call.start();
  }

  gateOf(hosted: HostedAgent): Gate {
    const name = toHex(hosted.card.agent);
    const { concurrency } = hosted.card.limits;
    const known = this.#gates.get(name);
    // A new card may change how many run at a time; calls under way leave through the gate they came by.
    if (known?.concurrency === concurrency) return known.gate;
    const gate = new Gate(concurrency, this.#options.queueMax);
    this.#gates.set(name, { gate, concurrency });
    return gate;
  }

  finished(call: HostCall, callId?: string): void {
    if (callId !== undefined && this.byId.get(callId) === call) this.byId.delete(callId);
    this.#calls.delete(call);
    if (this.#calls.size > 0) return;
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
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
    for (const call of this.#calls) call.turnAway();
    if (this.#calls.size === 0) return;
    const { clock } = this.parts;
    await new Promise<void>((resolve) => {
      let cancel = clock.after(deadlineMs, () => {
        cancel = clock.after(DRAIN_GRACE_MS, resolve);
        for (const call of this.#calls) call.stop();
      });
      this.#idle.push(() => {
        cancel();
        resolve();
      });
    });
  }
}
