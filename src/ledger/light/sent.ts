/**
 * Transactions that a light ledger handed in: told to peers until a block has them, and believed only by proof. What was
 * proved is kept, so that a restart, and whoever asks later, needs nobody.
 */
import { equalBytes, toHex } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import { point } from '../../base/points.ts';
import type { Store } from '../../base/store.ts';
import { blockHeader } from '../../protocol/block.ts';
import type { Hash, PublicKey } from '../../protocol/ids.ts';
import { refusal } from '../engines/core.ts';
import { inclusionProof } from '../inclusion.ts';
import type { Inclusion, InclusionProof } from '../ledger.ts';
import { LIGHT_INCLUSIONS_KEPT_MAX } from '../limits.ts';
import { nameOf } from '../names.ts';
import type { Prepared } from '../prepare.ts';
import { RESULT_CODES } from '../result-codes.ts';
import type { ProvedInclusion } from './client.ts';

/** A transaction whose outcome is not known. */
export interface Pending {
  readonly prepared: Prepared;
  readonly sender: PublicKey;
  readonly nonce: number;
  readonly waiting: Set<{ resolve(inclusion: Inclusion): void; reject(error: SaharaError): void }>;
}

/** Transactions of this home, under way and proved. */
export class Sent {
  readonly #store: Store;
  readonly #pending = new Map<string, Pending>();
  readonly #proved = new Map<string, Inclusion>();

  private constructor(store: Store) {
    this.#store = store;
  }

  /** Opens what `store` keeps. */
  static async open(store: Store): Promise<Sent> {
    const sent = new Sent(store);
    const kept: Inclusion[] = [];
    for await (const [id, value] of store.entries()) kept.push(inclusionOf(id, inclusionProof.decode(value)));
    kept.sort((a, b) => a.height - b.height);
    for (const inclusion of kept) sent.#proved.set(nameOf(inclusion.id), inclusion);
    await sent.#trim();
    return sent;
  }

  lookup(id: Hash): Inclusion | undefined {
    return this.#proved.get(nameOf(id));
  }

  async proof(id: Hash): Promise<InclusionProof | undefined> {
    const stored = this.#proved.has(nameOf(id)) ? await this.#store.get(id) : undefined;
    return stored && inclusionProof.decode(stored);
  }

  pending(): readonly Pending[] {
    return [...this.#pending.values()];
  }

  /** Waits for a transaction's proof. `begun`: nobody waited for it before. */
  wait(
    prepared: Prepared,
    of: { readonly sender: PublicKey; readonly nonce: number },
    signal: AbortSignal | undefined,
  ): { readonly promise: Promise<Inclusion>; readonly begun: boolean } {
    const name = nameOf(prepared.id);
    const known = this.#pending.get(name);
    const pending = known ?? { prepared, sender: of.sender, nonce: of.nonce, waiting: new Set() };
    this.#pending.set(name, pending);
    const { promise, resolve, reject } = Promise.withResolvers<Inclusion>();
    const leave = (): void => {
      pending.waiting.delete(waiter);
      signal?.removeEventListener('abort', abort);
      // Nobody waits: whoever wants to know hands it in again.
      if (pending.waiting.size === 0 && this.#pending.get(name) === pending) this.#pending.delete(name);
    };
    const waiter = {
      resolve: (inclusion: Inclusion) => {
        leave();
        resolve(inclusion);
      },
      reject: (error: SaharaError) => {
        leave();
        reject(error);
      },
    };
    const abort = (): void => waiter.reject(new SaharaError('cancelled', { id: toHex(prepared.id) }));
    pending.waiting.add(waiter);
    if (signal?.aborted) abort();
    else signal?.addEventListener('abort', abort);
    return { promise, begun: known === undefined };
  }

  /** Keeps a proof and tells who waits. Another transaction of the same number can take no effect any more. */
  async keep({ inclusion, proof }: ProvedInclusion): Promise<void> {
    const name = nameOf(inclusion.id);
    await this.#store.batch([{ type: 'put', key: inclusion.id, value: inclusionProof.encode(proof) }], {
      sync: true,
    });
    point('light:proved');
    this.#proved.set(name, inclusion);
    await this.#trim();
    const pending = this.#pending.get(name);
    for (const waiter of [...(pending?.waiting ?? [])]) waiter.resolve(inclusion);
    for (const other of this.pending()) {
      const rival =
        pending !== undefined && other.nonce === pending.nonce && equalBytes(other.sender, pending.sender);
      if (rival)
        for (const waiter of [...other.waiting])
          waiter.reject(refusal('tx-refused', RESULT_CODES['nonce-used'].code));
    }
  }

  /** Tells who waits for a transaction that no block will have it. */
  refuse(id: Hash, error: SaharaError): void {
    for (const waiter of [...(this.#pending.get(nameOf(id))?.waiting ?? [])]) waiter.reject(error);
  }

  rejectAll(error: SaharaError): void {
    for (const { waiting } of this.pending()) for (const waiter of [...waiting]) waiter.reject(error);
  }

  /** The oldest go: a transaction is asked about soon or never. */
  async #trim(): Promise<void> {
    for (const [name, { id }] of this.#proved) {
      if (this.#proved.size <= LIGHT_INCLUSIONS_KEPT_MAX) return;
      this.#proved.delete(name);
      await this.#store.batch([{ type: 'del', key: id }]);
    }
  }
}

function inclusionOf(id: Hash, { header, transactionPath, result }: InclusionProof): Inclusion {
  const { height } = blockHeader.decode(header.payload);
  return { id, height, index: transactionPath.index, result };
}
