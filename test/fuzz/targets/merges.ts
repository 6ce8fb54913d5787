/** What files of models that are merged can say. */

import { concat, fromUtf8, utf8 } from '../../../src/base/bytes.ts';
import { SaharaError } from '../../../src/base/errors.ts';
import { parseGguf } from '../../../src/merge/gguf.ts';
import { parseRecipe } from '../../../src/merge/recipe.ts';
import {
  headerLength,
  layOut,
  PREFIX_BYTES,
  parseHeader,
  type TensorEntry,
} from '../../../src/merge/safetensors.ts';
import { readPickle } from '../../../src/merge/torch/pickle.ts';
import { readTorch } from '../../../src/merge/torch/torch-file.ts';
import { ggufBytes } from '../../agent/llama/gguf-writer.ts';
import { noiseModel } from '../../agent/llama/models.ts';
import { GOLDEN_RECIPES } from '../../merge/golden-models.ts';
import { pickle, type TorchTensor, torchFile } from '../../merge/torch-writer.ts';
import { changedBytes } from '../bytes.ts';
import { holds, type TargetMaker } from '../target.ts';
import { changedText } from '../texts.ts';

const BYTES_MAX = 65_536;

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
      corpus: Object.values(GOLDEN_RECIPES).map(utf8),
      bend: changedText,
      take: takeRecipe,
    }),
  },
];
