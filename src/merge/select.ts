/**
 * Exact selection by magnitude in O(n), without sorting: a radix select on the 31 magnitude bits of an f32, two
 * passes of 16 and 15 bits. Real fine-tunes tie at the threshold in up to a sixth of their elements, so ties are
 * split by the counter hash of the index, two more passes: exactly k are chosen, everywhere in the tensor alike.
 */
import { invariant } from '../base/errors.ts';
import type { TensorContext, Tile } from './context.ts';
import type { HashKey } from './task.ts';

/** A set of elements: those with a key above `tied`, and those equal to it whose hash is at most `last`. */
export interface Selection {
  readonly tied: number;
  readonly last: number;
}

/** The selection of every element. */
export const EVERYTHING: Selection = { tied: -1, last: 0 };
/** The selection of none. */
export const NOTHING: Selection = { tied: 0x7fffffff, last: 0 };

/** One selection to make: the `k` largest magnitudes of a lane. */
export interface TopRequest {
  /** Address of the lane in every tile. */
  readonly lane: number;
  readonly k: number;
  readonly key: HashKey;
}

const HIGH_BINS = 65_536;
const LOW_BINS = 32_768;

/** What a method does to a tile before its lanes are looked at. */
export type Prepare = (tile: Tile) => void;

/** Makes all `requests` in the same passes, one histogram each. */
export function selectTop(
  context: TensorContext,
  requests: readonly TopRequest[],
  prepare: Prepare = () => {},
): Selection[] {
  const { elements } = context.task;
  const open = requests.map((request) => new Search(context, request));
  const pending = open.filter(({ request }) => request.k > 0 && request.k < elements);
  findKeys(context, pending, prepare);
  const split = pending.filter((search) => search.quota < search.tiedCount);
  for (const half of ['high', 'low'] as const) {
    const count: Count = ({ request, tied, hashHigh }, bins, { n, index }) => {
      const { k0, k1 } = request.key;
      const high = half === 'high' ? -1 : hashHigh;
      context.kernels.histogramTies(request.lane, n, bins, tied, index, k0, k1, high);
    };
    countAll(context, split, { prepare, count });
    split.forEach((search, which) => {
      search.foundHash(context.histogram(which), half);
    });
  }
  return open.map((search) => search.selection(elements));
}

const UNKEYED: HashKey = { k0: 0, k1: 0 };

/** The magnitudes that stand at `ranks`, counted from the smallest at 0, one histogram each. */
export function orderStatistics(
  context: TensorContext,
  { lane, ranks }: { readonly lane: number; readonly ranks: readonly number[] },
  prepare: Prepare,
): number[] {
  const { elements } = context.task;
  const searches = ranks.map((rank) => new Search(context, { lane, k: elements - rank, key: UNKEYED }));
  findKeys(context, searches, prepare);
  const bits = new DataView(new ArrayBuffer(4));
  return searches.map(({ tied }) => {
    bits.setUint32(0, tied);
    return bits.getFloat32(0);
  });
}

type Count = (search: Search, bins: number, tile: Tile) => void;

function findKeys(context: TensorContext, searches: readonly Search[], prepare: Prepare): void {
  const { kernels } = context;
  countAll(context, searches, {
    prepare,
    count: ({ request }, bins, { n }) => kernels.histogramHigh(request.lane, n, bins),
  });
  searches.forEach((search, which) => {
    search.foundHigh(context.histogram(which));
  });
  countAll(context, searches, {
    prepare,
    count: ({ request, high }, bins, { n }) => kernels.histogramLow(request.lane, n, bins, high),
  });
  searches.forEach((search, which) => {
    search.foundLow(context.histogram(which));
  });
}

function countAll(
  context: TensorContext,
  searches: readonly Search[],
  { prepare, count }: { readonly prepare: Prepare; readonly count: Count },
): void {
  if (searches.length === 0) return;
  searches.forEach((_search, which) => {
    const bins = context.histogram(which);
    context.memory.fill(0, bins, bins + 4 * HIGH_BINS);
  });
  context.pass((tile) => {
    prepare(tile);
    searches.forEach((search, which) => {
      count(search, context.histogram(which), tile);
    });
  });
}

class Search {
  readonly request: TopRequest;
  readonly #view: DataView;
  #left: number;
  high = 0;
  tied = 0;
  tiedCount = 0;
  quota = 0;
  hashHigh = 0;
  #last = 0xffff_ffff;

  constructor(context: TensorContext, request: TopRequest) {
    this.request = request;
    this.#view = context.view;
    this.#left = request.k;
  }

  foundHigh(bins: number): void {
    this.high = this.#descend(bins, HIGH_BINS).bin;
  }

  foundLow(bins: number): void {
    const { bin, count } = this.#descend(bins, LOW_BINS);
    this.tied = this.high * LOW_BINS + bin;
    this.tiedCount = count;
    this.quota = this.#left;
  }

  foundHash(bins: number, half: 'high' | 'low'): void {
    for (let bin = 0; bin < HIGH_BINS; bin++) {
      const count = this.#view.getUint32(bins + 4 * bin, true);
      if (this.#left <= count) {
        if (half === 'high') this.hashHigh = bin;
        else this.#last = this.hashHigh * HIGH_BINS + bin;
        return;
      }
      this.#left -= count;
    }
    invariant(false, 'the hashes of the tied elements are all counted');
  }

  selection(elements: number): Selection {
    if (this.request.k <= 0) return NOTHING;
    if (this.request.k >= elements) return EVERYTHING;
    return { tied: this.tied, last: this.#last };
  }

  // Walks down from the top until the k-th element's bin; what is left of k then counts within that bin.
  #descend(bins: number, length: number): { bin: number; count: number } {
    for (let bin = length - 1; bin >= 0; bin--) {
      const count = this.#view.getUint32(bins + 4 * bin, true);
      if (this.#left <= count) return { bin, count };
      this.#left -= count;
    }
    invariant(false, 'the histogram counts every element');
  }
}
