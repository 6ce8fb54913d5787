/** What of a channel's deposit is there for the calls of one lane at its payee. */
import type { StoreOperation } from '../base/store.ts';
import type { Hash } from '../protocol/ids.ts';
import { type ChannelInfo, hasPlaceForLane } from './ports.ts';
import { bookKey, type ReleasedRecord, releasedRecord } from './records.ts';

/** Another lane of the channel. */
export interface OtherLane {
  readonly lane: number;
  /** What it may claim in all, grains. */
  readonly due: bigint;
}

/** The parts of a deposit that are not there for a lane: what others have, what leaves, and what was released. */
export class PayeeRoom {
  readonly #channel: Hash;
  readonly #lane: number;
  readonly #others: readonly OtherLane[];
  #released: ReleasedRecord | undefined;

  constructor(start: {
    readonly channel: Hash;
    readonly lane: number;
    readonly others: readonly OtherLane[];
    readonly released: ReleasedRecord | undefined;
  }) {
    this.#channel = start.channel;
    this.#lane = start.lane;
    this.#others = start.others;
    this.#released = start.released;
  }

  /** Grains for calls on this lane: neither announced to leave nor released nor another lane's. */
  availableIn(channel: ChannelInfo): bigint {
    const { leaving, lanes } = channel;
    let available = this.#depositOf(channel) - leaving;
    for (const { lane, due } of this.#others) {
      const paid = lanes.find((one) => one.lane === lane)?.paid ?? 0n;
      available -= paid > due ? paid : due;
    }
    for (const { lane, paid } of lanes) {
      if (lane !== this.#lane && !this.#others.some((one) => one.lane === lane)) available -= paid;
    }
    return available;
  }

  /** Whether the ledger would pay a claim on this lane: lanes with something due that is not claimed yet take their places too. */
  hasPlaceIn({ lanes }: ChannelInfo): boolean {
    const due = this.#others.filter((one) => one.due > 0n && !lanes.some(({ lane }) => lane === one.lane));
    return hasPlaceForLane([...lanes, ...due], this.#lane);
  }

  /** A release to `depositAfter` counts from now on, for the channel's present revision. Of several the lowest counts. */
  letGo(depositAfter: bigint, { revision }: Pick<ChannelInfo, 'revision'>): void {
    const before = this.#released;
    if (before?.sequence === revision && before.depositAfter <= depositAfter) return;
    this.#released = { depositAfter, sequence: revision };
  }

  /** Adds what was released to what is written. */
  collect(into: StoreOperation[]): void {
    if (this.#released === undefined) return;
    const value = releasedRecord.encode(this.#released);
    into.push({ type: 'put', key: bookKey.released(this.#channel), value });
  }

  /** The deposit; a release takes its part as soon as it is signed, until the deposit changes. */
  #depositOf({ deposit, revision }: ChannelInfo): bigint {
    const { depositAfter, sequence } = this.#released ?? { depositAfter: deposit, sequence: revision };
    return sequence === revision && depositAfter < deposit ? depositAfter : deposit;
  }
}
