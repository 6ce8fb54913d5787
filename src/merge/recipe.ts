/**
 * Recipes: what to merge and how, in mergekit's YAML, read as it is. Everything wrong with a recipe is told at once,
 * each with its place and, for a misspelt name, the nearest right one.
 */
import { parseDocument } from 'yaml';
import { utf8 } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import { nearestNames } from '../base/nearest.ts';
import { RECIPE_DTYPES, recipeDtype, type WeightType } from './dtypes.ts';
import { MODELS_MAX, PROBLEMS_MAX, RECIPE_BYTES_MAX, SLICES_MAX } from './limits.ts';
import { type Condition, isScalar, type Setting, type SettingMap } from './settings.ts';

/** A model that takes part, with settings of its own. */
export interface RecipeModel {
  /** How the recipe names it. */
  readonly model: string;
  readonly parameters: SettingMap;
}

/** A run of layers of one model. */
export interface RecipeSource extends RecipeModel {
  /** First layer, and the one after the last. */
  readonly layerRange: readonly [number, number];
}

/** Layers of the output, made of as many layers of each source. */
export interface RecipeSlice {
  readonly sources: readonly RecipeSource[];
  readonly parameters: SettingMap;
}

/** A recipe that is well-formed; whether its models fit together is the planner's question. */
export interface Recipe {
  readonly method: string;
  readonly baseModel?: string;
  /** Whole models, or slices of them. */
  readonly content: { readonly models: readonly RecipeModel[] } | { readonly slices: readonly RecipeSlice[] };
  readonly parameters: SettingMap;
  /** Type of the output: `out_dtype`, or else `dtype`, or else that of the inputs. */
  readonly dtype?: WeightType;
  /** Whose tokenizer the output gets: `base`, `union`, or a model. */
  readonly tokenizerSource?: string;
  /** How the output writes a conversation: a name, `auto`, or a template. */
  readonly chatTemplate?: string;
  /** The text it was read from. */
  readonly text: string;
}

/** The error for `problems`, at most a hundred of them. */
export function recipeInvalid(problems: Iterable<string>): SaharaError {
  return new SaharaError('recipe-invalid', { problems: [...problems].slice(0, PROBLEMS_MAX) });
}

/** Reads a recipe. Fails with `recipe-invalid`, `problems` listing everything that is wrong. */
export function parseRecipe(text: string): Recipe {
  if (utf8(text).length > RECIPE_BYTES_MAX)
    throw new SaharaError('too-large', { bytesMax: RECIPE_BYTES_MAX });
  const document = parsed(text);
  if (document.errors.length > 0) throw recipeInvalid(document.errors.map((error) => error.message));
  const reader = new RecipeReader();
  const recipe = reader.recipe(toValue(document), text);
  if (!recipe || reader.problems.size > 0) throw recipeInvalid(reader.problems);
  return recipe;
}

function parsed(text: string): ReturnType<typeof parseDocument> {
  try {
    return parseDocument(text, { uniqueKeys: true });
  } catch (error) {
    // The parser out of stack on absurd nesting: the text's fault.
    if (error instanceof RangeError) throw recipeInvalid(['it is nested too deeply']);
    throw error;
  }
}

function toValue(document: ReturnType<typeof parseDocument>): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw new SaharaError('recipe-invalid', { problems: ['too many aliases'] }, { cause: error });
  }
}

const RECIPE_KEYS = [
  'merge_method',
  'models',
  'slices',
  'base_model',
  'parameters',
  'dtype',
  'out_dtype',
  'tokenizer_source',
  'tokenizer',
  'chat_template',
  'name',
  'compat',
];
// What mergekit knows and this engine does not: named, so that the answer is not "misspelt".
const FOREIGN_KEYS = ['modules'];

class RecipeReader {
  readonly problems: Set<string> = new Set();

  recipe(value: unknown, text: string): Recipe | undefined {
    if (!isRecord(value)) {
      this.problems.add('a recipe is a mapping of keys to values');
      return undefined;
    }
    this.#keys(value, { where: 'recipe', known: RECIPE_KEYS, foreign: FOREIGN_KEYS });
    const method = this.#text(value.merge_method, 'merge_method');
    const baseModel = this.#optional(value.base_model, 'base_model');
    const tokenizerSource = this.#tokenizer(value);
    const chatTemplate = this.#optional(value.chat_template, 'chat_template');
    const dtype = this.#dtype(value.out_dtype, 'out_dtype') ?? this.#dtype(value.dtype, 'dtype');
    const content = this.#content(value);
    if (method === undefined || content === undefined) return undefined;
    return {
      method,
      ...(baseModel === undefined ? {} : { baseModel }),
      content,
      parameters: { ...this.#settings(value.parameters, 'parameters'), ...this.#compat(value.compat) },
      ...(dtype === undefined ? {} : { dtype }),
      ...(tokenizerSource === undefined ? {} : { tokenizerSource }),
      ...(chatTemplate === undefined ? {} : { chatTemplate }),
      text,
    };
  }

  // Said by a key of its own, or as part of what is said of the tokenizer.
  #tokenizer({ tokenizer, tokenizer_source: source }: Record<string, unknown>): string | undefined {
    if (tokenizer === undefined || tokenizer === null) return this.#optional(source, 'tokenizer_source');
    if (source !== undefined) this.problems.add('a recipe has either tokenizer_source or tokenizer');
    if (!isRecord(tokenizer)) {
      this.problems.add('tokenizer is not a mapping');
      return undefined;
    }
    this.#keys(tokenizer, {
      where: 'tokenizer',
      known: ['source'],
      foreign: ['tokens', 'pad_to_multiple_of'],
    });
    return this.#optional(tokenizer.source, 'tokenizer.source') ?? 'union';
  }

  // Not a key of mergekit's; it holds for all methods that know it.
  #compat(value: unknown): SettingMap {
    if (value === undefined || value === null) return {};
    if (value !== 'mergekit') this.problems.add(`compat: ${String(value)} is not mergekit`);
    return { compat: 'mergekit' };
  }

  #content(value: Record<string, unknown>): Recipe['content'] | undefined {
    const { models, slices } = value;
    if ((models === undefined) === (slices === undefined)) {
      this.problems.add('a recipe has either models or slices');
      return undefined;
    }
    if (models !== undefined) {
      return {
        models: this.#list(models, 'models', MODELS_MAX).flatMap((item, i) =>
          this.#model(item, `models[${i}]`),
        ),
      };
    }
    return {
      slices: this.#list(slices, 'slices', SLICES_MAX).flatMap((item, i) =>
        this.#slice(item, `slices[${i}]`),
      ),
    };
  }

  #model(value: unknown, where: string): RecipeModel[] {
    if (!isRecord(value)) return this.#wrong(`${where} is not a mapping`);
    this.#keys(value, { where, known: ['model', 'parameters', 'layer_range'], foreign: [] });
    const model = this.#text(value.model, `${where}.model`);
    if (value.layer_range !== undefined) this.problems.add(`${where}.layer_range belongs into slices`);
    if (model === undefined) return [];
    return [{ model, parameters: this.#settings(value.parameters, `${where}.parameters`) }];
  }

  #slice(value: unknown, where: string): RecipeSlice[] {
    if (!isRecord(value)) return this.#wrong(`${where} is not a mapping`);
    this.#keys(value, {
      where,
      known: ['sources', 'parameters'],
      foreign: ['residual_weight', 'base_model'],
    });
    const list = this.#list(value.sources, `${where}.sources`, MODELS_MAX);
    const sources = list.flatMap((item, i) => this.#source(item, `${where}.sources[${i}]`));
    const lengths = new Set(sources.map(({ layerRange: [from, to] }) => to - from));
    if (lengths.size > 1) this.problems.add(`${where}: the sources have different numbers of layers`);
    return [{ sources, parameters: this.#settings(value.parameters, `${where}.parameters`) }];
  }

  #source(value: unknown, where: string): RecipeSource[] {
    if (!isRecord(value)) return this.#wrong(`${where} is not a mapping`);
    this.#keys(value, { where, known: ['model', 'parameters', 'layer_range'], foreign: [] });
    const model = this.#text(value.model, `${where}.model`);
    const layerRange = this.#range(value.layer_range, `${where}.layer_range`);
    const parameters = this.#settings(value.parameters, `${where}.parameters`);
    return model === undefined || layerRange === undefined ? [] : [{ model, layerRange, parameters }];
  }

  #range(value: unknown, where: string): [number, number] | undefined {
    if (Array.isArray(value) && value.length === 2) {
      const [from, to]: unknown[] = value;
      if (isCount(from) && isCount(to) && from < to) return [from, to];
    }
    this.problems.add(`${where} is not [first, one after last]`);
    return undefined;
  }

  #settings(value: unknown, where: string): SettingMap {
    if (value === undefined || value === null) return {};
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
    const plain = this.#value(value);
    if (plain !== undefined) return plain;
    const list = Array.isArray(value) ? value : [value];
    const conditions = list.flatMap((item: unknown): Condition[] => {
      if (!isRecord(item)) return [];
      const { filter, value: inner } = item;
      const scalar = this.#value(inner);
      if (scalar === undefined || !(filter === undefined || filter === null || typeof filter === 'string'))
        return [];
      return [typeof filter === 'string' ? { filter, value: scalar } : { value: scalar }];
    });
    if (list.length > 0 && conditions.length === list.length) return conditions;
    this.problems.add(`${where} is not a value, a list of numbers, or a list of filters with values`);
    return undefined;
  }

  #value(value: unknown): Condition['value'] | undefined {
    if (typeof value === 'number') return Number.isFinite(value) ? value : undefined;
    if (isScalar(value)) return value;
    if (
      Array.isArray(value) &&
      value.length > 0 &&
      value.every((item) => typeof item === 'number' && Number.isFinite(item))
    ) {
      return value.map(Number);
    }
    return undefined;
  }

  #dtype(value: unknown, where: string): WeightType | undefined {
    if (value === undefined || value === null) return undefined;
    const name = String(value);
    const dtype = recipeDtype(name);
    if (dtype === undefined) this.problems.add(`${where}: ${name} is not one of ${RECIPE_DTYPES.join(', ')}`);
    return dtype;
  }

  #keys(
    value: Record<string, unknown>,
    { where, known, foreign }: { where: string; known: readonly string[]; foreign: readonly string[] },
  ): void {
    for (const key of Object.keys(value)) {
      if (known.includes(key)) continue;
      const near = nearestNames(key, known, 1)[0];
      if (foreign.includes(key)) this.problems.add(`${where}: ${key} is not supported`);
      else
        this.problems.add(
          `${where}: unknown key ${key}${near === undefined ? '' : `; did you mean ${near}?`}`,
        );
    }
  }

  #list(value: unknown, where: string, most: number): readonly unknown[] {
    if (Array.isArray(value) && value.length > 0 && value.length <= most) return value;
    this.problems.add(`${where} is not a list of 1 to ${most} items`);
    return [];
  }

  #text(value: unknown, where: string): string | undefined {
    if (typeof value === 'string' && value !== '') return value;
    this.problems.add(`${where} is missing or not a text`);
    return undefined;
  }

  #optional(value: unknown, where: string): string | undefined {
    return value === undefined || value === null ? undefined : this.#text(value, where);
  }

  #wrong(problem: string): [] {
    this.problems.add(problem);
    return [];
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
