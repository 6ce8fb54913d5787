/** Keys that may sign a channel's vouchers besides the payer's. */
import { equalBytes } from '../../base/bytes.ts';
import { VOUCHER_KEYS_MAX } from '../limits.ts';
import type { VoucherKey } from '../records.ts';
import { done, type Handler, refuse } from './context.ts';
import { pace } from './identity.ts';

/**
 * Names another key, or none. The new one counts at once; the one before for as long as it takes to end a channel, so
 * that the payee can still claim on what it has signed. Refusals in order: `channel-unknown`, `not-payer`,
 * `voucher-key-unchanged`, `voucher-keys-exhausted`.
 */
export const setVoucherKey: Handler<'set-voucher-key'> = (context, { channel: id, key }) => {
  const { state, sender, height, genesis } = context;
  const channel = state.channels.get(id);
  if (channel === undefined) return refuse('channel-unknown');
  if (!equalBytes(channel.payer, sender)) return refuse('not-payer');
  const present = channel.voucherKeys.find(({ until }) => until === undefined);
  const unchanged =
    key === undefined
      ? present === undefined
      : equalBytes(key, channel.payer) || (present !== undefined && equalBytes(key, present.key));
  if (unchanged) return refuse('voucher-key-unchanged');
  const until = height + genesis.parameters.closeDelayBlocks;
  const voucherKeys: VoucherKey[] = key === undefined ? [] : [{ key, until: undefined }];
  for (const former of channel.voucherKeys) {
    const counts = former.until ?? until;
    // A key that comes back counts as the present one.
    const back = key !== undefined && equalBytes(former.key, key);
    if (counts >= height && !back) voucherKeys.push({ key: former.key, until: counts });
  }
  if (voucherKeys.length > VOUCHER_KEYS_MAX) return refuse('voucher-keys-exhausted');
  state.channels.set(id, { ...channel, voucherKeys });
  if (present !== undefined) pace(state, until);
  return done();
};
