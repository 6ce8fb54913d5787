/** Going on with a call whose stream broke: how long it is tried, how often, and what is said to the agent's peer. */
import type { Clock } from '../base/clock.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import { point } from '../base/points.ts';
import type { Dice } from '../base/random.ts';
import { CALL_FRAME } from '../protocol/call.ts';
import { callResume, type ResumeRequest, resumeRequest } from '../protocol/checkpoint.ts';
import { envelope } from '../protocol/envelope.ts';
import { PROTOCOL_VERSION, type PublicKey } from '../protocol/ids.ts';
import type { Signed } from '../protocol/signing.ts';
import type { CallerShared } from './caller.ts';
import type { Arrived } from './caller-ending.ts';
import { RESUME_LIFE_MS, RESUME_WAIT_MS_MAX, RESUME_WAIT_MS_MIN } from './caller-limits.ts';
import type { Outgoing } from './caller-opening.ts';
import type { CallTicket } from './open-calls.ts';
import type { CallFrame, CallStream, PayerLease } from './ports.ts';

/** How long a broken call is tried to be gone on with. */
export class Patience {
  readonly #clock: Clock;
  readonly #dice: Dice;
  readonly #forMs: number;
  #tries = 0;
  #untilMs: number | undefined;
  #latestMs = Number.POSITIVE_INFINITY;
  #wake: () => void = () => {};

  /** `forMs`: how long since something last came, milliseconds. */
  constructor(parts: { readonly clock: Clock; readonly dice: Dice }, forMs: number) {
    this.#clock = parts.clock;
    this.#dice = parts.dice;
    this.#forMs = forMs;
  }

  /** The stream broke. `progress`: something had come over it, so the count begins anew. */
  broke(progress: boolean): void {
    if (!progress && this.#untilMs !== undefined) return;
    this.#tries = 0;
    this.#untilMs = this.#clock.monotonicMs() + this.#forMs;
  }

  /** There is no point in it later than in `forMs` from now; the next try is at once. */
  hurry(forMs: number): void {
    this.#latestMs = this.#clock.monotonicMs() + forMs;
    this.#tries = 0;
    this.#wake();
  }

  /** Time left, milliseconds. */
  get leftMs(): number {
    const until = Math.min(this.#untilMs ?? Number.POSITIVE_INFINITY, this.#latestMs);
    return Math.max(0, until - this.#clock.monotonicMs());
  }

  /** Waits for the next try; false when it is time to give up. */
  async next(): Promise<boolean> {
    const { leftMs } = this;
    if (leftMs === 0) return false;
    const waitMs = Math.min(this.#waitMs(), leftMs);
    this.#tries++;
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.after(waitMs, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
    return this.leftMs > 0;
  }

  /** Runs `attempt` with a signal that aborts when it is time to give up. */
  async within<T>(attempt: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const giving = new AbortController();
    const cancel = this.#clock.after(Math.min(this.leftMs, Number.MAX_SAFE_INTEGER), () => giving.abort());
    try {
      return await attempt(giving.signal);
    } finally {
      cancel();
    }
  }

  /** Doubled with each try, and up to half of it off, so that not all callers of a peer come back at once. */
  #waitMs(): number {
    if (this.#tries === 0) return 0;
    const waitMs = Math.min(RESUME_WAIT_MS_MAX, RESUME_WAIT_MS_MIN * 2 ** Math.min(this.#tries, 16));
    return waitMs * (1 - (this.#dice.bytes(1)[0] ?? 0) / 512);
  }
}

/** What a resumption says. */
interface Resumption extends ResumeRequest {
  readonly agent: PublicKey;
  /** The last voucher; absent for a free call, and for one that was settled before. */
  readonly voucher: Signed | undefined;
}

/** The frame that asks an agent to go on with a call. */
async function resumeFrame(shared: CallerShared, resumption: Resumption): Promise<CallFrame> {
  const { clock, dice, network, operator, suite } = shared.parts;
  const { agent, voucher } = resumption;
  const body = resumeRequest.encode(resumption);
  const issuedAtMs = clock.nowMs() + shared.skewMs;
  const said = envelope.encode({
    version: PROTOCOL_VERSION,
    network,
    id: dice.bytes(16),
    from: operator.publicKey,
    to: { kind: 'agent', name: agent },
    sequence: shared.nextSequence(),
    issuedAtMs,
    expiresAtMs: issuedAtMs + RESUME_LIFE_MS,
    context: undefined,
    bodyType: 'resume',
    bodyHash: suite.sha256(body),
    extensions: new Map(),
  });
  const frame = callResume.encode({ envelope: await operator.sign('resume', said), body, voucher });
  return { kind: CALL_FRAME.resume, body: frame };
}

/** What is going on with a call. */
export interface Going extends Arrived {
  readonly patience: Patience;
}

/** Whether this side goes on with calls: it has a peer id of its own to name, and is to. */
export function canResume({ parts, options }: CallerShared): boolean {
  return parts.transport.peerId !== undefined && options.resumeForMs > 0;
}

/**
 * A new stream to the agent's peer that has asked to go on where the old one ended; `undefined` when it is time to
 * give up, or where this side does not.
 */
export async function reconnect(
  shared: CallerShared,
  out: Outgoing,
  going: Going,
): Promise<CallStream | undefined> {
  const { patience } = going;
  if (!canResume(shared)) return undefined;
  while (await patience.next()) {
    try {
      return await patience.within((signal) => dial(shared, out, { ...going, signal }));
    } catch {
      // Whatever it was, it may be over with the next try.
    }
  }
  return undefined;
}

async function dial(
  shared: CallerShared,
  out: Outgoing,
  { incoming, meter, signal }: Going & { readonly signal: AbortSignal },
): Promise<CallStream> {
  const { transport } = shared.parts;
  const { agent } = out.known.card;
  const stream = await transport.openCall(out.peerId, { signal, agent });
  try {
    const frame = await resumeFrame(shared, {
      callId: out.callId,
      agent,
      peer: stream.seenAs ?? transport.peerId ?? '',
      deliveries: incoming.frames.length,
      chain: incoming.answer.chain,
      ...(meter?.tell() ?? { cover: 0n, voucher: undefined }),
    });
    point('caller:resuming');
    stream.send(frame);
    point('caller:resumed');
    return stream;
  } catch (error) {
    stream.cancel();
    throw error;
  }
}

/**
 * What is held for a call that another process began, asked of its payee where that is not known here; `undefined`
 * for a free call, and when nothing was charged. Throws why the payee cannot be asked.
 */
export async function recallMoney(
  shared: CallerShared,
  out: Outgoing,
  { ticket, patience }: { readonly ticket: CallTicket; readonly patience: Patience },
): Promise<PayerLease | undefined> {
  const { channel, cover, callId } = ticket;
  const { payer } = shared.parts;
  if (channel === undefined) return undefined;
  if (payer === undefined)
    throw new SaharaError('payment-required', { reason: 'no books of a payer are here' });
  const { operator } = out.known.card;
  const wanted = { callId, payee: operator, channel, amountMax: cover, limit: out.request.priceMax };
  for (;;) {
    const more = await patience.next();
    try {
      return await payer.recall(wanted);
    } catch (error) {
      if (asSaharaError(error).kind !== 'unavailable' || !more) throw error;
    }
  }
}
