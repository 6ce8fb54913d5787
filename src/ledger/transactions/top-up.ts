import { GRAINS_MAX } from '../../protocol/schema.ts';
import { debit } from '../state.ts';
import { done, type Handler, refuse } from './context.ts';

/**
 * Raises the deposit of an open channel. Refusals in order: `channel-unknown`, `channel-closing`, `amount-zero`,
 * `balance-insufficient`, `amount-out-of-range`: claims leave the deposit as it is, so that money which comes back in by
 * top-ups would raise it beyond all that exists.
 */
export const topUp: Handler<'top-up'> = ({ state, sender }, { channel: id, amount }) => {
  const channel = state.channels.get(id);
  if (channel === undefined) return refuse('channel-unknown');
  if (channel.closeAt !== undefined) return refuse('channel-closing');
  if (amount === 0n) return refuse('amount-zero');
  if (!debit(state, sender, amount)) return refuse('balance-insufficient');
  const { deposit, revision } = channel;
  if (deposit + amount > GRAINS_MAX) return refuse('amount-out-of-range');
  state.channels.set(id, { ...channel, deposit: deposit + amount, revision: revision + 1 });
  return done();
};
