/**
 * One question to several who could answer it: another host of the agent, or another agent of the skill, takes over
 * when a peer dies or refuses for reasons of its own, never for a fault of the question. Optionally two are asked at
 * once: who says the first word goes on, the other is stopped at its price. All attempts together never cost more
 * than the asker allows, and each is told with what it cost.
 */
import { asSaharaError, SaharaError } from '../base/errors.ts';
import { card as cardSchema } from '../protocol/card.ts';
import type { Id, PublicKey } from '../protocol/ids.ts';
import type { AskRequest, CallEvent, Caller, CallHandle, CallResult, CallTarget } from './caller.ts';

/** Parts of a failover. */
export interface FailoverParts {
  readonly caller: Caller;
  /**
   * Mends what stands between this side and a target, such as a channel without room, after which it is tried once
   * more. Default: nothing can be mended.
   */
  readonly mend?: {
    /** Failures of this side that can be mended: nothing was delivered, and nothing is owed. */
    readonly codes: ReadonlySet<string>;
    run(target: CallTarget, failure: SaharaError): Promise<unknown>;
  };
}

/** A question to the first of `targets` that answers it. */
export interface FailoverRequest extends Omit<AskRequest, 'target' | 'callId'> {
  /** Who could answer, best first; asked for only as far as needed. */
  readonly targets: AsyncIterable<CallTarget> | Iterable<CallTarget>;
  /** How many are asked at once at first. Each then gets its part of `priceMax`. Default 1, at most 2. */
  readonly race?: 1 | 2;
}

/** One call of those that it took. */
export interface Attempt {
  readonly callId: Id;
  readonly peerId: string;
  readonly agent: PublicKey;
  /** What it cost, grains. */
  readonly amount: bigint;
  /** What it may still turn out to have cost, grains: its end is unknown. */
  readonly held: bigint;
  readonly result?: CallResult;
  readonly failure?: SaharaError;
}

/** What happens while an answer is sought. */
export type FailoverEvent =
  | CallEvent
  /** From here on the events are those of this call; what another one has said before does not count. */
  | { readonly type: 'attempt'; readonly callId: Id; readonly target: CallTarget }
  /** What stands between this side and `target` is being mended. */
  | { readonly type: 'mending'; readonly target: CallTarget; readonly failure: SaharaError };

/** How it went. */
export interface FailoverResult {
  readonly result: CallResult;
  readonly target: CallTarget;
  /** All calls, in the order of their ends, the answer's last. */
  readonly attempts: readonly Attempt[];
  /** What all of them cost together, grains. */
  readonly amount: bigint;
}

/** Failures that are the peer's own: somebody else may do better. */
const NEXT: ReadonlySet<string> = new Set([
  'agent-unknown',
  'answer-invalid',
  'backend-failed',
  'backend-missing',
  'call-unknown',
  'caller-refused',
  'channel-closing',
  'expired',
  'offer-invalid',
  'overloaded',
  'peer-gone',
  'peer-unreachable',
  'quota-exhausted',
  'rate-limited',
  'receipt-invalid',
  'seal-invalid',
  'work-required',
  'wrong-recipient',
]);

interface Contender {
  readonly target: CallTarget;
  readonly handle: CallHandle;
  readonly events: AsyncIterator<CallEvent>;
  /** What it has told before its first word. */
  readonly told: CallEvent[];
}

/**
 * Asks until somebody answers. The events are those of the call that counts at the time; the value at the end names
 * every attempt. Throws the last failure, with the facts `attempts`, `spent` and `held`.
 */
export async function* askInTurn(
  parts: FailoverParts,
  request: FailoverRequest,
  options: { readonly signal?: AbortSignal } = {},
): AsyncGenerator<FailoverEvent, FailoverResult> {
  const asking = new Asking(parts, request, options.signal);
  try {
    return yield* asking.run();
  } finally {
    await asking.leave();
  }
}

class Asking {
  readonly #parts: FailoverParts;
  readonly #request: FailoverRequest;
  readonly #signal: AbortSignal | undefined;
  readonly #attempts: Attempt[] = [];
  readonly #mended = new WeakSet<CallTarget>();
  readonly #open = new Set<Contender>();
  readonly #ending: Promise<void>[] = [];
  readonly #targets: AsyncIterator<CallTarget> | Iterator<CallTarget>;
  readonly #queue: CallTarget[] = [];
  #last: SaharaError | undefined;

  constructor(parts: FailoverParts, request: FailoverRequest, signal: AbortSignal | undefined) {
    this.#parts = parts;
    this.#request = request;
    this.#signal = signal;
    const { targets } = request;
    this.#targets =
      Symbol.asyncIterator in targets ? targets[Symbol.asyncIterator]() : targets[Symbol.iterator]();
  }

  async *run(): AsyncGenerator<FailoverEvent, FailoverResult> {
    let width: number = this.#request.race ?? 1;
    for (;;) {
      const contenders = await this.#contenders(width);
      if (contenders.length === 0) throw this.#failure();
      const winner = contenders.length === 1 ? contenders[0] : yield* this.#race(contenders);
      // Those that lost for want of what is mended by now race again.
      width = winner === undefined ? Math.max(1, this.#queue.length) : 1;
      if (winner === undefined) continue;
      const { handle, target } = winner;
      yield { type: 'attempt', callId: handle.callId, target };
      try {
        yield* this.#listen(winner);
        const result = await handle.result;
        this.#open.delete(winner);
        await Promise.all(this.#ending);
        this.#count(winner, { result });
        if (result.finish !== 'failed' || !(await this.#another())) return this.#result(result, target);
      } catch (error) {
        yield* this.#lost(winner, asSaharaError(error));
      }
    }
  }

  /** Stops whatever still runs, and waits for what it cost. */
  async leave(): Promise<void> {
    for (const contender of this.#open) contender.handle.stop();
    await Promise.all(this.#ending);
    await this.#targets.return?.();
  }

  async *#listen({ told, events }: Contender): AsyncGenerator<CallEvent> {
    yield* told;
    for (let next = await events.next(); !next.done; next = await events.next()) yield next.value;
  }

  /** Calls to as many further targets as wanted; each may cost an equal part of what is left. */
  async #contenders(width: number): Promise<readonly Contender[]> {
    const targets: CallTarget[] = [];
    while (targets.length < width) {
      const target = await this.#next();
      if (target === undefined) break;
      targets.push(target);
    }
    const priceMax = targets.length === 0 ? 0n : this.#left / BigInt(targets.length);
    return targets.map((target) => this.#ask(target, priceMax));
  }

  async #next(): Promise<CallTarget | undefined> {
    const queued = this.#queue.shift();
    if (queued !== undefined || this.#signal?.aborted) return queued;
    const { value, done } = await this.#targets.next();
    return done ? undefined : value;
  }

  /** Whether there is somebody else, who is then asked next. */
  async #another(): Promise<boolean> {
    const target = await this.#next();
    if (target !== undefined) this.#queue.unshift(target);
    return target !== undefined;
  }

  #ask(target: CallTarget, priceMax: bigint): Contender {
    const { targets, race, ...question } = this.#request;
    const options = this.#signal === undefined ? {} : { signal: this.#signal };
    const handle = this.#parts.caller.ask({ ...question, target, priceMax }, options);
    const contender = { target, handle, events: handle.events()[Symbol.asyncIterator](), told: [] };
    this.#open.add(contender);
    return contender;
  }

  /** The first that says something; the others are stopped. `undefined` when none does. */
  async *#race(contenders: readonly Contender[]): AsyncGenerator<FailoverEvent, Contender | undefined> {
    const racing = new Map(contenders.map((contender) => [contender, firstWord(contender)] as const));
    while (racing.size > 0) {
      const { contender, failure } = await Promise.race(racing.values());
      racing.delete(contender);
      if (failure !== undefined) {
        yield* this.#lost(contender, failure);
        continue;
      }
      for (const loser of racing.keys()) this.#stop(loser);
      return contender;
    }
    return undefined;
  }

  /** Stops a call; what it cost is counted when it has ended. */
  #stop(contender: Contender): void {
    const { handle, events } = contender;
    this.#open.delete(contender);
    handle.stop();
    void events.return?.();
    this.#ending.push(
      handle.result.then(
        (result) => this.#count(contender, { result }),
        (error: unknown) => this.#count(contender, { failure: asSaharaError(error) }),
      ),
    );
  }

  /** A call failed: who comes next is asked, if that can help. Throws otherwise. */
  async *#lost(contender: Contender, failure: SaharaError): AsyncGenerator<FailoverEvent, void> {
    const { target } = contender;
    this.#open.delete(contender);
    this.#last = failure;
    this.#count(contender, { failure });
    if (this.#signal?.aborted || failure.code === 'cancelled') throw this.#failure();
    const { mend } = this.#parts;
    const mendable = mend?.codes.has(failure.code) && failure.facts.outcome !== 'unknown';
    if (mend && mendable && !this.#mended.has(target)) {
      this.#mended.add(target);
      yield { type: 'mending', target, failure };
      await mend.run(target, failure);
      this.#queue.unshift(target);
      return;
    }
    if (!NEXT.has(failure.code)) throw this.#failure();
  }

  #count({ handle, target }: Contender, ended: Pick<Attempt, 'result' | 'failure'>): void {
    const { failure, result } = ended;
    const charged = failure?.facts.outcome === 'charged' ? BigInt(String(failure.facts.amount)) : 0n;
    const { agent } = cardSchema.decode(target.card.payload);
    this.#attempts.push({
      callId: handle.callId,
      peerId: target.peerId,
      agent,
      amount: result?.amount ?? charged,
      held: failure !== undefined && charged === 0n ? handle.cover : 0n,
      ...ended,
    });
  }

  /** Grains that may still be spent, with everything whose end is unknown counted as spent. */
  get #left(): bigint {
    const used = this.#attempts.reduce((sum, { amount, held }) => sum + amount + held, 0n);
    return this.#request.priceMax > used ? this.#request.priceMax - used : 0n;
  }

  #result(result: CallResult, target: CallTarget): FailoverResult {
    const amount = this.#attempts.reduce((sum, attempt) => sum + attempt.amount, 0n);
    return { result, target, attempts: this.#attempts, amount };
  }

  #failure(): SaharaError {
    const last = this.#last ?? new SaharaError('agent-unknown', { reason: 'nobody to ask' });
    const spent = this.#attempts.reduce((sum, { amount }) => sum + amount, 0n);
    const held = this.#attempts.reduce((sum, attempt) => sum + attempt.held, 0n);
    const facts = { attempts: this.#attempts.length, spent: String(spent), held: String(held) };
    return new SaharaError(last.code, { ...last.facts, ...facts }, { cause: last });
  }
}

/** Resolves when a call has said its first word or has ended; what it told is kept. */
async function firstWord(
  contender: Contender,
): Promise<{ readonly contender: Contender; readonly failure?: SaharaError }> {
  const { events, told } = contender;
  try {
    for (let next = await events.next(); !next.done; next = await events.next()) {
      told.push(next.value);
      if (next.value.type === 'text') break;
    }
    return { contender };
  } catch (error) {
    return { contender, failure: asSaharaError(error) };
  }
}
