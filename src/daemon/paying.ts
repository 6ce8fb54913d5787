/**
 * Payments to others outside of channels. Each has a reference of the payer's own: asked for again under the same one,
 * also after a crash at any moment, it is not paid a second time but told again. What was signed is kept before anybody
 * sees it, and handed in as the same bytes until it is decided.
 */
import { equalBytes, toHex, utf8 } from '../base/bytes.ts';
import { type Clock, timeoutSignal } from '../base/clock.ts';
import { asSaharaError, invariant, SaharaError } from '../base/errors.ts';
import { prefixed, type Store } from '../base/store.ts';
import { inclusionProof } from '../ledger/inclusion.ts';
import type { InclusionProof, Ledger } from '../ledger/ledger.ts';
import { RESULT_CODES } from '../ledger/result-codes.ts';
import { blockHeader } from '../protocol/block.ts';
import { didOf, type Hash, type Id, type PublicKey } from '../protocol/ids.ts';
import { type Signed, signed } from '../protocol/signing.ts';
import type { Suite } from '../protocol/suite.ts';
import {
  type Action,
  action as actionSchema,
  type Transaction,
  transaction,
  transactionId,
} from '../protocol/transaction.ts';
import type { Wallet } from './wallet.ts';

/** Payments that are remembered; the oldest leave. */
const PAYMENTS_MAX = 10_000;

/** Longest wait for a block, milliseconds. */
const SETTLE_TIMEOUT_MS = 30_000;

/** What is to be paid. */
export interface PaymentOrder {
  /** The payer's own name for it. */
  readonly reference: Id;
  readonly to: PublicKey;
  /** Grains. */
  readonly amount: bigint;
  readonly memo: string | undefined;
  /** The asset that gets it, where it pays the call whose id is `reference`. Absent: it is a transfer. */
  readonly asset?: Hash;
}

/** A payment that took effect, and where the ledger has it. */
export interface Payment {
  readonly transaction: Hash;
  readonly height: number;
  /** The block's time. */
  readonly timeMs: number;
  /** Position among the `count` transactions of the block, from 0. */
  readonly index: number;
  readonly count: number;
  /** It was paid before, when it was asked for then. */
  readonly before: boolean;
}

/** What paying works with. */
export interface PayingParts {
  readonly ledger: Pick<Ledger, 'network' | 'submit' | 'lookup' | 'proof'>;
  readonly wallet: Pick<Wallet, 'send'>;
  readonly suite: Suite;
  readonly clock: Clock;
  /** This part has the store for itself. */
  readonly store: Store;
}

/** Pays, each reference once. */
export interface Paying {
  /**
   * Pays and resolves once a block has it. Throws `usage` when the reference is another payment's, and what sending
   * throws; then the outcome may be unknown, and the same order tells it.
   */
  pay(order: PaymentOrder, options?: { readonly signal?: AbortSignal }): Promise<Payment>;
  /** The same, with the proof that a block has it. */
  prove(order: PaymentOrder, options?: { readonly signal?: AbortSignal }): Promise<InclusionProof>;
  /** The proof of what was paid under a reference; `undefined` when nothing was, or it will never take effect. */
  made(reference: Id, options?: { readonly signal?: AbortSignal }): Promise<InclusionProof | undefined>;
}

/** Payments of `parts.wallet`. */
export function createPaying(parts: PayingParts): Paying {
  const book = new PaymentBook(parts);
  const underWay = new Map<string, Promise<unknown>>();
  const alone = async <T>(reference: Id, work: () => Promise<T>): Promise<T> => {
    const name = toHex(reference);
    for (let other = underWay.get(name); other !== undefined; other = underWay.get(name)) {
      await other.catch(() => {});
    }
    const working = work();
    underWay.set(name, working);
    return await working.finally(() => underWay.delete(name));
  };
  return {
    async pay(order, { signal } = {}) {
      const { proof, before } = await alone(order.reference, () => book.pay(order, signal));
      return book.told(proof, before);
    },
    prove: async (order, { signal } = {}) =>
      (await alone(order.reference, () => book.pay(order, signal))).proof,
    made: (reference, { signal } = {}) => alone(reference, () => book.made(reference, signal)),
  };
}

class PaymentBook {
  readonly #parts: PayingParts;
  readonly #sent: Store;
  readonly #proved: Store;

  constructor(parts: PayingParts) {
    this.#parts = parts;
    this.#sent = prefixed(parts.store, utf8('sent/'));
    this.#proved = prefixed(parts.store, utf8('proved/'));
  }

  async pay(
    order: PaymentOrder,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly proof: InclusionProof; readonly before: boolean }> {
    const { reference } = order;
    const kept = await this.#sent.get(reference);
    if (kept !== undefined) demandSame(order, transaction.decode(signed.decode(kept).payload));
    const proof = await this.made(reference, signal);
    if (proof !== undefined) return { proof, before: true };
    await this.#trim();
    const { id } = await this.#parts.wallet.send(actionOf(order), {
      ...(signal && { signal }),
      recorded: async (message) => {
        await this.#sent.batch([{ type: 'put', key: reference, value: signed.encode(message) }], {
          sync: true,
        });
      },
    });
    return { proof: await this.#prove(reference, id), before: false };
  }

  async made(reference: Id, signal: AbortSignal | undefined): Promise<InclusionProof | undefined> {
    const kept = await this.#sent.get(reference);
    if (kept === undefined) return undefined;
    const known = await this.#proved.get(reference);
    if (known !== undefined) return inclusionProof.decode(known);
    const found = await this.#decide(signed.decode(kept), signal);
    return found && (await this.#prove(reference, found));
  }

  /** Where a transaction of unknown outcome took effect; `undefined` when it never will. */
  async #decide(message: Signed, signal: AbortSignal | undefined): Promise<Hash | undefined> {
    const { ledger, clock } = this.#parts;
    const limit = timeoutSignal(clock, SETTLE_TIMEOUT_MS);
    try {
      const either = signal ? AbortSignal.any([signal, limit]) : limit;
      return (await ledger.submit(message, { signal: either })).id;
    } catch (error) {
      const { code, facts } = asSaharaError(error);
      if (code === 'cancelled' && signal?.aborted !== true && limit.aborted) {
        throw new SaharaError('deadline-exceeded', { ...facts, what: 'ledger', limitMs: SETTLE_TIMEOUT_MS });
      }
      // Refused by a block, or its number is another's: only then can it never take effect.
      const over = 'height' in facts || facts.code === RESULT_CODES['nonce-used'].code;
      if (code === 'tx-refused' && over) return undefined;
      throw error;
    }
  }

  async #prove(reference: Id, id: Hash): Promise<InclusionProof> {
    const proof = await this.#parts.ledger.proof(id);
    invariant(proof, 'what took effect is in a block');
    await this.#proved.batch([{ type: 'put', key: reference, value: inclusionProof.encode(proof) }], {
      sync: true,
    });
    return proof;
  }

  told(proof: InclusionProof, before: boolean): Payment {
    const { suite, ledger } = this.#parts;
    const { height, timeMs } = blockHeader.decode(proof.header.payload);
    const { index, count } = proof.transactionPath;
    const id = transactionId(suite, ledger.network, proof.transaction.payload);
    return { transaction: id, height, timeMs, index, count, before };
  }

  /** Makes room for one more. What is not decided yet stays. */
  async #trim(): Promise<void> {
    const paid: { readonly key: Uint8Array; readonly nonce: number }[] = [];
    for await (const [key, value] of this.#proved.entries()) {
      const { nonce } = transaction.decode(inclusionProof.decode(value).transaction.payload);
      paid.push({ key: key.slice(), nonce });
    }
    paid.sort((a, b) => a.nonce - b.nonce);
    for (const { key } of paid.slice(0, Math.max(0, paid.length - PAYMENTS_MAX + 1))) {
      await this.#sent.batch([{ type: 'del', key }]);
      await this.#proved.batch([{ type: 'del', key }]);
    }
  }
}

function actionOf({ reference, to, amount, memo, asset }: PaymentOrder): Action {
  if (asset === undefined) return { type: 'transfer', to, amount, memo };
  return { type: 'pay', payee: to, asset, amount, reference };
}

function demandSame(order: PaymentOrder, { action }: Transaction): void {
  if (equalBytes(actionSchema.encode(action), actionSchema.encode(actionOf(order)))) return;
  const to = action.type === 'transfer' ? `, to ${didOf(action.to)}` : '';
  const reason = `the reference ${toHex(order.reference)} is already that of another payment${to}`;
  throw new SaharaError('usage', { reason });
}
