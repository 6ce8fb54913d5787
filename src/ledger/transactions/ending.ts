/** How channels end: by their payee at once, or by their payer after a delay. */
import { equalBytes } from '../../base/bytes.ts';
import type { Hash } from '../../protocol/ids.ts';
import { type AgendaContext, type AgendaHandler, countAwaited, schedule } from '../agenda.ts';
import { type ChannelRecord, laneId } from '../records.ts';
import type { EndedLane } from '../records-channel.ts';
import { credit } from '../state.ts';
import { payClaim } from './claim.ts';
import { done, type Handler, refuse } from './context.ts';

/**
 * The payee claims, the rest goes back to the payer, the channel is gone. Refusals in order: `channel-unknown`,
 * `not-payee`, and for its claim `claim-mismatch` when it is for another channel, then those of a claim.
 */
export const closeByPayee: Handler<'close-by-payee'> = (context, { channel: id, claim }) => {
  const { state, sender, claims } = context;
  const channel = state.channels.get(id);
  if (channel === undefined) return refuse('channel-unknown');
  if (!equalBytes(channel.payee, sender)) return refuse('not-payee');
  if (claim !== undefined && !equalBytes(claim.channel, id)) return refuse('claim-mismatch');
  const outcome =
    claim === undefined ? done() : payClaim(context, { body: claim, opened: claims[0] }, channel);
  if (outcome.result !== 'ok') return outcome;
  endChannel(context, id, state.channels.get(id) ?? channel);
  return outcome;
};

/**
 * The payer announces the end for the height `height + closeDelayBlocks`. Refusals in order: `channel-unknown`,
 * `not-payer`, `channel-closing`.
 */
export const requestClose: Handler<'request-close'> = (context, { channel: id }) => {
  const { state, sender, height, genesis } = context;
  const channel = state.channels.get(id);
  if (channel === undefined) return refuse('channel-unknown');
  if (!equalBytes(channel.payer, sender)) return refuse('not-payer');
  if (channel.closeAt !== undefined) return refuse('channel-closing');
  const closeAt = height + genesis.parameters.closeDelayBlocks;
  schedule(state, closeAt, { kind: 'close', id });
  state.channels.set(id, { ...channel, closeAt });
  countAwaited(state, 1);
  return done();
};

/**
 * The payer takes the announcement back. Refusals in order: `channel-unknown`, `not-payer`,
 * `channel-not-closing`.
 */
export const cancelClose: Handler<'cancel-close'> = ({ state, sender }, { channel: id }) => {
  const channel = state.channels.get(id);
  if (channel === undefined) return refuse('channel-unknown');
  if (!equalBytes(channel.payer, sender)) return refuse('not-payer');
  if (channel.closeAt === undefined) return refuse('channel-not-closing');
  state.channels.set(id, { ...channel, closeAt: undefined });
  countAwaited(state, -1);
  return done();
};

/** An announced end whose height has come: a step for the entry, and one for each lane if the channel ends. */
export const finalizeClose: AgendaHandler = (context, id, at) => {
  const channel = context.state.channels.get(id);
  // Ended by its payee, or the payer changed its mind since.
  if (channel?.closeAt !== at) return 1;
  endChannel(context, id, channel);
  return 1 + channel.lanes.length;
};

/** A channel that ended long enough ago: nobody may challenge what was paid on it any more. */
export const forgetChannel: AgendaHandler = ({ state }, id) => {
  state.ended.set(id, undefined);
  return 1;
};

/** Refunds the rest and deletes the channel. What its lanes paid stays known for as long as it can be challenged. */
function endChannel(context: AgendaContext, id: Hash, channel: ChannelRecord): void {
  const { state, genesis, height } = context;
  const { payer, payee } = channel;
  credit(state, payer, channel.deposit - channel.claimed);
  const lanes = channel.lanes.map((lane): EndedLane => {
    const { paid, frozen } = state.lanes.get(laneId(id, lane)) ?? { paid: 0n, frozen: undefined };
    state.lanes.set(laneId(id, lane), undefined);
    return { lane, paid, frozen };
  });
  state.channels.set(id, undefined);
  if (channel.closeAt !== undefined) countAwaited(state, -1);
  if (channel.withdrawal !== undefined) countAwaited(state, -1);
  if (lanes.length === 0) return;
  const until = height + genesis.parameters.closeDelayBlocks;
  state.ended.set(id, { payer, payee, until, lanes });
  schedule(state, until + 1, { kind: 'forget', id });
}
