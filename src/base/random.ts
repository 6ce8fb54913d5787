/** Randomness as an argument, so that a simulator can seed it. */
export interface Dice {
  /** `length` unpredictable bytes. */
  bytes(length: number): Uint8Array;
}

/** The operating system's cryptographic generator. */
export const systemDice: Dice = {
  bytes: (length) => {
    if (length > POOLED_BYTES_MAX) return globalThis.crypto.getRandomValues(new Uint8Array(length));
    if (left < length) {
      globalThis.crypto.getRandomValues(pool);
      left = pool.length;
    }
    left -= length;
    const drawn = pool.slice(left, left + length);
    // What was handed out is nowhere else.
    pool.fill(0, left, left + length);
    return drawn;
  },
};

/** Names of calls and messages come out of a stock: drawing sixteen bytes costs as much as drawing all of it. */
const POOLED_BYTES_MAX = 16;
const pool = new Uint8Array(2_048);
let left = 0;
