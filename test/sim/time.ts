/**
 * Virtual time. Everything that happens is a task at a moment; tasks of one moment run in the order in which they
 * were asked for. One task runs in one turn of the real event loop, so all promises that it resolves have run their
 * course before the next begins. Nothing in a story waits for anything real, so its order depends on the seed alone.
 */
import type { Clock } from '../../src/base/clock.ts';

interface Task {
  readonly atMs: number;
  readonly order: number;
  readonly life: Life | undefined;
  run: (() => void) | undefined;
}

/** One run of one party: what it began ends with it. */
export interface Life {
  readonly name: string;
  alive: boolean;
}

/** The world's only timer. */
export class Scheduler {
  readonly #heap: Task[] = [];
  #order = 0;
  #nowMs = 0;
  #tripwires: { readonly at: number; readonly run: () => void }[] = [];
  #failure: { readonly error: unknown } | undefined;

  /** Virtual milliseconds since the story began. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Tasks that ran. */
  ran = 0;

  /** Runs `run` after `delayMs` unless `life` has ended by then; the returned function cancels it. */
  after(delayMs: number, run: () => void, life?: Life): () => void {
    const wait = delayMs > 0 ? delayMs : 0;
    const task: Task = { atMs: this.#nowMs + wait, order: this.#order++, life, run };
    push(this.#heap, task);
    return () => {
      task.run = undefined;
    };
  }

  /** A promise that `life` sees resolve after `delayMs`. */
  pause(delayMs: number, life?: Life): Promise<void> {
    return new Promise((resolve) => this.after(delayMs, resolve, life));
  }

  /** Runs `run` just before the task that comes after `tasks` more. */
  afterTasks(tasks: number, run: () => void): void {
    this.#tripwires.push({ at: this.ran + tasks, run });
  }

  /** Ends `advance` with `error`: what nobody in the story may survive. */
  fail(error: unknown): void {
    this.#failure ??= { error };
  }

  /** Lets the story go on until `untilMs`, or until `over` says so. */
  async advance(untilMs: number, over: () => boolean = () => false): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const turn = (): void => {
        try {
          if (this.#failure) reject(this.#failure.error);
          else if (over() || !this.#step(untilMs)) resolve();
          else setImmediate(turn);
        } catch (error) {
          reject(error);
        }
      };
      setImmediate(turn);
    });
  }

  /** Runs the next task; false when there is none until `untilMs`. */
  #step(untilMs: number): boolean {
    if (this.#tripwires.length > 0) this.#trip();
    const task = this.#next(untilMs);
    if (!task) {
      this.#nowMs = Math.max(this.#nowMs, untilMs);
      return false;
    }
    this.#nowMs = task.atMs;
    this.ran++;
    task.run?.();
    return true;
  }

  #trip(): void {
    const due = this.#tripwires.filter(({ at }) => at <= this.ran);
    if (due.length === 0) return;
    this.#tripwires = this.#tripwires.filter(({ at }) => at > this.ran);
    for (const { run } of due) run();
  }

  #next(untilMs: number): Task | undefined {
    for (;;) {
      const first = this.#heap[0];
      if (!first || first.atMs > untilMs) return undefined;
      pop(this.#heap);
      if (first.run && first.life?.alive !== false) return first;
    }
  }
}

function before(a: Task, b: Task): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

function push(heap: Task[], task: Task): void {
  let at = heap.length;
  heap.push(task);
  while (at > 0) {
    const above = (at - 1) >> 1;
    const parent = heap[above] as Task;
    if (!before(task, parent)) break;
    heap[at] = parent;
    at = above;
  }
  heap[at] = task;
}

function pop(heap: Task[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    const right = heap[child + 1];
    if (right && before(right, heap[child] as Task)) child++;
    const lower = heap[child] as Task;
    if (!before(lower, last)) break;
    heap[at] = lower;
    at = child;
  }
  heap[at] = last;
}

/** Wall time at which every story begins, milliseconds since 1970. */
export const EPOCH_MS = 1_800_000_000_000;

/** How a party's clocks differ from the world's. */
export interface ClockFault {
  /** Wall clock ahead of the world, milliseconds; may be negative. */
  offsetMs: number;
  /** How much faster than the world both its clocks go, parts per million. */
  readonly ratePpm: number;
}

/** The clock of one run of a party. The fault belongs to the party and may change while the clock is used. */
export function createClock(scheduler: Scheduler, fault: ClockFault, life: Life): Clock {
  const bootMs = scheduler.nowMs;
  const rate = 1 + fault.ratePpm / 1e6;
  return {
    nowMs: () => Math.floor(EPOCH_MS + scheduler.nowMs * rate + fault.offsetMs),
    monotonicMs: () => (scheduler.nowMs - bootMs) * rate + 1_000,
    after: (delayMs, run) => scheduler.after(delayMs / rate, run, life),
  };
}
