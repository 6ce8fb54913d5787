/** What a recipe says, once it is read: a method, what it takes from which models, and what the output is to be. */
import type { WeightType } from './dtypes.ts';
import type { Fp8Output } from './fp8-output.ts';
import type { RecipeTokenizer } from './recipe-tokenizer.ts';
import type { SettingMap } from './settings.ts';

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
  /** The base of this slice, where it is not the recipe's. */
  readonly baseModel?: string;
  readonly parameters: SettingMap;
}

/** What a recipe, or a part of it, takes: whole models, or slices of them. */
export type RecipeStack =
  | { readonly models: readonly RecipeModel[] }
  | { readonly slices: readonly RecipeSlice[] };

/** What a recipe says of a part of models that have several, with settings of its own. */
export interface RecipeModule {
  readonly name: string;
  readonly content: RecipeStack;
  readonly parameters: SettingMap;
}

/** What a recipe takes. */
export type RecipeContent = RecipeStack | { readonly modules: readonly RecipeModule[] };

/** Everything that has settings in a recipe, but for the recipe itself. */
export function placesOf(content: RecipeContent): readonly { readonly parameters: SettingMap }[] {
  if ('modules' in content) return content.modules.flatMap((module) => [module, ...placesOf(module.content)]);
  return 'models' in content ? content.models : content.slices.flatMap((slice) => [slice, ...slice.sources]);
}

/** The names of all models of a recipe, in its order, bases last. */
export function modelsOf({ content, baseModel }: Pick<Recipe, 'content' | 'baseModel'>): readonly string[] {
  const stacks = 'modules' in content ? content.modules.map((module) => module.content) : [content];
  const slices = stacks.flatMap((stack) => ('slices' in stack ? stack.slices : []));
  const entries = stacks.flatMap((stack) =>
    'models' in stack ? stack.models : stack.slices.flatMap(({ sources }) => sources),
  );
  const bases = [...slices.map((slice) => slice.baseModel), baseModel].filter((name) => name !== undefined);
  return [...new Set([...entries.map(({ model }) => model), ...bases])];
}

/** A recipe that is well-formed; whether its models fit together is the planner's question. */
export interface Recipe {
  /** What other documents call its output. */
  readonly name?: string;
  /** Recipes of the models that stages make; the output's refer to them by name. */
  readonly stages: readonly Recipe[];
  readonly method: string;
  readonly baseModel?: string;
  readonly content: RecipeContent;
  readonly parameters: SettingMap;
  /** Type of the output: `out_dtype`, or else `dtype`, or else that of the inputs. */
  readonly dtype?: WeightType;
  /** Matrices of layers in FP8; `dtype` is then that of the rest. */
  readonly fp8?: Fp8Output;
  /** Whose tokens the output gets. Absent: the lead model's files, and rows of embeddings as they stand. */
  readonly tokenizer?: RecipeTokenizer;
  /** How the output writes a conversation: a name, `auto`, or a template. */
  readonly chatTemplate?: string;
  /** What is worth knowing about it. */
  readonly notes: readonly string[];
  /** The text it was read from, with that of its stages. */
  readonly text: string;
}
