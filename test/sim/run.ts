/** Tells the story of one seed from its beginning to the last check. */
import { asSaharaError } from '../../src/base/errors.ts';
import { Asker } from './asks.ts';
import { Blocks } from './blocks.ts';
import { Dealings } from './dealings.ts';
import { Faults } from './faults.ts';
import { checkAtRest, checkWhileRunning, type Rogue } from './invariants.ts';
import { plantMutation } from './mutations.ts';
import type { StoryOptions } from './plan.ts';
import { RoguePayee } from './rogue-payees.ts';
import { RoguePayer } from './rogue-payers.ts';
import { Violation } from './truth.ts';
import { World } from './world.ts';

/** How a story ended. */
export interface StoryEnd {
  readonly seed: number;
  /** Stands for everything that happened. */
  readonly hash: string;
  /** What did not hold, if anything. */
  readonly failure: string | undefined;
  /** The last lines of the trace. */
  readonly last: readonly string[];
  readonly parties: number;
  readonly calls: number;
  /** Calls by how they ended. */
  readonly ends: ReadonlyMap<string, number>;
  readonly blocks: number;
  readonly tasks: number;
  /** Virtual time, milliseconds. */
  readonly lastedMs: number;
}

/** Virtual time for everybody to start. */
const START_MS = 3_000;
/** Longest virtual time until everything is at rest after the last fault. */
const REST_MS_MAX = 600_000;
const LOOK_EVERY_MS = 2_000;
/** Latest beginning of anything but a question, after the time of the plan. */
const LATEST_MS = 1_100;

/** Tells the story of `options.seed`. Never throws: what went wrong is the end's `failure`. */
export async function tellStory(options: StoryOptions): Promise<StoryEnd> {
  const world = new World(options);
  const { scheduler, trace, plan, parties } = world;
  const asker = new Asker(world);
  const blocks = new Blocks(world);
  const faults = new Faults(world);
  const dealings = new Dealings(world);
  plantMutation(world);
  const rogues = roguesOf(world);
  const story = { world, asker, blocks, faults, rogues };
  const unhandled = (error: unknown): void => scheduler.fail(error);
  process.on('unhandledRejection', unhandled);
  let failure: string | undefined;
  try {
    trace.say(`seed ${options.seed}: ${parties.length} parties, ${plan.providers} providers`);
    for (const party of parties) void world.start(party);
    await scheduler.advance(START_MS / 2);
    dealings.register();
    await scheduler.advance(START_MS);
    asker.schedule();
    dealings.schedule();
    dealings.scheduleKeys();
    for (const rogue of rogues) rogue.schedule();
    faults.schedule();
    for (let atMs = START_MS; atMs < START_MS + plan.durationMs; atMs += LOOK_EVERY_MS) {
      blocks.follow();
      await scheduler.advance(atMs);
      checkWhileRunning(story);
    }
    // Everything that was to begin has begun.
    await scheduler.advance(START_MS + plan.durationMs + LATEST_MS);
    faults.heal();
    await checkAtRest(story, REST_MS_MAX);
  } catch (error) {
    failure = error instanceof Violation ? error.message : (asSaharaError(error).stack ?? String(error));
  } finally {
    process.off('unhandledRejection', unhandled);
    for (const party of parties) party.crash('kill');
  }
  const ends = new Map<string, number>();
  for (const { end } of asker.asked) {
    const how = end === undefined ? 'gone with its party' : typeof end === 'string' ? end : end.finish;
    ends.set(how, (ends.get(how) ?? 0) + 1);
  }
  return {
    seed: options.seed,
    hash: trace.hash,
    failure,
    last: trace.last(),
    parties: parties.length,
    calls: asker.asked.length,
    ends,
    blocks: blocks.height,
    tasks: scheduler.ran,
    lastedMs: scheduler.nowMs,
  };
}

/** The last providers and the last payers are the dishonest ones, if the plan has any. */
function roguesOf(world: World): readonly Rogue[] {
  const { plan, parties } = world;
  const providers = parties.filter(({ agents }) => agents.length > 0);
  const payers = parties.filter(({ agents }) => agents.length === 0);
  return [
    ...providers.slice(providers.length - plan.roguePayees).map((party) => new RoguePayee(world, party)),
    ...payers.slice(payers.length - plan.roguePayers).map((party) => new RoguePayer(world, party)),
  ];
}
