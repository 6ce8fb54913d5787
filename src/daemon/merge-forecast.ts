/** What a merge will take, told from its plan alone: memory, disk, time, and who will have made how much of it. */
import { statfs } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { byteLength, codecOf, isWeightType } from '../merge/dtypes.ts';
import { createKernels } from '../merge/kernels.ts';
import { WORKER_MEMORY_BYTES_MAX, WORKER_MEMORY_BYTES_MIN } from '../merge/limits.ts';
import { ancestorsOf, type SharedModel } from '../merge/lineage.ts';
import { mergeTensor } from '../merge/merge-tensor.ts';
import type { MergePlan } from '../merge/plan.ts';
import { toPpm } from '../merge/shares.ts';
import { allStages, outputBytes } from '../merge/stages.ts';
import { rowLength, type TensorIo, type TensorTask } from '../merge/task.ts';

/** What a merge will take. */
export interface MergeForecast {
  /** Bytes that the workers have together. */
  readonly memoryBytes: number;
  readonly workers: number;
  /** Bytes that will be on the disk at most, stages included, and that the disk has free. */
  readonly diskBytes: number;
  /** Of these, what stages take until the whole is done. */
  readonly stageBytes: number;
  /** Bytes of tensors that are read at least once. */
  readonly readBytes: number;
  readonly freeBytes: number;
  /** Seconds of computing, with the disk keeping up; absent where nothing is computed. */
  readonly seconds?: number;
  /**
   * Every model that no stage makes, with the part of the whole that is its own in parts per million, as if all had
   * changed as much and in unlike directions. Measured ones are known after the merge.
   */
  readonly models: readonly ForecastModel[];
}

/** A model and what it will have of a merge. */
export interface ForecastModel {
  readonly name: string;
  readonly path: string;
  readonly share: number;
}

/** What a merge may use. */
export interface MergeMeans {
  readonly output: string;
  readonly workers: number;
  readonly memoryBytes: number;
}

/**
 * The forecast for `plan`, and what stands in its way. As many of the workers are used as can do the largest tensor
 * in their part of the memory.
 */
export async function forecastMerge(
  plan: MergePlan,
  means: MergeMeans,
  clock: Clock,
): Promise<{ readonly forecast: MergeForecast; readonly problems: readonly string[] }> {
  const problems: string[] = [];
  const plans = [...allStages(plan).map((stage) => stage.plan), plan];
  const least = Math.max(WORKER_MEMORY_BYTES_MIN, ...plans.map(({ workerBytesMin }) => workerBytesMin));
  const workers = Math.min(means.workers, Math.floor(means.memoryBytes / least));
  if (least > WORKER_MEMORY_BYTES_MAX) {
    problems.push(`a row is too long for this method: a worker would need ${least} bytes of memory`);
  } else if (workers < 1) {
    problems.push(`${means.memoryBytes} bytes of memory are too few: this merge needs at least ${least}`);
  }
  const diskBytes = plans.reduce((sum, each) => sum + outputBytes(each), 0);
  const freeBytes = await freeBytesAt(means.output);
  if (freeBytes < diskBytes) {
    problems.push(`the disk is too small: the output takes ${diskBytes} bytes and ${freeBytes} are free`);
  }
  const seconds = problems.length > 0 ? undefined : secondsOf(plans, clock);
  return {
    problems,
    forecast: {
      memoryBytes: Math.max(1, workers) * Math.floor(means.memoryBytes / Math.max(1, workers)),
      workers: Math.max(1, workers),
      diskBytes,
      stageBytes: diskBytes - outputBytes(plan),
      readBytes: plans.reduce((sum, { readBytes }) => sum + readBytes, 0),
      freeBytes,
      ...(seconds !== undefined && { seconds: seconds / Math.max(1, workers) }),
      models: forecastModels(plan),
    },
  };
}

/** Free bytes of the disk that will hold `output`, by the nearest folder above it that exists. */
async function freeBytesAt(output: string): Promise<number> {
  for (let folder = dirname(resolve(output)); ; folder = dirname(folder)) {
    const found = await statfs(folder).catch(() => undefined);
    if (found !== undefined) return found.bavail * found.bsize;
    if (folder === dirname(folder)) return 0;
  }
}

/** Seconds of one worker; `undefined` where nothing is computed, or it cannot be measured. */
function secondsOf(plans: readonly MergePlan[], clock: Clock): number | undefined {
  const each = plans.map((plan) => {
    const secondsPerByte = measure(plan, clock);
    return secondsPerByte && secondsPerByte * (plan.readBytes + plan.writeBytes);
  });
  const known = each.filter((seconds) => seconds !== undefined);
  return known.length === 0 ? undefined : known.reduce((sum, seconds) => sum + seconds, 0);
}

function forecastModels(plan: MergePlan): readonly ForecastModel[] {
  const stages = allStages(plan);
  const made = new Set(stages.map(({ path }) => path));
  const paths = new Map<string, string>();
  const shared = (of: MergePlan): readonly SharedModel[] => {
    const shares = forecastShares(of);
    return of.models.map(({ name, path }, i) => {
      if (!made.has(path)) paths.set(name, path);
      return { name, sharePpm: shares[of.parents.indexOf(i)] ?? 0 };
    });
  };
  const below = new Map(stages.map((stage) => [stage.name, shared(stage.plan)]));
  return ancestorsOf({ models: shared(plan), stages: below }).map(({ name, sharePpm }) => {
    return { name, path: paths.get(name) ?? name, share: sharePpm };
  });
}

/** A part's value is quadratic in its weight, see `merge/shares.ts`. */
function forecastShares({ tasks, parents }: MergePlan): readonly number[] {
  const values: number[] = new Array(parents.length).fill(0);
  for (const task of tasks) {
    task.parents.forEach((parent, position) => {
      values[parent] = (values[parent] ?? 0) + task.elements * weightOf(task, position) ** 2;
    });
  }
  return toPpm(values);
}

function weightOf({ settings }: TensorTask, position: number): number {
  const { weight, t } = settings;
  if (Array.isArray(weight)) return Number(weight[position] ?? 1);
  if (typeof t === 'number') return position === 0 ? 1 - t : t;
  return 1;
}

const PROBE_ELEMENTS = 2 ** 18;
const PROBE_ROUNDS = 2;

/** Seconds per byte of the plan's largest tensor, by merging made-up numbers of its types with its settings. */
function measure(plan: MergePlan, clock: Clock): number | undefined {
  const [largest] = plan.tasks.filter(({ kind }) => kind === 'merge').sort((a, b) => b.elements - a.elements);
  if (largest === undefined) return undefined;
  const probe = probeOf(largest);
  try {
    const instance = createKernels(Math.max(plan.workerBytesMin, 4 * WORKER_MEMORY_BYTES_MIN));
    let seconds = Infinity;
    // The first round also compiles.
    for (let round = 0; round < PROBE_ROUNDS; round++) {
      const startMs = clock.monotonicMs();
      mergeTensor(instance, probe, MADE_UP);
      seconds = Math.min(seconds, (clock.monotonicMs() - startMs) / 1000);
    }
    const sources = probe.base ? [...probe.models, probe.base] : probe.models;
    const bytes = sources.reduce((sum, { sizeBytes }) => sum + sizeBytes, probe.target.sizeBytes);
    return seconds / bytes;
  } catch {
    // Settings that made-up numbers do not go with: there is no forecast then.
    return undefined;
  }
}

function probeOf(task: TensorTask): TensorTask {
  const row = rowLength(task);
  const rows = Math.max(1, Math.floor(Math.min(task.elements, PROBE_ELEMENTS) / row));
  const elements = task.shape.length > 1 ? rows * row : task.elements;
  const source = (path: string, dtype: string): TensorTask['models'][number] => {
    return { path, dtype, offset: 0, sizeBytes: byteLength(dtype, elements) };
  };
  const { base, target } = task;
  return {
    ...task,
    shape: task.shape.length > 1 ? [rows, row] : [elements],
    elements,
    models: task.models.map(({ dtype }, i) => source(String(i + 1), dtype)),
    ...(base && { base: source('0', base.dtype) }),
    target: { ...target, sizeBytes: byteLength(target.dtype, elements) },
  };
}

/** Small positive numbers in every type: high bytes of one exponent, low bytes that differ by model and place. */
const MADE_UP: TensorIo = {
  read({ path, dtype }, offset, into) {
    const phase = 1 + 2 * Number(path);
    const wide = isWeightType(dtype) && codecOf(dtype).quantised;
    for (let i = 0; i < into.length; i++) {
      const at = offset + i;
      const high = !wide && at % 2 === 1;
      into[i] = high ? 0x3c : Math.imul(at + phase, 0x9e3779b1 + phase) >>> 24;
    }
    if (wide) into.fill(0x2c);
  },
  write() {},
};
