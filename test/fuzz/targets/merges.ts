/** What files of models that are merged can say. */

import { concat, fromUtf8, utf8 } from '../../../src/base/bytes.ts';
import { SaharaError } from '../../../src/base/errors.ts';
import { parseGguf } from '../../../src/merge/gguf.ts';
import { parseRecipe } from '../../../src/merge/recipe.ts';
import { isRecord } from '../../../src/merge/recipe-values.ts';
import {
  headerLength,
  layOut,
  PREFIX_BYTES,
  parseHeader,
  type TensorEntry,
} from '../../../src/merge/safetensors.ts';
import { joinVocabularies } from '../../../src/merge/tokenizers/join.ts';
import { stripVocabulary, vocabularyOf } from '../../../src/merge/tokenizers/vocabulary.ts';
import { readPickle } from '../../../src/merge/torch/pickle.ts';
import { readTorch } from '../../../src/merge/torch/torch-file.ts';
import { ggufBytes } from '../../agent/llama/gguf-writer.ts';
import { noiseModel } from '../../agent/llama/models.ts';
import { GOLDEN_RECIPES } from '../../merge/golden-models.ts';
import { GOLDEN_VOCABULARIES, tokenizerText, VOCABULARY_RECIPES } from '../../merge/golden-vocabularies.ts';
import { pickle, type TorchTensor, torchFile } from '../../merge/torch-writer.ts';
import { changedBytes } from '../bytes.ts';
import { holds, type TargetMaker } from '../target.ts';
import { changedText } from '../texts.ts';

const BYTES_MAX = 65_536;

const STAGES = `
name: first
merge_method: linear
modules: {text_decoder: {models: [{model: a, parameters: {weight: 1}}]}}
---
merge_method: passthrough
slices: [{sources: [{model: first, layer_range: [0, 1]}], base_model: b}]
`;

const TENSORS: readonly TorchTensor[] = [
  { name: 'a.weight', type: 'FloatStorage', key: '0', elements: 6, shape: [2, 3] },
  { name: 'b.weight', type: 'FloatStorage', key: '0', elements: 6, start: 3, shape: [3] },
  { name: 'c.weight', type: 'BFloat16Storage', key: '1', elements: 2, shape: [2] },
];

function torch(): Uint8Array {
  return torchFile(TENSORS, { 0: new Uint8Array(24), 1: new Uint8Array(4) });
}

function safetensors(): Uint8Array {
  const layout = layOut(
    TENSORS.map(({ name, shape }) => ({ name, dtype: 'F32', shape })),
    { format: 'pt' },
  );
  return concat(layout.bytes, new Uint8Array(layout.fileBytes - layout.bytes.length));
}

/** Whatever is taken lies within the file. */
function within(tensors: readonly TensorEntry[], sizeBytes: number): void {
  for (const { offset, sizeBytes: length } of tensors) {
    holds(offset >= 0 && length >= 0 && offset + length <= sizeBytes, 'a tensor lies outside its file');
  }
}

function takeTorch(input: Uint8Array): void {
  const read = (offset: number, length: number): Uint8Array => {
    holds(offset >= 0 && length >= 0 && offset + length <= input.length, 'it reads beyond the file');
    return input.slice(offset, offset + length);
  };
  within(readTorch({ sizeBytes: input.length, read }), input.length);
}

function takeSafetensors(input: Uint8Array): void {
  const length = headerLength(input.subarray(0, PREFIX_BYTES), input.length);
  const header = input.subarray(PREFIX_BYTES, PREFIX_BYTES + length);
  within(parseHeader(header, input.length).tensors, input.length);
}

function takeRecipe(input: Uint8Array): void {
  const text = fromUtf8(input);
  if (text === undefined) throw new SaharaError('malformed');
  parseRecipe(text);
}

/** A tokenizer, stripped and joined with itself: its tokens keep their numbers, and every row has at most one. */
function takeTokenizer(input: Uint8Array): void {
  const text = fromUtf8(input);
  let file: unknown;
  try {
    file = JSON.parse(text ?? '');
  } catch (error) {
    throw new SaharaError('malformed', {}, { cause: error });
  }
  if (!isRecord(file)) throw new SaharaError('malformed');
  const vocabulary = vocabularyOf(file, { config: undefined, legacy: undefined });
  const named = { vocabulary, rows: 6 };
  const { ids, tokens, rows } = joinVocabularies(
    {
      source: 'union',
      tokens: [{ token: 'new', origin: { kind: 'zero' }, force: false }],
      padToMultipleOf: 4,
    },
    { lead: named, models: [named] },
  );
  const stripped = stripVocabulary(vocabulary, 6);
  for (const [token, id] of stripped.ids) holds(ids.get(token) === id, 'a token lost its number');
  holds(rows % 4 === 0 && rows >= tokens && ids.has('new'), 'rows do not fit the tokens');
  for (const id of ids.values()) holds(id >= 0 && id < tokens, 'a token has no row');
}

const bytes = (
  name: string,
  corpus: () => readonly Uint8Array[],
  take: (input: Uint8Array) => void,
): TargetMaker => ({
  name,
  shortCount: 100,
  create: () => ({ name, sizeBytesMax: BYTES_MAX, corpus: corpus(), bend: changedBytes, take }),
});

/** The targets of merging. */
export const MERGE_TARGETS: readonly TargetMaker[] = [
  bytes('merge-torch', () => [torch()], takeTorch),
  bytes(
    'merge-pickle',
    () => [pickle(TENSORS)],
    (input) => void readPickle(input),
  ),
  bytes('merge-safetensors', () => [safetensors()], takeSafetensors),
  bytes(
    'merge-gguf',
    () => [ggufBytes(noiseModel({ width: 32, layers: 1, feedForward: 32, heads: 2, words: 4 }))],
    (input) => within(parseGguf(input, input.length).tensors, input.length),
  ),
  {
    name: 'merge-recipe',
    shortCount: 60,
    create: () => ({
      name: 'merge-recipe',
      sizeBytesMax: BYTES_MAX,
      corpus: [...Object.values(GOLDEN_RECIPES), ...Object.values(VOCABULARY_RECIPES), STAGES].map(utf8),
      bend: changedText,
      take: takeRecipe,
    }),
  },
  {
    name: 'merge-tokenizer',
    shortCount: 60,
    create: () => ({
      name: 'merge-tokenizer',
      sizeBytesMax: BYTES_MAX,
      corpus: Object.values(GOLDEN_VOCABULARIES).map((each) => utf8(tokenizerText(each))),
      bend: changedText,
      take: takeTokenizer,
    }),
  },
];
