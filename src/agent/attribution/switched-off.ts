/**
 * What each adapter did for one answer, by switching it off (method `switched-off/1`): the answer is scored by the model
 * with all adapters and with all but one, and an adapter counts as much as the answer gets less likely without it. The
 * adapters' declared parts are put together and divided anew by that. The scores come from a model and are stated in
 * whole thousandths of a nat; what follows from them is in integers, for anyone to repeat (`spec/models.md`, MODEL-95).
 */
import { SaharaError } from '../../base/errors.ts';
import { int, list, optional, record, type Schema, text } from '../../protocol/schema.ts';
import { countUnits } from '../../protocol/units.ts';
import { apportion, type PpmShare } from './apportion.ts';
import { ADAPTERS_MAX } from './limits.ts';
import type { AgentAssets } from './shares.ts';
import { declaredAdapters } from './written.ts';

/** The method by its name. */
export const SWITCHED_OFF = 'switched-off/1';
/** What a statement says where it was asked for and there was no time or room for it. */
const AS_DECLARED = 'declared/1';

/** Logarithms of the probability of an answer, natural, in thousandths, rounded. */
export interface SwitchedOffScores {
  /** With all adapters. */
  readonly whole: number;
  /** Without each adapter that earns, in the statement's order. */
  readonly without: readonly number[];
}

/** How the adapters' parts of one answer came about. */
export interface AdapterParts {
  /** `switched-off/1`, or `declared/1` where it could not be measured. */
  readonly method: string;
  readonly scores: SwitchedOffScores | undefined;
}

/** Least score that is stated, thousandths of a nat. */
const SCORE_MIN = -1_000_000_000_000;
/**
 * What a score may differ by for each unit of the answer, thousandths of a nat: decoding beside others moves a logit by
 * 0.0002, and a unit has a few tokens. So much less likely without an adapter is no less likely.
 */
const NOISE_PER_UNIT = 2;

const score = int(SCORE_MIN, 0);

/** The wire form. */
export const adapterParts: Schema<AdapterParts> = record('adapter-parts', {
  method: text(64),
  scores: optional(record('switched-off-scores', { whole: score, without: list(score, ADAPTERS_MAX) })),
});

/** The parts of an answer that was not measured. */
export const UNMEASURED: AdapterParts = { method: AS_DECLARED, scores: undefined };

/** What is stated of scores in nats. */
export function measuredParts(scores: {
  readonly whole: number;
  readonly without: readonly number[];
}): AdapterParts {
  const { whole, without } = scores;
  return { method: SWITCHED_OFF, scores: { whole: stated(whole), without: without.map(stated) } };
}

function stated(nats: number): number {
  // A zero has no sign on the wire.
  return Math.min(0, Math.max(SCORE_MIN, Math.round(nats * 1000))) + 0;
}

/** How much of a difference between scores of `answer` means nothing, thousandths of a nat. */
export function scoreNoise(answer: string): number {
  return NOISE_PER_UNIT * (countUnits(answer) + 1);
}

/**
 * The assets with the parts that adapters have of one answer: as declared where nothing was measured; else all declared
 * parts together, divided in proportion to how much less likely the answer is without each (largest remainder, equal
 * ones in the order given). An adapter without which it is as likely gets nothing, and if that is so of all the model's
 * asset gets what they would have had. Throws `malformed` for parts that are none of these.
 */
export function earnedAssets(
  assets: AgentAssets,
  parts: AdapterParts | undefined,
  answer: string,
): AgentAssets {
  if (parts === undefined) return assets;
  const { method, scores } = parts;
  const adapters = declaredAdapters(assets.adapters ?? []);
  if (method === AS_DECLARED && scores === undefined) return assets;
  if (method !== SWITCHED_OFF || scores?.without.length !== adapters.length)
    throw new SaharaError('malformed', { reason: `adapter parts by "${method}" cannot be repeated` });
  return { ...assets, adapters: dividedAnew(adapters, scores, scoreNoise(answer)) };
}

function dividedAnew(
  adapters: readonly PpmShare[],
  { whole, without }: SwitchedOffScores,
  noise: number,
): readonly PpmShare[] {
  const effects = without.map((left) => (whole - left > noise ? BigInt(whole - left) : 0n));
  if (effects.every((effect) => effect === 0n)) return [];
  const pool = adapters.reduce((sum, { ppm }) => sum + ppm, 0);
  const shares = apportion(BigInt(pool), effects).map(Number);
  return adapters.map(({ asset }, i) => ({ asset, ppm: shares[i] ?? 0 })).filter(({ ppm }) => ppm > 0);
}

/** Where scores that came out again differ by more than they may: which, what is stated and what comes out. */
export function scoresFault(
  told: AdapterParts | undefined,
  again: AdapterParts | undefined,
  answer: string,
): string | undefined {
  if (told?.scores === undefined || again?.scores === undefined) return undefined;
  const off = (a: number, b: number): boolean => Math.abs(a - b) > scoreNoise(answer);
  const [one, other] = [told.scores, again.scores];
  if (off(one.whole, other.whole))
    return `the score with all adapters is ${one.whole}; it comes out as ${other.whole}`;
  const at = one.without.findIndex((left, i) => off(left, other.without[i] ?? 0));
  return at < 0
    ? undefined
    : `the score without adapters[${at}] is ${one.without[at]}; it comes out as ${other.without[at]}`;
}
