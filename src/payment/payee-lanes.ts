/** The payee's lanes: in memory while they are used, on disk always. */
import { prefixEnd, toHex } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import type { Store } from '../base/store.ts';
import type { Hash, Id, PublicKey } from '../protocol/ids.ts';
import { type AssetAmount, charge as chargeSchema, voucher as voucherSchema } from '../protocol/payment.ts';
import type { Suite } from '../protocol/suite.ts';
import type { Journal } from './journal.ts';
import { CHANNELS_HELD_MAX } from './limits.ts';
import { emptyLane, PayeeLane } from './payee-lane.ts';
import type { OtherLane } from './payee-room.ts';
import {
  bookKey,
  type EndingRecord,
  earnedRecord,
  endingRecord,
  laneOfKey,
  payeeLaneRecord,
  releasedRecord,
  restOfKey,
} from './records.ts';

/** Parts of the lanes. */
export interface PayeeLanesParts {
  readonly suite: Suite;
  readonly store: Store;
  readonly clock: Clock;
}

const IDLE_MS = 60_000;

/** Finds lanes, loading them when needed. */
export class PayeeLanes {
  readonly #parts: PayeeLanesParts;
  readonly #journal: Journal;
  readonly #held = new Map<string, PayeeLane>();
  readonly #loading = new Map<string, Promise<PayeeLane>>();
  readonly #usedAtMs = new Map<string, number>();
  #evicting = false;

  constructor(parts: PayeeLanesParts, journal: Journal) {
    this.#parts = parts;
    this.#journal = journal;
  }

  /** The lane, new if nothing was ever charged on it. */
  of(channel: Hash, lane: number, payer: PublicKey): PayeeLane | Promise<PayeeLane> {
    const name = `${toHex(channel)}/${lane}`;
    this.#usedAtMs.set(name, this.#parts.clock.monotonicMs());
    const held = this.#held.get(name);
    if (held) return held;
    const loading = this.#loading.get(name) ?? this.#load(name, channel, lane, payer);
    this.#loading.set(name, loading);
    return loading;
  }

  /** The lane if it exists, in memory or on disk. */
  async find(channel: Hash, lane: number): Promise<PayeeLane | undefined> {
    const held = this.#held.get(`${toHex(channel)}/${lane}`);
    if (held) return held;
    const stored = await this.#parts.store.get(bookKey.lane(channel, lane));
    return stored === undefined ? undefined : this.of(channel, lane, payeeLaneRecord.decode(stored).payer);
  }

  /** The lanes of a channel that have a record. */
  async ofChannel(channel: Hash): Promise<readonly PayeeLane[]> {
    await this.#journal.written();
    const found: PayeeLane[] = [];
    for await (const [key] of this.#range(bookKey.lanesOf(channel))) {
      const lane = await this.find(channel, laneOfKey(key).lane);
      if (lane) found.push(lane);
    }
    return found;
  }

  /** Every lane that has a record, in the order of their channels. */
  async *all(): AsyncIterable<PayeeLane> {
    await this.#journal.written();
    for await (const [key] of this.#range(bookKey.lanes())) {
      const { channel, lane } = laneOfKey(key);
      const found = await this.find(channel, lane);
      if (found) yield found;
    }
  }

  /** Up to `limit` endings of a lane from `fromSequence` on, in their order; those that are still kept. */
  async endings(lane: PayeeLane, fromSequence: number, limit: number): Promise<readonly EndingRecord[]> {
    await this.#journal.written();
    const gte = bookKey.order(lane.channel, lane.lane, fromSequence);
    const lt = prefixEnd(bookKey.orders(lane.channel, lane.lane));
    const ids: Id[] = [];
    for await (const [, callId] of this.#parts.store.entries({ gte, ...(lt && { lt }), limit }))
      ids.push(callId);
    const endings: EndingRecord[] = [];
    for (const callId of ids) {
      const stored = await this.#parts.store.get(bookKey.ending(callId));
      if (stored !== undefined) endings.push(endingRecord.decode(stored));
    }
    return endings;
  }

  /** What every asset (or agent) has earned, lane by lane. */
  async *earned(of: 'assets' | 'agents'): AsyncIterable<{
    readonly channel: Hash;
    readonly name: Hash;
    readonly amount: bigint;
    readonly settled: bigint;
  }> {
    await this.#journal.written();
    const prefix = of === 'assets' ? bookKey.allAssets() : bookKey.allAgents();
    for await (const [key, value] of this.#range(prefix)) {
      yield { channel: laneOfKey(key).channel, name: restOfKey(key), ...earnedRecord.decode(value) };
    }
  }

  /** The ledger has paid what `amounts` say of this lane. */
  settled(lane: PayeeLane, amounts: readonly AssetAmount[]): Promise<void> {
    lane.settle(amounts);
    this.#journal.mark(lane);
    return this.#journal.synced();
  }

  async #load(name: string, channel: Hash, lane: number, payer: PublicKey): Promise<PayeeLane> {
    try {
      const found = await this.#read(channel, lane, payer);
      this.#held.set(name, found);
      return found;
    } finally {
      this.#loading.delete(name);
      if (this.#held.size > CHANNELS_HELD_MAX && !this.#evicting) void this.#evict();
    }
  }

  async #read(channel: Hash, lane: number, payer: PublicKey): Promise<PayeeLane> {
    const { suite, store } = this.#parts;
    const stored = await store.get(bookKey.lane(channel, lane));
    const others = await this.#others(channel, lane);
    const letGo = await store.get(bookKey.released(channel));
    const released = letGo && releasedRecord.decode(letGo);
    if (stored === undefined) return emptyLane(suite, { channel, lane, payer, others, released });
    const kept = payeeLaneRecord.decode(stored);
    const amounts: AssetAmount[] = [];
    const settled = new Map<string, bigint>();
    for await (const [key, value] of this.#range(bookKey.assets(channel, lane))) {
      const earned = earnedRecord.decode(value);
      const asset = restOfKey(key);
      amounts.push({ asset, amount: earned.amount });
      if (earned.settled > 0n) settled.set(toHex(asset), earned.settled);
    }
    const agents = new Map<string, bigint>();
    for await (const [key, value] of this.#range(bookKey.agents(channel, lane))) {
      agents.set(toHex(restOfKey(key)), earnedRecord.decode(value).amount);
    }
    const voucher = kept.voucher && {
      signed: kept.voucher,
      terms: voucherSchema.decode(kept.voucher.payload),
    };
    return new PayeeLane(suite, {
      ...kept,
      channel,
      lane,
      voucher,
      amounts,
      settled,
      agents,
      others,
      released,
    });
  }

  /** The lanes of a channel that were served before: nothing is charged on them any more. */
  async #others(channel: Hash, lane: number): Promise<readonly OtherLane[]> {
    const others: OtherLane[] = [];
    for await (const [key, value] of this.#range(bookKey.lanesOf(channel))) {
      const other = laneOfKey(key).lane;
      const { voucher, charge } = payeeLaneRecord.decode(value);
      if (other === lane || voucher === undefined || charge === undefined) continue;
      const { ceiling } = voucherSchema.decode(voucher.payload);
      const { total } = chargeSchema.decode(charge.payload);
      others.push({ lane: other, due: total < ceiling ? total : ceiling });
    }
    return others;
  }

  #range(prefix: Uint8Array): AsyncIterable<readonly [Uint8Array, Uint8Array]> {
    const lt = prefixEnd(prefix);
    return this.#parts.store.entries({ gte: prefix, ...(lt && { lt }) });
  }

  async #evict(): Promise<void> {
    this.#evicting = true;
    try {
      const before = this.#parts.clock.monotonicMs() - IDLE_MS;
      // What was last used before the one batch that this waits for is on disk.
      await this.#journal.written();
      for (const [name, lane] of this.#held) {
        if (this.#held.size <= CHANNELS_HELD_MAX) break;
        if (lane.holds > 0 || (this.#usedAtMs.get(name) ?? 0) > before) continue;
        this.#held.delete(name);
        this.#usedAtMs.delete(name);
      }
    } finally {
      this.#evicting = false;
    }
  }
}
