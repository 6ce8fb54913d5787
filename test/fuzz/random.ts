/** Randomness that one number decides, so that every input can be made again. */

/** Draws that repeat for the same seed. */
export interface Random {
  /** An integer from 0 to `below` - 1; 0 when `below` is less than 1. */
  below(below: number): number;
  /** True once in `times` draws on average. */
  once(times: number): boolean;
  /** One of `values`, which are not empty. */
  pick<T>(values: readonly T[]): T;
  /** `length` bytes. */
  bytes(length: number): Uint8Array;
}

/** The draws of `seeds`, mixed (splitmix32). */
export function createRandom(...seeds: readonly number[]): Random {
  let state = 0x9e37_79b9;
  const next = (): number => {
    state = (state + 0x9e37_79b9) | 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0_aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a_2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  };
  for (const seed of seeds) state = (next() ^ Math.imul(seed | 0, 0x85eb_ca6b)) | 0;
  const below = (limit: number): number => (limit < 1 ? 0 : Math.floor((next() / 2 ** 32) * limit));
  return {
    below,
    once: (times) => below(times) === 0,
    pick: (values) => {
      const value = values[below(values.length)];
      if (value === undefined) throw new RangeError('nothing to pick from');
      return value;
    },
    bytes: (length) => Uint8Array.from({ length }, () => below(256)),
  };
}

/** Draws that the bytes themselves decide: what a target needs beside its input. */
export function randomOf(input: Uint8Array): Random {
  let hash = 0x811c_9dc5;
  for (const byte of input) hash = Math.imul(hash ^ byte, 0x0100_0193);
  return createRandom(hash, input.length);
}
