/** Time as an argument, so that a simulator can drive it. */
export interface Clock {
  /** Wall-clock milliseconds since 1970-01-01 UTC. May jump; nothing about money depends on it. */
  nowMs(): number;
  /** Milliseconds that only rise, from an arbitrary start. */
  monotonicMs(): number;
  /** Calls `run` once after `delayMs`; the returned function cancels it. */
  after(delayMs: number, run: () => void): () => void;
}

/** The machine's own clock. Its timers do not keep a process alive. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    if (typeof timer === 'object') timer.unref();
    return () => clearTimeout(timer);
  },
};
