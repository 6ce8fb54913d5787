/**
 * Whose turn it is. Each payer has a virtual time that grows by what it was given, divided by its weight; the one that
 * is furthest behind goes next, so that a flood of one payer does not hold up the others. Who comes anew starts at the
 * time of who is furthest behind: with less, fresh names would go before everyone. Nor does it start before who had got
 * an equal share of all that was given: names that are always new would keep the least time where it is. But it has to
 * wait for what others began just before it, and that is made up for: it goes before for as many tokens, and each
 * request that runs is made up for once, so that fresh names cannot feed on each other. Pure: no clock, no promise.
 */

/** What waits. */
export interface Waiting {
  readonly payer: string;
  /** Share of the machine against others, at least 1: what a higher price buys. */
  readonly weight: number;
  /** Tokens that it may take at most: its prompt and its longest answer. */
  readonly tokens: number;
}

/** What runs in its own turn, and how much of it has not been made up for yet, tokens. */
interface Debt {
  left: number;
}

/** What was taken: how many of its tokens count to its payer's time, and what is owed for it. */
interface Taken {
  readonly counted: number;
  readonly debt: Debt;
}

/** A queue that is fair between payers and first come, first served inside each. */
export class FairQueue<T extends Waiting> {
  /** Virtual times of payers with something waiting or running. */
  readonly #times = new Map<string, number>();
  readonly #lines = new Map<string, T[]>();
  readonly #running = new Map<string, number>();
  readonly #taken = new Map<T, Taken>();
  /** By payer what ran when it came, which others may have been made up for meanwhile. */
  readonly #owed = new Map<string, readonly Debt[]>();
  #length = 0;
  /** Never falls: the time of who was furthest behind when something was taken last. */
  #floor = 0;
  /** Weights of payers with a virtual time, as they came last. */
  readonly #weights = new Map<string, number>();
  /** The time of who had got an equal share of all that was given while others were here. */
  #fair = 0;

  /** Items that wait. */
  get length(): number {
    return this.#length;
  }

  /** Items of one payer that wait. */
  lengthOf(payer: string): number {
    return this.#lines.get(payer)?.length ?? 0;
  }

  /** Puts an item at the end of its payer's line. */
  push(item: T): void {
    const line = this.#lines.get(item.payer);
    if (line === undefined) this.#lines.set(item.payer, [item]);
    else line.push(item);
    if (!this.#times.has(item.payer)) {
      this.#times.set(item.payer, this.#start());
      const debts = [...this.#taken.values()].map(({ debt }) => debt);
      this.#owed.set(
        item.payer,
        debts.filter(({ left }) => left > 0),
      );
    }
    this.#weights.set(item.payer, item.weight);
    this.#length++;
  }

  /** Takes the next item that `mayGo`, and counts to its payer all its tokens for which nothing was owed. */
  take(mayGo: (item: T) => boolean): T | undefined {
    for (const item of this.order()) {
      if (!mayGo(item)) continue;
      this.#floor = Math.max(this.#floor, this.#least());
      this.#cut(item);
      this.#running.set(item.payer, (this.#running.get(item.payer) ?? 0) + 1);
      const counted = item.tokens - this.#makeUp(item);
      this.#taken.set(item, { counted, debt: { left: counted } });
      this.#add(item, counted);
      return item;
    }
    return undefined;
  }

  /** A taken item is through: what it did not use is given back. */
  settle(item: T, usedTokens: number): void {
    const { counted, debt } = this.#taken.get(item) ?? { counted: 0, debt: { left: 0 } };
    const unused = Math.min(counted, item.tokens - Math.min(usedTokens, item.tokens));
    debt.left = Math.max(0, debt.left - unused);
    this.#taken.delete(item);
    this.#add(item, -unused);
    const weights = [...this.#weights.values()].reduce((sum, weight) => sum + weight, 0);
    this.#fair = this.#start() + (counted - unused) / Math.max(1, weights);
    const left = (this.#running.get(item.payer) ?? 1) - 1;
    if (left > 0) this.#running.set(item.payer, left);
    else this.#running.delete(item.payer);
    this.#forget(item.payer);
  }

  /** Takes an item out that no longer waits for its turn; whether it was there. */
  remove(item: T): boolean {
    if (this.#lines.get(item.payer)?.includes(item) !== true) return false;
    this.#cut(item);
    this.#forget(item.payer);
    return true;
  }

  /** All that waits, in the order in which it would be taken if each took all its tokens. */
  *order(): Generator<T> {
    const times = new Map([...this.#lines].map(([payer, [first]]) => [payer, this.#standing(payer, first)]));
    const places = new Map<string, number>();
    for (let i = 0; i < this.#length; i++) {
      let next: string | undefined;
      for (const [payer, time] of times) {
        if (next === undefined || time < (times.get(next) ?? 0)) next = payer;
      }
      const place = next === undefined ? 0 : (places.get(next) ?? 0);
      const item = next === undefined ? undefined : this.#lines.get(next)?.[place];
      if (next === undefined || item === undefined) return;
      places.set(next, place + 1);
      if (place + 1 < this.lengthOf(next))
        times.set(next, (times.get(next) ?? 0) + item.tokens / item.weight);
      else times.delete(next);
      yield item;
    }
  }

  /** The time by which a payer takes its turn: its own, less what it is owed. */
  #standing(payer: string, first: T | undefined): number {
    const owed = (this.#owed.get(payer) ?? []).reduce((sum, { left }) => sum + left, 0);
    return (this.#times.get(payer) ?? 0) - owed / (first?.weight ?? 1);
  }

  /** Takes from what an item's payer is owed; answers how many of its tokens that is. */
  #makeUp({ payer, tokens }: T): number {
    let missing = tokens;
    for (const debt of this.#owed.get(payer) ?? []) {
      const part = Math.min(missing, debt.left);
      debt.left -= part;
      missing -= part;
    }
    return tokens - missing;
  }

  /** Where who comes anew starts, but not behind all others. */
  #start(): number {
    return Math.max(this.#least(), Math.min(this.#fair, Math.max(...this.#times.values())));
  }

  #least(): number {
    const times = [...this.#times.values()];
    return times.length === 0 ? this.#floor : Math.max(this.#floor, Math.min(...times));
  }

  #add({ payer, weight }: T, tokens: number): void {
    this.#times.set(payer, (this.#times.get(payer) ?? this.#floor) + tokens / weight);
  }

  #cut(item: T): void {
    const line = (this.#lines.get(item.payer) ?? []).filter((other) => other !== item);
    if (line.length > 0) this.#lines.set(item.payer, line);
    else this.#lines.delete(item.payer);
    this.#length--;
  }

  /** A payer with nothing here is not remembered, so that payers do not add up. */
  #forget(payer: string): void {
    if (this.#lines.has(payer) || this.#running.has(payer)) return;
    this.#times.delete(payer);
    this.#weights.delete(payer);
    this.#owed.delete(payer);
  }
}
