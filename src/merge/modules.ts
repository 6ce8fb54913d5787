/**
 * Parts of a model that have layers of their own: text, pictures and what lies between, or encoder and decoder. Which
 * tensors are of which part shows in their names; recipes call the parts as mergekit does.
 */
import type { Checkpoint } from './checkpoint.ts';
import { findLayers, isLayered, LAYER_COUNT_KEYS, type LayerNames } from './layers.ts';

/** A part of a model. */
export interface ModelModule {
  /** As recipes call it. */
  readonly name: string;
  /** Whether a tensor belongs to it. */
  readonly has: (tensor: string) => boolean;
  /** Where a configuration may say how many layers it has. */
  readonly countKeys: readonly string[];
}

interface Family {
  readonly names: readonly string[];
  readonly tensors: RegExp;
  readonly countKeys: readonly string[];
}

const BETWEEN: Family = {
  names: ['multi_modal_projector'],
  tensors: /^(?:model\.)?(?:multi_modal_projector|visual\.merger)\./,
  countKeys: [],
};
const VISION: Family = {
  names: ['vision_tower', 'vision_model', 'visual'],
  tensors: /^(?:model\.)?(?:vision_tower|vision_model|visual)\.(?!merger\.)/,
  countKeys: ['vision_config.num_hidden_layers', 'vision_config.depth'],
};
const ENCODER: Family = {
  names: ['encoder'],
  tensors: /^(?:model\.)?encoder\./,
  countKeys: ['encoder_layers', 'num_encoder_layers', 'num_layers', 'num_hidden_layers'],
};
const DECODER: Family = {
  names: ['decoder'],
  tensors: /^(?:model\.)?decoder\./,
  countKeys: ['decoder_layers', 'num_decoder_layers'],
};

const TEXT_KEYS = ['text_config.num_hidden_layers', ...LAYER_COUNT_KEYS];

/** A model that is one part. */
export const WHOLE: ModelModule = { name: 'default', has: () => true, countKeys: TEXT_KEYS };

/** The parts of a model that has several with layers of their own; otherwise `WHOLE` alone. */
export function modulesOf({ tensors }: Pick<Checkpoint, 'tensors'>): readonly ModelModule[] {
  const names = [...tensors.keys()];
  const layered = (family: Family): boolean =>
    names.some((name) => family.tensors.test(name) && isLayered(name));
  const found = [
    ...(layered(VISION) ? [VISION, BETWEEN] : []),
    ...(layered(ENCODER) && layered(DECODER) ? [ENCODER, DECODER] : []),
  ].filter((family) => names.some((name) => family.tensors.test(name)));
  if (found.length === 0) return [WHOLE];
  const rest = (name: string): boolean => !found.some((family) => family.tensors.test(name));
  const restName = found.includes(VISION) ? 'text_decoder' : 'shared';
  const parts = found.map(({ names: [name = ''], tensors: own, countKeys }) => {
    return { name, has: (tensor: string) => own.test(tensor), countKeys };
  });
  const countKeys = restName === 'text_decoder' ? TEXT_KEYS : [];
  return names.some(rest) ? [{ name: restName, has: rest, countKeys }, ...parts] : parts;
}

/** The part that a recipe calls `name`: one of `modules`, or all tensors whose names begin with it. */
export function findModule(name: string, modules: readonly ModelModule[]): ModelModule | undefined {
  const alike = [VISION, BETWEEN, ENCODER, DECODER].find(({ names }) => names.includes(name));
  const [wanted = name] = alike?.names ?? [];
  return modules.find((each) => each.name === wanted);
}

/** The layers of one part of a model. */
export function layersOf(
  { tensors, config }: Pick<Checkpoint, 'tensors' | 'config'>,
  { has, countKeys }: ModelModule,
): LayerNames {
  const own = new Map([...tensors].filter(([name]) => has(name)));
  return findLayers({ tensors: own, config: { num_hidden_layers: countIn(config, countKeys)?.count } });
}

/** The first of `keys`, dotted where it is nested, that a configuration has a number under. */
export function countIn(
  config: Readonly<Record<string, unknown>>,
  keys: readonly string[],
): { readonly key: string; readonly count: number } | undefined {
  for (const key of keys) {
    const value = key.split('.').reduce((at: unknown, step) => {
      return typeof at === 'object' && at !== null
        ? Object.entries(at).find(([name]) => name === step)?.[1]
        : undefined;
    }, config);
    if (typeof value === 'number') return { key, count: value };
  }
  return undefined;
}
