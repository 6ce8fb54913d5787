/**
 * Sends a key's transactions: numbers them under concurrency, and never repeats one whose outcome is unknown as a
 * new one. A transaction whose caller gave up, or whose process died, is handed in again as the same bytes until
 * a block has it or its number is taken; with a journal this also holds across a crash.
 */
import { toHex, u64be } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import { point } from '../base/points.ts';
import type { Store } from '../base/store.ts';
import { type Hash, PROTOCOL_VERSION } from '../protocol/ids.ts';
import { type Signed, signed as signedSchema, signOne } from '../protocol/signing.ts';
import type { Signer, Suite } from '../protocol/suite.ts';
import { type Action, transaction, transactionId } from '../protocol/transaction.ts';
import type { Inclusion, Ledger } from './ledger.ts';
import { RESULT_CODES } from './result-codes.ts';

/** Parts of a client. One client per key: two would compete for its numbers. */
export interface LedgerClientParts {
  readonly ledger: Ledger;
  readonly signer: Signer;
  readonly suite: Suite;
  readonly clock: Clock;
  /** Where transactions stand before they are handed in, so that a crash leaves none of unknown outcome behind. */
  readonly journal?: Store;
}

/** Options of a client. */
export interface LedgerClientOptions {
  /** Most that one transaction may cost in fees, grains. Default: the network's fee. */
  readonly feeMax?: bigint;
  /** How long to wait before a transaction of unknown outcome is handed in again, milliseconds. Default 1,000. */
  readonly retryMs?: number;
}

/** Sends one key's transactions. */
export interface LedgerClient {
  readonly publicKey: Uint8Array;
  /**
   * Signs and hands in an action; resolves once it took effect. Rejects like `Ledger.submit`; with `cancelled` the
   * fact `id` names the transaction, which goes on: ask `ledger.lookup`. `signer`: another key than the usual one, which
   * the ledger takes for this action.
   */
  send(action: Action, options?: SendOptions): Promise<Inclusion>;
  /** Transactions whose outcome is still unknown. */
  pending(): readonly Hash[];
  /** Resolves when no outcome is unknown any more, or the signal aborts. */
  settled(options?: { readonly signal?: AbortSignal }): Promise<void>;
  /** Hands in nothing more. */
  stop(): void;
}

/** How one action is sent. */
export interface SendOptions {
  readonly signal?: AbortSignal;
  readonly signer?: Signer;
  /**
   * Told of the signed transaction, and waited for, before anything else keeps it or anybody sees it; told again of the
   * one in its place when somebody else used its number. What it throws ends the sending.
   */
  readonly recorded?: (message: Signed) => Promise<void>;
}

const ATTEMPTS_MAX = 8;

/** A client for the key of `parts.signer`. */
export function createLedgerClient(
  parts: LedgerClientParts,
  options: LedgerClientOptions = {},
): LedgerClient {
  const client = new Client(parts, options);
  return {
    publicKey: parts.signer.publicKey,
    send: (action, options = {}) => client.send(action, options),
    pending: () => client.pending(),
    settled: ({ signal } = {}) => client.settled(signal),
    stop: () => client.stop(),
  };
}

interface Sent {
  readonly nonce: number;
  readonly id: Hash;
  readonly message: Signed;
}

class Client {
  readonly #parts: LedgerClientParts;
  readonly #feeMax: bigint;
  readonly #retryMs: number;
  readonly #stopping = new AbortController();
  /** Numbers whose transaction was refused before it could use them. */
  readonly #free = new Set<number>();
  readonly #outstanding = new Map<number, Sent>();
  readonly #idle = new Set<() => void>();
  #next = 0;
  #recovered: Promise<void> | undefined;

  constructor(parts: LedgerClientParts, options: LedgerClientOptions) {
    this.#parts = parts;
    this.#feeMax = options.feeMax ?? parts.ledger.genesis.parameters.transactionFee;
    this.#retryMs = options.retryMs ?? 1_000;
  }

  async send(action: Action, options: SendOptions): Promise<Inclusion> {
    const { signal, signer = this.#parts.signer, recorded } = options;
    this.#recovered ??= this.#recover();
    await this.#recovered;
    for (let attempt = 1; ; attempt++) {
      signal?.throwIfAborted();
      await this.#parts.ledger.current(signal && { signal });
      const sent = await this.#record(action, signer, recorded);
      try {
        return await this.#deliver(sent, signal);
      } catch (error) {
        // Somebody else used the number, so this transaction can never take effect: a new one is no repetition.
        if (attempt < ATTEMPTS_MAX && usedByAnother(error) && !this.#parts.ledger.lookup(sent.id)) continue;
        throw error;
      }
    }
  }

  pending(): readonly Hash[] {
    return [...this.#outstanding.values()].map(({ id }) => id);
  }

  async settled(signal: AbortSignal | undefined): Promise<void> {
    this.#recovered ??= this.#recover();
    await this.#recovered;
    if (this.#outstanding.size === 0) return;
    await new Promise<void>((resolve, reject) => {
      this.#idle.add(resolve);
      signal?.addEventListener('abort', () => reject(new SaharaError('cancelled')), { once: true });
    });
  }

  stop(): void {
    this.#stopping.abort();
  }

  async #record(action: Action, signer: Signer, recorded?: SendOptions['recorded']): Promise<Sent> {
    const { ledger, suite, journal } = this.#parts;
    const nonce = this.#number();
    const body = {
      version: PROTOCOL_VERSION,
      network: ledger.network,
      sender: this.#parts.signer.publicKey,
      nonce,
      feeMax: this.#feeMax,
      action,
    };
    const payload = transaction.encode(body);
    const message = signOne(suite, signer, ledger.network, { type: 'transaction', payload });
    const sent = { nonce, message, id: transactionId(suite, ledger.network, payload) };
    this.#outstanding.set(nonce, sent);
    const value = signedSchema.encode(message);
    try {
      await recorded?.(message);
      await journal?.batch([{ type: 'put', key: u64be(BigInt(nonce)), value }], { sync: true });
    } catch (error) {
      // Nobody has seen it: a number that stayed taken would hold up all that follow.
      this.#outstanding.delete(nonce);
      this.#free.add(nonce);
      throw error;
    }
    point('wallet:kept');
    return sent;
  }

  #number(): number {
    const used = this.#parts.ledger.account(this.#parts.signer.publicKey).nonce;
    for (const nonce of this.#free) if (nonce < used) this.#free.delete(nonce);
    const nonce = this.#free.size > 0 ? Math.min(...this.#free) : Math.max(this.#next, used);
    this.#free.delete(nonce);
    this.#next = Math.max(this.#next, nonce + 1);
    return nonce;
  }

  async #deliver(sent: Sent, signal: AbortSignal | undefined): Promise<Inclusion> {
    const either = signal ? AbortSignal.any([signal, this.#stopping.signal]) : this.#stopping.signal;
    try {
      const inclusion = await this.#parts.ledger.submit(sent.message, { signal: either });
      await this.#close(sent);
      return inclusion;
    } catch (error) {
      const failure = asSaharaError(error);
      const fate = fateOf(failure);
      if (fate === 'unknown') this.#later(sent);
      else await this.#close(sent);
      if (fate === 'untouched') this.#release(sent.nonce);
      throw fate === 'unknown' ? withId(failure, sent.id) : failure;
    }
  }

  /** Hands in again what nobody waits for any more. */
  #later(sent: Sent): void {
    if (this.#stopping.signal.aborted) return;
    this.#parts.clock.after(this.#retryMs, () => {
      if (!this.#stopping.signal.aborted) this.#deliver(sent, undefined).catch(() => {});
    });
  }

  async #close({ nonce, id }: Sent): Promise<void> {
    if (this.#outstanding.get(nonce)?.id !== id) return;
    this.#outstanding.delete(nonce);
    await this.#parts.journal?.batch([{ type: 'del', key: u64be(BigInt(nonce)) }]);
    if (this.#outstanding.size > 0) return;
    for (const resolve of this.#idle) resolve();
    this.#idle.clear();
  }

  /** Gives a number back. When later ones already wait for it, an empty transaction takes it. */
  #release(nonce: number): void {
    const { ledger, signer } = this.#parts;
    if (nonce < ledger.account(signer.publicKey).nonce) return;
    this.#free.add(nonce);
    if (![...this.#outstanding.keys()].some((other) => other > nonce)) return;
    const nothing: Action = { type: 'transfer', to: signer.publicKey, amount: 0n, memo: undefined };
    this.#record(nothing, signer)
      .then((sent) => this.#deliver(sent, undefined))
      .catch(() => {});
  }

  async #recover(): Promise<void> {
    const { journal, ledger, signer, suite } = this.#parts;
    if (journal === undefined) return;
    for await (const [key, value] of journal.entries()) {
      const message = signedSchema.decode(value);
      const { nonce } = transaction.decode(message.payload);
      const sent = { nonce, message, id: transactionId(suite, ledger.network, message.payload) };
      const over = ledger.lookup(sent.id) !== undefined || nonce < ledger.account(signer.publicKey).nonce;
      if (over) {
        await journal.batch([{ type: 'del', key }]);
        continue;
      }
      this.#outstanding.set(nonce, sent);
      this.#next = Math.max(this.#next, nonce + 1);
      this.#deliver(sent, undefined).catch(() => {});
    }
  }
}

/** Whether a failed transaction is decided with its number used, decided without, or not decided. */
function fateOf(failure: SaharaError): 'used' | 'untouched' | 'unknown' {
  if (failure.code === 'tx-refused') return 'height' in failure.facts ? 'used' : 'untouched';
  return failure.code === 'tx-invalid' || failure.code === 'overloaded' ? 'untouched' : 'unknown';
}

function usedByAnother(error: unknown): boolean {
  if (!(error instanceof SaharaError) || error.code !== 'tx-refused' || 'height' in error.facts) return false;
  return error.facts.code === RESULT_CODES['nonce-used'].code;
}

function withId(failure: SaharaError, id: Hash): SaharaError {
  return new SaharaError(failure.code, { ...failure.facts, id: toHex(id) }, { cause: failure });
}
