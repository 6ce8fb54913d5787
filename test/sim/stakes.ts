/**
 * What payers have promised, channel by channel, as whoever sees every reservation knows it. A payee can be paid what
 * was settled and what was covered besides at one time, on each lane; never more, whatever it claims.
 */
import { toHex } from '../../src/base/bytes.ts';
import type { PayerBook } from '../../src/payment/payer-book.ts';
import type { PayerReservation } from '../../src/payment/payer-reservation.ts';
import { receipt as receiptSchema, voucher as voucherSchema } from '../../src/protocol/payment.ts';
import type { Signed } from '../../src/protocol/signing.ts';
import type { Party } from './party.ts';

/** What a payer has promised on one channel. */
export interface Stake {
  /** Grains of receipts accepted. */
  settled: bigint;
  /** Covers of calls that have not come to an end that is known. */
  readonly open: Map<string, bigint>;
  /** Most that both were together at a time: nobody may ever be paid more. */
  most: bigint;
  /** What is being reserved between the same two, on a channel that is not known yet. */
  readonly pending: Map<string, bigint>;
  /** All lanes of the channel, this one too. */
  readonly lanes: ReadonlyMap<number, Stake>;
}

/** The stakes of all payers. */
export class Stakes {
  /** By channel and lane. */
  readonly #channels = new Map<string, Map<number, Stake>>();
  readonly #pairs = new Map<string, { readonly pending: Map<string, bigint>; readonly stakes: Set<Stake> }>();
  #reservations = 0;

  /** Most that was ever at stake on a channel's lane, or on each of its lanes together, grains. */
  mostOf(channel: Uint8Array | string, lane?: number): bigint {
    const lanes = this.#channels.get(typeof channel === 'string' ? channel : toHex(channel));
    if (lane !== undefined) return lanes?.get(lane)?.most ?? 0n;
    return [...(lanes?.values() ?? [])].reduce((sum, { most }) => sum + most, 0n);
  }

  /** The payer's book of `party`, watched. */
  watch(book: PayerBook, party: Party): PayerBook {
    return overlay(book, {
      reserve: async (request, options) => {
        const pair = this.#pair(party, request.payee);
        // A call that is asked again under its id is covered once more.
        const name = `${toHex(request.callId)} ${this.#reservations++}`;
        pair.pending.set(name, request.amountMax);
        for (const stake of pair.stakes) raised(stake);
        try {
          const lease = await book.reserve(request, options);
          const stake = this.#stake(party, request.payee, lease);
          stake.open.set(name, request.amountMax);
          return watchLease(lease, stake, name);
        } finally {
          pair.pending.delete(name);
          for (const stake of pair.stakes) raised(stake);
        }
      },
      recall: async (request, options) => {
        const id = toHex(request.callId);
        const stake = this.#stakeOf(request.channel, id) ?? this.#stake(party, request.payee, request);
        const name = [...stake.open.keys()].findLast((known) => known.startsWith(id)) ?? id;
        cover(stake, name, request.amountMax);
        const found = await book.recall(request, options);
        return found && watchLease(found, stake, name);
      },
    });
  }

  #pair(
    party: Party,
    payee: Uint8Array,
  ): { readonly pending: Map<string, bigint>; readonly stakes: Set<Stake> } {
    const name = `${party.name} ${toHex(payee)}`;
    const known = this.#pairs.get(name);
    if (known) return known;
    const pair = { pending: new Map<string, bigint>(), stakes: new Set<Stake>() };
    this.#pairs.set(name, pair);
    return pair;
  }

  /** The stake that a call is part of. */
  #stakeOf(channel: Uint8Array, callId: string): Stake | undefined {
    const stakes = [...(this.#channels.get(toHex(channel))?.values() ?? [])];
    return (
      stakes.find(({ open }) => [...open.keys()].some((name) => name.startsWith(callId))) ?? stakes.at(-1)
    );
  }

  #stake(
    party: Party,
    payee: Uint8Array,
    { channel, voucher }: { readonly channel: Uint8Array; readonly voucher?: Signed | undefined },
  ): Stake {
    const lane = voucher ? voucherSchema.decode(voucher.payload).lane : 0;
    const lanes = this.#channels.get(toHex(channel)) ?? new Map<number, Stake>();
    this.#channels.set(toHex(channel), lanes);
    const known = lanes.get(lane);
    if (known) return known;
    const pair = this.#pair(party, payee);
    // What is under way when the lane changes is at stake on both: its former lane's voucher is out (PAY-52).
    const open = new Map([...lanes.values()].flatMap((former) => [...former.open]));
    const stake: Stake = { settled: 0n, open, most: 0n, pending: pair.pending, lanes };
    lanes.set(lane, stake);
    pair.stakes.add(stake);
    raised(stake);
    return stake;
  }
}

function watchLease(lease: PayerReservation, stake: Stake, name: string): PayerReservation {
  const settled = (receipt: Signed): void => {
    if (!ended(stake, name)) return;
    stake.settled += receiptSchema.decode(receipt.payload).amount;
  };
  return overlay(lease, {
    raise: (amountMax) => {
      cover(stake, name, amountMax);
      return lease.raise(amountMax);
    },
    settle: async (ending) => {
      await lease.settle(ending);
      settled(ending.receipt);
    },
    outcome: async (options) => {
      const outcome = await lease.outcome(options);
      if (outcome.state === 'ended') settled(outcome.ending.receipt);
      if (outcome.state === 'unknown') ended(stake, name);
      return outcome;
    },
    release: (reason) => {
      lease.release(reason);
      ended(stake, name);
    },
  });
}

/** A call is under way no more, on any lane; false when it was not. */
function ended({ lanes }: Stake, name: string): boolean {
  return [...lanes.values()].filter(({ open }) => open.delete(name)).length > 0;
}

function cover(stake: Stake, name: string, amount: bigint): void {
  if (amount > (stake.open.get(name) ?? 0n)) stake.open.set(name, amount);
  raised(stake);
}

function raised(stake: Stake): void {
  let sum = stake.settled;
  for (const amount of stake.open.values()) sum += amount;
  for (const amount of stake.pending.values()) sum += amount;
  if (sum > stake.most) stake.most = sum;
}

/** `target` with some of its members replaced; the others are its own, with their private state. */
export function overlay<T extends object>(target: T, replaced: Partial<T>): T {
  return new Proxy(target, {
    get(_, name) {
      if (Object.hasOwn(replaced, name)) return Reflect.get(replaced, name);
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
