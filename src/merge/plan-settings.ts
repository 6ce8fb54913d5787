/** Settings of a recipe against what its method knows. */

import { nearestNames } from '../base/nearest.ts';
import type { Method, Parameter } from './method.ts';
import { METHODS } from './methods.ts';
import type { PlanParts } from './plan-tensors.ts';
import { placesOf, type Recipe } from './recipe-content.ts';
import { evaluate, type Scalar, type SettingMap } from './settings.ts';
import type { Settings } from './task.ts';

// Their masks are drawn, and mergekit's from a generator that depends on the order of all it does.
const RANDOM = ['dare_linear', 'dare_ties', 'della', 'della_linear'];

// Known to mergekit, without meaning here: arithmetic is in f32 whatever they say.
const IGNORED = ['int8_mask'];

/** Reports settings that no method knows, and warns of those that this one does not use. */
export function checkSettings(
  recipe: Recipe,
  { method, report }: Pick<PlanParts, 'method' | 'report'>,
): void {
  const used = new Set(method.parameters.map(({ name }) => name));
  if (recipe.parameters.compat !== undefined) {
    if (RANDOM.includes(method.name))
      report.warnings.add(`${method.name} keeps as many elements as mergekit, not the same`);
    if (recipe.dtype !== 'F32')
      report.warnings.add('mergekit computes in its dtype, this in float32 whatever that is');
  }
  const known = new Set(
    [...METHODS.values()].flatMap(({ parameters }) => parameters.map(({ name }) => name)),
  );
  const names = new Set(
    [recipe, ...placesOf(recipe.content)].flatMap(({ parameters }) => Object.keys(parameters)),
  );
  for (const name of names) {
    if (used.has(name)) continue;
    if (known.has(name) || IGNORED.includes(name)) {
      report.warnings.add(`${name} has no effect on ${method.name}`);
      continue;
    }
    const near = nearestNames(name, used.size > 0 ? used : known, 1)[0];
    report.problems.add(`unknown setting ${name}${near === undefined ? '' : `; did you mean ${near}?`}`);
  }
}

/** Where a tensor's settings come from, the nearest map first. */
export interface SettingPlace {
  readonly name: string;
  /** How far through the layers of its slice the tensor is, 0 to 1. */
  readonly progress: number;
  /** For each model: its own map, then those around it. */
  readonly maps: readonly (readonly SettingMap[])[];
  /** The maps that hold for all models. */
  readonly shared: readonly SettingMap[];
  /** The models' names. */
  readonly labels: readonly string[];
}

/** The settings of one tensor, or `undefined` after reporting what is wrong with them. */
export function resolveSettings(
  method: Method,
  place: SettingPlace,
  problems: Set<string>,
): Settings | undefined {
  const settings: Record<string, number | boolean | string | readonly number[]> = {};
  let sound = true;
  for (const parameter of method.parameters) {
    const value = parameter.perModel
      ? listValue(parameter, { method, place, problems })
      : oneValue(parameter, { method, place, problems });
    if (value === undefined) sound = false;
    else settings[parameter.name] = value;
  }
  if (!sound) return undefined;
  const wrong = method.check?.(settings);
  if (wrong === undefined) return settings;
  problems.add(`${method.name}: ${wrong}`);
  return undefined;
}

interface Asked {
  readonly method: Method;
  readonly place: SettingPlace;
  readonly problems: Set<string>;
}

function listValue(parameter: Parameter, asked: Asked): readonly number[] | undefined {
  const values = asked.place.maps.map((maps, i) => {
    const label = `${asked.place.labels[i]}: ${parameter.name}`;
    const value = checked(parameter, { found: lookUp(parameter.name, maps, asked.place), label, ...asked });
    return typeof value === 'number' ? value : undefined;
  });
  return values.every((value) => value !== undefined) ? values : undefined;
}

function oneValue(parameter: Parameter, asked: Asked): Scalar | undefined {
  // mergekit's users write a method's settings beside a model as well as globally; the first model's counts then.
  const maps = [...asked.place.shared, ...asked.place.maps.flat()];
  return checked(parameter, {
    found: lookUp(parameter.name, maps, asked.place),
    label: parameter.name,
    ...asked,
  });
}

function lookUp(name: string, maps: readonly SettingMap[], place: SettingPlace): Scalar | undefined {
  for (const map of maps) {
    const setting = map[name];
    const value = setting === undefined ? undefined : evaluate(setting, place.name, place.progress);
    if (value !== undefined) return value;
  }
  return undefined;
}

function checked(
  parameter: Parameter,
  { found, label, method, problems }: Asked & { readonly found: Scalar | undefined; readonly label: string },
): Scalar | undefined {
  const value = found ?? parameter.default;
  if (value === undefined) {
    problems.add(`${label} is missing: ${method.name} needs it (${parameter.meaning})`);
    return undefined;
  }
  const fitting = admit(parameter, value);
  if (fitting === undefined) problems.add(`${label} is ${value}, not ${describe(parameter)}`);
  return fitting;
}

function admit({ type, min, max, choices }: Parameter, value: Scalar): Scalar | undefined {
  switch (type) {
    case 'number': {
      const inRange = typeof value === 'number' && value >= (min ?? -Infinity) && value <= (max ?? Infinity);
      return inRange ? value : undefined;
    }
    case 'flag':
      return typeof value === 'boolean' ? value : typeof value === 'number' ? value !== 0 : undefined;
    case 'choice':
      return typeof value === 'string' && choices?.includes(value) ? value : undefined;
  }
}

function describe({ type, min, max, choices }: Parameter): string {
  if (type === 'flag') return 'true or false';
  if (type === 'choice') return `one of ${choices?.join(', ')}`;
  if (min !== undefined && max !== undefined) return `a number from ${min} to ${max}`;
  return min === undefined ? 'a number' : `a number of at least ${min}`;
}
