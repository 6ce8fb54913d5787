/** Something has changed: rung by whoever changes it, waited for by whoever looks again. */
export class Bell {
  #waiting: (() => void)[] = [];

  /** Wakes all who wait. */
  ring(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  /** Resolves at the next ring; throws the reason of `signal` when that aborts first. */
  async wait(signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) throw signal.reason;
    let abort = (): void => {};
    try {
      await new Promise<void>((resolve, reject) => {
        this.#waiting.push(resolve);
        abort = () => reject(signal?.reason);
        signal?.addEventListener('abort', abort, { once: true });
      });
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }
}
