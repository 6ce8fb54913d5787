/** Claims: what a voucher and a charge together pay, and to whom. Anyone may send one; it pays only the parties. */
import { equalBytes } from '../../base/bytes.ts';
import type { ClaimBody } from '../../protocol/actions-channel.ts';
import type { Hash } from '../../protocol/ids.ts';
import { type AssetAmount, attributionRoot, isSortedAttribution } from '../../protocol/payment.ts';
import { COUNTER_MAX, LANES_MAX } from '../limits.ts';
import type { OpenedClaim } from '../prepare.ts';
import { type ChannelRecord, type LaneRecord, laneId, total } from '../records.ts';
import type { ResultName } from '../result-codes.ts';
import { splitPayment } from '../settle.ts';
import { credit, type State } from '../state.ts';
import { claimStatements, isSigned } from '../statements.ts';
import { done, type Handler, type Outcome, refuse, type TransactionContext } from './context.ts';
import { countClaim } from './reward.ts';

/** A lane that nothing was claimed on. */
export const NEW_LANE: LaneRecord = { paid: 0n, total: 0n, parts: [], frozen: undefined };

/** A claim, and its voucher and charge unless one of them could not be read. */
export interface ReadClaim {
  readonly body: ClaimBody;
  readonly opened: OpenedClaim | undefined;
}

/**
 * Pays what a voucher and a charge prove. Refusals in order: `channel-unknown`, then those of `payClaim`.
 */
export const claim: Handler<'claim'> = (context, body) =>
  claimOne(context, { body, opened: context.claims[0] });

/**
 * Makes each claim by itself, in order; a refused one leaves no trace. It moves what all of them moved. With some
 * refused the result is `batch-partial`; with all refused it is the refusal of the first, `batch-empty` without any.
 */
export const claimBatch: Handler<'claim-batch'> = (context, { claims }) => {
  const outcomes = claims.map((body, i) =>
    context.state.attempt(
      () => claimOne(context, { body, opened: context.claims[i] }),
      ({ result }) => result === 'ok',
    ),
  );
  const [first] = outcomes;
  if (first === undefined) return refuse('batch-empty');
  const refused = outcomes.filter(({ result }) => result !== 'ok').length;
  if (refused === outcomes.length) return first;
  const moved = total(outcomes.map((outcome) => outcome.moved));
  return { result: refused === 0 ? 'ok' : 'batch-partial', moved };
};

function claimOne(context: TransactionContext, read: ReadClaim): Outcome {
  const channel = context.state.channels.get(read.body.channel);
  return channel === undefined ? refuse('channel-unknown') : payClaim(context, read, channel);
}

/**
 * Pays `min(voucher ceiling, charge total) - paid` of the lane, as far as the channel's deposit reaches and, on a
 * frozen lane, no further than what was proven; when that is nothing, it succeeds and moves nothing. Refusals in
 * order: `claim-malformed`, `claim-mismatch`, `attribution-unsorted`, `attribution-sum`, `attribution-root`,
 * `voucher-signature-invalid`, `charge-signature-invalid`, `lanes-exhausted`, `amounts-fall`.
 */
export function payClaim(context: TransactionContext, read: ReadClaim, channel: ChannelRecord): Outcome {
  const { state } = context;
  const { body, opened } = read;
  if (opened === undefined) return refuse('claim-malformed');
  const fault = termsFault(context, body, opened) ?? signatureFault(context, body, channel);
  if (fault !== undefined) return refuse(fault);

  const { voucher, charge } = opened;
  const id = laneId(body.channel, charge.lane);
  const lane = state.lanes.get(id) ?? NEW_LANE;
  const bound = least(voucher.ceiling, charge.total, lane.frozen?.total ?? charge.total);
  const payment = least(bound - lane.paid, channel.deposit - channel.claimed);
  if (payment <= 0n) return done();

  const lanes = withLane(channel.lanes, charge.lane);
  if (lanes === undefined) return refuse('lanes-exhausted');
  const split = splitPayment(lane, body.attribution, payment);
  if (split === undefined) return refuse('amounts-fall');
  credit(state, channel.payee, creditAssets(state, split.credits));
  state.lanes.set(id, split.lane);
  state.channels.set(body.channel, { ...channel, claimed: channel.claimed + payment, lanes });
  const { lane: number, receiptRoot, sequence: receipts } = charge;
  countClaim(context, channel.payee, {
    channel: body.channel,
    lane: number,
    receiptRoot,
    receipts,
    amount: payment,
  });
  return done(payment);
}

/** A channel's lanes with `lane` among them; `undefined` when there is no room for it. */
export function withLane(lanes: readonly number[], lane: number): readonly number[] | undefined {
  if (lanes.includes(lane)) return lanes;
  return lanes.length < LANES_MAX ? [...lanes, lane] : undefined;
}

function least(...amounts: readonly bigint[]): bigint {
  return amounts.reduce((a, b) => (b < a ? b : a));
}

type Refusal = Exclude<ResultName, 'ok'>;

function termsFault(
  { suite, network }: TransactionContext,
  { channel, attribution }: ClaimBody,
  { voucher, charge }: OpenedClaim,
): Refusal | undefined {
  const fits =
    voucher.network === network &&
    charge.network === network &&
    equalBytes(voucher.channel, channel) &&
    equalBytes(charge.channel, channel) &&
    voucher.lane === charge.lane;
  if (!fits) return 'claim-mismatch';
  if (!isSortedAttribution(attribution)) return 'attribution-unsorted';
  if (total(attribution.map(({ amount }) => amount)) !== charge.total) return 'attribution-sum';
  if (!equalBytes(attributionRoot(suite, attribution), charge.attributionRoot)) return 'attribution-root';
  return undefined;
}

function signatureFault(
  { state, signatures, height }: TransactionContext,
  body: ClaimBody,
  channel: ChannelRecord,
): Refusal | undefined {
  const [voucher, charge] = claimStatements(state, height, body, channel);
  if (!isSigned(signatures, voucher)) return 'voucher-signature-invalid';
  return isSigned(signatures, charge) ? undefined : 'charge-signature-invalid';
}

/** Adds to what assets have received; answers what none of them takes, which is the payee's. */
function creditAssets(state: State, credits: readonly AssetAmount[]): bigint {
  return total(credits.map(({ asset, amount }) => receive(state, asset, amount)));
}

/**
 * Adds to what an asset has received; answers what it did not take: all of `amount` when it is not registered, and what
 * its counter has no room for. Owners who fill a counter by paying themselves must not hold up anybody else's money.
 */
export function receive(state: State, asset: Hash, amount: bigint): bigint {
  const revenue = state.revenues.get(asset);
  if (revenue === undefined) return amount;
  const room = COUNTER_MAX - revenue.received;
  const taken = least(amount, room);
  if (taken > 0n) state.revenues.set(asset, { ...revenue, received: revenue.received + taken });
  return amount - taken;
}
