/** Tiny models whose vocabularies differ, and recipes that join them: `scripts/merge-goldens.ts` has mergekit do it once. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ModelShape, makeModel } from '../../examples/merge/make-models.ts';

const SHAPE: Omit<ModelShape, 'vocabulary'> = { layers: 1, hidden: 8, intermediate: 12, dtype: 'F32' };

/** A vocabulary: plain tokens by number, those added, and how many rows the model has. */
export interface TinyVocabulary {
  readonly plain: readonly string[];
  readonly added: Readonly<Record<string, { readonly id: number; readonly special: boolean }>>;
  readonly rows: number;
}

const SPECIAL = { '<s>': { id: 6, special: true }, '</s>': { id: 7, special: true } };

/** What each has, by model. `base` and `b` have a token without a row. */
export const GOLDEN_VOCABULARIES: Readonly<Record<string, TinyVocabulary>> = {
  base: {
    plain: ['a', 'b', 'c', 'd', 'e', 'ab'],
    added: { ...SPECIAL, '<left>': { id: 9, special: false } },
    rows: 8,
  },
  a: {
    plain: ['c', 'a', 'b', 'd', 'x', 'e'],
    added: { ...SPECIAL, '<tool>': { id: 8, special: true }, y: { id: 9, special: false } },
    rows: 10,
  },
  b: {
    plain: ['z', 'a', 'y', 'b', 'x', 'd', 'e', 'f'],
    added: { '<pad>': { id: 8, special: true }, '<gone>': { id: 12, special: true } },
    rows: 9,
  },
};

/** The `tokenizer.json` of a vocabulary as transformers reads it. */
export function tokenizerText({ plain, added }: TinyVocabulary): string {
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  const added_tokens = Object.entries(added).map(([content, { id, special }]) => {
    return { id, content, ...flags, special };
  });
  const model = {
    type: 'BPE',
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: false,
    byte_fallback: false,
    vocab: Object.fromEntries(plain.map((token, id) => [token, id])),
    merges: plain.filter((token) => token.length === 2).map((token) => token.split('').join(' ')),
  };
  const parts = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null };
  const file = { version: '1.0', truncation: null, padding: null, added_tokens, ...parts, model };
  return JSON.stringify(file);
}

/** Writes the files of a vocabulary. */
export async function writeTokenizer(directory: string, vocabulary: TinyVocabulary): Promise<void> {
  await writeFile(join(directory, 'tokenizer.json'), tokenizerText(vocabulary));
  const settings = { tokenizer_class: 'PreTrainedTokenizerFast', bos_token: null };
  await writeFile(join(directory, 'tokenizer_config.json'), JSON.stringify(settings));
}

/** Makes the models as folders below `directory`. */
export async function makeVocabularyModels(directory: string): Promise<void> {
  for (const [i, [name, vocabulary]] of Object.entries(GOLDEN_VOCABULARIES).entries()) {
    const shape = { ...SHAPE, vocabulary: vocabulary.rows };
    await makeModel(join(directory, name), shape, { base: 1, tune: 2 + i, strength: 0.01 });
    await writeTokenizer(join(directory, name), vocabulary);
  }
}

const linear = (tokenizer: string, models: readonly string[] = ['base', 'a', 'b']): string => `
merge_method: linear
models: [${models.map((name, i) => `{model: ${name}, parameters: {weight: 0.${3 + i}}}`).join(', ')}]
dtype: float32
${tokenizer}
`;
const onBase = (method: string, tokenizer: string): string => `
merge_method: ${method}
base_model: base
models: [{model: a, parameters: {weight: 0.6}}, {model: b, parameters: {weight: 0.3}}]
dtype: float32
${tokenizer}
`;

/** Recipes by name. */
export const VOCABULARY_RECIPES: Readonly<Record<string, string>> = {
  union: linear('tokenizer_source: union'),
  union_mean: linear('base_model: b\ntokenizer_source: union'),
  union_deltas: onBase('task_arithmetic', 'tokenizer_source: union'),
  base: linear('base_model: base\ntokenizer_source: base'),
  model: linear('base_model: base\ntokenizer: {source: a}'),
  deltas_on_model: onBase('task_arithmetic', 'tokenizer: {source: a}'),
  // Both end mergekit 0.1.4 with an error of its own.
  stripped: onBase('task_arithmetic', 'tokenizer: {source: b}'),
  zero: linear('tokenizer: {tokens: {"<pad>": {source: {kind: zero}, force: true}}}'),
  slerp: `
merge_method: slerp
base_model: a
models: [{model: a}, {model: b}]
parameters: {t: 0.4}
dtype: float32
tokenizer_source: union
`,
  tokens: linear(`base_model: base
tokenizer:
  source: union
  pad_to_multiple_of: 16
  tokens:
    x: {source: a, force: true}
    "<new>": {source: {kind: model_token, model: b, token: z}}
    ab: {source: {kind: model_token, model: a, token_id: 3}}
    f: {source: b}
`),
};
