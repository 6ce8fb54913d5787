/** What all engines share: one writer at a time, who waits for what, and what halts it. */
import { equalBytes, toHex } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { SaharaError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { type Point, point } from '../../base/points.ts';
import type { StoreOperation } from '../../base/store.ts';
import type { Hash } from '../../protocol/ids.ts';
import type { BlockParts, ExecutedBlock } from '../blocks.ts';
import { identitiesIn } from '../identities.ts';
import type { BlockEvent, Inclusion, LedgerHead } from '../ledger.ts';
import type { Mempool } from '../mempool.ts';
import { nameOf } from '../names.ts';
import { RESULT_CODES, resultSentence } from '../result-codes.ts';
import { unknownRules } from '../rules.ts';

/** Parts of the core. */
export interface CoreParts extends BlockParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly pool: Mempool;
}

/** Somebody's wait for a transaction. */
export interface Waiting {
  readonly promise: Promise<Inclusion>;
  leave(): void;
}

/** Who waits for each transaction. The lists are replaced, not changed. */
type Waits = Map<string, readonly Wait[]>;

class Wait implements Waiting {
  readonly promise: Promise<Inclusion>;
  readonly #waits: Waits;
  readonly #name: string;
  readonly #unlisten: (() => void) | undefined;
  readonly #resolve: (inclusion: Inclusion) => void;
  readonly #reject: (error: SaharaError) => void;

  constructor(waits: Waits, id: Hash, signal: AbortSignal | undefined) {
    this.#waits = waits;
    this.#name = nameOf(id);
    const { promise, resolve, reject } = Promise.withResolvers<Inclusion>();
    // Whoever leaves has an answer of its own.
    promise.catch(nothing);
    this.promise = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    const others = waits.get(this.#name);
    waits.set(this.#name, others === undefined ? [this] : [...others, this]);
    if (signal === undefined) return;
    const abort = (): void => this.refuse(new SaharaError('cancelled', { id: toHex(id) }));
    if (signal.aborted) abort();
    else {
      signal.addEventListener('abort', abort);
      this.#unlisten = () => signal.removeEventListener('abort', abort);
    }
  }

  settle(inclusion: Inclusion): void {
    this.leave();
    this.#resolve(inclusion);
  }

  refuse(error: SaharaError): void {
    this.leave();
    this.#reject(error);
  }

  leave(): void {
    const all = this.#waits.get(this.#name);
    this.#unlisten?.();
    if (!all?.includes(this)) return;
    const others = all.filter((other) => other !== this);
    if (others.length === 0) this.#waits.delete(this.#name);
    else this.#waits.set(this.#name, others);
  }
}

function nothing(): void {}

/** Why no more blocks are taken, and what who asks is answered. */
interface Halted {
  readonly reason: string;
  readonly error: SaharaError;
}

/** The state of a running engine. */
export class EngineCore {
  readonly parts: CoreParts;
  /** Aborts when the ledger stops. */
  readonly stopping: AbortController = new AbortController();
  readonly #waits: Waits = new Map();
  readonly #listeners = new Set<(event: BlockEvent) => void>();
  #halted: Halted | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: CoreParts) {
    this.parts = parts;
    this.demandKnownRules();
  }

  /** Whether blocks may still be made or taken. */
  get running(): boolean {
    return this.#halted === undefined && !this.stopping.signal.aborted;
  }

  head(): LedgerHead {
    const head = this.parts.chain.head();
    return this.#halted === undefined ? head : { ...head, halted: this.#halted.reason };
  }

  /** Why the next block cannot be executed by this program, if so: `upgrade-needed`. */
  upgradeNeeded(): SaharaError | undefined {
    return this.#halted?.error.code === 'upgrade-needed' ? this.#halted.error : undefined;
  }

  /** Halts where the block after the head has rules that this program does not know. */
  demandKnownRules(): void {
    const { chain } = this.parts;
    const error = unknownRules(chain.readState, chain.head().height + 1);
    if (error === undefined) return;
    const { height, version, known } = error.facts;
    this.halt(
      `From block ${height} on the network has version ${version} of its rules; this program knows up to ${known}`,
      error,
    );
  }

  /** Throws what a ledger that takes nothing more answers. */
  demandRunning(): void {
    if (this.#halted !== undefined) throw this.#halted.error;
    if (this.stopping.signal.aborted)
      throw new SaharaError('cancelled', { reason: 'the ledger has stopped' });
  }

  /** Takes no more blocks, for good; reads go on. */
  halt(reason: string, error: SaharaError = new SaharaError('ledger-halted', { reason })): void {
    if (this.#halted !== undefined) return;
    this.#halted = { reason, error };
    this.parts.log.error('ledger halted', { reason, height: this.parts.chain.head().height });
    this.rejectAll(error);
  }

  /** Runs `job` after all earlier ones: there is one writer. */
  exclusive<T>(job: () => Promise<T>): Promise<T> {
    const run = this.#last.then(job);
    this.#last = run.catch(() => {});
    return run;
  }

  /**
   * Writes a block with what its engine keeps beside it, comes to the point `done`, and tells everybody who waits. A store
   * that fails halts the ledger.
   */
  async commit(
    executed: ExecutedBlock,
    done: Point | undefined,
    beside: readonly StoreOperation[] = [],
  ): Promise<void> {
    try {
      await this.parts.chain.commit(executed, beside);
    } catch (error) {
      // The block may be on disk or not: only a restart tells.
      this.halt(`block ${executed.header.height} could not be written: ${String(error)}`);
      throw error;
    }
    if (done !== undefined) point(done);
    const event = eventOf(executed);
    for (const [index, { content }] of executed.transactions.entries()) {
      const inclusion = event.inclusions[index];
      if (content.fault === undefined && inclusion) this.#leavePool(content.transaction, inclusion);
      if (inclusion) this.settle(inclusion);
    }
    this.demandKnownRules();
    for (const listener of [...this.#listeners]) this.#tell(listener, event);
  }

  onBlock(listener: (event: BlockEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Waits for the transaction's inclusion; `leave` ends the wait without an answer. */
  wait(id: Hash, signal: AbortSignal | undefined): Waiting {
    return new Wait(this.#waits, id, signal);
  }

  /** Gives everybody who waits for a transaction its inclusion. */
  settle(inclusion: Inclusion): void {
    for (const wait of this.#waits.get(nameOf(inclusion.id)) ?? []) wait.settle(inclusion);
  }

  /** Tells everybody who waits for a transaction that no block will have it. */
  refuse(id: Hash, error: SaharaError): void {
    for (const wait of this.#waits.get(nameOf(id)) ?? []) wait.refuse(error);
  }

  /** Tells everybody who waits for anything. */
  rejectAll(error: SaharaError): void {
    for (const waits of [...this.#waits.values()]) for (const wait of waits) wait.refuse(error);
  }

  #leavePool(transaction: { readonly sender: Uint8Array; readonly nonce: number }, { id }: Inclusion): void {
    const held = this.parts.pool.get(transaction.sender, transaction.nonce);
    if (held === undefined) return;
    this.parts.pool.remove(transaction.sender, transaction.nonce);
    if (!equalBytes(held.id, id))
      this.refuse(held.id, refusal('tx-refused', RESULT_CODES['nonce-used'].code));
  }

  #tell(listener: (event: BlockEvent) => void, event: BlockEvent): void {
    try {
      listener(event);
    } catch (error) {
      this.parts.log.error('block listener failed', { error: String(error) });
    }
  }
}

/** The error for a refused transaction: its code, and a sentence as the reason. */
export function refusal(
  kind: 'tx-invalid' | 'tx-refused',
  code: number,
  place: { readonly height?: number; readonly index?: number; readonly id?: string } = {},
): SaharaError {
  return new SaharaError(kind, { code, reason: resultSentence(code), ...place });
}

function eventOf({ header, headerHash, transactions, results, state }: ExecutedBlock): BlockEvent {
  const { height, stateRoot, timeMs } = header;
  const inclusions = transactions.map(({ id }, index) => ({
    id,
    height,
    index,
    result: results[index] ?? { code: 0, moved: 0n },
  }));
  const channels = Array.from(state.channels.changed(), ({ id }) => id);
  const assets = Array.from(state.revenues.changed(), ({ id }) => id);
  return {
    height,
    headerHash,
    stateRoot,
    timeMs,
    inclusions,
    channels,
    assets,
    identities: identitiesIn(state),
  };
}
