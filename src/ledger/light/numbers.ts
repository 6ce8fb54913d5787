/** Which numbers of an account a home used by itself, to tell when somebody else with the same key sent something. */
export class OwnNumbers {
  readonly #used = new Set<number>();

  /** A transaction with this number was handed in here. */
  use(nonce: number): void {
    this.#used.add(nonce);
  }

  /** The account went from one next number to another: whether a number between them was used elsewhere. */
  passed(from: number, to: number): boolean {
    let elsewhere = false;
    for (let nonce = from; nonce < to && !elsewhere; nonce++) elsewhere = !this.#used.has(nonce);
    for (const nonce of this.#used) if (nonce < to) this.#used.delete(nonce);
    return elsewhere;
  }
}
