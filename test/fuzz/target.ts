/** What is fuzzed, and what has to hold of it. */
import { equalBytes } from '../../src/base/bytes.ts';
import { type ErrorKind, SaharaError } from '../../src/base/errors.ts';
import type { Schema } from '../../src/protocol/schema.ts';
import type { Random } from './random.ts';

/** A decoder, or a service behind one. */
export interface Target {
  /** Its name on the command line. */
  readonly name: string;
  /** Largest input that reaches it, bytes; inputs are cut to it. */
  readonly sizeBytesMax: number;
  /** Sound inputs. Not empty. */
  readonly corpus: readonly Uint8Array[];
  /** A bent input; the same draws make the same one. */
  bend(seed: Uint8Array, random: Random, corpus: readonly Uint8Array[]): Uint8Array;
  /** Takes an input. What it throws is judged by `mayRefuse`. */
  take(input: Uint8Array): unknown;
  /** Kinds of error that it may answer with, besides those that every decoder may. */
  readonly also?: readonly ErrorKind[];
  /** Releases what it holds. */
  readonly stop?: () => Promise<void>;
}

/** A target that has to be made, such as a service with a store. */
export interface TargetMaker {
  readonly name: string;
  create(): Target | Promise<Target>;
  /** How many inputs the default tests give it. */
  readonly shortCount?: number;
}

/** A property that did not hold. */
export class Broken extends Error {
  override readonly name = 'Broken';
}

const KINDS: readonly ErrorKind[] = ['input', 'refused', 'corrupt'];

/** Whether a decoder may answer with `error`: ours, and never a defect. */
export function mayRefuse(target: Target, error: unknown): boolean {
  return error instanceof SaharaError && [...KINDS, ...(target.also ?? [])].includes(error.kind);
}

/** Fails the input unless `held`. */
export function holds(held: boolean, what: string): asserts held {
  if (!held) throw new Broken(what);
}

/** Most memory of a decoded value, in bytes for each byte of its encoding, and besides. */
const WEIGHT_PER_BYTE = 96;
const WEIGHT_BESIDES = 8192;

/** Decodes by `schema`: what it accepts has one encoding and is not much larger than it. */
export function decodeStrictly<T>(schema: Schema<T>, input: Uint8Array): T {
  const value = schema.decode(input);
  holds(equalBytes(schema.encode(value), input), 'accepted bytes are not the encoding of what they say');
  checkWeight(value, input.length);
  return value;
}

/** A value read from `sizeBytes` bytes takes memory in proportion to them. */
export function checkWeight(value: unknown, sizeBytes: number): void {
  const weight = weightOf(value, new Set());
  const most = WEIGHT_BESIDES + WEIGHT_PER_BYTE * sizeBytes;
  holds(weight <= most, `${sizeBytes} bytes became a value of about ${weight} bytes`);
}

/** About how much memory a value takes: objects and strings counted once, views of the input as their heads. */
function weightOf(value: unknown, seen: Set<unknown>): number {
  if (typeof value === 'string') return 16 + 2 * value.length;
  if (typeof value === 'bigint') return 24;
  if (typeof value !== 'object' || value === null) return 8;
  if (seen.has(value)) return 8;
  seen.add(value);
  if (ArrayBuffer.isView(value)) return 96;
  let weight = 32;
  if (value instanceof Map) {
    for (const [key, inside] of value) weight += 32 + weightOf(key, seen) + weightOf(inside, seen);
    return weight;
  }
  for (const inside of Object.values(value)) weight += 8 + weightOf(inside, seen);
  return weight;
}
