/** The best scores of many, without an object for each. */

/** Keeps the `count` greatest numbers that it is told. */
export class TopScores {
  readonly #heap: Float64Array;
  #size = 0;

  constructor(count: number) {
    this.#heap = new Float64Array(count);
  }

  /** The least score that is among the greatest; zero while there are fewer than `count`. */
  get floor(): number {
    return this.#size < this.#heap.length ? 0 : (this.#heap[0] ?? 0);
  }

  push(score: number): void {
    const heap = this.#heap;
    if (this.#size < heap.length) {
      let at = this.#size++;
      for (; at > 0; at = (at - 1) >> 1) {
        const up = heap[(at - 1) >> 1] ?? 0;
        if (up <= score) break;
        heap[at] = up;
      }
      heap[at] = score;
      return;
    }
    if (score <= (heap[0] ?? 0)) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && (heap[child + 1] ?? 0) < (heap[child] ?? 0)) child++;
      if ((heap[child] ?? 0) >= score) break;
      heap[at] = heap[child] ?? 0;
      at = child;
    }
    heap[at] = score;
  }
}
