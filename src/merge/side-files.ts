/** What lies beside the weights: configuration and tokenizer. */
import { planChatTemplate, TEMPLATE_KEY, TEMPLATE_NAME, TOKENIZER_CONFIG_NAME } from './chat-template.ts';
import type { Checkpoint } from './checkpoint.ts';
import type { WeightType } from './dtypes.ts';
import { type GgufValue, ggufText, ggufU32 } from './gguf.ts';
import { JSON_BYTES_MAX } from './limits.ts';
import type { OpenModel } from './plan-tensors.ts';
import { type PlannedVocabulary, VOCABULARY_FILES } from './plan-vocabulary.ts';
import type { Recipe } from './recipe-content.ts';
import { isRecord } from './recipe-values.ts';
import { isScaled } from './scaled.ts';
import { findSide, readSideJson, type SideFolder } from './side-folder.ts';
import type { TensorTask } from './task.ts';
import { type Renumbering, renumber, tokenizerTexts } from './tokenizers/files.ts';

/** What is copied beside a model's weights and configuration, where it is there. */
export const COPIED_FILES: readonly string[] = [
  ...VOCABULARY_FILES,
  TOKENIZER_CONFIG_NAME,
  'special_tokens_map.json',
  'added_tokens.json',
  'chat_template.jinja',
  'generation_config.json',
];
/** Files of pictures and sounds, and of turning text into tokens, that mergekit takes along too. */
const TAKEN_ALONG: readonly string[] = [
  'preprocessor_config.json',
  'processor_config.json',
  'normalizer.json',
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

/** The files to copy or to write: those of the tokenizer that the output has, or else of the lead model. */
export async function planSideFiles(
  { chatTemplate }: Recipe,
  parts: {
    readonly lead: OpenModel;
    readonly models: readonly OpenModel[];
    readonly vocabulary: PlannedVocabulary | undefined;
  },
): Promise<SideFiles> {
  const { lead, models, vocabulary } = parts;
  const template = await planChatTemplate(chatTemplate, models);
  // A GGUF file holds its tokenizer itself.
  if (lead.checkpoint.metadata) return { copied: [], texts: {}, template };
  const folder = vocabulary?.folder ?? lead.checkpoint;
  const tokens = vocabulary?.rows?.tokens;
  const texts: Record<string, string> = tokens ? await tokenizerTexts(folder, tokens) : {};
  if (template !== undefined) Object.assign(texts, await templateTexts(folder, { template, texts }));
  const stale = tokens?.stripped ? VOCABULARY_FILES : [];
  const copied: string[] = [];
  const take = async (from: SideFolder, file: string): Promise<void> => {
    if (stale.includes(file) || Object.hasOwn(texts, file)) return;
    const found = await findSide(from, file);
    if (found && 'text' in found) texts[file] = found.text;
    else if (found && found.sizeBytes > 0) copied.push(found.path);
  };
  for (const file of COPIED_FILES) await take(folder, file);
  for (const file of TAKEN_ALONG) await take(lead.checkpoint, file);
  return { copied, texts, template };
}

// Where a program looks for a template depends on its age: in a file of its own, or in the tokenizer's settings.
async function templateTexts(
  folder: SideFolder,
  { template, texts }: { readonly template: string; readonly texts: Readonly<Record<string, string>> },
): Promise<Record<string, string>> {
  const written = texts[TOKENIZER_CONFIG_NAME];
  const settings =
    written === undefined
      ? await readSideJson(folder, TOKENIZER_CONFIG_NAME, JSON_BYTES_MAX)
      : Object.fromEntries(Object.entries(JSON.parse(written)));
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
    readonly counts: ReadonlyMap<string, number>;
    readonly vocabulary: number | undefined;
    /** Where the tokens are not the lead model's. */
    readonly tokens: Renumbering | undefined;
  },
): Record<string, unknown> {
  const config: Record<string, unknown> = changes.tokens ? renumber(lead, changes.tokens) : { ...lead };
  // It says how FP8 is read, and there is none left.
  const [read, written] = [
    changes.tasks.some(({ models }) => models.some(({ scale }) => scale !== undefined)),
    changes.tasks.some(({ target }) => isScaled(target.dtype)),
  ];
  if (read && !written) delete config.quantization_config;
  for (const [key, count] of changes.counts) setCount(config, key, count);
  if (changes.vocabulary !== undefined) setRows(config, changes.vocabulary);
  const dtypes = new Set(
    changes.tasks.filter(({ kind }) => kind === 'merge').map(({ target }) => target.dtype),
  );
  const [dtype] = dtypes;
  const name = dtype === undefined || dtypes.size > 1 ? undefined : TORCH_NAMES[dtype];
  for (const key of ['torch_dtype', 'dtype']) if (name !== undefined && key in config) config[key] = name;
  return config;
}

// What a part is nested in is one level above it.
function setCount(config: Record<string, unknown>, key: string, count: number): void {
  const [outer = '', inner] = key.split('.');
  const nested = config[outer];
  if (inner === undefined) config[outer] = count;
  else if (isRecord(nested)) config[outer] = { ...nested, [inner]: count };
}

// Models of several parts keep what is said of their text in a part of their configuration.
function setRows(config: Record<string, unknown>, rows: number): void {
  const { text_config: inner } = config;
  const nested = isRecord(inner) && 'vocab_size' in inner;
  if (nested) config.text_config = { ...inner, vocab_size: rows };
  if (!nested || 'vocab_size' in config) config.vocab_size = rows;
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
