/**
 * The end of a turn of the event loop, in stages. What is gathered in a turn is stated once, what is stated is signed
 * once, and what is signed leaves in one write. Each stage begins when everything that the one before has set off is
 * done, as far as it waits for nothing but promises; so a message crosses all stages in one turn, where a `setImmediate`
 * for each would cost it a turn and a write of its own.
 */

/** What the end of a turn is for, in the order in which it comes. */
export type TurnStage = 'gather' | 'sign' | 'send';

const ORDER: readonly TurnStage[] = ['gather', 'sign', 'send'];

/** Stages that one turn runs at most, so that what sets itself off again and again does not keep the network out. */
const STAGES_PER_TURN_MAX = 24;

const waiting: Readonly<Record<TurnStage, (() => void)[]>> = { gather: [], sign: [], send: [] };
let scheduled = false;
let stages = 0;

/** Runs `run` once at this stage of the end of the turn. */
export function atTurnEnd(stage: TurnStage, run: () => void): void {
  waiting[stage].push(run);
  if (scheduled) return;
  scheduled = true;
  setImmediate(begin);
}

/** `atTurnEnd` for one stage, as parts take it. */
export function deferTo(stage: TurnStage): (run: () => void) => void {
  return (run) => atTurnEnd(stage, run);
}

function begin(): void {
  stages = 0;
  next();
}

function next(): void {
  const stage = ORDER.find((name) => waiting[name].length > 0);
  if (stage === undefined) {
    scheduled = false;
  } else if (stages++ === STAGES_PER_TURN_MAX) {
    setImmediate(begin);
  } else {
    for (const run of waiting[stage].splice(0)) guarded(run);
    // Inside a microtask a tick comes after all microtasks, those that they set off included.
    queueMicrotask(() => process.nextTick(next));
  }
}

/** A defect in one is told as it would be by `setImmediate`, and the others run. */
function guarded(run: () => void): void {
  try {
    run();
  } catch (error) {
    setImmediate(() => {
      throw error;
    });
  }
}
