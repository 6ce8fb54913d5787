/**
 * What was used lately, within a limit, in constant time: two generations, of which the older is dropped whole when the
 * younger has half of the room. (A map that loses its first key with every new one walks over all that it lost before.)
 */

/** How much is remembered. */
export interface RecentOptions<V> {
  /** Most that all entries together cost. */
  readonly costMax: number;
  /** What an entry costs. Default: 1, so that `costMax` is their number. */
  readonly costOf?: (name: string, value: V) => number;
}

/**
 * Entries by name. At least those are there that were set or read last and cost half of the limit together; what was replaced
 * or deleted meanwhile counts among them with what it cost, because it took room of others.
 */
export interface Recent<V> {
  get(name: string): V | undefined;
  /** Replaces what is there. One that costs more than half of the limit is not kept. */
  set(name: string, value: V): void;
  delete(name: string): void;
  /** What the entries cost now. */
  readonly cost: number;
}

/** Remembers nothing yet. */
export function createRecent<V>({ costMax, costOf = () => 1 }: RecentOptions<V>): Recent<V> {
  let young = new Map<string, V>();
  let old = new Map<string, V>();
  let youngCost = 0;
  let oldCost = 0;

  const remove = (name: string): void => {
    const inYoung = young.get(name);
    if (inYoung !== undefined) {
      youngCost -= costOf(name, inYoung);
      young.delete(name);
    }
    const inOld = old.get(name);
    if (inOld !== undefined) {
      oldCost -= costOf(name, inOld);
      old.delete(name);
    }
  };
  const put = (name: string, value: V, cost: number): void => {
    if (cost > costMax / 2) return;
    if (youngCost + cost > costMax / 2) {
      [old, oldCost] = [young, youngCost];
      [young, youngCost] = [new Map<string, V>(), 0];
    }
    young.set(name, value);
    youngCost += cost;
  };

  return {
    get cost() {
      return youngCost + oldCost;
    },
    get(name) {
      const recent = young.get(name);
      if (recent !== undefined) return recent;
      const older = old.get(name);
      if (older === undefined) return undefined;
      remove(name);
      put(name, older, costOf(name, older));
      return older;
    },
    set(name, value) {
      const cost = costOf(name, value);
      const known = young.get(name);
      const more = known === undefined ? cost : cost - costOf(name, known);
      if (known !== undefined && cost <= costMax / 2 && youngCost + more <= costMax / 2) {
        // What is among the younger is not among the older.
        young.set(name, value);
        youngCost += more;
        return;
      }
      remove(name);
      put(name, value, cost);
    },
    delete: remove,
  };
}
