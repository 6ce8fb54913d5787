/**
 * A map of what comes and goes. V8 moves a map to a new table whenever enough came and went, and each old table names
 * the next: once one of them has outlived two small collections of garbage, it keeps all that follow, with everything
 * that was in them, until the next full one. With calls in it that is all that any call ever held. Here each value
 * stands in a cell, which is emptied when it leaves, and old tables keep empty cells.
 */
export class Passing<K extends string | number, V extends object> {
  readonly #cells = new Map<K, { value: V | undefined }>();

  /** How many are here. */
  get size(): number {
    return this.#cells.size;
  }

  get(key: K): V | undefined {
    return this.#cells.get(key)?.value;
  }

  has(key: K): boolean {
    return this.#cells.has(key);
  }

  set(key: K, value: V): void {
    const cell = this.#cells.get(key);
    if (cell === undefined) this.#cells.set(key, { value });
    else cell.value = value;
  }

  /** Whether it was here. */
  delete(key: K): boolean {
    const cell = this.#cells.get(key);
    if (cell === undefined) return false;
    cell.value = undefined;
    return this.#cells.delete(key);
  }

  keys(): Iterable<K> {
    return this.#cells.keys();
  }

  /** In the order in which they came; who leaves meanwhile is passed over. */
  *values(): Generator<V> {
    for (const { value } of this.#cells.values()) if (value !== undefined) yield value;
  }
}
