/**
 * LoRA adapters as llama.cpp reads them: one GGUF file with pairs of factors and one `adapter.lora.alpha` for all. On
 * reading the scale is folded into `b`; on writing, modules of another rank than the greatest have theirs folded back,
 * because llama.cpp divides `alpha` by the rank of each.
 */
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { concat } from '../../base/bytes.ts';
import { asSaharaError, SaharaError } from '../../base/errors.ts';
import { type GgufValue, ggufF32, ggufText, ggufU32, layOutGguf, parseGguf } from '../gguf.ts';
import { ioError } from '../io.ts';
import { ADAPTER_RANK_MAX } from '../limits.ts';
import type { LowRank, Matrix } from './low-rank.ts';
import type { Adapter } from './peft.ts';
import { readAdapterFile, readMatrix } from './read-matrix.ts';

const FACTOR = /^(.+)\.weight\.lora_([ab])$/;
/** Its factors stand the other way round, since its rows are looked up; PEFT has another kind of layer for it. */
const EMBEDDING = 'token_embd';
const QUANTISATION_VERSION = 2;

/**
 * Reads the adapter in the file `path`. Modules are named as in GGUF. Fails with `file-missing`, `too-large`, with
 * `tensor-invalid` when the file is wrong, and with `merge-refused` when it is more than a plain LoRA.
 */
export async function readGgufLora(path: string): Promise<Adapter> {
  const file = await readAdapterFile(path);
  try {
    return parseLora(file);
  } catch (error) {
    const failure = asSaharaError(error);
    throw new SaharaError(failure.code, { ...failure.facts, path }, { cause: error });
  }
}

function parseLora(file: Uint8Array): Adapter {
  const { metadata, tensors } = parseGguf(file, file.length);
  const said = (key: string): GgufValue['value'] => metadata.get(key)?.value;
  const [kind, type] = [said('general.type'), said('adapter.type')];
  if (kind !== 'adapter' || type !== 'lora') {
    throw new SaharaError('merge-refused', { reason: 'is not a LoRA adapter', type: String(type ?? kind) });
  }
  const [architecture, alpha] = [said('general.architecture'), said('adapter.lora.alpha')];
  if (typeof architecture !== 'string' || typeof alpha !== 'number' || !Number.isFinite(alpha)) {
    throw new SaharaError('tensor-invalid', { reason: 'states no architecture or no alpha' });
  }
  const halves = new Map<string, { a?: Matrix; b?: Matrix }>();
  for (const entry of tensors) {
    const [, module, which] = FACTOR.exec(entry.name) ?? [];
    if (module === undefined || module === EMBEDDING) {
      throw new SaharaError('merge-refused', { reason: 'is more than a plain LoRA', name: entry.name });
    }
    const matrix = readMatrix(file, entry);
    halves.set(module, { ...halves.get(module), ...(which === 'a' ? { a: matrix } : { b: matrix }) });
  }
  const modules = new Map([...halves].map(([name, half]) => [name, pair(name, half, alpha)]));
  if (modules.size === 0) throw new SaharaError('tensor-invalid', { reason: 'changes nothing' });
  return { modules, config: { peft_type: 'LORA', bias: 'none' }, architecture };
}

function pair(name: string, { a, b }: { a?: Matrix; b?: Matrix }, alpha: number): LowRank {
  if (!a || !b) throw new SaharaError('tensor-invalid', { reason: 'has no counterpart', name });
  if (a.rows !== b.columns || a.rows < 1 || a.rows > ADAPTER_RANK_MAX) {
    throw new SaharaError('tensor-invalid', { reason: 'factors do not fit', name });
  }
  // llama.cpp takes an alpha of zero for a scale of one.
  const scale = alpha === 0 ? 1 : alpha / a.rows;
  return { a, b: { ...b, values: b.values.map((value) => value * scale) } };
}

/**
 * Writes `adapter` into the file `path`, in F32. Fails with `merge-refused` when its modules are not named as in GGUF
 * (`toGgufNames` does that), with `disk-full`.
 */
export async function writeGgufLora(path: string, { modules, architecture }: Adapter): Promise<void> {
  if (architecture === undefined) {
    throw new SaharaError('merge-refused', { reason: 'modules are not named as in GGUF' });
  }
  const alpha = [...modules.values()].reduce((most, { a }) => Math.max(most, a.rows), 1);
  const tensors = [...modules].flatMap(([name, { a, b }]) => [
    factor(`${name}.weight.lora_a`, a, 1),
    factor(`${name}.weight.lora_b`, b, a.rows / alpha),
  ]);
  const metadata = new Map<string, GgufValue>([
    ['general.architecture', ggufText(architecture)],
    ['general.type', ggufText('adapter')],
    ['adapter.type', ggufText('lora')],
    ['adapter.lora.alpha', ggufF32(alpha)],
    ['general.quantization_version', ggufU32(QUANTISATION_VERSION)],
  ]);
  const layout = layOutGguf(tensors, metadata);
  const bytes = concat(layout.bytes, new Uint8Array(layout.fileBytes - layout.bytes.length));
  layout.tensors.forEach(({ offset }, i) => {
    const values = tensors[i]?.values ?? new Float32Array();
    bytes.set(new Uint8Array(values.buffer), offset);
  });
  const folder = await mkdtemp(`${path}.partial-`).catch((error: unknown) => {
    throw ioError(error, path);
  });
  try {
    const partial = join(folder, basename(path));
    await writeFile(partial, bytes);
    await rename(partial, path);
  } catch (error) {
    throw ioError(error, path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Factor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

function factor(name: string, { rows, columns, values }: Matrix, scale: number): Factor {
  const rounded = Float32Array.from(values, (value) => value * scale);
  if (!rounded.every(Number.isFinite)) {
    throw new SaharaError('tensor-invalid', { reason: 'result out of range of the output type', name });
  }
  return { name, dtype: 'F32', shape: [rows, columns], values: rounded };
}
