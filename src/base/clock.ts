/** Time as an argument, so that a simulator can drive it. */
export interface Clock {
  /** Wall-clock milliseconds since 1970-01-01 UTC. May jump; nothing about money depends on it. */
  nowMs(): number;
  /** Milliseconds that only rise, from an arbitrary start. */
  monotonicMs(): number;
  /** Calls `run` once after `delayMs`; the returned function cancels it. */
  after(delayMs: number, run: () => void): () => void;
}

/** A signal that aborts with a `TimeoutError` after `delayMs`: `AbortSignal.timeout` by `clock`. */
export function timeoutSignal(clock: Clock, delayMs: number): AbortSignal {
  const controller = new AbortController();
  const late = (): void => controller.abort(new DOMException('timed out', 'TimeoutError'));
  clock.after(delayMs, late);
  return controller.signal;
}

/** Calls `run` again and again, `intervalMs` apart, until the returned function is called. */
export function every(clock: Clock, intervalMs: number, run: () => void): () => void {
  let cancel = clock.after(intervalMs, tick);
  function tick(): void {
    cancel = clock.after(intervalMs, tick);
    run();
  }
  return () => cancel();
}

/** Longest time that one timer of the platform holds: 2^31 - 1 ms. */
const TIMER_MS_MAX = 2_147_483_647;

/** The machine's own clock. Its timers do not keep a process alive. */
export const systemClock: Clock = machineClock(false);

/** The machine's own clock, for a command that has nothing but a timer to wait for: its timers keep the process alive. */
export const wakefulClock: Clock = machineClock(true);

function machineClock(keepsAlive: boolean): Clock {
  return {
    nowMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    after(delayMs, run) {
      let left = delayMs;
      let timer: ReturnType<typeof setTimeout>;
      // A timer that is set for longer than it can hold would run at once.
      const wait = (): void => {
        const part = Math.min(left, TIMER_MS_MAX);
        left -= part;
        timer = setTimeout(() => (left > 0 ? wait() : run()), part);
        if (!keepsAlive && typeof timer === 'object') timer.unref();
      };
      wait();
      return () => clearTimeout(timer);
    },
  };
}
