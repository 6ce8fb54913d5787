/**
 * Values as recipes write them: a number, a gradient over the layers of a slice, or a list of conditions on the
 * tensor's name; and what they come to for one tensor. The rules are mergekit's.
 */

/** A plain value. */
export type Scalar = number | boolean | string;

/** A value that may depend on the layer and the tensor's name. */
export type Setting = Scalar | readonly number[] | readonly Condition[];

/** A value for the tensors whose name contains `filter`; without one, for all that are left. */
export interface Condition {
  readonly filter?: string;
  readonly value: Scalar | readonly number[];
}

/** Settings by name. */
export type SettingMap = Readonly<Record<string, Setting>>;

/**
 * What `setting` comes to for tensor `name` at `progress` through the layers of its slice, 0 to 1; `undefined` when no
 * condition fits. Gradients are interpolated linearly; the first condition that fits wins.
 */
export function evaluate(setting: Setting, name: string, progress: number): Scalar | undefined {
  if (!Array.isArray(setting)) return isScalar(setting) ? setting : undefined;
  if (setting.every((item) => typeof item === 'number')) return interpolate(setting, progress);
  for (const condition of setting) {
    if (typeof condition !== 'object') continue;
    const { filter, value } = condition;
    if (filter === undefined || filter === '*' || name.includes(filter))
      return evaluate(value, name, progress);
  }
  return undefined;
}

function interpolate(gradient: readonly number[], progress: number): number | undefined {
  const at = progress * (gradient.length - 1);
  const low = Math.floor(at);
  const part = at - low;
  const from = gradient[low];
  if (from === undefined) return undefined;
  return (1 - part) * from + part * (gradient[low + 1] ?? from);
}

/** Whether a value is a plain one. */
export function isScalar(value: unknown): value is Scalar {
  return typeof value === 'number' || typeof value === 'boolean' || typeof value === 'string';
}
