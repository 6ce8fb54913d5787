/** What lies beside the weights: configuration and tokenizer. */
import { readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { equalBytes } from '../base/bytes.ts';
import { planChatTemplate, TEMPLATE_KEY, TEMPLATE_NAME, TOKENIZER_CONFIG_NAME } from './chat-template.ts';
import { type Checkpoint, readJson } from './checkpoint.ts';
import type { WeightType } from './dtypes.ts';
import { type GgufValue, ggufText, ggufU32 } from './gguf.ts';
import { LAYER_COUNT_KEYS } from './layers.ts';
import { SIDE_FILE_BYTES_MAX } from './limits.ts';
import type { OpenModel } from './plan-tensors.ts';
import type { Recipe } from './recipe.ts';
import { isScaled } from './scaled.ts';
import type { TensorTask } from './task.ts';

const VOCABULARY_FILES = ['tokenizer.json', 'tokenizer.model', 'vocab.json', 'merges.txt'];
/** What is copied beside a model's weights and configuration, where it is there. */
export const COPIED_FILES: readonly string[] = [
  ...VOCABULARY_FILES,
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'chat_template.jinja',
  'generation_config.json',
];
const TORCH_NAMES: Readonly<Record<string, string>> = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' };

/** What stands beside the weights. */
export interface SideFiles {
  /** Files that are copied as they are. */
  readonly copied: readonly string[];
  /** Files that are written, by name. */
  readonly texts: Readonly<Record<string, string>>;
  /** The chat template, when it is not the lead model's. */
  readonly template: string | undefined;
}

/**
 * The files to copy: those of the model that `tokenizer_source` names, or of the lead model. With a tokenizer source,
 * all models must have the same vocabulary, byte for byte; one that would have to be joined is reported.
 */
export async function planSideFiles(
  { tokenizerSource, baseModel, chatTemplate }: Recipe,
  { lead, models, problems }: { lead: OpenModel; models: readonly OpenModel[]; problems: Set<string> },
): Promise<SideFiles | undefined> {
  const name =
    tokenizerSource === 'base' || tokenizerSource === 'union' ? (baseModel ?? lead.name) : tokenizerSource;
  const source = name === undefined ? lead : models.find((model) => model.name === name);
  if (!source) {
    problems.add(`tokenizer_source: ${name} is not base, union or one of the models`);
    return undefined;
  }
  const template = await planChatTemplate(chatTemplate, { models, problems });
  // A GGUF file holds its tokenizer itself.
  if (lead.checkpoint.metadata) return { copied: [], texts: {}, template };
  if (tokenizerSource !== undefined) {
    for (const model of models) {
      for (const file of VOCABULARY_FILES) {
        if (model === source || (await sameFile(model, source, file))) continue;
        problems.add(
          `tokenizer_source: ${file} of ${model.name} and ${source.name} differ; joining them is not supported`,
        );
      }
    }
  }
  const copied: string[] = [];
  for (const file of COPIED_FILES) {
    const path = join(source.checkpoint.directory, file);
    if (await sizeOf(path)) copied.push(path);
  }
  if (template === undefined) return { copied, texts: {}, template };
  const texts = await templateTexts(source.checkpoint.directory, template);
  return { copied: copied.filter((path) => !Object.hasOwn(texts, basename(path))), texts, template };
}

// Where a program looks for a template depends on its age: in a file of its own, or in the tokenizer's settings.
async function templateTexts(directory: string, template: string): Promise<Record<string, string>> {
  const settings = await readJson(join(directory, TOKENIZER_CONFIG_NAME));
  const changed = { ...settings, chat_template: template };
  return {
    [TEMPLATE_NAME]: template,
    ...(settings ? { [TOKENIZER_CONFIG_NAME]: `${JSON.stringify(changed, undefined, 2)}\n` } : {}),
  };
}

/** The output's configuration: the lead model's, with what the merge changed. */
export function outputConfig(
  lead: Readonly<Record<string, unknown>>,
  changes: {
    readonly tasks: readonly TensorTask[];
    readonly layers: number;
    readonly vocabulary: number | undefined;
  },
): Record<string, unknown> {
  const config: Record<string, unknown> = { ...lead };
  // It says how FP8 is read, and there is none left.
  const [read, written] = [
    changes.tasks.some(({ models }) => models.some(({ scale }) => scale !== undefined)),
    changes.tasks.some(({ target }) => isScaled(target.dtype)),
  ];
  if (read && !written) delete config.quantization_config;
  for (const key of LAYER_COUNT_KEYS) if (typeof config[key] === 'number') config[key] = changes.layers;
  if (changes.vocabulary !== undefined) config.vocab_size = changes.vocabulary;
  const dtypes = new Set(
    changes.tasks.filter(({ kind }) => kind === 'merge').map(({ target }) => target.dtype),
  );
  const [dtype] = dtypes;
  const name = dtype === undefined || dtypes.size > 1 ? undefined : TORCH_NAMES[dtype];
  for (const key of ['torch_dtype', 'dtype']) if (name !== undefined && key in config) config[key] = name;
  return config;
}

// What llama.cpp calls the types of a whole file.
const FILE_TYPES: Readonly<Record<string, number>> = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q4_1: 3,
  Q8_0: 7,
  Q5_0: 8,
  Q5_1: 9,
  BF16: 32,
};

/**
 * The output's GGUF metadata: the lead model's as it is, but for the layer count and the file type. `undefined` when
 * the lead model is not GGUF.
 */
export function outputMetadata(
  { metadata, config }: Checkpoint,
  changes: {
    readonly layers: number;
    readonly dtype: WeightType | undefined;
    readonly template: string | undefined;
    readonly problems: Set<string>;
  },
): ReadonlyMap<string, GgufValue> | undefined {
  if (!metadata) return undefined;
  const changed = new Map(metadata);
  const architecture = String(metadata.get('general.architecture')?.value);
  const before = config.num_hidden_layers;
  if (typeof before === 'number' && before !== changes.layers) {
    for (const [key, { length }] of metadata) {
      if (key.startsWith(`${architecture}.`) && length === before) {
        changes.problems.add(`${key} is stated layer by layer; slices of such a model are not supported`);
      }
    }
    changed.set(`${architecture}.block_count`, ggufU32(changes.layers));
  }
  const fileType = changes.dtype === undefined ? undefined : FILE_TYPES[changes.dtype];
  if (fileType !== undefined) changed.set('general.file_type', ggufU32(fileType));
  if (changes.template !== undefined) changed.set(TEMPLATE_KEY, ggufText(changes.template));
  return changed;
}

async function sameFile(a: OpenModel, b: OpenModel, file: string): Promise<boolean> {
  const paths = [a, b].map(({ checkpoint }) => join(checkpoint.directory, file));
  const [first, second] = await Promise.all(paths.map(sizeOf));
  if (first !== second) return false;
  if (first === undefined || first > SIDE_FILE_BYTES_MAX) return first === undefined;
  const [left = new Uint8Array(), right = new Uint8Array()] = await Promise.all(
    paths.map((path) => readFile(path)),
  );
  return equalBytes(left, right);
}

async function sizeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    (found) => (found.isFile() ? found.size : undefined),
    () => undefined,
  );
}
