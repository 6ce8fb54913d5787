/**
 * The sequencer's side: makes a block whenever there is work, at once for a transaction alone, and after a short wait
 * for those that are under verification by then. While channels are closing it makes them at the network's interval
 * instead, work or not: their delays count blocks, so a payer could otherwise shorten its payee's time by filling
 * blocks, and an idle ledger would never end a channel.
 */
import { SaharaError } from '../../base/errors.ts';
import { point } from '../../base/points.ts';
import { BLOCK_TRANSACTIONS_MAX } from '../../protocol/limits.ts';
import type { Signer } from '../../protocol/suite.ts';
import { buildBlock } from '../blocks.ts';
import type { LedgerNetwork } from '../network.ts';
import { isPaced } from '../pace.ts';
import { nonceOf } from '../records.ts';
import type { Admission } from './admission.ts';
import { type EngineCore, refusal } from './core.ts';

/** How blocks are made. */
export interface ProducerOptions {
  /** Most transactions that one block takes, which bounds how long the event loop is held. */
  readonly transactionsPerBlockMax: number;
  /** How long a block that is not full waits for transactions under verification, milliseconds. */
  readonly gatherMsMax: number;
}

/** Makes blocks. */
export class Producer {
  readonly #core: EngineCore;
  readonly #admission: Admission;
  readonly #signer: Signer;
  readonly #network: LedgerNetwork | undefined;
  readonly #options: ProducerOptions;
  readonly #defer: (run: () => void) => void;
  #wanted = false;
  #working = false;
  #cancelTimer: (() => void) | undefined;
  /** Ends the wait for a fuller block. */
  #gathered: (() => void) | undefined;

  constructor(
    core: EngineCore,
    parts: {
      admission: Admission;
      signer: Signer;
      network: LedgerNetwork | undefined;
      /** Runs a function at the end of the tick. Default: `setImmediate`. */
      defer?: ((run: () => void) => void) | undefined;
    },
    options: ProducerOptions,
  ) {
    this.#core = core;
    this.#admission = parts.admission;
    this.#signer = parts.signer;
    this.#network = parts.network;
    this.#defer = parts.defer ?? setImmediate;
    this.#options = options;
  }

  /** Says that something waits. */
  wake(): void {
    this.#wanted = true;
    if (!this.#working) void this.#work();
    else if (this.#full()) this.#gathered?.();
  }

  /** Makes the next block after the network's interval if channels are closing. */
  arm(): void {
    if (this.#cancelTimer !== undefined || !this.#core.running || !this.#closing()) return;
    const { clock, genesis } = this.#core.parts;
    this.#cancelTimer = clock.after(genesis.parameters.blockIntervalMs, () => {
      this.#cancelTimer = undefined;
      void this.#produce(true).finally(() => (this.#closing() ? this.arm() : this.wake()));
    });
  }

  stop(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#gathered?.();
  }

  async #work(): Promise<void> {
    this.#working = true;
    try {
      while (this.#wanted && this.#core.running) {
        // What comes in the same tick shares a block.
        await new Promise<void>((resume) => this.#defer(resume));
        if (this.#closing()) return this.arm();
        // A fuller block costs less per transaction: tree pages, roots and the synced write are its own.
        if (this.#admission.verifying && !this.#full()) await this.#gather();
        this.#wanted = false;
        if (await this.#produce(false)) this.#wanted = true;
      }
    } finally {
      this.#working = false;
    }
  }

  #full(): boolean {
    return this.#core.parts.pool.size >= this.#options.transactionsPerBlockMax;
  }

  /** Waits until the next block is full, until nothing is under verification any more, or until it has waited enough. */
  #gather(): Promise<void> {
    return new Promise((resume) => {
      const gathered = (): void => {
        if (this.#gathered !== gathered) return;
        this.#gathered = undefined;
        cancel();
        resume();
      };
      const cancel = this.#core.parts.clock.after(this.#options.gatherMsMax, gathered);
      this.#gathered = gathered;
      this.#admission.onRest(gathered);
    });
  }

  /** Makes one block if there is work or, `paced`, a channel is closing; answers whether it did. */
  async #produce(paced: boolean): Promise<boolean> {
    const { clock, chain, pool, log } = this.#core.parts;
    return this.#core.exclusive(async () => {
      if (!this.#core.running) return false;
      const most = paced ? BLOCK_TRANSACTIONS_MAX : this.#options.transactionsPerBlockMax;
      const candidates = pool.ready(most, (sender) => nonceOf(chain.readState, sender));
      const empty = paced && this.#closing();
      if (candidates.length === 0 && !empty) return false;
      try {
        const proposal = { candidates, timeMs: clock.nowMs() };
        const { executed, leftOut } = buildBlock(this.#core.parts, this.#signer, proposal);
        for (const { prepared, code } of leftOut) {
          const { content } = prepared;
          if (content.fault === undefined) pool.remove(content.transaction.sender, content.transaction.nonce);
          this.#core.refuse(prepared.id, refusal('tx-refused', code));
        }
        if (executed.transactions.length > 0 || empty) {
          point('ledger:built');
          await this.#core.commit(executed, 'ledger:committed');
          this.#network?.publishBlock(executed.wire);
          point('ledger:published');
          this.arm();
        }
        return true;
      } catch (error) {
        log.error('block could not be made', { height: chain.head().height + 1, error: String(error) });
        this.#core.halt(error instanceof SaharaError ? error.message : String(error));
        return false;
      }
    });
  }

  #closing(): boolean {
    const { readState, head } = this.#core.parts.chain;
    return isPaced(readState, head().height);
  }
}
