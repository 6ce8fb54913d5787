/**
 * A gateway peer carries sealed calls between a peer that asks for it and another one. It passes frames on as they
 * are, one at a time each way and as fast as the slower side takes them, and can read none of them: what is not sealed
 * is not carried, so a carried call cannot ask to be carried on either.
 */
import type { Clock } from '../base/clock.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { point } from '../base/points.ts';
import { CALL_FRAME } from '../protocol/call.ts';
import { callVia } from '../protocol/sealed-message.ts';
import { OPENING_TIMEOUT_MS } from './call-limits.ts';
import type { CallFrame, CallStream, CallTransport } from './ports.ts';

/** Parts of a gateway. */
export interface GatewayParts {
  /** Reaches the peers that calls are carried to. */
  readonly transport: CallTransport;
  readonly clock: Clock;
  readonly log: Log;
}

/** Options of a gateway. */
export interface GatewayOptions {
  /** Calls carried at a time. Default 1,024. */
  readonly callsMax: number;
  /** Calls carried at a time for one peer. Default 256. */
  readonly callsPerPeerMax: number;
  /** Bytes carried for one peer in a second, both ways together; what is above waits. Default 16,777,216. */
  readonly bytesPerSecond: number;
  /** Bytes that may go at once after a pause. Default 67,108,864. */
  readonly bytesAtOnce: number;
  /** Longest time that one call is carried, milliseconds. Default 3,720,000: the longest deadline and a little. */
  readonly lifeMs: number;
  /** Longest wait for the other peer, milliseconds. Default 10,000. */
  readonly openTimeoutMs: number;
}

/** Values for every option. */
export const GATEWAY_DEFAULTS: GatewayOptions = {
  callsMax: 1_024,
  callsPerPeerMax: 256,
  bytesPerSecond: 16_777_216,
  bytesAtOnce: 67_108_864,
  lifeMs: 3_720_000,
  openTimeoutMs: OPENING_TIMEOUT_MS,
};

/** Peers whose bytes are counted at a time. */
const PEERS_COUNTED_MAX = 4_096;

/** A stream whose first frame asked for a gateway. */
export interface CarriedCall {
  readonly stream: CallStream;
  /** The frames after the first. */
  readonly source: AsyncIterator<CallFrame>;
  /** The first frame's body: a `call-via`. */
  readonly request: Uint8Array;
}

/** Carries calls. */
export interface Gateway {
  /** Carries a call to its end. Never rejects: what is wrong is told on the stream. */
  carry(call: CarriedCall): Promise<void>;
  /** Calls carried now. */
  readonly running: number;
}

/** A gateway over `parts.transport`. */
export function createGateway(parts: GatewayParts, options: Partial<GatewayOptions> = {}): Gateway {
  return new PeerGateway(parts, { ...GATEWAY_DEFAULTS, ...options });
}

/** One side of a carried call. */
interface Side {
  readonly stream: CallStream;
  readonly source: AsyncIterator<CallFrame>;
}

class PeerGateway implements Gateway {
  running = 0;
  readonly #parts: GatewayParts;
  readonly #options: GatewayOptions;
  readonly #calls = new Map<string, number>();
  readonly #allowances = new Map<string, Allowance>();

  constructor(parts: GatewayParts, options: GatewayOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  async carry({ stream, source, request }: CarriedCall): Promise<void> {
    const { peerId } = stream;
    const calls = this.#calls.get(peerId) ?? 0;
    this.running++;
    this.#calls.set(peerId, calls + 1);
    try {
      const { peerId: target } = callVia.decode(request);
      this.#checkRoom(calls);
      const far = await this.#open(target);
      point('relay:opened');
      await this.#join({ stream, source }, { stream: far, source: far.frames()[Symbol.asyncIterator]() });
    } catch (error) {
      const failure = asSaharaError(error);
      stream.fail(failure);
      this.#parts.log.debug('call not carried', { peer: peerId, code: failure.code });
    } finally {
      this.running--;
      const left = (this.#calls.get(peerId) ?? 1) - 1;
      if (left > 0) this.#calls.set(peerId, left);
      else this.#calls.delete(peerId);
    }
  }

  #checkRoom(calls: number): void {
    const { callsMax, callsPerPeerMax } = this.#options;
    if (calls >= callsPerPeerMax) {
      throw new SaharaError('overloaded', { what: 'gateway', of: 'peer', limit: callsPerPeerMax });
    }
    if (this.running > callsMax) throw new SaharaError('overloaded', { what: 'gateway', limit: callsMax });
  }

  async #open(target: string): Promise<CallStream> {
    const late = new AbortController();
    const cancel = this.#parts.clock.after(this.#options.openTimeoutMs, () => late.abort());
    try {
      return await this.#parts.transport.openCall(target, { signal: late.signal });
    } catch (error) {
      if (!late.signal.aborted) throw error;
      throw new SaharaError('peer-unreachable', { peer: target, reason: 'no answer in time' });
    } finally {
      cancel();
    }
  }

  /** Tells the near side that the way is open, and passes frames on until both directions have ended. */
  async #join(near: Side, far: Side): Promise<void> {
    const { clock } = this.#parts;
    const breakBoth = (error: SaharaError): void => {
      for (const { stream } of [near, far]) {
        if (error.code === 'cancelled') stream.cancel();
        else stream.fail(error);
      }
    };
    const late = (what: string): void => breakBoth(new SaharaError('deadline-exceeded', { what }));
    const cancelLife = clock.after(this.#options.lifeMs, () => late('gateway'));
    let cancelOpening = clock.after(OPENING_TIMEOUT_MS, () => late('opening'));
    try {
      const allowance = this.#allowanceOf(near.stream.peerId);
      near.stream.send({ kind: CALL_FRAME.via, body: new Uint8Array(0) });
      const opened = (): void => {
        cancelOpening();
        cancelOpening = () => {};
      };
      await Promise.all([
        this.#pass(near, far.stream, { allowance, opened }),
        this.#pass(far, near.stream, { allowance, opened: () => {} }),
      ]);
    } catch (error) {
      breakBoth(asSaharaError(error));
    } finally {
      cancelLife();
      cancelOpening();
    }
  }

  async #pass(
    from: Side,
    to: CallStream,
    { allowance, opened }: { readonly allowance: Allowance; readonly opened: () => void },
  ): Promise<void> {
    const { clock } = this.#parts;
    for (;;) {
      const next = await from.source.next();
      opened();
      if (next.done) {
        to.end();
        point('relay:ended');
        return;
      }
      const { kind, body } = next.value;
      if (kind !== CALL_FRAME.sealed) {
        throw new SaharaError('caller-refused', { reason: 'a gateway carries sealed calls only' });
      }
      const waitMs = allowance.take(body.length, clock.monotonicMs());
      if (waitMs > 0) await new Promise<void>((resolve) => clock.after(waitMs, resolve));
      const open = to.send({ kind, body });
      point('relay:passed');
      if (!open) await to.writable();
    }
  }

  #allowanceOf(peerId: string): Allowance {
    const { bytesPerSecond, bytesAtOnce } = this.#options;
    const known = this.#allowances.get(peerId);
    const allowance = known ?? new Allowance(bytesPerSecond, bytesAtOnce, this.#parts.clock.monotonicMs());
    // Who was served last stays longest.
    this.#allowances.delete(peerId);
    this.#allowances.set(peerId, allowance);
    if (this.#allowances.size > PEERS_COUNTED_MAX) {
      this.#allowances.delete(this.#allowances.keys().next().value as string);
    }
    return allowance;
  }
}

/** Bytes that one peer may have carried: they grow with time, and what is taken beyond them is waited for. */
class Allowance {
  readonly #perSecond: number;
  readonly #most: number;
  #left: number;
  #atMs: number;

  constructor(perSecond: number, most: number, nowMs: number) {
    this.#perSecond = perSecond;
    this.#most = most;
    this.#left = most;
    this.#atMs = nowMs;
  }

  /** Takes `sizeBytes`; answers how long to wait before they go, milliseconds. */
  take(sizeBytes: number, nowMs: number): number {
    const grown = (Math.max(0, nowMs - this.#atMs) * this.#perSecond) / 1_000;
    this.#left = Math.min(this.#most, this.#left + grown) - sizeBytes;
    this.#atMs = nowMs;
    return this.#left >= 0 ? 0 : Math.ceil((-this.#left * 1_000) / this.#perSecond);
  }
}
