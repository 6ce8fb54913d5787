/** Randomness as an argument, so that a simulator can seed it. */
export interface Dice {
  /** `length` unpredictable bytes. */
  bytes(length: number): Uint8Array;
}

/** The operating system's cryptographic generator. */
export const systemDice: Dice = {
  bytes: (length) => globalThis.crypto.getRandomValues(new Uint8Array(length)),
};
