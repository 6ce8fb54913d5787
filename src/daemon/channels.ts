/** Channels of this operator: opened when first needed, filled up, claimed from and closed. */
import { parseAmount } from '../base/amount.ts';
import { compareBytes, equalBytes, toHex } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import type { Channel } from '../ledger/ledger.ts';
import { claimBody } from '../payment/claims.ts';
import type { PayerBook } from '../payment/payer-book.ts';
import { hasPlaceForLane } from '../payment/ports.ts';
import { didOf, type Hash, type PublicKey } from '../protocol/ids.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import { channelId } from '../protocol/transaction.ts';
import type { ChannelRow } from './admin/types.ts';
import type { Core } from './core.ts';
import type { Turn } from './turns.ts';

/** What channels are managed with. */
export interface ChannelParts extends Core {
  readonly payer: PayerBook;
}

/** What room for calls is made with. */
export type RoomParts = Pick<ChannelParts, 'ledger' | 'wallet' | 'network' | 'payer'> & {
  readonly config: { readonly wallet: Pick<Core['config']['wallet'], 'channelDeposit'> };
};

/** Opens a channel to `payee`. Throws `channel-to-self`, or `funds-insufficient` with what is needed and what is there. */
export async function openChannel(
  core: Pick<Core, 'ledger' | 'wallet' | 'network'>,
  wanted: { readonly payee: PublicKey; readonly deposit: bigint },
  options: { readonly signal: AbortSignal },
): Promise<Hash> {
  const { ledger, wallet, network } = core;
  if (equalBytes(wanted.payee, wallet.publicKey)) {
    throw new SaharaError('channel-to-self');
  }
  await wallet.funded;
  const { depositMin, transactionFee } = ledger.genesis.parameters;
  const least = wanted.deposit > depositMin ? wanted.deposit : depositMin;
  if (wallet.balance() < least + transactionFee) {
    throw new SaharaError('funds-insufficient', {
      needed: String(least + transactionFee),
      balance: String(wallet.balance()),
    });
  }
  const action = { type: 'open-channel', payee: wanted.payee, deposit: least } as const;
  const { nonce } = await wallet.send(action, options);
  return channelId(nativeSuite, network, wallet.publicKey, wanted.payee, nonce);
}

/** The deposit for a channel that must carry a call of `needed` grains: the configured one, or what there is. */
function depositFor(core: RoomParts, needed: bigint): bigint {
  const configured = parseAmount(core.config.wallet.channelDeposit) ?? 0n;
  const wanted = configured > needed ? configured : needed;
  const { transactionFee } = core.ledger.genesis.parameters;
  const there = core.wallet.balance() - transactionFee;
  return there < wanted && there >= needed ? there : wanted;
}

/**
 * Sees to a channel to `payee` with room for `needed` grains: opens one, or fills up the one that is there. Calls that
 * begin at once share what one of them set aside, as far as it reaches.
 */
export async function makeRoom(
  parts: RoomParts,
  wanted: { readonly payee: PublicKey; readonly needed: bigint },
  options: { readonly signal: AbortSignal },
): Promise<'opened' | 'filled' | 'there'> {
  const { wallet } = parts;
  await wallet.funded;
  const work = async (turn: Turn): Promise<'opened' | 'filled' | 'there'> => {
    const found = await openTo(parts, wanted.payee);
    turn.taken += wanted.needed;
    // What others were told is theirs need not be held yet.
    if (found !== undefined && found.room >= turn.taken) return 'there';
    const deposit = depositFor(parts, wanted.needed);
    if (found === undefined) {
      await openChannel(parts, { payee: wanted.payee, deposit }, options);
      return 'opened';
    }
    if (wallet.balance() < deposit) {
      throw new SaharaError('funds-insufficient', {
        needed: String(deposit),
        balance: String(wallet.balance()),
      });
    }
    await wallet.send({ type: 'top-up', channel: found.id, amount: deposit }, options);
    return 'filled';
  };
  return wallet.turns.take(toHex(wanted.payee), work, options);
}

/** The open channel to a payee that has most room for further calls, if one can be paid from. */
async function openTo(
  { wallet, payer }: RoomParts,
  payee: PublicKey,
): Promise<{ readonly id: Hash; readonly room: bigint } | undefined> {
  let best: { readonly id: Hash; readonly room: bigint } | undefined;
  for (const channel of await wallet.channels.between(wallet.publicKey, payee)) {
    const lanes = payer.lanes().filter(({ channel: id }) => equalBytes(id, channel.id));
    if (channel.state !== 'open' || lanes.some(({ disputed }) => disputed)) continue;
    const lane = lanes.find(({ left }) => !left);
    if (lane !== undefined && !hasPlaceForLane(channel.lanes, lane.lane)) continue;
    const room = lane
      ? lane.roomIn(channel) - lane.charged - lane.reserved
      : channel.deposit - channel.leaving;
    if (best === undefined || room > best.room) best = { id: channel.id, room };
  }
  return best;
}

/** The channel of this operator whose id starts with `prefix` (hexadecimal). Throws `channel-unknown`. */
export function findChannel({ ledger, wallet }: Core, prefix: string): Channel {
  const fits = ledger
    .channelsOf(wallet.publicKey)
    .filter(({ id }) => toHex(id).startsWith(prefix.toLowerCase()));
  const [channel] = fits;
  if (channel === undefined || fits.length > 1) {
    throw new SaharaError('channel-unknown', {
      channel: prefix,
      ...(fits.length > 1 && { reason: 'several fit' }),
    });
  }
  return channel;
}

/** Ends a channel: at once as its payee, after the network's delay as its payer. */
export async function closeChannel(
  parts: ChannelParts,
  channel: Channel,
  options: { readonly signal: AbortSignal },
): Promise<ChannelRow> {
  const { ledger, wallet, payee } = parts;
  const before = await rowOf(parts, channel);
  if (equalBytes(channel.payer, wallet.publicKey)) {
    if (channel.state === 'open') await wallet.send({ type: 'request-close', channel: channel.id }, options);
    const now = ledger.channel(channel.id);
    return now === undefined ? { ...before, state: 'closed' } : rowOf(parts, now);
  }
  const claims = (await payee.lanes.ofChannel(channel.id)).flatMap((lane) => {
    const claim = claimBody(lane);
    return claim === undefined ? [] : [{ lane, claim }];
  });
  // A loss of power must not leave the book behind what it has claimed.
  await payee.flush();
  // The end brings one claim; what is due on other lanes is claimed before.
  const last = claims.pop();
  let { claimed } = channel;
  for (const { lane, claim } of claims) {
    claimed += (await wallet.send({ type: 'claim', ...claim }, options)).result.moved;
    await payee.lanes.settled(lane, claim.attribution);
  }
  const end = { type: 'close-by-payee', channel: channel.id, claim: last?.claim } as const;
  const { result } = await wallet.send(end, options);
  if (last) await payee.lanes.settled(last.lane, last.claim.attribution);
  return { ...before, state: 'closed', claimed: String(claimed + result.moved) };
}

/** Every channel of this operator, the payer's first. */
export async function channelRows(parts: ChannelParts): Promise<readonly ChannelRow[]> {
  const channels = [...parts.ledger.channelsOf(parts.wallet.publicKey)].sort((a, b) =>
    compareBytes(a.id, b.id),
  );
  return Promise.all(channels.map((channel) => rowOf(parts, channel)));
}

/** A channel as it is shown. */
export async function rowOf(parts: ChannelParts, channel: Channel): Promise<ChannelRow> {
  const { wallet, payer, payee } = parts;
  const paying = equalBytes(channel.payer, wallet.publicKey);
  const own = payer.balances().find((row) => equalBytes(row.channel, channel.id));
  const lanes = paying ? [] : await payee.lanes.ofChannel(channel.id);
  return {
    id: toHex(channel.id),
    role: paying ? 'payer' : 'payee',
    other: didOf(paying ? channel.payee : channel.payer),
    state: channel.state,
    deposit: String(channel.deposit),
    claimed: String(channel.claimed),
    charged: String(paying ? (own?.charged ?? 0n) : lanes.reduce((sum, { charged }) => sum + charged, 0n)),
    calls: paying ? (own?.receipts ?? 0) : lanes.reduce((sum, { count }) => sum + count, 0),
    ...(channel.closeAt !== undefined && { closeAtHeight: channel.closeAt }),
    ...(channel.withdrawal && {
      leaving: String(channel.withdrawal.amount),
      leavesAtHeight: channel.withdrawal.at,
    }),
  };
}
