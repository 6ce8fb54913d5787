/**
 * A payer's lanes: of each channel the one in use, and those that its payee has left (PAY-50). What was promised on a
 * lane stays promised for as long as the channel lives, so the lanes after it have that much less of the deposit.
 */
import { toHex } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import type { Hash, PublicKey } from '../protocol/ids.ts';
import { EMPTY_TREE } from '../protocol/receipt-tree.ts';
import type { Suite } from '../protocol/suite.ts';
import { PAYER_LANES_MAX } from './limits.ts';
import { PayerLane, type PayerLaneStart } from './payer-lane.ts';

/** The lane that is asked about before the payee has named the one that it serves. */
const FIRST_LANE = 0;

/** The lanes of all channels that a payer pays from. */
export class PayerLanes {
  readonly #suite: Suite;
  readonly #inUse = new Map<string, PayerLane>();
  readonly #former = new Map<string, PayerLane[]>();

  constructor(suite: Suite) {
    this.#suite = suite;
  }

  /** The lane in use of a channel, a new one if there is none. */
  of({ id, payee }: { readonly id: Hash; readonly payee: PublicKey }): PayerLane {
    const name = toHex(id);
    const known = this.#inUse.get(name);
    if (known) return known;
    // Nothing here says whether vouchers were signed and lost with an earlier store: the payee knows.
    const lane = new PayerLane(this.#suite, startOf(id, payee, FIRST_LANE));
    this.#inUse.set(name, lane);
    return lane;
  }

  /** A lane that is or was in use. */
  find(channel: Hash, lane: number): PayerLane | undefined {
    const name = toHex(channel);
    return [this.#inUse.get(name), ...(this.#former.get(name) ?? [])].find((one) => one?.lane === lane);
  }

  /** All lanes. */
  all(): readonly PayerLane[] {
    return [...[...this.#former.values()].flat(), ...this.#inUse.values()];
  }

  /** Puts a lane to those of its channel, in any order: the last in place is the one in use. */
  put(lane: PayerLane): void {
    const name = toHex(lane.channel);
    const other = this.#inUse.get(name);
    const [former, next] = other && other.place > lane.place ? [lane, other] : [other, lane];
    this.#inUse.set(name, next);
    if (former === undefined) return;
    former.leave();
    this.#former.set(name, [...(this.#former.get(name) ?? []), former]);
  }

  /** Goes on to the lane that the payee serves. Throws `channel-closing` when it has left too many, or this one before. */
  move(lane: PayerLane, serves: number): void {
    const { channel, payee, place, before } = lane;
    const start = startOf(channel, payee, serves);
    if (lane.untouched) {
      lane.leave();
      const next = new PayerLane(this.#suite, { ...start, place, before });
      next.withdrawing = lane.withdrawing;
      this.#inUse.set(toHex(channel), next);
      return;
    }
    if (place + 1 >= PAYER_LANES_MAX || this.find(channel, serves)) {
      throw new SaharaError('channel-closing', { reason: 'the payee has left too many lanes' });
    }
    const promised = lane.leave();
    const next = new PayerLane(this.#suite, { ...start, place: place + 1, before: before + promised });
    next.withdrawing = lane.withdrawing;
    this.put(next);
  }
}

function startOf(channel: Hash, payee: PublicKey, lane: number): PayerLaneStart {
  const nothing = { ceilingMark: 0n, sequenceMark: 0, tree: EMPTY_TREE, charge: undefined };
  return { channel, lane, payee, ...nothing, disputed: false, place: 0, before: 0n };
}
