/** What a recipe takes from its models: parts of them, slices of these, and the base of each slice. */
import { invariant } from '../base/errors.ts';
import type { LayerNames } from './layers.ts';
import { countIn, findModule, layersOf, type ModelModule, modulesOf, WHOLE } from './modules.ts';
import type { PlanParts } from './plan-tensors.ts';
import type { Recipe, RecipeContent, RecipeSlice } from './recipe-content.ts';
import { meant } from './recipe-values.ts';
import type { SettingMap } from './settings.ts';

/** A model's part in a slice. */
export interface Source {
  /** Place among the plan's models. */
  readonly model: number;
  readonly layers: LayerNames;
  /** Its first layer. */
  readonly from: number;
  readonly parameters: SettingMap;
}

/** Layers of the output. */
export interface Slice {
  readonly sources: readonly Source[];
  /** What deltas are taken from. */
  readonly base: Source | undefined;
  /** The model that the recipe calls the base, whether deltas are taken from it or not. */
  readonly baseModel: number | undefined;
  readonly count: number;
  /** Settings that hold for all models, the nearest first. */
  readonly shared: readonly SettingMap[];
}

/** A part of the output with layers of its own. */
export interface PlannedModule {
  readonly slices: readonly Slice[];
  /** How many layers it has, and where the lead model's configuration says so. */
  readonly layers: number;
  readonly countKey: string | undefined;
}

/** Reads the content of `recipe` against its models, or reports why not. */
export function planSlices(recipe: Recipe, parts: PlanParts): readonly PlannedModule[] {
  const planner = new SlicePlanner(recipe, parts);
  return planner.plan();
}

class SlicePlanner {
  readonly #recipe: Recipe;
  readonly #parts: PlanParts;
  /** For each module, the layers of every model. */
  readonly #layers: Map<ModelModule, readonly LayerNames[]> = new Map();

  constructor(recipe: Recipe, parts: PlanParts) {
    this.#recipe = recipe;
    this.#parts = parts;
  }

  plan(): readonly PlannedModule[] {
    const { content } = this.#recipe;
    const lead = this.#index(this.#recipe.baseModel ?? '') ?? 0;
    const modules = modulesOf(this.#parts.models[lead]?.checkpoint ?? { tensors: new Map() });
    if ('modules' in content) return this.#named(content.modules, modules);
    // Layers of pictures have their own place in a gradient; slices can only be meant for the text.
    const parts = 'models' in content ? modules : [WHOLE];
    return parts.map((module) => this.#module(content, { module, parameters: [], where: '' }));
  }

  #named(
    wanted: Extract<RecipeContent, { readonly modules: unknown }>['modules'],
    modules: readonly ModelModule[],
  ): readonly PlannedModule[] {
    const found = wanted.flatMap(({ name, content, parameters }) => {
      const module = findModule(name, modules);
      if (!module) {
        const names = modules.map((each) => each.name);
        this.#problem(
          `modules.${name}: the models have no such part; they have ${names.join(', ')}${meant(name, names)}`,
        );
        return [];
      }
      return [{ module, content, parameters: [parameters], where: `modules.${name}.` }];
    });
    const left = modules.filter((module) => !found.some((each) => each.module === module));
    if (left.length > 0 && found.length > 0)
      this.#parts.report.warnings.add(
        `the output has no ${left.map(({ name }) => name).join(', ')}: modules does not say where from`,
      );
    if (new Set(found.map(({ module }) => module)).size < found.length)
      this.#problem('modules names a part of the models twice');
    return found.map(({ content, ...each }) => this.#module(content, each));
  }

  #module(
    content: Exclude<RecipeContent, { readonly modules: unknown }>,
    of: { module: ModelModule; parameters: readonly SettingMap[]; where: string },
  ): PlannedModule {
    const slices = 'slices' in content ? this.#slices(content.slices, of) : [this.#whole(content.models, of)];
    const [lead] = this.#parts.models.filter(({ name }) => name === this.#recipe.baseModel);
    const { config } = (lead ?? this.#parts.models[0])?.checkpoint ?? { config: {} };
    const layers = slices.reduce((sum, { count }) => sum + count, 0);
    return { slices, layers, countKey: countIn(config, of.module.countKeys)?.key };
  }

  #whole(
    models: readonly { readonly model: string; readonly parameters: SettingMap }[],
    { module, parameters, where }: { module: ModelModule; parameters: readonly SettingMap[]; where: string },
  ): Slice {
    const entries = models.map((entry) => this.#source({ ...entry, from: 0 }, module));
    const all = this.#layersOf(module);
    const counts = new Set(all.map(({ count }) => count));
    if (counts.size > 1)
      this.#problem(`${where}the models have different numbers of layers: ${[...counts].join(', ')}`);
    const shared = [...parameters, this.#recipe.parameters];
    const count = all[0]?.count ?? 0;
    return this.#complete({ sources: entries, count, shared, where: `${where}models` }, { module });
  }

  #slices(
    slices: readonly RecipeSlice[],
    { module, parameters, where }: { module: ModelModule; parameters: readonly SettingMap[]; where: string },
  ): Slice[] {
    return slices.map((slice, i) => {
      const place = `${where}slices[${i}]`;
      const sources = slice.sources.map(({ model, parameters: own, layerRange: [from, to] }) => {
        const source = this.#source({ model, parameters: own, from }, module);
        if (to > source.layers.count)
          this.#problem(`${place}: ${model} has ${source.layers.count} layers, not ${to}`);
        return source;
      });
      const [range] = slice.sources;
      const count = range ? range.layerRange[1] - range.layerRange[0] : 0;
      const shared = [slice.parameters, ...parameters, this.#recipe.parameters];
      const { baseModel } = slice;
      return this.#complete({ sources, count, shared, where: place }, { module, baseModel });
    });
  }

  #source(entry: { model: string; parameters: SettingMap; from: number }, module: ModelModule): Source {
    const model = this.#index(entry.model);
    const layers = model === undefined ? undefined : this.#layersOf(module)[model];
    invariant(model !== undefined && layers !== undefined, 'every model was opened');
    return { model, layers, from: entry.from, parameters: entry.parameters };
  }

  // Takes the base out of the sources, or puts it first, as the method wants it.
  #complete(
    slice: { sources: readonly Source[]; count: number; shared: readonly SettingMap[]; where: string },
    { module, baseModel = this.#recipe.baseModel }: { module: ModelModule; baseModel?: string | undefined },
  ): Slice {
    const { method } = this.#parts;
    const { sources, count, shared, where } = slice;
    const index = baseModel === undefined ? undefined : this.#index(baseModel);
    const named = sources.find(({ model }) => model === index);
    let base: Source | undefined;
    let models = sources;
    if (method.base === 'required' || method.base === 'optional') {
      if (baseModel !== undefined) {
        const from = sources[0]?.from ?? 0;
        base = named ?? this.#source({ model: baseModel, parameters: {}, from }, module);
        models = sources.filter((source) => source !== named);
      } else if (method.base === 'required') this.#problem(`${method.name} needs base_model`);
    } else if (method.base === 'first') {
      if (!named) this.#problem(`${where}: ${method.name} needs base_model to be one of the models`);
      else models = [named, ...sources.filter((source) => source !== named)];
    }
    const { min, max } = method.models;
    if (models.length < min || models.length > max) {
      const wanted = min === max ? `${min}` : `${min} to ${max}`;
      this.#problem(
        `${where}: ${method.name} takes ${wanted} models${base ? ' besides the base' : ''}, not ${models.length}`,
      );
    }
    return { sources: models, base, baseModel: index, count, shared };
  }

  #layersOf(module: ModelModule): readonly LayerNames[] {
    const known = this.#layers.get(module);
    if (known) return known;
    const found = this.#parts.models.map(({ checkpoint }) => layersOf(checkpoint, module));
    this.#layers.set(module, found);
    return found;
  }

  #index(name: string): number | undefined {
    const index = this.#parts.models.findIndex((model) => model.name === name);
    return index < 0 ? undefined : index;
  }

  #problem(text: string): void {
    this.#parts.report.problems.add(text);
  }
}
