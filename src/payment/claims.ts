/** What a payee can claim on the ledger, channel by channel. */
import type { Hash } from '../protocol/ids.ts';
import { charge as chargeSchema, voucher as voucherSchema } from '../protocol/payment.ts';
import type { PayeeBook } from './payee-book.ts';
import type { PayeeLane } from './payee-lane.ts';
import type { ChannelInfo, ChannelView, Claim } from './ports.ts';

/** A claim that would pay something now. */
export interface Claimable {
  readonly lane: PayeeLane;
  readonly channel: Hash;
  /** What the ledger would pay: min(ceiling, charge) - paid of the lane, and no more than the deposit has left. Grains. */
  readonly amount: bigint;
  /** The channel is closing, or a part of its deposit is about to leave: claim before. */
  readonly closing: boolean;
}

/** What was charged on a channel that ended before it was claimed. Nobody pays it any more. */
export interface LostClaim {
  readonly channel: Hash;
  /** Grains. */
  readonly lost: bigint;
}

/** Channels, and what became of claims on those that ended. */
export interface ClaimedChannels extends ChannelView {
  /** Whether a claim took effect whose charge counts `count` receipts of the lane. */
  claimed?(sought: {
    readonly channel: Hash;
    readonly lane: number;
    readonly count: number;
  }): Promise<boolean>;
}

/** Every channel on which a claim would pay. */
export async function* claimable(book: PayeeBook, channels: ClaimedChannels): AsyncIterable<Claimable> {
  for await (const found of unpaid(book, channels)) if ('amount' in found) yield found;
}

/** Every channel with charges that the ledger has not paid: those that a claim would pay, and those that are gone. */
export async function* unpaid(
  book: PayeeBook,
  channels: ClaimedChannels,
): AsyncIterable<Claimable | LostClaim> {
  for await (const lane of book.lanes.all()) {
    const { charge, amounts } = lane.signed;
    if (charge === undefined || lane.voucher === undefined) continue;
    const channel = await channels.channel(lane.channel);
    const body = { voucher: lane.voucher.signed, charge };
    const promised = promisedBy(body);
    if (channel === undefined) {
      if (lane.settled >= promised) continue;
      const { sequence: count } = chargeSchema.decode(charge.payload);
      // A watchtower may have claimed it while this payee was away.
      if (await channels.claimed?.({ channel: lane.channel, lane: lane.lane, count })) {
        await book.lanes.settled(lane, amounts);
      } else yield { channel: lane.channel, lost: promised - lane.settled };
      continue;
    }
    const amount = dueFor(body, channel);
    if (amount > 0n) {
      const closing = channel.state === 'closing' || channel.leaving > 0n;
      yield { lane, channel: channel.id, amount, closing };
    } else if (lane.settled < promised) {
      // A claim whose outcome this payee never heard: the ledger has paid it.
      await book.lanes.settled(lane, amounts);
    }
  }
}

/** What a claim proves, of which some may be paid already: the lower of its voucher's ceiling and its charge's total. Grains. */
function promisedBy({ voucher, charge }: Pick<Claim, 'voucher' | 'charge'>): bigint {
  return least(chargeSchema.decode(charge.payload).total, voucherSchema.decode(voucher.payload).ceiling);
}

/** What the ledger would pay for a claim, grains; 0 or less when it was paid or the deposit has nothing left. */
export function dueFor(claim: Pick<Claim, 'voucher' | 'charge'>, channel: ChannelInfo): bigint {
  const { lane } = chargeSchema.decode(claim.charge.payload);
  const paid = channel.lanes.find((one) => one.lane === lane)?.paid ?? 0n;
  return least(promisedBy(claim) - paid, channel.deposit - channel.claimed);
}

/** What to present for a lane: its highest voucher, its last charge and the amounts that this commits to. */
export function claimBody(lane: PayeeLane): Claim | undefined {
  const { charge, amounts } = lane.signed;
  if (charge === undefined || lane.voucher === undefined) return undefined;
  return { channel: lane.channel, voucher: lane.voucher.signed, charge, attribution: amounts };
}

/** Earnings of one name. Grains. */
export interface Earning {
  readonly name: Hash;
  /** Charged so far. */
  readonly total: bigint;
  /** Paid by the ledger; the rest is pending. */
  readonly settled: bigint;
}

/** What each asset has earned over all channels. */
export function earningsByAsset(book: PayeeBook): Promise<readonly Earning[]> {
  return summed(book.lanes.earned('assets'));
}

/** What each agent has charged over all channels; how much of it is settled is known by asset only. */
export function earningsByAgent(book: PayeeBook): Promise<readonly Earning[]> {
  return summed(book.lanes.earned('agents'));
}

/**
 * What each owner has earned through the assets they own, by the rule of the ledger's `collect`: an owner's part
 * is floor(earned * ppm / 10^6), what is left over goes to the first owner. Assets whose owners are not known
 * are told apart in `unowned`. Parts that an asset passes on to its parents are the ledger's business and not
 * taken off here.
 */
export async function earningsByOwner(
  book: PayeeBook,
  owners: {
    ownersOf(
      asset: Hash,
    ):
      | readonly { readonly owner: Uint8Array; readonly ppm: number }[]
      | undefined
      | Promise<readonly { readonly owner: Uint8Array; readonly ppm: number }[] | undefined>;
  },
): Promise<{ readonly owners: readonly Earning[]; readonly unowned: readonly Earning[] }> {
  const people = new Totals();
  const unowned: Earning[] = [];
  for (const earning of await earningsByAsset(book)) {
    const shares = await owners.ownersOf(earning.name);
    if (shares === undefined || shares.length === 0) {
      unowned.push(earning);
      continue;
    }
    const total = parts(earning.total, shares);
    const settled = parts(earning.settled, shares);
    shares.forEach(({ owner }, i) => {
      people.add({ name: owner, total: total[i] ?? 0n, settled: settled[i] ?? 0n });
    });
  }
  return { owners: people.list(), unowned };
}

function parts(amount: bigint, shares: readonly { readonly ppm: number }[]): bigint[] {
  const floors = shares.map(({ ppm }) => (amount * BigInt(ppm)) / 1_000_000n);
  const rest = amount - floors.reduce((sum, part) => sum + part, 0n);
  return floors.map((part, i) => (i === 0 ? part + rest : part));
}

async function summed(
  rows: AsyncIterable<{ readonly name: Hash; readonly amount: bigint; readonly settled: bigint }>,
): Promise<readonly Earning[]> {
  const totals = new Totals();
  for await (const { name, amount, settled } of rows) totals.add({ name, total: amount, settled });
  return totals.list();
}

class Totals {
  readonly #byName = new Map<string, Earning>();

  add(earning: Earning): void {
    const key = String.fromCharCode(...earning.name);
    const known = this.#byName.get(key);
    this.#byName.set(key, {
      name: earning.name,
      total: earning.total + (known?.total ?? 0n),
      settled: earning.settled + (known?.settled ?? 0n),
    });
  }

  list(): readonly Earning[] {
    return [...this.#byName.values()];
  }
}

function least(...amounts: readonly bigint[]): bigint {
  return amounts.reduce((a, b) => (b < a ? b : a));
}
