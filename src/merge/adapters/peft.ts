/**
 * LoRA adapters as PEFT stores them: `adapter_config.json` and `adapter_model.safetensors`. Scale factors are folded
 * into `b` on reading, so that an adapter here is its updates and nothing else. What is not a plain LoRA (DoRA, biases,
 * saved modules, embeddings) is refused by name instead of being lost.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { concat } from '../../base/bytes.ts';
import { asSaharaError, SaharaError } from '../../base/errors.ts';
import { readJson } from '../checkpoint.ts';
import { ADAPTER_RANK_MAX } from '../limits.ts';
import { headerLength, layOut, PREFIX_BYTES, parseHeader } from '../safetensors.ts';
import type { LowRank, Matrix } from './low-rank.ts';
import { readAdapterFile, readMatrix } from './read-matrix.ts';

const CONFIG_NAME = 'adapter_config.json';
const WEIGHTS_NAME = 'adapter_model.safetensors';
const PREFIX = 'base_model.model.';

/** An adapter: an update for each module that it touches, by the module's name in the model. */
export interface Adapter {
  readonly modules: ReadonlyMap<string, LowRank>;
  /** Its configuration, for what is written later. */
  readonly config: Readonly<Record<string, unknown>>;
  /** GGUF's name for the kind of model it is for, when modules are named as in GGUF; absent: as in PEFT. */
  readonly architecture?: string;
}

/**
 * Reads the adapter in `directory`. Fails with `file-missing`, with `tensor-invalid` when its files are wrong, and with
 * `merge-refused` when it is more than a plain LoRA.
 */
export async function readPeft(directory: string): Promise<Adapter> {
  const config = await readJson(join(directory, CONFIG_NAME));
  if (!config) throw new SaharaError('file-missing', { path: join(directory, CONFIG_NAME) });
  checkPlain(config, directory);
  const path = join(directory, WEIGHTS_NAME);
  try {
    return { modules: pairUp(await readWeights(path), config), config };
  } catch (error) {
    const failure = asSaharaError(error);
    throw new SaharaError(failure.code, { ...failure.facts, path }, { cause: error });
  }
}

/**
 * Writes `adapter` into `directory`, which is made; in F32, with scale factors of one. Fails with `merge-refused` for
 * one with GGUF's names.
 */
export async function writePeft(
  directory: string,
  { modules, config, architecture }: Adapter,
): Promise<void> {
  if (architecture !== undefined) {
    throw new SaharaError('merge-refused', { reason: 'modules are named as in GGUF', architecture });
  }
  const tensors = [...modules].flatMap(([name, { a, b }]) => [
    { name: `${PREFIX}${name}.lora_A.weight`, dtype: 'F32', shape: [a.rows, a.columns], values: a.values },
    { name: `${PREFIX}${name}.lora_B.weight`, dtype: 'F32', shape: [b.rows, b.columns], values: b.values },
  ]);
  const layout = layOut(tensors, { format: 'pt' });
  const values = new Map(tensors.map((tensor) => [tensor.name, tensor.values]));
  const data = layout.tensors.map(({ name }) => {
    const lane = Float32Array.from(values.get(name) ?? []);
    return new Uint8Array(lane.buffer);
  });
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, WEIGHTS_NAME), concat(layout.bytes, ...data));
  await writeFile(
    join(directory, CONFIG_NAME),
    `${JSON.stringify(describe(modules, config), undefined, 2)}\n`,
  );
}

// With lora_alpha equal to r the factor is one; modules of other ranks say theirs by name.
function describe(modules: Adapter['modules'], config: Adapter['config']): Record<string, unknown> {
  const ranks = [...modules].map(([name, { a }]): [string, number] => [name, a.rows]);
  const rank = ranks.reduce((most, [, each]) => Math.max(most, each), 1);
  const others = Object.fromEntries(ranks.filter(([, each]) => each !== rank));
  const targets = new Set(ranks.map(([name]) => name.split('.').at(-1) ?? name));
  return {
    ...config,
    r: rank,
    lora_alpha: rank,
    use_rslora: false,
    rank_pattern: others,
    alpha_pattern: others,
    target_modules: [...targets].sort(),
  };
}

function checkPlain(config: Readonly<Record<string, unknown>>, path: string): void {
  const { peft_type: type, bias, modules_to_save: saved } = config;
  const wrong: [boolean, string][] = [
    [type !== undefined && type !== 'LORA', 'is not a LoRA'],
    [config.use_dora === true, 'is a DoRA'],
    [config.fan_in_fan_out === true, 'is stored transposed'],
    [bias !== undefined && bias !== 'none', 'trains biases'],
    [Array.isArray(saved) && saved.length > 0, 'saves whole modules'],
  ];
  for (const [is, reason] of wrong) if (is) throw new SaharaError('merge-refused', { reason, path });
}

async function readWeights(path: string): Promise<ReadonlyMap<string, Matrix>> {
  const file = await readAdapterFile(path);
  const length = headerLength(file.subarray(0, PREFIX_BYTES), file.length);
  const { tensors } = parseHeader(file.subarray(PREFIX_BYTES, PREFIX_BYTES + length), file.length);
  return new Map(tensors.map((entry) => [entry.name, readMatrix(file, entry)]));
}

function pairUp(
  matrices: ReadonlyMap<string, Matrix>,
  config: Readonly<Record<string, unknown>>,
): ReadonlyMap<string, LowRank> {
  const modules = new Map<string, LowRank>();
  for (const [name, a] of matrices) {
    const [, module, which] = /^base_model\.model\.(.+)\.lora_([AB])\.weight$/.exec(name) ?? [];
    if (module === undefined)
      throw new SaharaError('merge-refused', { reason: 'is more than a plain LoRA', name });
    const b = matrices.get(`${PREFIX}${module}.lora_B.weight`);
    const partner = matrices.get(`${PREFIX}${module}.lora_A.weight`);
    if (!b || !partner) throw new SaharaError('tensor-invalid', { reason: 'has no counterpart', name });
    if (which === 'B') continue;
    if (a.rows !== b.columns || a.rows < 1 || a.rows > ADAPTER_RANK_MAX) {
      throw new SaharaError('tensor-invalid', { reason: 'factors do not fit', name });
    }
    const scale = scaleOf(module, { rank: a.rows, config });
    modules.set(module, { a, b: { ...b, values: b.values.map((value) => value * scale) } });
  }
  return modules;
}

// alpha / r, or alpha / sqrt(r) for rank-stabilised LoRA (Kalajdzievski 2023); alpha may depend on the module.
function scaleOf(
  module: string,
  { rank, config }: { readonly rank: number; readonly config: Readonly<Record<string, unknown>> },
): number {
  const patterns = config.alpha_pattern;
  const entries = typeof patterns === 'object' && patterns !== null ? Object.entries(patterns) : [];
  const strange = entries.find(([key]) => !/^[\w.-]+$/.test(key));
  if (strange)
    throw new SaharaError('merge-refused', {
      reason: 'alpha_pattern is a regular expression',
      name: strange[0],
    });
  const own = entries.find(([key]) => module === key || module.endsWith(`.${key}`))?.[1];
  const alpha = own ?? config.lora_alpha;
  if (typeof alpha !== 'number' || !Number.isFinite(alpha)) {
    throw new SaharaError('tensor-invalid', { reason: 'lora_alpha is not a number' });
  }
  return alpha / (config.use_rslora === true ? Math.sqrt(rank) : rank);
}
