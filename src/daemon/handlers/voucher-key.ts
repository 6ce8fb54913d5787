/** `channel.voucherKey`: the key of a channel's vouchers. */
import { equalBytes, toHex } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import type { Channel } from '../../ledger/ledger.ts';
import { didOf } from '../../protocol/ids.ts';
import type { AdminHandlers } from '../admin/methods.ts';
import type { VoucherKeyRow } from '../admin/methods-voucher-key.ts';
import { findChannel } from '../channels.ts';
import type { Core } from '../core.ts';

/** The voucher keys of channels that are paid from here. */
export function voucherKeyHandlers(core: Core): Pick<AdminHandlers, 'channel.voucherKey'> {
  return {
    async 'channel.voucherKey'({ channel: prefix, change }, signal) {
      const channel = findChannel(core, prefix);
      if (!equalBytes(channel.payer, core.wallet.publicKey)) {
        throw new SaharaError('channel-unknown', { reason: 'this peer does not pay on it' });
      }
      if (change !== undefined) await core.voucherKeys.change(channel, change, { signal });
      return rowOf(core, core.ledger.channel(channel.id) ?? channel);
    },
  };
}

function rowOf({ voucherKeys }: Core, channel: Channel): VoucherKeyRow {
  const { present, here, pending, former } = voucherKeys.state(channel);
  return {
    channel: toHex(channel.id),
    signs: here,
    former: former.map(({ key, until }) => ({ key: didOf(key), until })),
    bound: String(channel.deposit - channel.claimed),
    ...(present && { key: didOf(present) }),
    ...(pending && { pending: didOf(pending) }),
  };
}
