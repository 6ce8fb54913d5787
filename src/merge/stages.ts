/**
 * Stages of a merge: outputs that later ones read, planned before they exist. They lie in a working folder of their
 * own until the whole is done; the folder of a stage has its plan's id in its name, so what lies there under its final
 * name is that stage, whole.
 */
import { basename, join, resolve } from 'node:path';
import type { Checkpoint, StoredTensor } from './checkpoint.ts';
import { parseGguf } from './gguf.ts';
import type { MergePlan, PlanOptions } from './plan.ts';
import { findScale, isScaled } from './scaled.ts';

/** A stage that a plan reads. */
export interface PlannedStage {
  /** How recipes name it. */
  readonly name: string;
  /** Folder of its output. */
  readonly path: string;
  readonly plan: MergePlan;
}

const ID_LENGTH = 16;

/** Where the output of a stage lies. */
export function stagePath(name: string, plan: MergePlan, { stagesDirectory }: PlanOptions): string {
  const safe = name.replace(/[^\w.-]+/g, '_').slice(0, 64);
  return join(resolve(stagesDirectory), `${safe}-${plan.id.slice(0, ID_LENGTH)}`);
}

/** All stages below `plan`, each once, those that are read before those that read them. */
export function allStages(plan: Pick<MergePlan, 'stages'>): readonly PlannedStage[] {
  const found = new Map<string, PlannedStage>();
  const visit = ({ stages }: Pick<MergePlan, 'stages'>): void => {
    for (const stage of stages) {
      if (found.has(stage.path)) continue;
      visit(stage.plan);
      found.set(stage.path, stage);
    }
  };
  visit(plan);
  return [...found.values()];
}

/** Bytes of a plan's own output. */
export function outputBytes({ files }: Pick<MergePlan, 'files'>): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

/** The model that a stage will be, out of its plan alone. */
export function stageCheckpoint({ path, plan }: PlannedStage): Checkpoint {
  const files = plan.files.map(({ name, sizeBytes }) => ({ path: join(path, name), sizeBytes }));
  const config = plan.config ?? {};
  const planned = {
    texts: { ...plan.texts, ...(plan.config ? { 'config.json': JSON.stringify(plan.config) } : {}) },
    paths: Object.fromEntries(plan.sideFiles.map((file) => [basename(file), file])),
  };
  const tensors = new Map<string, StoredTensor>();
  for (const { name, shape, elements, target } of plan.tasks) {
    const { dtype, offset, sizeBytes } = target;
    tensors.set(name, { name, dtype, shape, elements, offset, sizeBytes, path: join(path, target.path) });
  }
  const [only] = plan.files;
  if (!plan.config && only) {
    const { metadata } = parseGguf(only.header, only.sizeBytes);
    const architecture = String(metadata.get('general.architecture')?.value);
    const layers = metadata.get(`${architecture}.block_count`)?.value;
    const said = typeof layers === 'number' ? { num_hidden_layers: layers } : {};
    return { directory: path, planned, tensors, config: said, metadata, files };
  }
  for (const tensor of tensors.values()) {
    if (isScaled(tensor.dtype))
      tensors.set(tensor.name, { ...tensor, scale: findScale(tensor, { tensors, config }) });
  }
  return { directory: path, planned, tensors, config, files };
}
