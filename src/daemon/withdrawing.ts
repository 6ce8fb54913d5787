/**
 * Taking a part of a deposit back while its channel goes on: at once with the payee's word, which its peer is asked for,
 * or announced on the ledger and final after the network's delay when nobody answers there.
 */
import { equalBytes } from '../base/bytes.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import type { Channel } from '../ledger/ledger.ts';
import type { WithdrawalRow } from './admin/types.ts';
import { type ChannelParts, rowOf } from './channels.ts';

/** What is to be taken out. */
export interface Withdrawal {
  readonly channel: Channel;
  /** Grains. */
  readonly amount: bigint;
  /** Without asking the payee. */
  readonly announce: boolean;
}

/**
 * Takes a part of the deposit out, at once if the payee says so. Throws `channel-unknown` where this peer is not the payer,
 * `funds-insufficient` for what is charged, held or promised, and the ledger's refusals.
 */
export async function withdrawFrom(
  parts: ChannelParts,
  { channel, amount, announce }: Withdrawal,
  options: { readonly signal: AbortSignal },
): Promise<WithdrawalRow> {
  demandPayer(parts, channel);
  if (!announce) {
    let asked = false;
    try {
      await parts.payer.withdraw(
        { channel: channel.id, amount, released: true },
        (release) => {
          asked = true;
          if (release === undefined) throw new SaharaError('channel-unknown');
          return parts.wallet.send({ type: 'withdraw', channel: channel.id, release }, options);
        },
        options,
      );
      return resultOf(parts, channel, { way: 'released', amount });
    } catch (error) {
      const failure = asSaharaError(error);
      // Only a payee that is away is done without.
      if (asked || failure.kind !== 'unavailable') throw failure;
    }
  }
  await parts.payer.withdraw(
    { channel: channel.id, amount, released: false },
    () => parts.wallet.send({ type: 'request-withdraw', channel: channel.id, amount }, options),
    options,
  );
  return resultOf(parts, channel, { way: 'announced', amount, away: !announce });
}

/** Takes an announcement back. Throws the ledger's refusals. */
export async function cancelWithdrawal(
  parts: ChannelParts,
  channel: Channel,
  options: { readonly signal: AbortSignal },
): Promise<WithdrawalRow> {
  demandPayer(parts, channel);
  const amount = channel.withdrawal?.amount ?? 0n;
  await parts.wallet.send({ type: 'cancel-withdraw', channel: channel.id }, options);
  return resultOf(parts, channel, { way: 'cancelled', amount });
}

function demandPayer({ wallet }: ChannelParts, { payer }: Channel): void {
  if (!equalBytes(payer, wallet.publicKey)) {
    throw new SaharaError('channel-unknown', { reason: 'this peer does not pay on it' });
  }
}

async function resultOf(
  parts: ChannelParts,
  before: Channel,
  done: { readonly way: WithdrawalRow['way']; readonly amount: bigint; readonly away?: boolean },
): Promise<WithdrawalRow> {
  const { ledger } = parts;
  const channel = ledger.channel(before.id) ?? before;
  const at = done.way === 'announced' ? channel.withdrawal?.at : undefined;
  const blocks = at === undefined ? 0 : Math.max(0, at - ledger.head().height);
  return {
    way: done.way,
    amount: String(done.amount),
    payeeAway: done.away === true,
    channel: await rowOf(parts, channel),
    ...(at !== undefined && {
      finalAtHeight: at,
      finalInMs: blocks * ledger.genesis.parameters.blockIntervalMs,
    }),
  };
}
