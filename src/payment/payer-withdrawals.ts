/**
 * Withdrawals of a payer. What is being taken out is on disk before payee or ledger hear of it, so that a payer which
 * went down in between promises nothing of it to calls until the channel shows what became of it.
 */
import { prefixEnd } from '../base/bytes.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import type { Store } from '../base/store.ts';
import type { Hash } from '../protocol/ids.ts';
import type { Signed } from '../protocol/signing.ts';
import type { PayerLane } from './payer-lane.ts';
import type { PayerLanes } from './payer-lanes.ts';
import type { ChannelInfo } from './ports.ts';
import { bookKey, type WithdrawalRecord, withdrawalRecord } from './records.ts';

/** What is to be taken out of a channel. */
export interface WantedWithdrawal {
  readonly channel: Hash;
  /** Grains. */
  readonly amount: bigint;
  /** With the payee's release, which is asked for; otherwise announced on the ledger. */
  readonly released: boolean;
}

/** What a withdrawal is made with. */
export interface WithdrawalSteps<T> {
  /** Asks the payee for its release. */
  release(): Promise<Signed>;
  /** Takes it to the ledger. */
  take(release: Signed | undefined): Promise<T>;
}

/** The withdrawals of a payer. */
export class PayerWithdrawals {
  readonly #store: Store;
  readonly #lanes: PayerLanes;

  constructor(store: Store, lanes: PayerLanes) {
    this.#store = store;
    this.#lanes = lanes;
  }

  /** Takes over what was under way when the book was left. After the lanes were. */
  async load(): Promise<void> {
    const prefix = bookKey.withdrawals();
    const lt = prefixEnd(prefix);
    for await (const [key, value] of this.#store.entries({ gte: prefix, ...(lt && { lt }) })) {
      const kept = withdrawalRecord.decode(value);
      this.#lanes.of({ id: key.slice(1), payee: kept.payee }).withdrawing = kept;
    }
  }

  /**
   * Takes `wanted.amount` out of `channel` under the lane in use. Throws `funds-insufficient` when more is asked than was
   * never promised, and what the steps gave.
   */
  async make<T>(
    at: { readonly channel: ChannelInfo; readonly lane: PayerLane },
    { amount, released }: WantedWithdrawal,
    steps: WithdrawalSteps<T>,
  ): Promise<T> {
    const { channel, lane } = at;
    const pending = lane.withdrawn(channel);
    const former = pending > 0n ? lane.withdrawing : undefined;
    // Of two releases for one revision only one can be used, and only one withdrawal can be announced.
    const same = former?.announced === !released;
    const left = lane.roomIn(channel) + (same ? pending : 0n) - lane.promised;
    if (amount > left || amount === 0n) {
      throw new SaharaError('funds-insufficient', { wanted: String(amount), left: String(left) });
    }
    const both = same ? (amount > pending ? amount : pending) : amount + pending;
    const { payee, revision } = channel;
    const mark = { payee, amount: both, revision, announced: !released && former?.announced !== false };
    let sent = false;
    try {
      await this.#keep(lane, mark);
      const release = released ? await steps.release() : undefined;
      sent = true;
      const taken = await steps.take(release);
      await this.#keep(lane, same ? undefined : former);
      return taken;
    } catch (error) {
      // What was sent and not heard of may still take it out: then the channel ends this.
      const { kind } = asSaharaError(error);
      if (!sent || (kind !== 'cancelled' && kind !== 'unavailable')) await this.#keep(lane, former);
      throw error;
    }
  }

  async #keep(lane: PayerLane, mark: WithdrawalRecord | undefined): Promise<void> {
    const key = bookKey.withdrawal(lane.channel);
    // Nothing is promised of it from now on, whatever the disk says.
    this.#lanes.of({ id: lane.channel, payee: lane.payee }).withdrawing = mark;
    lane.withdrawing = mark;
    await this.#store.batch(
      [
        mark === undefined
          ? { type: 'del', key }
          : { type: 'put', key, value: withdrawalRecord.encode(mark) },
      ],
      { sync: true },
    );
  }
}
