/** How a payer gets a part of a deposit back: at once with the payee's word, or after a delay without it. */
import { equalBytes } from '../../base/bytes.ts';
import type { Hash } from '../../protocol/ids.ts';
import { type AgendaHandler, countAwaited, schedule } from '../agenda.ts';
import type { ChannelRecord } from '../records.ts';
import type { ResultName } from '../result-codes.ts';
import { credit, type State } from '../state.ts';
import { isSigned, releaseStatement } from '../statements.ts';
import { done, type Handler, refuse, type TransactionContext } from './context.ts';

/**
 * Takes out at once what the payee has released. Refusals in order: `channel-unknown`, `not-payer`,
 * `release-malformed`, `release-mismatch`, `release-stale`, `withdrawal-too-large`, `deposit-too-small`,
 * `release-signature-invalid`.
 */
export const withdraw: Handler<'withdraw'> = (context, action) => {
  const { state, sender, release } = context;
  const { channel: id } = action;
  const channel = state.channels.get(id);
  if (channel === undefined) return refuse('channel-unknown');
  if (!equalBytes(channel.payer, sender)) return refuse('not-payer');
  if (release === undefined) return refuse('release-malformed');
  if (release.network !== context.network || !equalBytes(release.channel, id))
    return refuse('release-mismatch');
  if (release.sequence !== channel.revision) return refuse('release-stale');
  const { depositAfter } = release;
  if (depositAfter >= channel.deposit || depositAfter < channel.claimed)
    return refuse('withdrawal-too-large');
  if (depositAfter < context.genesis.parameters.depositMin) return refuse('deposit-too-small');
  const statement = releaseStatement(state, context.height, action.release, channel);
  if (!isSigned(context.signatures, statement)) return refuse('release-signature-invalid');
  const amount = channel.deposit - depositAfter;
  takeOut(state, id, channel, amount);
  return done(amount);
};

/**
 * The payer announces a withdrawal for the height `height + closeDelayBlocks`. Refusals in order:
 * `channel-unknown`, `not-payer`, `channel-closing`, `withdrawal-pending`, `amount-zero`, `withdrawal-too-large`,
 * `deposit-too-small`.
 */
export const requestWithdraw: Handler<'request-withdraw'> = (context, { channel: id, amount }) => {
  const { state, height, genesis } = context;
  const { depositMin, closeDelayBlocks } = genesis.parameters;
  const channel = state.channels.get(id);
  if (channel === undefined) return refuse('channel-unknown');
  const fault = requestFault(context, channel);
  if (fault !== undefined) return refuse(fault);
  if (amount === 0n) return refuse('amount-zero');
  if (amount > channel.deposit - channel.claimed) return refuse('withdrawal-too-large');
  if (channel.deposit - amount < depositMin) return refuse('deposit-too-small');
  const at = height + closeDelayBlocks;
  schedule(state, at, { kind: 'withdraw', id });
  state.channels.set(id, { ...channel, withdrawal: { amount, at } });
  countAwaited(state, 1);
  return done();
};

function requestFault(
  { sender }: TransactionContext,
  { payer, closeAt, withdrawal }: ChannelRecord,
): Exclude<ResultName, 'ok'> | undefined {
  if (!equalBytes(payer, sender)) return 'not-payer';
  if (closeAt !== undefined) return 'channel-closing';
  return withdrawal === undefined ? undefined : 'withdrawal-pending';
}

/**
 * The payer takes the announcement back. Refusals in order: `channel-unknown`, `not-payer`,
 * `withdrawal-absent`.
 */
export const cancelWithdraw: Handler<'cancel-withdraw'> = ({ state, sender }, { channel: id }) => {
  const channel = state.channels.get(id);
  if (channel === undefined) return refuse('channel-unknown');
  if (!equalBytes(channel.payer, sender)) return refuse('not-payer');
  if (channel.withdrawal === undefined) return refuse('withdrawal-absent');
  state.channels.set(id, { ...channel, withdrawal: undefined });
  countAwaited(state, -1);
  return done();
};

/**
 * An announced withdrawal whose height has come. Claims win: it takes what they left of the amount, and leaves a
 * deposit that the network allows, which a release in between may have lowered.
 */
export const finalizeWithdrawal: AgendaHandler = ({ state, genesis }, id, at) => {
  const channel = state.channels.get(id);
  // Ended, or the payer changed its mind since.
  if (channel?.withdrawal?.at !== at) return 1;
  const { deposit, claimed, withdrawal } = channel;
  const floor = claimed > genesis.parameters.depositMin ? claimed : genesis.parameters.depositMin;
  const left = deposit - floor;
  const amount = withdrawal.amount < left ? withdrawal.amount : left;
  takeOut(state, id, { ...channel, withdrawal: undefined }, amount > 0n ? amount : 0n);
  countAwaited(state, -1);
  return 1;
};

function takeOut(state: State, id: Hash, channel: ChannelRecord, amount: bigint): void {
  credit(state, channel.payer, amount);
  const revision = channel.revision + (amount > 0n ? 1 : 0);
  state.channels.set(id, { ...channel, deposit: channel.deposit - amount, revision });
}
