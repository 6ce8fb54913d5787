/** What a payer's books say about a channel. */
import { equalBytes, prefixEnd, toHex } from '../base/bytes.ts';
import type { Store } from '../base/store.ts';
import type { Hash, PublicKey } from '../protocol/ids.ts';
import type { SumNode } from '../protocol/receipt-tree.ts';
import type { Signed } from '../protocol/signing.ts';
import type { PayerLane } from './payer-lane.ts';
import { bookKey, leafRecord } from './records.ts';

/** What stands on a channel, in grains. */
export interface ChannelBalance {
  readonly channel: Hash;
  readonly payee: PublicKey;
  /** Of all receipts accepted. */
  readonly charged: bigint;
  /** Held for calls under way or unknown. */
  readonly reserved: bigint;
  /** Highest ceiling signed. */
  readonly ceiling: bigint;
  /** Receipts accepted without a gap. */
  readonly receipts: number;
  /** The payee contradicted itself: nothing more is paid here. */
  readonly disputed: boolean;
}

/** The last charge of a channel and the leaves of the tree that it covers. */
export interface ChannelEvidence {
  readonly charge: Signed | undefined;
  readonly leaves: readonly SumNode[];
}

/** How well a payee is known: what was settled with it without fault. */
export interface PayeeStanding {
  /** Receipts accepted, on all channels to it. */
  readonly receipts: number;
  /** What they come to, grains. */
  readonly paid: bigint;
}

/** What was settled with `payee`; nothing counts once it contradicted itself. */
export function standingOf(lanes: Iterable<PayerLane>, payee: PublicKey): PayeeStanding {
  let receipts = 0;
  let paid = 0n;
  for (const lane of lanes) {
    if (!equalBytes(lane.payee, payee)) continue;
    if (lane.disputed) return { receipts: 0, paid: 0n };
    receipts += lane.count;
    paid += lane.charged;
  }
  return { receipts, paid };
}

/** The balances of channels: all lanes of each together. */
export function balancesOf(lanes: Iterable<PayerLane>): readonly ChannelBalance[] {
  const balances = new Map<string, ChannelBalance>();
  for (const { channel, payee, charged, reserved, ceiling, count, disputed } of lanes) {
    const name = toHex(channel);
    const sum = balances.get(name);
    balances.set(name, {
      channel,
      payee,
      charged: charged + (sum?.charged ?? 0n),
      reserved: reserved + (sum?.reserved ?? 0n),
      ceiling: ceiling + (sum?.ceiling ?? 0n),
      receipts: count + (sum?.receipts ?? 0),
      disputed: disputed || (sum?.disputed ?? false),
    });
  }
  return [...balances.values()];
}

/** The evidence of a lane: O(n) in its receipts. */
export async function evidenceOf(
  store: Store,
  at: { readonly channel: Hash; readonly lane: number },
  lane: PayerLane | undefined,
): Promise<ChannelEvidence> {
  const prefix = bookKey.orders(at.channel, at.lane);
  const lt = prefixEnd(prefix);
  const leaves: SumNode[] = [];
  for await (const [, value] of store.entries({ gte: prefix, ...(lt && { lt }) })) {
    const { hash, amount } = leafRecord.decode(value);
    leaves.push({ hash, sum: amount });
  }
  return { charge: lane?.charge?.signed, leaves: leaves.slice(0, lane?.charge?.terms.sequence ?? 0) };
}
