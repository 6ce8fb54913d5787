/** What a worker can be asked, and doing it. */
import { createHash } from 'node:crypto';
import { invariant } from '../base/errors.ts';
import { TensorContext } from './context.ts';
import { sumGram } from './gram.ts';
import type { KernelInstance } from './kernels.ts';
import { mergeTensor } from './merge-tensor.ts';
import { METHODS } from './methods.ts';
import type { TensorIo, TensorResult, TensorSource, TensorTask } from './task.ts';

/**
 * A piece of work: merge a tensor; hash bytes; or take the inner products of a task's deltas without merging them.
 */
export type Job =
  | { readonly kind: 'merge'; readonly task: TensorTask }
  | { readonly kind: 'hash'; readonly source: TensorSource }
  | { readonly kind: 'gram'; readonly task: TensorTask };

/** What comes of each kind of job. */
export type JobResult =
  | { readonly kind: 'merge'; readonly result: TensorResult }
  | { readonly kind: 'hash'; readonly sha256: string }
  | { readonly kind: 'gram'; readonly gram: readonly number[]; readonly baseNorm: number };

/** Bytes that a job goes through, for progress and for doing the largest first. */
export function jobBytes(job: Job): number {
  if (job.kind === 'hash') return job.source.sizeBytes;
  const { models, base, target } = job.task;
  return models.reduce((sum, { sizeBytes }) => sum + sizeBytes, (base?.sizeBytes ?? 0) + target.sizeBytes);
}

/** Does one job with the memory of `instance`. */
export function doJob(instance: KernelInstance, job: Job, io: TensorIo): JobResult {
  switch (job.kind) {
    case 'merge':
      return { kind: 'merge', result: mergeTensor(instance, job.task, io) };
    case 'hash':
      return { kind: 'hash', sha256: hashBytes(instance, job.source, io) };
    case 'gram':
      return { kind: 'gram', ...measure(instance, job.task, io) };
  }
}

function hashBytes(instance: KernelInstance, source: TensorSource, io: TensorIo): string {
  const buffer = instance.bytes.subarray(instance.free);
  const hash = createHash('sha256');
  for (let offset = 0; offset < source.sizeBytes; offset += buffer.length) {
    const bytes = buffer.subarray(0, Math.min(buffer.length, source.sizeBytes - offset));
    io.read(source, offset, bytes);
    hash.update(bytes);
  }
  return hash.digest('hex');
}

function measure(
  instance: KernelInstance,
  task: TensorTask,
  io: TensorIo,
): { gram: number[]; baseNorm: number } {
  const method = METHODS.get(task.method);
  invariant(method !== undefined, `${task.method} is a method`);
  const context = new TensorContext(instance, { method, task, io });
  const gram = sumGram(
    context,
    task.models.map((_model, position) => context.lane(position)),
  );
  const norm = context.sum();
  context.pass((tile) => {
    gram.add(tile);
    if (task.base) context.kernels.dot(context.baseLane, context.baseLane, tile.n, tile.index & 7, norm);
  });
  return { gram: gram.total().toArray(), baseNorm: context.total(norm) };
}
