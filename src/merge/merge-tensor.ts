/** Merging one tensor: the method's passes, then one last pass that adds up, rounds, writes, hashes and measures. */
import { createHash } from 'node:crypto';
import { invariant, SaharaError } from '../base/errors.ts';
import { TensorContext, type Tile } from './context.ts';
import { codecBytes, codecOf, decodeLane, encodeLane } from './dtypes.ts';
import { encodeScaled, type Fp8Scales, type MergeTile, measureScales, outOfRange } from './fp8-scales.ts';
import { sumGram } from './gram.ts';
import { creditRows } from './joined-rows.ts';
import type { KernelInstance } from './kernels.ts';
import type { Method } from './method.ts';
import { METHODS } from './methods.ts';
import {
  contributors,
  hashKey,
  isJoined,
  itemOf,
  ROUNDING_POSITION,
  type TensorIo,
  type TensorResult,
  type TensorSource,
  type TensorTask,
} from './task.ts';

/**
 * Does `task` with the memory of `instance`. Fails with `tensor-invalid` on a NaN or infinity in an input or a result
 * out of the output type's range, and with `merge-refused` when memory is too small.
 */
export function mergeTensor(instance: KernelInstance, task: TensorTask, io: TensorIo): TensorResult {
  if (task.kind === 'copy') return copyTensor(instance, task, io);
  if (task.kind === 'scales') return writeScales(instance, task, io);
  const method = METHODS.get(task.method);
  invariant(method !== undefined, `${task.method} is a method`);
  const context = new TensorContext(instance, { method, task, io });
  const merge = merging(context, method);
  const scales = task.target.block && measureScales(context, merge);
  const { kernels, memory, output } = context;
  const target = codecOf(task.target.dtype);
  const verbatim = isVerbatim(task);
  const lanes = contributors(task).map((_parent, which) => context.contribution(which));
  const credited = { contributions: lanes, base: task.base && context.baseLane };
  const joined = isJoined(task);
  const gram = sumGram(context, lanes);
  const rounding = createRounding(context, scales);
  const baseNorm = context.sum();
  const hash = createHash('sha256');
  context.pass(
    (tile, chunk) => {
      const merged = merge(tile);
      if (joined) creditRows(context, tile, credited);
      gram.add(tile);
      if (task.base) kernels.dot(context.baseLane, context.baseLane, tile.n, tile.index & 7, baseNorm);
      if (!verbatim) rounding.encode(tile, merged, output + codecBytes(target, tile.index - chunk.start));
    },
    (chunk) => {
      const made = memory.subarray(output, output + codecBytes(target, chunk.n));
      const bytes = verbatim ? context.rawChunk(0, chunk) : made;
      hash.update(bytes);
      io.write(task.target, codecBytes(target, chunk.start), bytes);
    },
  );
  return {
    sha256: hash.digest('hex'),
    inputs: context.inputHashes(),
    gram: gram.total().toArray(),
    baseNorm: task.base ? context.total(baseNorm) : 0,
    ...rounding.measure(),
  };
}

// One model's tensor as it is stored: block formats would not survive decoding and encoding.
function isVerbatim({ method, settings, models, target }: TensorTask): boolean {
  const [model] = models;
  if (method !== 'passthrough' || model?.dtype !== target.dtype || model.rows || target.block) return false;
  return itemOf(settings, 'scale', 0) === 1;
}

// Leaves the contributions in their lanes, their sum in the sum lane, and the merged weights in the lane it returns.
function merging(context: TensorContext, method: Method): MergeTile {
  const contribute = method.begin(context);
  const { kernels, models, task, sumLane: sum } = context;
  return (tile) => {
    const { n } = tile;
    contribute(tile);
    if (models === 1) context.memory.copyWithin(sum, context.lane(0), context.lane(0) + 4 * n);
    else kernels.add(sum, context.lane(0), context.lane(1), n);
    for (let position = 2; position < models; position++) kernels.add(sum, sum, context.lane(position), n);
    if (!task.base) return sum;
    kernels.add(context.workLane(0), context.baseLane, sum, n);
    return context.workLane(0);
  };
}

// The scales of another task's tensor, which are found by merging it.
function writeScales(instance: KernelInstance, { weights, target }: TensorTask, io: TensorIo): TensorResult {
  const method = METHODS.get(weights?.method ?? '');
  invariant(weights !== undefined && method !== undefined, 'scales are those of a tensor that is merged');
  const context = new TensorContext(instance, { method, task: weights, io });
  const { values } = measureScales(context, merging(context, method));
  const bytes = new Uint8Array(target.sizeBytes);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => {
    view.setFloat32(4 * i, value, true);
  });
  io.write(target, 0, bytes);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { sha256, inputs: context.inputHashes(), gram: [], baseNorm: 0, roundingNorm: 0, survival: 1 };
}

interface Rounder {
  encode(tile: Tile, lane: number, raw: number): void;
  measure(): { readonly roundingNorm: number; readonly survival: number };
}

// Refuses what is out of the type's range, encodes, and sums up what rounding changed by reading back.
function createRounding(context: TensorContext, scales: Fp8Scales | undefined): Rounder {
  const { kernels, task } = context;
  const { dtype } = task.target;
  const codec = codecOf(dtype);
  const stochastic = task.rounding === 'stochastic' && dtype === 'BF16';
  const { k0, k1 } = hashKey(task, ROUNDING_POSITION);
  const change = context.workLane(1);
  const [error, lost, moved] = [context.sum(), context.sum(), context.sum()];
  return {
    encode: (tile, lane, raw) => {
      const { n, index } = tile;
      const demandFit = (): void => {
        const beyond = kernels.firstBeyond(lane, n, codec.largestBits);
        if (beyond >= 0) throw outOfRange(task, index + beyond);
      };
      if (scales) encodeScaled(context, scales, { tile, lane, raw, change });
      else if (dtype === 'BF16' && !stochastic) {
        if (!kernels.roundBf16(lane, raw, n, change)) demandFit();
      } else {
        demandFit();
        if (stochastic) kernels.encodeBf16Stochastic(lane, raw, n, index, k0, k1);
        else encodeLane(codec, context, { src: lane, dst: raw, n });
        if (dtype === 'F32') return;
        decodeLane(codec, context, { src: raw, dst: change, n });
        kernels.subtract(change, change, lane, n);
      }
      if (task.base) kernels.dotPair(change, context.sumLane, n, index & 7, error, lost, moved);
      else kernels.dot(change, change, n, index & 7, error);
    },
    measure: () => {
      const update = context.total(moved);
      return {
        roundingNorm: context.total(error),
        survival: update === 0 ? 1 : 1 + context.total(lost) / update,
      };
    },
  };
}

function copyTensor(instance: KernelInstance, task: TensorTask, io: TensorIo): TensorResult {
  const sources = task.base ? [...task.models, task.base] : task.models;
  const buffer = instance.bytes.subarray(instance.free);
  const hashes = sources.map((source, which) => hashSource(source, { buffer, io, task, write: which === 0 }));
  const [sha256 = ''] = hashes;
  const differing = sources.find((_source, which) => hashes[which] !== sha256);
  if (differing) {
    const reason = 'a tensor that is not merged differs between models';
    throw new SaharaError('tensor-invalid', { reason, tensor: task.name, path: differing.path });
  }
  return { sha256, inputs: hashes, gram: [], baseNorm: 0, roundingNorm: 0, survival: 1 };
}

function hashSource(
  source: TensorSource,
  parts: {
    readonly buffer: Uint8Array;
    readonly io: TensorIo;
    readonly task: TensorTask;
    readonly write: boolean;
  },
): string {
  const { buffer, io, task, write } = parts;
  const hash = createHash('sha256');
  for (let offset = 0; offset < source.sizeBytes; offset += buffer.length) {
    const bytes = buffer.subarray(0, Math.min(buffer.length, source.sizeBytes - offset));
    io.read(source, offset, bytes);
    hash.update(bytes);
    if (write) io.write(task.target, offset, bytes);
  }
  return hash.digest('hex');
}
