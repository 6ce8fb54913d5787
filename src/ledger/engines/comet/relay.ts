/**
 * Hands what waits in this node's pool to CometBFT, many in one request, each sender's transactions in the order of
 * their numbers, until a block has them; and asks for the block that nothing else asks for while delays run. Whatever gets
 * lost on the way, with a node that was restarted or a full mempool, is handed in again as the same bytes.
 */
import { every } from '../../../base/clock.ts';
import { asSaharaError, SaharaError } from '../../../base/errors.ts';
import { nameOf } from '../../names.ts';
import { isPaced } from '../../pace.ts';
import type { Prepared } from '../../prepare.ts';
import { nonceOf } from '../../records.ts';
import type { EngineCore } from '../core.ts';
import { RELAY_BATCH_BYTES_MAX, RELAY_BATCH_MAX, RELAY_REQUESTS_MAX } from './limits.ts';
import type { Broadcast, CometRpc } from './rpc.ts';
import { encodeTick } from './ticks.ts';

/** Options of a relay. */
export interface RelayOptions {
  /** How long a block has time to come with what was handed in before that is handed in again, milliseconds; twice as long each time. */
  readonly repeatMs: number;
  /** Most transactions that are handed in before the first of them is in a block. */
  readonly inFlightMax: number;
}

/** How long the block that nothing else asks for has time to come before it is asked for again, milliseconds. */
const TICK_AGAIN_MS = 100;
/** How many times as long as the first time is waited at most. */
const REPEAT_FACTOR_MAX = 8;

/** When something was handed in, and how long that is to do. */
interface Handed {
  readonly againAtMs: number;
  readonly waitMs: number;
}

/** Hands transactions on. */
export class Relay {
  readonly #core: EngineCore;
  readonly #rpc: CometRpc;
  readonly #options: RelayOptions;
  /** What the node was handed and no block has yet, by id. */
  readonly #handed = new Map<string, Handed>();
  #working: Promise<void> | undefined;
  #again = false;
  #cancelTick: (() => void) | undefined;
  /** The height after which a block was last asked for. */
  #askedAfter: number | undefined;
  readonly #leaving: (() => void)[];

  constructor(core: EngineCore, rpc: CometRpc, options: RelayOptions) {
    this.#core = core;
    this.#rpc = rpc;
    this.#options = options;
    this.#leaving = [
      every(core.parts.clock, options.repeatMs, () => this.#repeat()),
      core.onBlock(({ inclusions }) => {
        for (const { id } of inclusions) this.#handed.delete(nameOf(id));
        this.wake();
        this.#disarm();
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
    const leastMs = this.#askedAfter === height ? TICK_AGAIN_MS : 1;
    const dueMs = Math.max(leastMs, Math.min(blockIntervalMs, timeMs + blockIntervalMs - clock.nowMs()));
    this.#cancelTick = clock.after(dueMs, () => {
      this.#cancelTick = undefined;
      this.#askedAfter = height;
      void this.#send([encodeTick(height)]).finally(() => this.arm());
    });
  }

  async stop(): Promise<void> {
    for (const leave of this.#leaving) leave();
    this.#disarm();
    await this.#working;
  }

  #disarm(): void {
    this.#cancelTick?.();
    this.#cancelTick = undefined;
  }

  #repeat(): void {
    const { pool } = this.#core.parts;
    // Of what was displaced or expired nobody hears here.
    if (this.#handed.size > pool.size) {
      const held = new Set(pool.all().map(({ id }) => nameOf(id)));
      for (const name of this.#handed.keys()) if (!held.has(name)) this.#handed.delete(name);
    }
    if (pool.size > 0) this.wake();
  }

  async #work(): Promise<void> {
    while (this.#again && this.#core.running) {
      this.#again = false;
      await Promise.all(this.#lanes().map((lane) => this.#handOn(lane)));
    }
  }

  /** What is to be handed in now, in rows that are independent of each other. */
  #lanes(): readonly (readonly Prepared[])[] {
    const { pool, chain, clock } = this.#core.parts;
    const nowMs = clock.monotonicMs();
    const ready = pool.ready(this.#options.inFlightMax, (sender) => nonceOf(chain.readState, sender));
    const lanes: Prepared[][] = Array.from({ length: RELAY_REQUESTS_MAX }, () => []);
    for (const one of ready) {
      const handed = this.#handed.get(nameOf(one.id));
      if (handed !== undefined && nowMs < handed.againAtMs) continue;
      lanes[(senderOf(one)[0] ?? 0) % RELAY_REQUESTS_MAX]?.push(one);
    }
    return lanes.filter(({ length }) => length > 0);
  }

  /** Hands a row on, request by request. Later ones of a sender have no place before an earlier one. */
  async #handOn(lane: readonly Prepared[]): Promise<void> {
    const stuck = new Set<string>();
    let rest = lane;
    while (rest.length > 0 && this.#core.running) {
      const batch = firstOf(rest);
      rest = rest.slice(batch.length);
      const sent = batch.filter((one) => !stuck.has(nameOf(senderOf(one))));
      const outcomes = await this.#send(sent.map(({ wire }) => wire));
      for (const [i, one] of sent.entries()) {
        if (outcomes[i]?.kind === 'waiting') this.#remember(one);
        else stuck.add(nameOf(senderOf(one)));
      }
    }
  }

  #remember({ id }: Prepared): void {
    const { clock, chain } = this.#core.parts;
    const name = nameOf(id);
    // A block may have come with it while the node answered.
    if (chain.lookup(id) !== undefined) return;
    const { repeatMs } = this.#options;
    const before = this.#handed.get(name)?.waitMs ?? repeatMs / 2;
    const waitMs = Math.min(2 * before, REPEAT_FACTOR_MAX * repeatMs);
    this.#handed.set(name, { againAtMs: clock.monotonicMs() + waitMs, waitMs });
  }

  /** What the node said of each; nothing where it did not answer. */
  async #send(transactions: readonly Uint8Array[]): Promise<readonly (Broadcast | undefined)[]> {
    const { log } = this.#core.parts;
    if (transactions.length === 0) return [];
    try {
      const outcomes = await this.#rpc.broadcastAll(transactions, { signal: this.#core.stopping.signal });
      return outcomes.map((outcome) => {
        if (outcome instanceof SaharaError) {
          log.debug('CometBFT does not take it', { error: outcome.message });
          return undefined;
        }
        if (outcome.kind === 'refused') log.debug('CometBFT does not take it yet', { code: outcome.code });
        return outcome;
      });
    } catch (error) {
      if (this.#core.running) log.debug('CometBFT does not answer', { error: asSaharaError(error).message });
      return [];
    }
  }
}

function senderOf({ content }: Prepared): Uint8Array {
  return content.fault === undefined ? content.transaction.sender : new Uint8Array(0);
}

/** As many from the beginning as one request takes, at least one. */
function firstOf(row: readonly Prepared[]): readonly Prepared[] {
  let bytes = 0;
  let count = 0;
  for (const { wire } of row) {
    bytes += wire.length;
    if (count === RELAY_BATCH_MAX || (count > 0 && bytes > RELAY_BATCH_BYTES_MAX)) break;
    count++;
  }
  return row.slice(0, count);
}
