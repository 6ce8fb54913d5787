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

/** Room for scores that waits for the next search, numbers; a search beside another one makes its own. */
const SPARE_MAX = 1_048_576;
let spare: ArrayBuffer[] = [];

/** `count` zeros to add scores to. Give them back when done: a search needs megabytes, and searches are many. */
export function takeScores(count: number): Float64Array {
  const at = spare.findIndex(({ byteLength }) => byteLength >= 8 * count);
  const [room] = at < 0 ? [] : spare.splice(at, 1);
  return room === undefined ? new Float64Array(count) : new Float64Array(room, 0, count).fill(0);
}

/** Takes scores back that nobody reads any more. */
export function giveScores({ buffer }: Float64Array<ArrayBufferLike>): void {
  if (!(buffer instanceof ArrayBuffer)) return;
  const all = [...spare, buffer].sort((a, b) => b.byteLength - a.byteLength);
  let bytes = 0;
  spare = all.filter(({ byteLength }) => {
    bytes += byteLength;
    return bytes <= 8 * SPARE_MAX;
  });
}
