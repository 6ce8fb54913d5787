/**
 * What CometBFT's mempool asks: may a transaction wait? A sender's transactions wait in the order of their numbers, on
 * top of the last block; after each block the mempool asks again about what it still holds.
 */
import { equalBytes } from '../../../base/bytes.ts';
import type { Clock } from '../../../base/clock.ts';
import { createRecent, type Recent } from '../../../base/recent.ts';
import type { Hash, PublicKey } from '../../../protocol/ids.ts';
import { TRANSACTION_BYTES_MAX } from '../../../protocol/limits.ts';
import type { Transaction } from '../../../protocol/transaction.ts';
import { type BlockParts, verifyTransaction } from '../../blocks.ts';
import { identityKey } from '../../identities.ts';
import { nameOf } from '../../names.ts';
import { isPaced } from '../../pace.ts';
import type { Prepared } from '../../prepare.ts';
import { ACCOUNTS, nonceOf, stateKey } from '../../records.ts';
import { RESULT_CODES, type ResultName } from '../../result-codes.ts';
import { prepareBytes } from './execution.ts';
import { CHECKED_TRANSACTIONS_MAX, REQUESTS_WAITING_MAX } from './limits.ts';
import { tickHeight } from './ticks.ts';

/** What the checks need. */
export type CheckParts = BlockParts & { readonly clock: Clock };

/** The code of a tick that nobody needs. It is no result of a transaction. */
const NOT_NEEDED = 65_535;

interface Foreseen {
  readonly prepared: Prepared;
  readonly signed: Promise<boolean>;
}

/** Checks for the mempool. */
export class Checks {
  readonly #parts: CheckParts;
  readonly #recent: Recent<Prepared> = createRecent({ costMax: CHECKED_TRANSACTIONS_MAX });
  readonly #byBytes: Recent<Prepared> = createRecent({ costMax: CHECKED_TRANSACTIONS_MAX });
  /** What is under verification already, by the bytes as they came. */
  readonly #foreseen = new WeakMap<Uint8Array, Foreseen>();
  /** The number after the last that waits, by the sender's name. As many as the mempool has senders. */
  #next = new Map<string, number>();

  constructor(parts: CheckParts) {
    this.#parts = parts;
  }

  /** Begins to verify what is about to be asked, so that those who wait in a row are not verified one by one. */
  foresee(bytes: Uint8Array): void {
    if (bytes.length > TRANSACTION_BYTES_MAX || tickHeight(bytes) !== undefined) return;
    if (this.recallBytes(bytes) !== undefined) return;
    const prepared = prepareBytes(this.#parts, bytes);
    const { content } = prepared;
    if (content.fault !== undefined || this.#refusal(content.transaction, REQUESTS_WAITING_MAX) !== undefined)
      return;
    const signed = this.#isSigned(prepared, content.transaction.sender);
    // Whoever asks gets the failure.
    signed.catch(() => {});
    this.#foreseen.set(bytes, { prepared, signed });
  }

  /** A transaction of these very bytes that was verified lately. */
  recallBytes(bytes: Uint8Array): Prepared | undefined {
    return this.#byBytes.get(nameOf(this.#parts.suite.sha256(bytes)));
  }

  /** A transaction that was verified lately. */
  recall(id: Hash): Prepared | undefined {
    return this.#recent.get(nameOf(id));
  }

  /** Remembers one whose signature was verified. */
  remember(prepared: Prepared): void {
    this.#recent.set(nameOf(prepared.id), prepared);
    this.#byBytes.set(nameOf(this.#parts.suite.sha256(prepared.wire)), prepared);
  }

  /** Begins again on top of a new block. */
  restart(): void {
    this.#next = new Map();
  }

  /** The result that says why a transaction may not wait; 0 when it may. */
  async check(bytes: Uint8Array): Promise<number> {
    const tick = tickHeight(bytes);
    if (tick !== undefined) return this.#wantsTick(tick) ? 0 : NOT_NEEDED;
    if (bytes.length > TRANSACTION_BYTES_MAX) return codeOf('malformed');
    const foreseen = this.#foreseen.get(bytes);
    const prepared = foreseen?.prepared ?? prepareBytes(this.#parts, bytes);
    const { content } = prepared;
    if (content.fault !== undefined) return codeOf(content.fault);
    const { transaction } = content;
    const early = this.#refusal(transaction, 0);
    if (early !== undefined) return codeOf(early);
    // What a registered DID's key signed is asked again: a block may have come with another key.
    const known = this.#isRegistered(transaction.sender) ? undefined : foreseen?.signed;
    if (!(await (known ?? this.#isSigned(prepared, transaction.sender)))) return codeOf('signature-invalid');
    this.remember(prepared);
    this.#next.set(nameOf(transaction.sender), transaction.nonce + 1);
    return 0;
  }

  /** Why it may not wait, if its number may be ahead by so much. */
  #refusal({ sender, nonce, feeMax }: Transaction, aheadMax: number): ResultName | undefined {
    const { chain, genesis } = this.#parts;
    const committed = nonceOf(chain.readState, sender);
    const next = Math.max(committed, this.#next.get(nameOf(sender)) ?? 0);
    if (nonce < next) return 'nonce-used';
    if (nonce > next + aheadMax) return 'nonce-ahead';
    const fee = genesis.parameters.transactionFee;
    if (feeMax < fee) return 'fee-too-low';
    // A later one may be paid by what comes in before it.
    return nonce === committed && this.#balance(sender) < fee ? 'fee-unpaid' : undefined;
  }

  #balance(sender: PublicKey): bigint {
    const stored = this.#parts.chain.readState(stateKey(ACCOUNTS, sender));
    return stored === undefined ? 0n : ACCOUNTS.schema.decode(stored).balance;
  }

  /** What a registered DID's key once signed may be another's by now. */
  #isSigned(prepared: Prepared, sender: PublicKey): Promise<boolean> {
    const { signatures, chain } = this.#parts;
    const known = this.recall(prepared.id);
    const told = known !== undefined && equalBytes(known.wire, prepared.wire);
    if (told && !this.#isRegistered(sender)) return Promise.resolve(true);
    return verifyTransaction(signatures, chain.readState, prepared);
  }

  #isRegistered(sender: PublicKey): boolean {
    return this.#parts.chain.readState(identityKey(sender)) !== undefined;
  }

  #wantsTick(height: number): boolean {
    const { chain, clock, genesis } = this.#parts;
    const head = chain.head();
    if (height !== head.height || !isPaced(chain.readState, head.height)) return false;
    return clock.nowMs() >= head.timeMs + genesis.parameters.blockIntervalMs;
  }
}

function codeOf(name: ResultName): number {
  return RESULT_CODES[name].code;
}
