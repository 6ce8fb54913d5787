/**
 * What counted facts mean: points against a peer or caller, the steps by which points lower its limits, and the way
 * back. Everything here is arithmetic, so that whoever is told the facts can follow it.
 *
 *   points = sum of weight * count over the faults  -  the least of answered calls / 4 and 100, never below 0
 *
 * Faults lose half of their count every 30 minutes, merits every 7 days. At the last step something is always left:
 * one call at a time and one a second, which end well, and raise it again.
 */

/** Points that one fact of a kind weighs. What is not here is counted and weighs nothing. */
export const FAULT_POINTS: Readonly<Record<string, number>> = {
  // What nobody sends by accident.
  'refused:malformed': 4,
  'refused:signature-missing': 4,
  'refused:signature-invalid': 4,
  'refused:voucher-invalid': 4,
  'refused:offer-invalid': 2,
  'refused:payment-invalid': 2,
  'refused:call-conflict': 2,
  'refused:too-large': 1,
  'refused:replayed': 1,
  'refused:wrong-recipient': 1,
  'refused:network-mismatch': 1,
  'refused:call-cycle': 1,
  // What happens, and matters by its number.
  'refused:voucher-stale': 0.25,
  'refused:voucher-insufficient': 0.25,
  'refused:channel-unknown': 0.25,
  'refused:channel-closing': 0.25,
  'refused:caller-refused': 0.25,
  'refused:deadline-exceeded': 0.1,
  'refused:quota-exhausted': 0.25,
  'refused:work-required': 0.05,
  'refused:rate-limited': 0.05,
  'refused:overloaded': 0.01,
  cut: 0.25,
  // What the mesh sees.
  'stream-broken': 8,
  'calls-refused': 0.05,
  'question-broken': 4,
  'questions-refused': 0.05,
  'gossip-rejected': 4,
  'gossip-excess': 0.05,
  'probe-failed': 1,
};

/** Facts in favour: calls that were answered, and grains paid for them. */
export const MERITS: ReadonlySet<string> = new Set(['answered', 'paid', 'probe-answered']);

/** Time in which the count of a fault halves, milliseconds. */
export const FAULT_HALF_LIFE_MS = 1_800_000;
/** Time in which the count of a merit halves, milliseconds. */
export const MERIT_HALF_LIFE_MS = 604_800_000;
/** Points that each answered call takes away. */
const POINTS_PER_ANSWER = 0.25;
/** Most points that answered calls take away. */
const CREDIT_MAX = 100;
/** Points that one kind of fault weighs at most, so that the way back is never longer than some hours. */
const FAULT_POINTS_MAX = 2_560;

/** The steps: from how many points on, and what share of the usual limits is left. */
export const STEPS: readonly { readonly points: number; readonly share: number }[] = [
  { points: 0, share: 1 },
  { points: 20, share: 1 / 8 },
  { points: 80, share: 1 / 64 },
  { points: 320, share: 1 / 1_024 },
];

/** Counts by fact. */
export type Facts = ReadonlyMap<string, number>;

/** The half-life of a fact. */
export function halfLifeMs(fact: string): number {
  return MERITS.has(fact) ? MERIT_HALF_LIFE_MS : FAULT_HALF_LIFE_MS;
}

/** A fact's count after `passedMs`. */
export function decayed(fact: string, count: number, passedMs: number): number {
  return count * 0.5 ** (Math.max(0, passedMs) / halfLifeMs(fact));
}

/** The most that a fact is counted. */
export function countMax(fact: string): number {
  const points = FAULT_POINTS[fact];
  return points === undefined ? Number.MAX_SAFE_INTEGER : FAULT_POINTS_MAX / points;
}

/** Points after `passedMs` without another fact. */
export function pointsOf(facts: Facts, passedMs = 0): number {
  let faults = 0;
  for (const [fact, count] of facts) faults += (FAULT_POINTS[fact] ?? 0) * decayed(fact, count, passedMs);
  const answered = decayed('answered', facts.get('answered') ?? 0, passedMs);
  return Math.max(0, faults - Math.min(CREDIT_MAX, answered * POINTS_PER_ANSWER));
}

/** How many steps `points` have lowered the limits. */
export function stepOf(points: number): number {
  return STEPS.findLastIndex((step) => points >= step.points);
}

/** What leads one step up. */
export interface WayUp {
  /** Time without another fault, milliseconds. */
  readonly afterMs: number;
  /** Answered calls that lead there at once; absent where calls alone do not. */
  readonly afterCalls: number | undefined;
}

/** The way from the step of `facts` to the next better one; `undefined` at the best. */
export function wayUp(facts: Facts): WayUp | undefined {
  const points = pointsOf(facts);
  const target = STEPS[stepOf(points)]?.points ?? 0;
  if (target === 0) return undefined;
  // Merits shrink far more slowly than faults, so points only fall from here.
  let [low, high] = [0, 16 * FAULT_HALF_LIFE_MS];
  while (high - low > 1_000) {
    const middle = (low + high) / 2;
    if (pointsOf(facts, middle) < target) high = middle;
    else low = middle;
  }
  const calls = Math.floor((points - target) / POINTS_PER_ANSWER) + 1;
  const within = (facts.get('answered') ?? 0) + calls <= CREDIT_MAX / POINTS_PER_ANSWER;
  return { afterMs: Math.ceil(high), afterCalls: within ? calls : undefined };
}
