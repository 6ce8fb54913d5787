/** Keeps what was used last, up to a total weight. */
export class Lru<V> {
  readonly #values = new Map<string, { readonly value: V; readonly weight: number }>();
  readonly #weightMax: number;
  #weight = 0;

  constructor(weightMax: number) {
    this.#weightMax = weightMax;
  }

  /** Weight of everything kept. */
  get weight(): number {
    return this.#weight;
  }

  get(key: string): V | undefined {
    const entry = this.#values.get(key);
    if (entry === undefined) return undefined;
    this.#values.delete(key);
    this.#values.set(key, entry);
    return entry.value;
  }

  set(key: string, value: V, weight: number): void {
    this.#delete(key);
    if (weight > this.#weightMax) return;
    this.#values.set(key, { value, weight });
    this.#weight += weight;
    for (const oldest of this.#values.keys()) {
      if (this.#weight <= this.#weightMax) break;
      this.#delete(oldest);
    }
  }

  #delete(key: string): void {
    const entry = this.#values.get(key);
    if (entry === undefined) return;
    this.#weight -= entry.weight;
    this.#values.delete(key);
  }
}
