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
import { CHECKED_TRANSACTIONS_MAX } from './limits.ts';
import { tickHeight } from './ticks.ts';

/** What the checks need. */
export type CheckParts = BlockParts & { readonly clock: Clock };

/** The code of a tick that nobody needs. It is no result of a transaction. */
const NOT_NEEDED = 65_535;

/** Checks for the mempool. */
export class Checks {
  readonly #parts: CheckParts;
  readonly #recent: Recent<Prepared> = createRecent({ costMax: CHECKED_TRANSACTIONS_MAX });
  /** The number after the last that waits, by the sender's name. As many as the mempool has senders. */
  #next = new Map<string, number>();

  constructor(parts: CheckParts) {
    this.#parts = parts;
  }

  /** A transaction that was verified lately. */
  recall(id: Hash): Prepared | undefined {
    return this.#recent.get(nameOf(id));
  }

  /** Remembers one whose signature was verified. */
  remember(prepared: Prepared): void {
    this.#recent.set(nameOf(prepared.id), prepared);
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
    const prepared = prepareBytes(this.#parts, bytes);
    const { content } = prepared;
    if (content.fault !== undefined) return codeOf(content.fault);
    const { transaction } = content;
    const early = this.#refusal(transaction);
    if (early !== undefined) return codeOf(early);
    if (!(await this.#isSigned(prepared, transaction.sender))) return codeOf('signature-invalid');
    this.remember(prepared);
    this.#next.set(nameOf(transaction.sender), transaction.nonce + 1);
    return 0;
  }

  #refusal({ sender, nonce, feeMax }: Transaction): ResultName | undefined {
    const { chain, genesis } = this.#parts;
    const committed = nonceOf(chain.readState, sender);
    const next = Math.max(committed, this.#next.get(nameOf(sender)) ?? 0);
    if (nonce < next) return 'nonce-used';
    if (nonce > next) return 'nonce-ahead';
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
    if (told && chain.readState(identityKey(sender)) === undefined) return Promise.resolve(true);
    return verifyTransaction(signatures, chain.readState, prepared);
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
