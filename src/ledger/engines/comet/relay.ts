/**
 * Hands what waits in this node's pool to CometBFT, each sender's transactions in the order of their numbers, until a
 * block has them; and asks for the block that nothing else asks for while delays run. Whatever gets lost on the way, with
 * a node that was restarted or a full mempool, is handed in again as the same bytes.
 */
import { every } from '../../../base/clock.ts';
import { asSaharaError } from '../../../base/errors.ts';
import { nameOf } from '../../names.ts';
import { isPaced } from '../../pace.ts';
import { nonceOf } from '../../records.ts';
import type { EngineCore } from '../core.ts';
import type { CometRpc } from './rpc.ts';
import { encodeTick } from './ticks.ts';

/** Options of a relay. */
export interface RelayOptions {
  /** How often what waits is handed in again, milliseconds. */
  readonly repeatMs: number;
  /** Most transactions that are handed in before the first of them is in a block. */
  readonly inFlightMax: number;
}

/** Hands transactions on. */
export class Relay {
  readonly #core: EngineCore;
  readonly #rpc: CometRpc;
  readonly #options: RelayOptions;
  /** Ids of what the node has had since the last repetition. */
  #handed = new Set<string>();
  #working: Promise<void> | undefined;
  #again = false;
  #cancelTick: (() => void) | undefined;
  readonly #leaving: (() => void)[];

  constructor(core: EngineCore, rpc: CometRpc, options: RelayOptions) {
    this.#core = core;
    this.#rpc = rpc;
    this.#options = options;
    this.#leaving = [
      every(core.parts.clock, options.repeatMs, () => this.#repeat()),
      core.onBlock(() => {
        this.wake();
        this.arm();
      }),
    ];
    this.arm();
  }

  /** Says that something waits. */
  wake(): void {
    this.#again = true;
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined;
    });
  }

  /** Asks for the next block after the network's interval if delays run. */
  arm(): void {
    const { clock, chain, genesis } = this.#core.parts;
    if (this.#cancelTick !== undefined || !this.#core.running) return;
    const { height, timeMs } = chain.head();
    if (!isPaced(chain.readState, height)) return;
    const { blockIntervalMs } = genesis.parameters;
    const dueMs = Math.min(blockIntervalMs, Math.max(1, timeMs + blockIntervalMs - clock.nowMs()));
    this.#cancelTick = clock.after(dueMs, () => {
      this.#cancelTick = undefined;
      void this.#hand(encodeTick(height)).finally(() => this.arm());
    });
  }

  async stop(): Promise<void> {
    for (const leave of this.#leaving) leave();
    this.#cancelTick?.();
    this.#cancelTick = undefined;
    await this.#working;
  }

  #repeat(): void {
    this.#handed = new Set();
    if (this.#core.parts.pool.size > 0) this.wake();
  }

  async #work(): Promise<void> {
    while (this.#again && this.#core.running) {
      this.#again = false;
      const { pool, chain } = this.#core.parts;
      const ready = pool.ready(this.#options.inFlightMax, (sender) => nonceOf(chain.readState, sender));
      const stuck = new Set<string>();
      for (const { id, wire, content } of ready) {
        const sender = content.fault === undefined ? nameOf(content.transaction.sender) : '';
        if (this.#handed.has(nameOf(id)) || stuck.has(sender)) continue;
        if (!this.#core.running) return;
        // Later ones of a sender have no place before an earlier one.
        if (await this.#hand(wire)) this.#handed.add(nameOf(id));
        else stuck.add(sender);
      }
    }
  }

  /** Whether the node has it now. */
  async #hand(bytes: Uint8Array): Promise<boolean> {
    const { log } = this.#core.parts;
    try {
      const outcome = await this.#rpc.broadcast(bytes, { signal: this.#core.stopping.signal });
      if (outcome.kind === 'refused') log.debug('CometBFT does not take it yet', { code: outcome.code });
      return outcome.kind === 'waiting';
    } catch (error) {
      if (this.#core.running) log.debug('CometBFT does not answer', { error: asSaharaError(error).message });
      return false;
    }
  }
}
