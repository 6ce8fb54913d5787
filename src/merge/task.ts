/** One tensor's work, complete and plain, so that it can be sent to a worker, stored, and done again by a verifier. */
import { createHash } from 'node:crypto';
import { utf8 } from '../base/bytes.ts';
import { invariant } from '../base/errors.ts';
import type { JoinedRows } from './joined-rows.ts';
import type { ScaleSource } from './scaled.ts';

/** A method's settings for one tensor: scalars, and a list for what each model has of its own. */
export type Settings = Readonly<Record<string, number | boolean | string | readonly number[]>>;

/** Where an input tensor's bytes lie. */
export interface TensorSource {
  readonly path: string;
  readonly dtype: string;
  /** Start of the data in the file, in bytes. */
  readonly offset: number;
  /** Scales of FP8. */
  readonly scale?: ScaleSource;
  /** Its rows in a joined vocabulary, where they are not as they are stored. */
  readonly rows?: JoinedRows;
  /** Bytes to read; fewer than the tensor has when it is cropped to the rows that all models share. */
  readonly sizeBytes: number;
}

/** Where an output tensor's bytes go. */
export interface TensorTarget {
  readonly path: string;
  readonly dtype: string;
  readonly offset: number;
  readonly sizeBytes: number;
  /** Rows and columns that share a scale, where FP8 is written. */
  readonly block?: readonly [number, number];
}

/** How results are rounded to the output type. */
export type Rounding = 'nearest' | 'stochastic';

/** What a worker does for one output tensor. */
export interface TensorTask {
  readonly name: string;
  readonly shape: readonly number[];
  readonly elements: number;
  /**
   * `merge` computes; `scales` finds what `weights` is divided by in FP8; `copy` moves bytes that must be the same in
   * every model (integers, flags).
   */
  readonly kind: 'merge' | 'scales' | 'copy';
  /** Of `scales`: the task whose scales they are. */
  readonly weights?: TensorTask;
  readonly method: string;
  readonly settings: Settings;
  /** The models in the recipe's order, without the base. */
  readonly models: readonly TensorSource[];
  /** For each of `models`, its place among the plan's parents. */
  readonly parents: readonly number[];
  /** Parents beyond those that give rows to a joined vocabulary; their contributions follow those of `models`. */
  readonly donors?: readonly number[];
  readonly base?: TensorSource;
  readonly target: TensorTarget;
  readonly rounding: Rounding;
  readonly seed: string;
}

/** For each contribution of a task, the parent it comes from. */
export function contributors({ parents, donors = [] }: Pick<TensorTask, 'parents' | 'donors'>): number[] {
  return [...parents, ...donors];
}

/** Whether any of a task's tensors is joined from several vocabularies. */
export function isJoined({ models, base }: Pick<TensorTask, 'models' | 'base'>): boolean {
  return [...models, ...(base ? [base] : [])].some(({ rows }) => rows !== undefined);
}

/** Length of a row: the last dimension, or everything for a vector or a scalar. */
export function rowLength(task: Pick<TensorTask, 'shape' | 'elements'>): number {
  return task.shape.length > 1 ? (task.shape.at(-1) ?? 1) : task.elements;
}

/** The number `name` of `settings`. */
export function numberOf(settings: Settings, name: string): number {
  const value = settings[name];
  invariant(typeof value === 'number', `${name} is a number`);
  return value;
}

/** The flag `name` of `settings`. */
export function flagOf(settings: Settings, name: string): boolean {
  const value = settings[name];
  invariant(typeof value === 'boolean', `${name} is a flag`);
  return value;
}

/** The numbers that each model has under `name`. */
export function listOf(settings: Settings, name: string): readonly number[] {
  const value = settings[name];
  invariant(Array.isArray(value), `${name} is a list`);
  return value;
}

/** The `position`-th number that the models have under `name`. */
export function itemOf(settings: Settings, name: string, position: number): number {
  const value = listOf(settings, name)[position];
  invariant(value !== undefined, `${name} has an item for every model`);
  return value;
}

/** Two 32-bit keys of the counter hash. */
export interface HashKey {
  readonly k0: number;
  readonly k1: number;
}

/** Position under which rounding draws; models draw under their own, from 0. */
export const ROUNDING_POSITION: number = -1;

/** The keys for one tensor and one model: the first eight bytes of a SHA-256, little-endian (`spec/merge.md`). */
export function hashKey(task: Pick<TensorTask, 'seed' | 'name'>, position: number): HashKey {
  const text = JSON.stringify(['sahara-merge/1', task.seed, task.name, position]);
  const digest = createHash('sha256').update(utf8(text)).digest();
  return { k0: digest.readUInt32LE(0), k1: digest.readUInt32LE(4) };
}

/** The counter hash in plain TypeScript, equal to the kernel's: a permutation of the 32-bit index. */
export function counterHash(index: number, { k0, k1 }: HashKey): number {
  return finalise((finalise((index ^ k0) >>> 0) + k1) >>> 0);
}

function finalise(h: number): number {
  let mixed = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** Reads and writes one task's bytes. Synchronous: a worker has nothing else to do meanwhile. */
export interface TensorIo {
  /** Fills `into` from `source`, `offset` bytes after its start. */
  read(source: TensorSource, offset: number, into: Uint8Array): void;
  /** Puts `bytes` into the target, `offset` bytes after its start. */
  write(target: TensorTarget, offset: number, bytes: Uint8Array): void;
}

/** What came of a task. */
export interface TensorResult {
  /** SHA-256 of the output tensor's bytes, in hex. */
  readonly sha256: string;
  /**
   * SHA-256 of what was read of each model, the base's last if there is one; of rows that were joined, of the f32 that
   * they came to.
   */
  readonly inputs: readonly string[];
  /** Inner products of the contributions, row by row, all of the square matrix; empty for a copy. */
  readonly gram: readonly number[];
  /** Squared norm of the base tensor; 0 without one. */
  readonly baseNorm: number;
  /** Squared norm of what rounding to the output type changed. */
  readonly roundingNorm: number;
  /** Part of the update that is left in the written tensor, as a projection: 1 when nothing is lost; 1 without a base. */
  readonly survival: number;
}
