/**
 * The payer's side of disputes in the daemon: claims on its channels are held against what was charged, a payee that
 * contradicts itself is challenged, and people are told what is held, what was claimed and what came of it.
 */
import { equalBytes, toHex } from '../base/bytes.ts';
import { timeoutSignal } from '../base/clock.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import type { Channel, EndedChannel } from '../ledger/ledger.ts';
import { RESULT_CODES } from '../ledger/result-codes.ts';
import { type ChallengeForecast, forecastOf } from '../payment/challenge-forecast.ts';
import { ClaimsSeen } from '../payment/claims-seen.ts';
import type { PayerBook } from '../payment/payer-book.ts';
import type { PayerLane } from '../payment/payer-lane.ts';
import { type ChallengeLedger, PayerWatch, type WatchedDispute } from '../payment/payer-watch.ts';
import { didOf, type Hash } from '../protocol/ids.ts';
import { charge as chargeSchema } from '../protocol/payment.ts';
import type { ChallengeLane, ChallengeReport, DisputeRow } from './admin/types-dispute.ts';
import { type ClaimKeys, openClaimKeys } from './claim-keys.ts';
import type { Core } from './core.ts';
import { proveKeys } from './key-proofs.ts';

/** Longest wait for a block, milliseconds. */
const SETTLE_TIMEOUT_MS = 30_000;

/** What disputes work with. */
export type DisputeParts = Pick<
  Core,
  'ledger' | 'wallet' | 'verifier' | 'trust' | 'clock' | 'log' | 'storeOf'
> & {
  readonly payer: PayerBook;
};

/** Disputes of this payer with its payees. */
export interface Disputes {
  readonly watch: PayerWatch;
  /** Who signed for whom when calls were claimed. */
  readonly claimKeys: ClaimKeys;
  stop(): Promise<void>;
}

/** Begins to watch, from where it was left. */
export async function startDisputes(parts: DisputeParts): Promise<Disputes> {
  const { payer, ledger, clock, log, storeOf, verifier } = parts;
  const claimKeys = await openClaimKeys({
    log,
    store: storeOf('claim-keys'),
    partiesOf: (channel) => [
      payer.payer,
      ...payer.lanes().flatMap((lane) => (equalBytes(lane.channel, channel) ? [lane.payee] : [])),
    ],
    prove: async (dids) => (await proveKeys(parts, dids))?.[0],
  });
  const watch = await PayerWatch.open({
    ...{ verifier, clock, log, ledger, book: payer },
    store: storeOf('disputes'),
    challenges: challengesOf(parts),
  });
  const seen = await ClaimsSeen.open({
    ...{ ledger, clock, log },
    store: storeOf('claims-seen'),
    channels: () => payer.lanes().map(({ channel }) => channel),
    async take(claim) {
      await claimKeys.note(claim);
      await watch.take(claim);
    },
  });
  return {
    watch,
    claimKeys,
    async stop() {
      await seen.stop();
      await watch.stop();
    },
  };
}

function challengesOf({ wallet, ledger, clock }: DisputeParts): ChallengeLedger {
  return {
    async send(action, options) {
      const { height, result } = await wallet.send(action, options);
      return { height, moved: result.moved };
    },
    async decide(message, { signal }) {
      const limit = AbortSignal.any([signal, timeoutSignal(clock, SETTLE_TIMEOUT_MS)]);
      try {
        const { height, result } = await ledger.submit(message, { signal: limit });
        return { height, moved: result.moved };
      } catch (error) {
        const { code, facts } = asSaharaError(error);
        // Its number is another's, or its key signs no more: it can never take effect.
        const taken = code === 'tx-refused' && facts.code === RESULT_CODES['nonce-used'].code;
        if (taken || code === 'tx-invalid') return undefined;
        throw error;
      }
    },
  };
}

/** What is wrong on this payer's channels, for `status`. */
export function disputeRows(watch: Pick<PayerWatch, 'disputes'>): readonly DisputeRow[] {
  return watch.disputes().map(rowOf);
}

function rowOf({ channel, lane, payee, unexplained, case: open }: WatchedDispute): DisputeRow {
  return {
    channel: toHex(channel),
    lane,
    payee: didOf(payee),
    unexplained: unexplained.length,
    ...(open && {
      state: open.state,
      evidence: open.evidence.type,
      proven: String(open.total),
      foundAtMs: open.foundAtMs,
      taken: String(open.taken),
      returned: String(open.returned),
      ...(open.height > 0 && { height: open.height }),
      ...(open.reason !== undefined && { reason: open.reason }),
    }),
  };
}

/** How disputes stand, and then every change of a case, until `signal` aborts. What nobody fetches in time is told as it stands then. */
export async function* followDisputes(
  watch: Pick<PayerWatch, 'disputes' | 'onDispute'>,
  signal: AbortSignal,
): AsyncGenerator<DisputeRow> {
  const waiting = new Map<string, DisputeRow>();
  let wake = (): void => {};
  const note = (row: DisputeRow): void => {
    waiting.set(`${row.channel} ${row.lane}`, row);
    wake();
  };
  const unwatch = watch.onDispute((dispute) => note(rowOf(dispute)));
  const stop = (): void => wake();
  signal.addEventListener('abort', stop);
  try {
    for (const row of disputeRows(watch)) note(row);
    while (!signal.aborted) {
      for (const [name, row] of waiting) {
        waiting.delete(name);
        yield row;
      }
      if (waiting.size > 0 || signal.aborted) continue;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    unwatch();
    signal.removeEventListener('abort', stop);
  }
}

/** The channel paid from here whose id starts with `prefix`, also one that ended. Throws `channel-unknown`. */
export function paidChannel(payer: Pick<PayerBook, 'lanes'>, prefix: string): Hash {
  const ids = new Map(payer.lanes().map(({ channel }) => [toHex(channel), channel]));
  const [found, ...others] = [...ids].filter(([name]) => name.startsWith(prefix.toLowerCase()));
  if (found === undefined || others.length > 0) {
    throw new SaharaError('channel-unknown', {
      channel: prefix,
      ...(others.length > 0 && { reason: 'several fit' }),
    });
  }
  return found[1];
}

/**
 * Shows what is held against what was claimed on a channel that this peer pays on, with what a challenge would bring, and
 * unless it is a `dryRun` brings what can be proven to the ledger. Throws `channel-unknown`, and the ledger's refusals.
 */
export async function challengeOn(
  parts: DisputeParts & { readonly disputes: Disputes },
  { channel, dryRun }: { readonly channel: Hash; readonly dryRun: boolean },
  { signal }: { readonly signal: AbortSignal },
): Promise<ChallengeReport> {
  const { payer, ledger, disputes } = parts;
  const held = payer.lanes().filter((lane) => equalBytes(lane.channel, channel));
  const [first] = held;
  if (first === undefined) throw new SaharaError('channel-unknown', { channel: toHex(channel) });
  await disputes.watch.compare();
  if (!dryRun) {
    for (const { lane } of held) await disputes.watch.press({ channel, lane }, { signal });
  }
  const known = await ledger.read((reads) => reads.channel(channel) ?? reads.endedChannel(channel), {
    signal,
  });
  const lanes: ChallengeLane[] = [];
  for (const lane of held) lanes.push(await laneReport(parts, { lane, known }, signal));
  return {
    channel: toHex(channel),
    payee: didOf(first.payee),
    ended: !(known && 'state' in known),
    dryRun,
    lanes,
  };
}

async function laneReport(
  { ledger, disputes }: DisputeParts & { readonly disputes: Disputes },
  { lane, known }: { readonly lane: PayerLane; readonly known: Channel | EndedChannel | undefined },
  signal: AbortSignal,
): Promise<ChallengeLane> {
  const { channel, lane: number, payee, charged, count, charge } = lane;
  const dispute = disputes.watch
    .disputes()
    .find((one) => equalBytes(one.channel, channel) && one.lane === number);
  const total = dispute?.case?.total ?? charged;
  const forecast = await forecastOf(ledger, { channel, lane: number, payee, total }, { signal });
  const on = known?.lanes.find((one) => one.lane === number);
  const why = whyNot({ lane, dispute, forecast, paid: on?.paid ?? 0n });
  const open = dispute?.case;
  return {
    lane: number,
    receipts: count,
    charged: String(charged),
    ...(charge && { lastCharge: String(charge.terms.total) }),
    paid: String(on?.paid ?? 0n),
    claimed: (dispute?.unexplained ?? []).map((message) => {
      const { sequence, total: claimedTotal } = chargeSchema.decode(message.payload);
      return { receipts: sequence, total: String(claimedTotal) };
    }),
    ...(forecast?.claimedTotal !== undefined && { claimedTotal: String(forecast.claimedTotal) }),
    ...(on?.frozen && { frozenAt: String(on.frozen.total), returned: String(on.frozen.returned) }),
    ...(open && {
      evidence: open.evidence.type,
      proven: String(open.total),
      state: open.state,
      taken: String(open.taken),
      ...(open.height > 0 && { height: open.height }),
    }),
    ...(open?.state !== 'won' &&
      open && {
        brings: {
          refund: String(forecast?.refund ?? 0n),
          stake: String(forecast?.taken ?? 0n),
          reward: String(forecast?.reward ?? 0n),
          beyond: String(forecast?.beyond ?? 0n),
        },
      }),
    ...(why !== undefined && { why }),
  };
}

/** Why nothing is sent, or why it brings nothing. */
function whyNot({
  lane,
  dispute,
  forecast,
  paid,
}: {
  readonly lane: PayerLane;
  readonly dispute: WatchedDispute | undefined;
  readonly forecast: ChallengeForecast | undefined;
  readonly paid: bigint;
}): ChallengeLane['why'] {
  const open = dispute?.case;
  if (open?.state === 'won' || open?.state === 'frozen')
    return open.state === 'won' ? 'won' : 'frozen-already';
  if (open?.state === 'refused') return 'refused';
  if (open !== undefined) {
    if (forecast === undefined) return 'too-late';
    if (forecast.taken === 0n && forecast.left === 0n) return 'worth-nothing';
    return forecast.beyond > 0n && forecast.refund === 0n ? 'no-stake' : undefined;
  }
  if (dispute !== undefined || paid > lane.charged) return 'no-proof';
  return 'agrees';
}
