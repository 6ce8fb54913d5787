/** How a transaction gets from a caller or a peer into the pool: cheap checks, then one signature, then room. */
import { equalBytes } from '../../base/bytes.ts';
import { asSaharaError, SaharaError } from '../../base/errors.ts';
import { createRecent, type Recent } from '../../base/recent.ts';
import type { Hash } from '../../protocol/ids.ts';
import { signed as signedSchema } from '../../protocol/signing.ts';
import type { Transaction } from '../../protocol/transaction.ts';
import { verifyTransaction } from '../blocks.ts';
import { identityKey } from '../identities.ts';
import type { Inclusion } from '../ledger.ts';
import { MEMPOOL_PER_SENDER_MAX, MEMPOOL_TRANSACTIONS_MAX } from '../limits.ts';
import { nameOf } from '../names.ts';
import type { Verdict } from '../network.ts';
import { type Prepared, prepareTransaction } from '../prepare.ts';
import { ACCOUNTS, stateKey } from '../records.ts';
import { RESULT_CODES, type ResultName } from '../result-codes.ts';
import { type EngineCore, refusal } from './core.ts';

/** What admitting gave: it waits in the pool now, it waited already, or a block has it. */
export type Admitted =
  | { readonly kind: 'taken' | 'waiting' }
  | { readonly kind: 'included'; readonly inclusion: Inclusion };

/** Admits transactions to the pool of `core`. */
export class Admission {
  readonly #core: EngineCore;
  /** Verified lately, so that a block that brings them is not verified again. None where blocks are made: they hold what waits. */
  readonly #verified: Recent<Prepared> | undefined;
  #verifying = 0;
  #rest: (() => void) | undefined;

  constructor(core: EngineCore, options: { readonly makesBlocks: boolean }) {
    this.#core = core;
    if (!options.makesBlocks) this.#verified = createRecent({ costMax: MEMPOOL_TRANSACTIONS_MAX });
  }

  /** A transaction that was verified lately. */
  recall(id: Hash): Prepared | undefined {
    return this.#verified?.get(nameOf(id));
  }

  /** Whether signatures of transactions that may come into the pool are under verification. */
  get verifying(): boolean {
    return this.#verifying > 0;
  }

  /** Has `rest` called, instead of any before it, when nothing is under verification any more: just before the last one comes into the pool. */
  onRest(rest: () => void): void {
    this.#rest = rest;
  }

  /** Admits one transaction. Throws `tx-invalid`, `tx-refused` or `overloaded`. */
  async admit(prepared: Prepared): Promise<Admitted> {
    const { pool, clock } = this.#core.parts;
    const { content } = prepared;
    if (content.fault !== undefined) throw invalid(content.fault);
    const early = this.#standing(prepared, content.transaction);
    if (early !== undefined) return early;
    if (this.#verifying >= MEMPOOL_TRANSACTIONS_MAX) throw new SaharaError('overloaded');
    this.#verifying++;
    try {
      if (!(await this.#verify(prepared))) throw this.#unsigned(prepared);
    } finally {
      this.#verifying--;
      if (this.#verifying === 0) this.#rest?.();
    }
    // Blocks may have come in the meantime.
    const late = this.#standing(prepared, content.transaction);
    if (late !== undefined) return late;
    const { sender, nonce } = content.transaction;
    const offer = { sender, nonce, prepared };
    let outcome = pool.offer(offer, clock.monotonicMs());
    if (outcome === 'full') {
      for (const old of pool.expire(clock.monotonicMs())) this.#drop(old, 'it waited too long');
      outcome = pool.offer(offer, clock.monotonicMs());
    }
    if (outcome === 'full') {
      const displaced = pool.displace(sender, nonce);
      if (displaced !== undefined) {
        this.#drop(displaced, 'an earlier one of the sender needed its place');
        outcome = pool.offer(offer, clock.monotonicMs());
      }
    }
    if (outcome === 'full') throw new SaharaError('overloaded', { reason: 'too many transactions wait' });
    if (outcome === 'nonce-taken') throw refused('nonce-used');
    this.#remember(prepared);
    return { kind: 'taken' };
  }

  /** It may wait elsewhere too, so its outcome is unknown. */
  #drop({ id }: Prepared, reason: string): void {
    this.#core.refuse(id, new SaharaError('deadline-exceeded', { reason }));
  }

  /** Judges a peer's transaction without taking it: for nodes that only pass it on. */
  async judge(wire: Uint8Array): Promise<Verdict> {
    const { suite, network, chain } = this.#core.parts;
    try {
      const prepared = prepareTransaction(suite, network, signedSchema.decode(wire));
      if (prepared.content.fault !== undefined) return 'reject';
      if (chain.lookup(prepared.id) || this.recall(prepared.id)) return 'ignore';
      if (!(await this.#verify(prepared))) throw this.#unsigned(prepared);
      this.#remember(prepared);
      return 'accept';
    } catch (error) {
      return verdictOf(error);
    }
  }

  /** Takes a peer's transaction and judges it. */
  async take(wire: Uint8Array): Promise<Verdict> {
    const { suite, network } = this.#core.parts;
    try {
      const admitted = await this.admit(prepareTransaction(suite, network, signedSchema.decode(wire)));
      return admitted.kind === 'taken' ? 'accept' : 'ignore';
    } catch (error) {
      return verdictOf(error);
    }
  }

  /** Where a transaction is already; throws why its sender's account does not take it. */
  #standing({ id }: Prepared, { sender, nonce, feeMax }: Transaction): Admitted | undefined {
    const { chain, pool, genesis } = this.#core.parts;
    const stored = chain.readState(stateKey(ACCOUNTS, sender));
    const account = stored === undefined ? undefined : ACCOUNTS.schema.decode(stored);
    const next = account?.nonce ?? 0;
    // Only a number that was used can belong to a transaction that a block has.
    const inclusion = nonce < next ? chain.lookup(id) : undefined;
    if (inclusion !== undefined) return { kind: 'included', inclusion };
    const held = pool.get(sender, nonce);
    if (held !== undefined && equalBytes(held.id, id)) return { kind: 'waiting' };
    const fee = genesis.parameters.transactionFee;
    if (nonce < next) throw refused('nonce-used');
    if (nonce >= next + MEMPOOL_PER_SENDER_MAX) throw refused('nonce-ahead');
    if (feeMax < fee) throw refused('fee-too-low');
    // A later one may be paid by what comes in before it.
    if (nonce === next && (account?.balance ?? 0n) < fee) throw refused('fee-unpaid');
    return undefined;
  }

  #verify(prepared: Prepared): Promise<boolean> {
    const known = this.recall(prepared.id);
    const told = known !== undefined && equalBytes(known.wire, prepared.wire);
    // What a registered DID's key once signed may be another's by now.
    if (told && !this.#isRegistered(prepared)) return Promise.resolve(true);
    const { signatures, chain } = this.#core.parts;
    return verifyTransaction(signatures, chain.readState, prepared);
  }

  /** The fault of a signature. That of a registered DID may be by a key of which this node is yet to hear. */
  #unsigned(prepared: Prepared): SaharaError {
    const fault = invalid('signature-invalid');
    if (!this.#isRegistered(prepared)) return fault;
    return new SaharaError(fault.code, { ...fault.facts, rotated: true });
  }

  #isRegistered({ content }: Prepared): boolean {
    const { readState } = this.#core.parts.chain;
    return content.fault === undefined && readState(identityKey(content.transaction.sender)) !== undefined;
  }

  #remember(prepared: Prepared): void {
    this.#verified?.set(nameOf(prepared.id), prepared);
  }
}

function invalid(name: ResultName): SaharaError {
  return refusal('tx-invalid', RESULT_CODES[name].code);
}

function refused(name: ResultName): SaharaError {
  return refusal('tx-refused', RESULT_CODES[name].code);
}

function verdictOf(error: unknown): Verdict {
  const { code, facts } = asSaharaError(error);
  if (facts.rotated === true) return 'ignore';
  return code === 'tx-invalid' || code === 'malformed' ? 'reject' : 'ignore';
}
