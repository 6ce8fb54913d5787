/**
 * Recipes: what to merge and how, in mergekit's YAML, read as it is. Everything wrong with a recipe is told at once,
 * each with its place and, for a misspelt name, the nearest right one.
 */
import { parseAllDocuments, parseDocument } from 'yaml';
import { utf8 } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import { MODELS_MAX, MODULES_MAX, PROBLEMS_MAX, RECIPE_BYTES_MAX, SLICES_MAX } from './limits.ts';
import type {
  Recipe,
  RecipeContent,
  RecipeModel,
  RecipeModule,
  RecipeSlice,
  RecipeSource,
  RecipeStack,
} from './recipe-content.ts';
import { joinDocuments, type RecipeDocument } from './recipe-documents.ts';
import { readTokenizer } from './recipe-tokenizer.ts';
import { readTypes } from './recipe-types.ts';
import { isAbsent, isRecord, ValueReader } from './recipe-values.ts';
import type { SettingMap } from './settings.ts';

/** The error for `problems`, at most a hundred of them. */
export function recipeInvalid(problems: Iterable<string>): SaharaError {
  return new SaharaError('recipe-invalid', { problems: [...problems].slice(0, PROBLEMS_MAX) });
}

/**
 * Reads a recipe of one document, or of several, see `recipe-documents.ts`. Fails with `recipe-invalid`, `problems`
 * listing everything that is wrong.
 */
export function parseRecipe(text: string): Recipe {
  if (utf8(text).length > RECIPE_BYTES_MAX)
    throw new SaharaError('too-large', { bytesMax: RECIPE_BYTES_MAX });
  const documents = parsed(text);
  const errors = documents.flatMap((document) => document.errors);
  if (errors.length > 0) throw recipeInvalid(errors.map((error) => error.message));
  const values = documents.map((document) => ({ document, value: toValue(document) }));
  // What stands before a first or after a last mark is no document.
  const given = values.filter(({ value }) => values.length === 1 || value !== null);
  const problems: string[] = [];
  const read = given.flatMap(({ document, value }, i): RecipeDocument[] => {
    const reader = new RecipeReader();
    const recipe = reader.recipe(value, text);
    const name = isRecord(value) && typeof value.name === 'string' ? value.name : `document ${i + 1}`;
    const where = given.length > 1 ? `${name}: ` : '';
    problems.push(...[...reader.problems].map((problem) => `${where}${problem}`));
    const own =
      given.length > 1
        ? String(document)
            .replace(/^---\n/, '')
            .trimEnd()
        : text;
    return recipe ? [{ recipe, text: own }] : [];
  });
  if (problems.length > 0 || read.length < given.length) throw recipeInvalid(problems);
  const joined = joinDocuments(read);
  if (joined.problems.length > 0 || !joined.recipe) throw recipeInvalid(joined.problems);
  return joined.recipe;
}

type YamlDocument = ReturnType<typeof parseDocument>;

function parsed(text: string): readonly YamlDocument[] {
  try {
    const found = parseAllDocuments(text, { uniqueKeys: true });
    return 'empty' in found ? [parseDocument(text)] : found;
  } catch (error) {
    // The parser out of stack on absurd nesting: the text's fault.
    if (error instanceof RangeError) throw recipeInvalid(['it is nested too deeply']);
    throw error;
  }
}

function toValue(document: YamlDocument): unknown {
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
  'modules',
  'base_model',
  'parameters',
  'dtype',
  'out_dtype',
  'fp8_scales',
  'tokenizer_source',
  'tokenizer',
  'chat_template',
  'name',
  'compat',
];

class RecipeReader {
  readonly #values = new ValueReader();

  get problems(): ReadonlySet<string> {
    return this.#values.problems;
  }

  recipe(value: unknown, text: string): Omit<Recipe, 'stages'> | undefined {
    const values = this.#values;
    if (!isRecord(value)) {
      values.problems.add('a recipe is a mapping of keys to values');
      return undefined;
    }
    values.keys(value, { where: 'recipe', known: RECIPE_KEYS });
    const name = values.optional(value.name, 'name');
    const method = values.text(value.merge_method, 'merge_method');
    const baseModel = this.#base(value.base_model, 'base_model');
    const tokenizer = readTokenizer(value, values);
    const chatTemplate = values.optional(value.chat_template, 'chat_template');
    const { dtype, fp8 } = readTypes(value, values);
    const content = this.#content(value);
    if (method === undefined || content === undefined) return undefined;
    return {
      ...(name === undefined ? {} : { name }),
      method,
      ...baseModel,
      content,
      parameters: { ...values.settings(value.parameters, 'parameters'), ...this.#compat(value.compat) },
      ...(dtype === undefined ? {} : { dtype }),
      ...(fp8 === undefined ? {} : { fp8 }),
      ...(tokenizer === undefined ? {} : { tokenizer }),
      ...(chatTemplate === undefined ? {} : { chatTemplate }),
      notes: [...values.notes],
      text,
    };
  }

  #base(value: unknown, where: string): { baseModel?: string } {
    const baseModel = isAbsent(value) ? undefined : this.#values.model(value, where);
    return baseModel === undefined ? {} : { baseModel };
  }

  // Not a key of mergekit's; it holds for all methods that know it.
  #compat(value: unknown): SettingMap {
    if (isAbsent(value)) return {};
    if (value !== 'mergekit') this.#values.problems.add(`compat: ${String(value)} is not mergekit`);
    return { compat: 'mergekit' };
  }

  #content(value: Record<string, unknown>): RecipeContent | undefined {
    const given = ['models', 'slices', 'modules'].filter((key) => !isAbsent(value[key]));
    if (given.length !== 1) {
      this.#values.problems.add('a recipe has either models or slices, or modules');
      return undefined;
    }
    if (isAbsent(value.modules)) return this.#stack(value, '');
    if (!isRecord(value.modules)) {
      this.#values.problems.add('modules is not a mapping');
      return undefined;
    }
    const list = this.#values.list(Object.entries(value.modules), 'modules', MODULES_MAX);
    return {
      modules: list.flatMap((entry) => {
        const [name, item]: unknown[] = Array.isArray(entry) ? entry : [];
        return this.#module(String(name), item);
      }),
    };
  }

  #module(name: string, value: unknown): RecipeModule[] {
    const values = this.#values;
    const where = `modules.${name}`;
    if (!isRecord(value)) return values.wrong(`${where} is not a mapping`);
    values.keys(value, { where, known: ['models', 'slices', 'parameters'] });
    if (isAbsent(value.models) === isAbsent(value.slices))
      return values.wrong(`${where} has either models or slices`);
    const parameters = values.settings(value.parameters, `${where}.parameters`);
    return [{ name, content: this.#stack(value, `${where}.`), parameters }];
  }

  #stack({ models, slices }: Record<string, unknown>, where: string): RecipeStack {
    return isAbsent(models)
      ? { slices: this.#slices(slices, `${where}slices`) }
      : { models: this.#models(models, `${where}models`) };
  }

  #models(value: unknown, where: string): RecipeModel[] {
    const list = this.#values.list(value, where, MODELS_MAX);
    return list.flatMap((item, i) => this.#model(item, `${where}[${i}]`));
  }

  #slices(value: unknown, where: string): RecipeSlice[] {
    const list = this.#values.list(value, where, SLICES_MAX);
    return list.flatMap((item, i) => this.#slice(item, `${where}[${i}]`));
  }

  #model(value: unknown, where: string): RecipeModel[] {
    const values = this.#values;
    if (!isRecord(value)) return values.wrong(`${where} is not a mapping`);
    values.keys(value, { where, known: ['model', 'parameters', 'layer_range'] });
    const model = values.model(value.model, `${where}.model`);
    if (value.layer_range !== undefined) values.problems.add(`${where}.layer_range belongs into slices`);
    if (model === undefined) return [];
    return [{ model, parameters: values.settings(value.parameters, `${where}.parameters`) }];
  }

  #slice(value: unknown, where: string): RecipeSlice[] {
    const values = this.#values;
    if (!isRecord(value)) return values.wrong(`${where} is not a mapping`);
    values.keys(value, { where, known: ['sources', 'parameters', 'base_model', 'residual_weight'] });
    // mergekit reads it and does nothing with it.
    if (!isAbsent(value.residual_weight)) values.notes.add('residual_weight has no effect, as in mergekit');
    const list = values.list(value.sources, `${where}.sources`, MODELS_MAX);
    const sources = list.flatMap((item, i) => this.#source(item, `${where}.sources[${i}]`));
    const lengths = new Set(sources.map(({ layerRange: [from, to] }) => to - from));
    if (lengths.size > 1) values.problems.add(`${where}: the sources have different numbers of layers`);
    const base = this.#base(value.base_model, `${where}.base_model`);
    return [{ sources, ...base, parameters: values.settings(value.parameters, `${where}.parameters`) }];
  }

  #source(value: unknown, where: string): RecipeSource[] {
    const values = this.#values;
    if (!isRecord(value)) return values.wrong(`${where} is not a mapping`);
    values.keys(value, { where, known: ['model', 'parameters', 'layer_range'] });
    const model = values.model(value.model, `${where}.model`);
    const layerRange = values.range(value.layer_range, `${where}.layer_range`);
    const parameters = values.settings(value.parameters, `${where}.parameters`);
    return model === undefined || layerRange === undefined ? [] : [{ model, layerRange, parameters }];
  }
}
