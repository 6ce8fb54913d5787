/** What a seed decides before anything happens: who takes part, what they do, and what goes wrong. */
import { createRandom, type Random } from '../fuzz/random.ts';

/** A planted defect, to prove that the invariants can fail. */
export type Mutation =
  | 'double-charge'
  | 'forgetful-disk'
  | 'eternal-adverts'
  | 'generous-vouchers'
  | 'endless-calls'
  | 'minted-grain'
  | 'overcharge'
  | 'one-lane';

/** How a story is told. */
export interface StoryOptions {
  readonly seed: number;
  readonly mutation?: Mutation | undefined;
  /** Sees every line of the trace. */
  readonly print?: ((line: string) => void) | undefined;
}

/** How likely and how bad each fault is. */
export interface FaultPlan {
  readonly crashes: number;
  /** Crashes that wait for a step of some call. */
  readonly tripwires: number;
  readonly powerLoss: boolean;
  readonly lostDisks: boolean;
  readonly partitions: number;
  readonly cuts: number;
  readonly slowLinks: number;
  readonly slowDisks: number;
  /** Disks that take nothing more until somebody makes room and starts the party again. */
  readonly fullDisks: number;
  readonly clockJumps: number;
  /** Wall clocks differ by up to this, milliseconds. */
  readonly skewMs: number;
  readonly gossipLoss: number;
  readonly gossipDuplicates: number;
  /** Longest that a party stays down or apart, milliseconds. */
  readonly outageMs: number;
}

/** The outline of a story. */
export interface Plan {
  readonly parties: number;
  readonly providers: number;
  readonly realKeys: boolean;
  /** Virtual time with faults, milliseconds. */
  readonly durationMs: number;
  readonly asksPerPayer: number;
  /** Calls that begin together. */
  readonly burstMax: number;
  /** Longest pause of an agent between two pieces, milliseconds. */
  readonly pauseMsMax: number;
  readonly partsMax: number;
  /** Of 16 calls, so many are asked once more under the same id. */
  readonly again: number;
  /** What payers put at stake at once, grains. */
  readonly stepAmount: bigint;
  /** How long payers try to go on with a call, and hosts wait for them, milliseconds. */
  readonly resumeForMs: number;
  readonly resumeGraceMs: number;
  readonly depositMax: bigint;
  readonly claimMin: bigint;
  readonly closeDelayBlocks: number;
  readonly blockIntervalMs: number;
  /** Hosts that each directory probes in a round; with 0 silence alone takes a host off its list. */
  readonly probesPerRound: number;
  readonly registerAssets: boolean;
  readonly closes: boolean;
  readonly roguePayers: number;
  readonly roguePayees: number;
  readonly faults: FaultPlan;
}

/** The outline of `seed`. */
export function planOf(seed: number): Plan {
  const random = createRandom(seed, 1);
  const { below, once } = random;
  const size = below(1_000);
  const parties =
    size < 780 ? 2 + below(3) : size < 960 ? 5 + below(6) : size < 996 ? 11 + below(30) : 60 + below(140);
  const small = parties < 11;
  const providers = Math.max(
    1,
    small ? 1 + below(Math.min(3, parties - 1)) : Math.ceil(parties / (8 + below(10))),
  );
  // Longer than an advert lives, now and then.
  const outageMs = once(6) ? 120_000 : 1_000 + below(30_000);
  const blockIntervalMs = 3_000;
  return {
    parties,
    providers,
    realKeys: small && once(16),
    durationMs: small ? (outageMs > 60_000 ? 150_000 : 15_000 + below(75_000)) : 15_000 + below(20_000),
    asksPerPayer: small ? 1 + below(10) : 1 + below(3),
    burstMax: once(12) ? 64 : 1 + below(6),
    pauseMsMax: once(3) ? 0 : 1 + below(600),
    partsMax: 1 + below(once(8) ? 120 : 20),
    again: once(3) ? below(6) : 0,
    stepAmount: once(4) ? 1_000_000n : BigInt(below(1_000)),
    resumeForMs: once(4) ? 0 : 1_000 + below(60_000),
    resumeGraceMs: once(4) ? 0 : 1_000 + below(30_000),
    depositMax: once(4) ? 20_000n : 2_000_000n,
    claimMin: once(2) ? 1n : 5_000n,
    closeDelayBlocks: 2 + Math.ceil((2 * outageMs + 20_000) / blockIntervalMs),
    blockIntervalMs,
    probesPerRound: once(2) ? 0 : 4,
    registerAssets: once(2),
    closes: once(3),
    roguePayers: once(4) ? 1 : 0,
    roguePayees: once(5) ? 1 : 0,
    faults: faultsOf(random, { parties, outageMs }),
  };
}

function faultsOf(
  { below, once }: Random,
  { parties, outageMs }: { readonly parties: number; readonly outageMs: number },
): FaultPlan {
  const calm = once(6);
  const some = (most: number, times: number): number => (calm || !once(times) ? 0 : 1 + below(most));
  return {
    crashes: outageMs > 60_000 ? 3 : some(Math.min(6, parties), 2),
    tripwires: some(3, 2),
    powerLoss: once(3),
    lostDisks: once(5),
    partitions: some(2, 3),
    cuts: some(8, 2),
    slowLinks: some(2, 4),
    slowDisks: some(2, 4),
    fullDisks: some(1, 8),
    clockJumps: some(2, 6),
    skewMs: once(3) ? 12_000 : once(2) ? 500 : 0,
    gossipLoss: some(300, 3),
    gossipDuplicates: some(200, 4),
    outageMs,
  };
}
