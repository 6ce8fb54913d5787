/** Names that are remembered until a time, a bounded number of them: beyond, the one added first is forgotten. */
export interface Seen {
  /** Remembers `name` until `untilMs` of the clock that `has` is asked by. */
  add(name: string, untilMs: number): void;
  has(name: string, nowMs: number): boolean;
}

/** Nothing remembered yet. */
export function createSeen(options: { readonly namesMax: number }): Seen {
  const names = new Map<string, number>();
  return {
    add(name, untilMs) {
      names.delete(name);
      names.set(name, untilMs);
      for (const [first] of names) {
        if (names.size <= options.namesMax) break;
        names.delete(first);
      }
    },
    has(name, nowMs) {
      const untilMs = names.get(name);
      if (untilMs === undefined) return false;
      if (nowMs < untilMs) return true;
      names.delete(name);
      return false;
    },
  };
}
