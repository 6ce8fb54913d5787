/**
 * What calls really took, by those who paid for them. Observations in, medians out; pure, the clock is an argument.
 *
 * Anybody can make keys, agents and receipts between them, so a number of voices proves nothing. A payer weighs what
 * it paid, at most what its channel locks on the ledger; who paid nothing is heard only where nobody paid. What this
 * peer saw itself goes before everything.
 */
import { toHex } from '../base/bytes.ts';
import type { Observation } from '../protocol/observation.ts';
import type { Receipt } from '../protocol/payment.ts';
import { MEASURED_PAYERS_MAX, MEASURED_SAMPLES_MAX, SAMPLES_PER_PAYER_MAX } from './limits.ts';
import { share, weightedMedian } from './medians.ts';

/** What was measured of one host of an agent. Times and amounts are medians over the payers behind them. */
export interface Measured {
  /** From the question to the first part of the answer, milliseconds. */
  readonly firstMs: number;
  /** From the question to the ending, milliseconds. */
  readonly totalMs: number;
  /** Calls that were before one when it came. */
  readonly ahead: number;
  /** What a call cost, grains. */
  readonly paid: bigint;
  /** Part of the calls that the agent failed after it had begun, 0 to 1. */
  readonly failed: number;
  /** How many payers are behind it. */
  readonly payers: number;
  /** Whose calls these are: this peer's own, those of others who paid, or those of others who did not. */
  readonly from: 'own' | 'paid' | 'free';
}

/** Observations that were verified, and what follows from them. */
export interface Measures {
  /** Takes a verified observation. `stake`: grains that the payer's channel locks for this payee, 0 without one. */
  put(seen: Observation, receipt: Receipt, facts: { readonly stake: bigint; readonly own: boolean }): void;
  /** What is known of a host; `undefined` when nobody said anything lately. */
  of(agent: Uint8Array, peerId: string): Measured | undefined;
}

/** How measures are kept. */
export interface MeasuresOptions {
  /** How long an observation counts, milliseconds. Default 900,000. */
  readonly windowMs: number;
}

/** Values for every option. */
export const MEASURES_DEFAULTS: MeasuresOptions = { windowMs: 900_000 };

interface Sample {
  readonly atMs: number;
  readonly firstMs: number;
  readonly totalMs: number;
  readonly ahead: number;
  readonly paid: bigint;
  readonly failed: boolean;
  readonly stake: bigint;
}

interface Payer {
  readonly own: boolean;
  readonly samples: Sample[];
}

interface Host {
  /** By key, in hexadecimal. */
  readonly payers: Map<string, Payer>;
  /** What was worked out last; lists are read far more often than anything is said. */
  known: { readonly measured: Measured; readonly untilMs: number } | undefined;
}

/** How long what was worked out stands when nobody says anything, milliseconds. */
const KNOWN_MS = 1_000;

/** A payer's word: the medians of its own calls, and what they weigh. */
interface Word {
  readonly own: boolean;
  readonly weight: bigint;
  readonly firstMs: number;
  readonly totalMs: number;
  readonly ahead: number;
  readonly paid: bigint;
  readonly failed: number;
}

/** Nothing measured yet. */
export function createMeasures(
  parts: { readonly clock: { monotonicMs(): number } },
  options: Partial<MeasuresOptions> = {},
): Measures {
  const { windowMs } = { ...MEASURES_DEFAULTS, ...options };
  const { clock } = parts;
  // Hosts in the order of their last observation, so that the one not spoken of for longest makes room.
  const hosts = new Map<string, Host>();
  let kept = 0;

  const forget = (name: string): void => {
    for (const { samples } of hosts.get(name)?.payers.values() ?? []) kept -= samples.length;
    hosts.delete(name);
  };
  const expire = (payers: Map<string, Payer>): void => {
    const sinceMs = clock.monotonicMs() - windowMs;
    for (const [payer, { samples }] of payers) {
      const stale = samples.findIndex(({ atMs }) => atMs > sinceMs);
      kept -= samples.splice(0, stale < 0 ? samples.length : stale).length;
      if (samples.length === 0) payers.delete(payer);
    }
  };

  return {
    put(seen, receipt, { stake, own }) {
      const name = nameOf(receipt.agent, seen.peerId);
      const host = hosts.get(name) ?? { payers: new Map<string, Payer>(), known: undefined };
      const { payers } = host;
      host.known = undefined;
      hosts.delete(name);
      hosts.set(name, host);
      expire(payers);
      const key = toHex(seen.payer);
      const payer = payers.get(key) ?? { own, samples: [] };
      payers.set(key, payer);
      payer.samples.push(sampleOf(seen, receipt, { stake, atMs: clock.monotonicMs() }));
      kept += 1;
      if (payer.samples.length > SAMPLES_PER_PAYER_MAX) kept -= payer.samples.splice(0, 1).length;
      if (payers.size > MEASURED_PAYERS_MAX) {
        const lightest = lightestOf(payers);
        kept -= payers.get(lightest)?.samples.length ?? 0;
        payers.delete(lightest);
      }
      for (const [oldest] of hosts) {
        if (kept <= MEASURED_SAMPLES_MAX || oldest === name) break;
        forget(oldest);
      }
    },
    of(agent, peerId) {
      const name = nameOf(agent, peerId);
      const host = hosts.get(name);
      if (host === undefined) return undefined;
      const nowMs = clock.monotonicMs();
      if (host.known !== undefined && nowMs < host.known.untilMs) return host.known.measured;
      expire(host.payers);
      if (host.payers.size === 0) {
        hosts.delete(name);
        return undefined;
      }
      const measured = measuredOf([...host.payers.values()].map(wordOf));
      host.known = { measured, untilMs: nowMs + KNOWN_MS };
      return measured;
    },
  };
}

function sampleOf(seen: Observation, receipt: Receipt, at: Pick<Sample, 'stake' | 'atMs'>): Sample {
  const { firstMs, totalMs, ahead } = seen;
  return { ...at, firstMs, totalMs, ahead, paid: receipt.amount, failed: receipt.finish === 'failed' };
}

function nameOf(agent: Uint8Array, peerId: string): string {
  return `${toHex(agent)} ${peerId}`;
}

/** Who leaves when there are too many payers of one host: never oneself, the lightest, of those the oldest. */
function lightestOf(payers: ReadonlyMap<string, Payer>): string {
  let found = '';
  let least: bigint | undefined;
  for (const [key, payer] of payers) {
    const { weight } = wordOf(payer);
    if (payer.own || (least !== undefined && weight >= least)) continue;
    least = weight;
    found = key;
  }
  return found;
}

function wordOf({ own, samples }: Payer): Word {
  const each = (value: (sample: Sample) => number): number =>
    weightedMedian(samples.map((sample) => ({ value: value(sample), weight: 1n })));
  const paid = samples.reduce((sum, sample) => sum + sample.paid, 0n);
  const stake = samples.reduce((most, sample) => (sample.stake > most ? sample.stake : most), 0n);
  return {
    own,
    weight: paid < stake ? paid : stake,
    firstMs: each(({ firstMs }) => firstMs),
    totalMs: each(({ totalMs }) => totalMs),
    ahead: each(({ ahead }) => ahead),
    paid: weightedMedian(samples.map((sample) => ({ value: sample.paid, weight: 1n }))),
    failed: share(samples.map(({ failed }) => ({ value: failed, weight: 1n }))),
  };
}

function measuredOf(words: readonly Word[]): Measured {
  const own = words.filter((word) => word.own);
  const paying = words.filter((word) => word.weight > 0n);
  const from = own.length > 0 ? 'own' : paying.length > 0 ? 'paid' : 'free';
  const heard = { own, paid: paying, free: words }[from];
  const weightOf = (word: Word): bigint => (from === 'paid' ? word.weight : 1n);
  const over = <T extends number | bigint>(value: (word: Word) => T): T =>
    weightedMedian(heard.map((word) => ({ value: value(word), weight: weightOf(word) })));
  return {
    firstMs: over(({ firstMs }) => firstMs),
    totalMs: over(({ totalMs }) => totalMs),
    ahead: over(({ ahead }) => ahead),
    paid: over(({ paid }) => paid),
    failed: over(({ failed }) => failed),
    payers: heard.length,
    from,
  };
}
