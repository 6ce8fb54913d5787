/** The tensors of a merge: slices unrolled into layers, names and shapes matched, settings worked out for each. */
import { invariant } from '../base/errors.ts';
import { nearestNames } from '../base/nearest.ts';
import type { Checkpoint, StoredTensor } from './checkpoint.ts';
import { byteLength, codecOf, isMeasured, isWeightType, isWritable } from './dtypes.ts';
import { isBeforeLayers, isPerToken, isVocabulary, tiedTo } from './layers.ts';
import type { Method } from './method.ts';
import type { PlanOptions } from './plan.ts';
import { type JoinedTensor, joinTensor } from './plan-joined.ts';
import { resolveSettings } from './plan-settings.ts';
import { type PlannedModule, planSlices, type Slice, type Source } from './plan-slices.ts';
import type { Recipe } from './recipe-content.ts';
import { isScale } from './scaled.ts';
import { itemOf, type Settings, type TensorSource, type TensorTask } from './task.ts';
import type { VocabularyPlan } from './tokenizers/rows.ts';

/** A model whose headers are read. */
export interface OpenModel {
  readonly name: string;
  /** Folder or file that it was opened by. */
  readonly path: string;
  readonly checkpoint: Checkpoint;
}

/** Where planning says what is wrong, and what is worth knowing. */
export interface Report {
  readonly problems: Set<string>;
  readonly warnings: Set<string>;
}

/** What planning works with. */
export interface PlanParts {
  readonly method: Method;
  readonly models: readonly OpenModel[];
  readonly options: PlanOptions;
  readonly report: Report;
  /** The tokens of the output, where vocabularies are joined. */
  readonly vocabulary: VocabularyPlan | undefined;
}

/** The tensors that come out. */
export interface PlannedTensors {
  /** Tasks without a place in a file yet: `target.path` is empty. */
  readonly tasks: readonly TensorTask[];
  readonly parents: readonly number[];
  /** Layers of the first module. */
  readonly layers: number;
  /** Layers of each module, by where the lead model's configuration says how many. */
  readonly counts: ReadonlyMap<string, number>;
  /** Rows of the embedding when they are not those of the lead model. */
  readonly vocabulary: number | undefined;
}

/** Makes the tasks, or reports why not. */
export function planTensors(recipe: Recipe, parts: PlanParts): PlannedTensors {
  const planner = new Planner(recipe, parts);
  return planner.plan();
}

class Planner {
  readonly #recipe: Recipe;
  readonly #parts: PlanParts;
  readonly #tasks: TensorTask[] = [];
  readonly #parents: number[] = [];
  #vocabulary: number | undefined;

  constructor(recipe: Recipe, parts: PlanParts) {
    this.#recipe = recipe;
    this.#parts = parts;
  }

  plan(): PlannedTensors {
    const { problems } = this.#parts.report;
    const before = problems.size;
    const modules = planSlices(this.#recipe, this.#parts);
    for (const { sources } of modules.flatMap(({ slices }) => slices))
      for (const { model } of sources) this.#parent(model);
    // Slices that do not fit have no tensors; other problems do not stand in the way of finding more.
    if (problems.size === before) for (const module of modules) this.#module(module);
    const counts = modules.flatMap(({ countKey, layers }): [string, number][] =>
      countKey === undefined ? [] : [[countKey, layers]],
    );
    return {
      tasks: this.#tasks,
      parents: this.#parents,
      layers: modules[0]?.layers ?? 0,
      counts: new Map(counts),
      vocabulary: this.#vocabulary,
    };
  }

  #module({ slices }: PlannedModule): void {
    const [first, last] = [slices[0], slices.at(-1)];
    if (!first || !last) return;
    this.#outside(first, (name) => isBeforeLayers(name));
    let layer = 0;
    for (const slice of slices) for (let i = 0; i < slice.count; i++) this.#layer(slice, i, layer++);
    this.#outside(last, (name) => !isBeforeLayers(name));
  }

  #layer(slice: Slice, index: number, output: number): void {
    const everyone = slice.base ? [...slice.sources, slice.base] : slice.sources;
    const rests = new Set(everyone.flatMap(({ layers, from }) => layers.rests[from + index] ?? []));
    const prefix = everyone[0]?.layers.prefix ?? '';
    const progress = slice.count > 1 ? index / (slice.count - 1) : 1;
    for (const rest of rests) {
      const place = (source: Source): string => `${source.layers.prefix}.${source.from + index}.${rest}`;
      this.#tensor(`${prefix}.${output}.${rest}`, { slice, place, progress });
    }
  }

  #outside(slice: Slice, chosen: (name: string) => boolean): void {
    const everyone = slice.base ? [...slice.sources, slice.base] : slice.sources;
    const names = new Set(everyone.flatMap(({ layers }) => layers.others).filter(chosen));
    for (const name of names) this.#tensor(name, { slice, place: () => name, progress: 0 });
  }

  #tensor(
    name: string,
    { slice, place, progress }: { slice: Slice; place: (source: Source) => string; progress: number },
  ): void {
    if (this.#isScale(slice, place)) return;
    const { method, options } = this.#parts;
    const models = slice.sources.flatMap((source) => this.#find(source, place(source)));
    const base = slice.base ? this.#find(slice.base, place(slice.base)) : [];
    if (models.length < slice.sources.length || base.length < (slice.base ? 1 : 0)) return;
    const joined = this.#joined(name, { slice, tensors: [...models, ...base] });
    if (joined === 'impossible') return;
    const shape = joined?.shape ?? this.#shape(name, [...models, ...base]);
    if (!shape) return;
    const { shared } = slice;
    const maps = slice.sources.map(({ parameters }) => [parameters, ...shared]);
    const labels = slice.sources.map(({ model }) => this.#parts.models[model]?.name ?? '');
    const where = { name, progress, maps, shared, labels };
    const settings = resolveSettings(method, where, this.#parts.report.problems);
    if (!settings) return;
    const kind = joined
      ? 'merge'
      : this.#kind(name, { tensors: [...models, ...base], scale: settings.scale });
    const elements = shape.reduce((product, extent) => product * extent, 1);
    const stored = (base[0] ?? models[0])?.dtype ?? '';
    const dtype = kind === 'merge' ? this.#outputType(name, { stored, shape, settings }) : stored;
    if (kind === 'merge') this.#checkNoise([...models, ...base], base.length > 0);
    const source = (tensor: StoredTensor, place: number): TensorSource => ({
      path: tensor.path,
      dtype: tensor.dtype,
      offset: tensor.offset,
      sizeBytes: byteLength(tensor.dtype, elements),
      ...(tensor.scale ? { scale: tensor.scale } : {}),
      ...(joined?.rows[place] ? { rows: joined.rows[place] } : {}),
    });
    const [baseSource] = base.map((tensor) => source(tensor, models.length));
    const donors = joined?.donors.map((model) => this.#parent(model)) ?? [];
    this.#tasks.push({
      name,
      shape,
      elements,
      kind,
      method: method.name,
      settings,
      models: models.map(source),
      parents: slice.sources.map(({ model }) => this.#parents.indexOf(model)),
      ...(donors.length > 0 ? { donors } : {}),
      ...(baseSource ? { base: baseSource } : {}),
      target: { path: '', dtype, offset: 0, sizeBytes: byteLength(dtype, elements) },
      rounding: options.rounding,
      seed: options.seed,
    });
  }

  // Scales go into the numbers; they are only kept where FP8 is kept, by a passthrough that names no type.
  #isScale({ sources, base }: Slice, place: (source: Source) => string): boolean {
    if (this.#recipe.dtype === undefined) return false;
    return [...sources, ...(base ? [base] : [])].some((source) => {
      const tensors = this.#parts.models[source.model]?.checkpoint.tensors;
      return tensors !== undefined && isScale(place(source), tensors);
    });
  }

  #find(source: Source, name: string): StoredTensor[] {
    const model = this.#parts.models[source.model];
    invariant(model !== undefined, 'every model was opened');
    const { checkpoint } = model;
    const found = checkpoint.tensors.get(name) ?? checkpoint.tensors.get(tiedTo(name, checkpoint) ?? '');
    if (found) return [found];
    const near = nearestNames(name, checkpoint.tensors.keys(), 1)[0];
    this.#problem(`${model.name} lacks ${name}${near === undefined ? '' : `; nearest is ${near}`}`);
    return [];
  }

  // The shape that all agree on; vocabularies of different sizes agree on the rows that all have.
  #shape(name: string, tensors: readonly StoredTensor[]): readonly number[] | undefined {
    const shapes = [...new Map(tensors.map(({ shape }) => [shape.join(' x '), shape])).values()];
    const [first] = shapes;
    if (first === undefined || shapes.length === 1) return first;
    const columns = new Set(shapes.map((shape) => shape.slice(1).join(' x ')));
    const gguf = this.#parts.models.some(({ checkpoint }) => checkpoint.metadata);
    if (!gguf && isVocabulary(name) && first.length === 2 && columns.size === 1) {
      const rows = Math.min(...shapes.map(([height = 0]) => height));
      this.#vocabulary = rows;
      this.#parts.report.warnings.add(
        `${name}: vocabularies differ, only the ${rows} rows that all have are merged`,
      );
      return [rows, ...first.slice(1)];
    }
    this.#problem(`${name} has different shapes: ${shapes.map((shape) => shape.join(' x ')).join(', ')}`);
    return undefined;
  }

  #kind(
    name: string,
    { tensors, scale }: { tensors: readonly StoredTensor[]; scale: unknown },
  ): 'merge' | 'copy' {
    const dtypes = [...new Set(tensors.map(({ dtype }) => dtype))];
    const empty = tensors.every(({ elements }) => elements === 0);
    if (dtypes.every(isWeightType)) return empty ? 'copy' : 'merge';
    const verbatim = tensors.length === 1 && Array.isArray(scale) && scale[0] === 1;
    if (dtypes.some(isFloat) && !verbatim)
      this.#problem(`${name}: element type ${dtypes.join(', ')} is not merged`);
    if (dtypes.length > 1) this.#problem(`${name} has different element types: ${dtypes.join(', ')}`);
    return 'copy';
  }

  // In GGUF a recipe's type is for matrices: llama.cpp wants vectors as they are.
  #outputType(
    name: string,
    tensor: { stored: string; shape: readonly number[]; settings: Settings },
  ): string {
    const { stored, shape, settings } = tensor;
    const gguf = this.#parts.models.some(({ checkpoint }) => checkpoint.metadata);
    const dtype = gguf && shape.length < 2 ? stored : (this.#recipe.dtype ?? stored);
    const copied =
      this.#parts.method.name === 'passthrough' && itemOf(settings, 'scale', 0) === 1 && dtype === stored;
    if (!copied && isWeightType(dtype) && !isWritable(dtype)) {
      this.#problem(`${name}: ${dtype} is read but not written; name another type with out_dtype`);
    }
    return this.#fits(name, { dtype, shape, gguf }) ? dtype : stored;
  }

  #fits(
    name: string,
    { dtype, shape, gguf }: { dtype: string; shape: readonly number[]; gguf: boolean },
  ): boolean {
    if (!isWeightType(dtype)) return true;
    const { block } = codecOf(dtype);
    const row = shape.at(-1) ?? 1;
    if (block > 1 && !gguf)
      this.#problem(`out_dtype: ${dtype} is a type of GGUF, the models are safetensors`);
    else if (row % block !== 0)
      this.#problem(`${name}: rows of ${row} do not divide into the blocks of ${block} of ${dtype}`);
    else return true;
    return false;
  }

  // Quantisation noise against the size of fine-tunes: at a delta of 2e-4 rms the cosine is 0.80 in Q8_0, 0.20 in Q4_0.
  #checkNoise(tensors: readonly StoredTensor[], deltas: boolean): void {
    const noisy = new Set(
      tensors.map(({ dtype }) => dtype).filter((dtype) => isWeightType(dtype) && codecOf(dtype).quantised),
    );
    if (!deltas || noisy.size === 0) return;
    const what = `${this.#parts.method.name} takes deltas of ${[...noisy].sort().join(', ')}`;
    if (this.#parts.options.noisyDeltas || [...noisy].every((dtype) => dtype === 'Q8_0')) {
      this.#parts.report.warnings.add(`${what}: small changes are blurred by the quantisation`);
    } else
      this.#problem(
        `${what}: the quantisation drowns them; merge unquantised models, or insist on noisy deltas`,
      );
  }

  // A tensor that changes with the vocabulary, when vocabularies are joined.
  #joined(
    name: string,
    { slice, tensors }: { slice: Slice; tensors: readonly StoredTensor[] },
  ): JoinedTensor | 'impossible' | undefined {
    const { vocabulary: plan, models, report } = this.#parts;
    if (!plan || !isPerToken(name, tensors[0]?.shape ?? [])) return undefined;
    const everyone = slice.base ? [...slice.sources, slice.base] : slice.sources;
    const sources = tensors.map((tensor, i) => ({ model: everyone[i]?.model ?? 0, tensor }));
    const place = sources.findIndex(({ model }) => model === slice.baseModel);
    const joined = joinTensor(name, {
      plan,
      models,
      sources,
      base: place < 0 ? undefined : place,
      contributions: slice.sources.length,
      report,
    });
    if (joined && isVocabulary(name)) this.#vocabulary = joined.shape[0];
    return joined ?? 'impossible';
  }

  // The place of a model among the parents.
  #parent(model: number): number {
    const known = this.#parents.indexOf(model);
    return known >= 0 ? known : this.#parents.push(model) - 1;
  }

  #problem(text: string): void {
    this.#parts.report.problems.add(text);
  }
}

function isFloat(dtype: string): boolean {
  return dtype.startsWith('F') || dtype === 'BF16' || dtype === 'C64' || isMeasured(dtype);
}
