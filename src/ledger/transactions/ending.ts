/** How channels end: by their payee at once, or by their payer after a delay. */
import { equalBytes } from '../../base/bytes.ts';
import type { Hash } from '../../protocol/ids.ts';
import { FINALIZE_STEPS_MAX } from '../limits.ts';
import { type ChannelRecord, type ClosingRecord, heightId, laneId, ONLY } from '../records.ts';
import { credit, type State } from '../state.ts';
import { payClaim } from './claim.ts';
import { done, type Handler, refuse } from './context.ts';

const NOTHING_CLOSING: ClosingRecord = { count: 0, carry: undefined };

/**
 * The payee claims, the rest goes back to the payer, the channel is gone. Refusals in order: `channel-unknown`,
 * `not-payee`, and for its claim `claim-mismatch` when it is for another channel, then those of a claim.
 */
export const closeByPayee: Handler<'close-by-payee'> = (context, { channel: id, claim }) => {
  const { state, sender } = context;
  const channel = state.channels.get(id);
  if (channel === undefined) return refuse('channel-unknown');
  if (!equalBytes(channel.payee, sender)) return refuse('not-payee');
  if (claim !== undefined && !equalBytes(claim.channel, id)) return refuse('claim-mismatch');
  const outcome = claim === undefined ? done() : payClaim(context, claim, channel);
  if (outcome.result !== 'ok') return outcome;
  endChannel(state, id, state.channels.get(id) ?? channel);
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
  const ending = state.endings.get(heightId(closeAt));
  state.endings.set(heightId(closeAt), { channels: [...(ending?.channels ?? []), id] });
  state.channels.set(id, { ...channel, closeAt });
  countClosing(state, 1);
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
  countClosing(state, -1);
  return done();
};

/** Ends the channels whose height has come, at most `FINALIZE_STEPS_MAX` steps of them; the rest is carried over. */
export function finalizeEndings(state: State, height: number): void {
  const start = closingOf(state).carry ?? height;
  let steps = 0;
  for (let at = start; at <= height; at++) {
    const ending = state.endings.get(heightId(at));
    const channels = ending?.channels ?? [];
    let next = 0;
    for (; next < channels.length && steps < FINALIZE_STEPS_MAX; next++) {
      steps += finalizeOne(state, channels[next] as Hash, at);
    }
    if (next < channels.length) {
      state.endings.set(heightId(at), { channels: channels.slice(next) });
      setCarry(state, at);
      return;
    }
    if (ending !== undefined) state.endings.set(heightId(at), undefined);
    if (++steps >= FINALIZE_STEPS_MAX && at < height) {
      setCarry(state, at + 1);
      return;
    }
  }
  setCarry(state, undefined);
}

function finalizeOne(state: State, id: Hash, at: number): number {
  const channel = state.channels.get(id);
  // Ended by its payee, or the payer changed its mind since.
  if (channel?.closeAt !== at) return 1;
  endChannel(state, id, channel);
  return 1 + channel.lanes.length;
}

function endChannel(state: State, id: Hash, channel: ChannelRecord): void {
  credit(state, channel.payer, channel.deposit - channel.claimed);
  for (const lane of channel.lanes) state.lanes.set(laneId(id, lane), undefined);
  state.channels.set(id, undefined);
  if (channel.closeAt !== undefined) countClosing(state, -1);
}

/** How many channels are closing, and from where to go on. */
function closingOf(state: State): ClosingRecord {
  return state.closings.get(ONLY) ?? NOTHING_CLOSING;
}

function countClosing(state: State, by: 1 | -1): void {
  const closing = closingOf(state);
  state.closings.set(ONLY, { ...closing, count: closing.count + by });
}

// An idle block must leave the state, and so its root, as it was.
function setCarry(state: State, carry: number | undefined): void {
  const closing = closingOf(state);
  if (closing.carry !== carry) state.closings.set(ONLY, { ...closing, carry });
}
