/** Values as a recipe's YAML has them, taken apart with everything that is wrong noted down and none of it thrown. */
import { nearestNames } from '../base/nearest.ts';
import { RECIPE_DTYPES, recipeDtype, type WeightType } from './dtypes.ts';
import { type Condition, isScalar, type Setting, type SettingMap } from './settings.ts';

/** Whether a value is a mapping. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whether a value is left out. */
export function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null;
}

/** Whether a value is a whole number of at least zero. */
export function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** `; did you mean NAME?`, or nothing when no name is near. */
export function meant(wanted: string, names: Iterable<string>): string {
  const near = nearestNames(wanted, names, 1)[0];
  return near === undefined ? '' : `; did you mean ${near}?`;
}

/** Reads values and gathers what is wrong with them. */
export class ValueReader {
  readonly problems: Set<string> = new Set();
  readonly notes: Set<string> = new Set();

  /** Notes keys that are not known. */
  keys(
    value: Record<string, unknown>,
    { where, known }: { readonly where: string; readonly known: readonly string[] },
  ): void {
    for (const key of Object.keys(value)) {
      if (!known.includes(key)) this.problems.add(`${where}: unknown key ${key}${meant(key, known)}`);
    }
  }

  list(value: unknown, where: string, most: number): readonly unknown[] {
    if (Array.isArray(value) && value.length > 0 && value.length <= most) return value;
    this.problems.add(`${where} is not a list of 1 to ${most} items`);
    return [];
  }

  text(value: unknown, where: string): string | undefined {
    if (typeof value === 'string' && value !== '') return value;
    this.problems.add(`${where} is missing or not a text`);
    return undefined;
  }

  optional(value: unknown, where: string): string | undefined {
    return isAbsent(value) ? undefined : this.text(value, where);
  }

  flag(value: unknown, where: string): boolean {
    if (!isAbsent(value) && typeof value !== 'boolean') this.problems.add(`${where} is not true or false`);
    return value === true;
  }

  /** A model as `PATH`, `PATH@REVISION`, or mergekit's mapping of the same. */
  model(value: unknown, where: string): string | undefined {
    if (!isRecord(value)) return this.text(value, where);
    if (value.model !== undefined) {
      this.keys(value, { where, known: ['model', 'lora', 'override_architecture'] });
      if (!isAbsent(value.lora)) this.problems.add(`${where}: ${ADAPTER_REFUSED}`);
      if (!isAbsent(value.override_architecture))
        this.notes.add(`${where}: override_architecture has no effect: tensors are matched by name`);
      return this.model(value.model, `${where}.model`);
    }
    this.keys(value, { where, known: ['path', 'revision'] });
    const path = this.text(value.path, `${where}.path`);
    const revision = this.optional(value.revision, `${where}.revision`);
    return path === undefined || revision === undefined ? path : `${path}@${revision}`;
  }

  range(value: unknown, where: string): [number, number] | undefined {
    if (Array.isArray(value) && value.length === 2) {
      const [from, to]: unknown[] = value;
      if (isCount(from) && isCount(to) && from < to) return [from, to];
    }
    this.problems.add(`${where} is not [first, one after last]`);
    return undefined;
  }

  dtype(value: unknown, where: string): WeightType | undefined {
    if (isAbsent(value)) return undefined;
    const name = String(value);
    const dtype = recipeDtype(name.replace(/^torch\./, ''));
    if (dtype === undefined) this.problems.add(`${where}: ${name} is not one of ${RECIPE_DTYPES.join(', ')}`);
    return dtype;
  }

  settings(value: unknown, where: string): SettingMap {
    if (isAbsent(value)) return {};
    if (!isRecord(value)) {
      this.problems.add(`${where} is not a mapping`);
      return {};
    }
    const settings: Record<string, Setting> = Object.create(null);
    for (const [name, item] of Object.entries(value)) {
      const setting = this.#setting(item, `${where}.${name}`);
      if (setting !== undefined) settings[name] = setting;
    }
    return settings;
  }

  #setting(value: unknown, where: string): Setting | undefined {
    const plain = plainValue(value);
    if (plain !== undefined) return plain;
    const list = Array.isArray(value) ? value : [value];
    const conditions = list.flatMap((item: unknown): Condition[] => {
      if (!isRecord(item)) return [];
      const { filter, value: inner } = item;
      const scalar = plainValue(inner);
      if (scalar === undefined || !(isAbsent(filter) || typeof filter === 'string')) return [];
      return [typeof filter === 'string' ? { filter, value: scalar } : { value: scalar }];
    });
    if (list.length > 0 && conditions.length === list.length) return conditions;
    this.problems.add(`${where} is not a value, a list of numbers, or a list of filters with values`);
    return undefined;
  }

  /** Notes a problem where a list is wanted. */
  wrong(problem: string): [] {
    this.problems.add(problem);
    return [];
  }
}

/** Why `model+adapter` is not taken. */
export const ADAPTER_REFUSED: string =
  'an adapter in a recipe is not supported: bake it into its model first, and name that';

function plainValue(value: unknown): Condition['value'] | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined;
  if (isScalar(value)) return value;
  // mergekit reads flags in a gradient as 1 and 0.
  const numeric = (item: unknown): boolean =>
    typeof item === 'boolean' || (typeof item === 'number' && Number.isFinite(item));
  return Array.isArray(value) && value.length > 0 && value.every(numeric) ? value.map(Number) : undefined;
}
