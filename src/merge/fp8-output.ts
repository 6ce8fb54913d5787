/**
 * FP8 as the type of a merge's output. It is for the matrices of layers, each with a tensor of scales beside it; the
 * rest, and what routes tokens among experts, keeps a type that needs none. The configuration says so in the words by
 * which transformers and vLLM read it.
 */
import { byteLength } from './dtypes.ts';
import { isVocabulary } from './layers.ts';
import { SCALES_MAX } from './limits.ts';
import { scaleGrid } from './scaled.ts';
import type { TensorTask } from './task.ts';

/** What shares a scale. */
export type Fp8Sharing = 'block' | 'row' | 'tensor';

/** An output in FP8. */
export interface Fp8Output {
  readonly dtype: 'F8_E4M3' | 'F8_E5M2';
  readonly sharing: Fp8Sharing;
}

/** The names that a recipe may use for FP8, as PyTorch spells them. */
export const FP8_NAMES: Readonly<Record<string, Fp8Output['dtype']>> = {
  float8_e4m3fn: 'F8_E4M3',
  float8_e5m2: 'F8_E5M2',
};
/** What `fp8_scales` of a recipe may say. */
export const FP8_SHARINGS: readonly Fp8Sharing[] = ['block', 'row', 'tensor'];

// What DeepSeek's models have, and all programs that read blocks.
const BLOCK = 128;

/** The tasks with FP8 for targets, each followed by one for its scales. Notes in `problems` what has too many. */
export function writeFp8(
  tasks: readonly TensorTask[],
  fp8: Fp8Output,
  problems: Set<string>,
): readonly TensorTask[] {
  return tasks.flatMap((task) => {
    if (!isConverted(task)) return [task];
    const weights = inFp8(task, fp8);
    const scales = scalesOf(weights, fp8);
    if (scales.elements > SCALES_MAX) problems.add(`${task.name}: more than ${SCALES_MAX} scales`);
    return [weights, scales];
  });
}

const LAYER_MATRIX = /\.\d+\..*\.weight$/;
const ROUTER = /(^|\.)(gate|router)\.weight$/;

function isConverted({ kind, name, shape }: TensorTask): boolean {
  return kind === 'merge' && shape.length === 2 && LAYER_MATRIX.test(name) && !ROUTER.test(name);
}

function inFp8(task: TensorTask, { dtype, sharing }: Fp8Output): TensorTask {
  const [rows = 1, columns = 1] = task.shape;
  const blocks = { block: [BLOCK, BLOCK], row: [1, columns], tensor: [rows, columns] } as const;
  const sizeBytes = byteLength(dtype, task.elements);
  return { ...task, target: { ...task.target, dtype, sizeBytes, block: blocks[sharing] } };
}

function scalesOf(weights: TensorTask, { sharing }: Fp8Output): TensorTask {
  const { block = [1, 1] } = weights.target;
  const grid = scaleGrid(weights.shape, block).shape;
  const shape = sharing === 'tensor' ? [1] : grid;
  const elements = grid[0] * grid[1];
  return {
    ...weights,
    kind: 'scales',
    name: `${weights.name}${sharing === 'block' ? '_scale_inv' : '_scale'}`,
    shape,
    elements,
    target: { path: '', dtype: 'F32', offset: 0, sizeBytes: byteLength('F32', elements) },
    weights,
  };
}

/** `quantization_config`: DeepSeek's for blocks, that of compressed-tensors for rows and whole tensors. */
export function fp8Config(
  tasks: readonly TensorTask[],
  { dtype, sharing }: Fp8Output,
): Readonly<Record<string, unknown>> {
  const left = tasks.filter(
    (task) => task.shape.length === 2 && task.name.endsWith('.weight') && !task.target.block,
  );
  const modules = left
    .filter(({ name }) => !isEmbedding(name))
    .map(({ name }) => name.replace(/\.weight$/, ''));
  const ignored = [...new Set(['lm_head', ...modules])];
  if (sharing === 'block') {
    return {
      quant_method: 'fp8',
      fmt: dtype === 'F8_E4M3' ? 'e4m3' : 'e5m2',
      activation_scheme: 'dynamic',
      weight_block_size: [BLOCK, BLOCK],
      modules_to_not_convert: ignored,
    };
  }
  const eight = { num_bits: 8, type: 'float', symmetric: true };
  return {
    quant_method: 'compressed-tensors',
    format: 'float-quantized',
    quantization_status: 'compressed',
    config_groups: {
      group_0: {
        targets: ['Linear'],
        weights: { ...eight, strategy: sharing === 'row' ? 'channel' : 'tensor', dynamic: false },
        input_activations: { ...eight, strategy: 'token', dynamic: true },
      },
    },
    ignore: ignored,
  };
}

function isEmbedding(name: string): boolean {
  return isVocabulary(name) && !name.startsWith('lm_head');
}
