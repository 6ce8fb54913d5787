/**
 * What a merge method is. Every method is stated as contributions: with `delta_i = theta_i - theta_0` (or `theta_i`
 * itself when it has no base) it turns each delta into a contribution `c_i`, and the output is
 * `theta_0 + sum c_i`, exactly. Shares follow from the contributions alone (`shares.ts`).
 */
import type { TensorContext, Tile } from './context.ts';
import type { Settings, TensorTask } from './task.ts';

/** A setting of a method, as recipes name it. */
export interface Parameter {
  readonly name: string;
  /** Whether every model has its own. */
  readonly perModel: boolean;
  readonly type: 'number' | 'flag' | 'choice';
  /** Its value where a recipe says nothing; absent: the recipe must say it. */
  readonly default?: number | boolean | string;
  /** Least and greatest number. */
  readonly min?: number;
  readonly max?: number;
  /** The words that a choice knows. */
  readonly choices?: readonly string[];
  /** What it means, in a few words. */
  readonly meaning: string;
}

/**
 * What a recipe's `base_model` is to a method: `required`: deltas are taken from it; `optional`: the same if given;
 * `first`: it is a parent like the others and stands first; `none`: it means nothing to the method.
 */
export type BaseRole = 'required' | 'optional' | 'first' | 'none';

/** Turns the deltas of a tile into contributions, in place. */
export type Contribute = (tile: Tile) => void;

/** Inputs of a reference computation. */
export interface ReferenceInput {
  readonly models: readonly Float64Array[];
  readonly base?: Float64Array;
  readonly shape: readonly number[];
  readonly settings: Settings;
  /** The counter hash of a model's position and an element's index. */
  readonly hash: (position: number, index: number) => number;
}

/** A merge method. */
export interface Method {
  /** Its name in recipes. */
  readonly name: string;
  readonly summary: string;
  readonly parameters: readonly Parameter[];
  /** How many models it takes, the base not counted unless its role is `first`. */
  readonly models: { readonly min: number; readonly max: number };
  readonly base: BaseRole;
  /** Whether tiles must be whole rows with these settings. */
  readonly rows?: (settings: Settings) => boolean;
  /** Histograms of 256 KiB that it needs for `models` models. */
  readonly histograms?: (models: number) => number;
  /** Bytes that it needs beside lanes and histograms. */
  readonly scratchBytes?: (task: TensorTask) => number;
  /** What is wrong with settings that are each in range, or `undefined`. */
  readonly check?: (settings: Settings) => string | undefined;
  /** Looks at the whole tensor as often as it needs, then says how a tile's deltas become contributions. */
  readonly begin: (context: TensorContext) => Contribute;
  /**
   * The contributions in f64, by the formula and nothing else. Choices that hang on a comparison (masks, votes) are
   * made on the f32 values that `spec/merge.md` defines, so that the two can be compared element by element.
   */
  readonly reference: (input: ReferenceInput) => Float64Array[];
}
