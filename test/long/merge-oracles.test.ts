/**
 * Files that merging writes, as others read them: llama.cpp's `gguf` and its converter of adapters, Hugging Face's
 * `safetensors`, PyTorch. They are installed by `scripts/install-mergekit`; the converter comes with node-llama-cpp.
 * Skipped aloud without them.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeModel, TINY } from '../../examples/merge/make-models.ts';
import { makeTalkingModels } from '../../examples/merge/talking-models.ts';
import { MERGEKIT_MISSING, mergekitPython } from '../../scripts/mergekit.ts';
import { systemClock } from '../../src/base/clock.ts';
import { writeGgufLora } from '../../src/merge/adapters/gguf-lora.ts';
import { toGgufNames } from '../../src/merge/adapters/gguf-names.ts';
import type { LowRank, Matrix } from '../../src/merge/adapters/low-rank.ts';
import { type Adapter, writePeft } from '../../src/merge/adapters/peft.ts';
import { openCheckpoint } from '../../src/merge/checkpoint.ts';
import { codecBytes, codecOf, encodeLane } from '../../src/merge/dtypes.ts';
import { createKernels } from '../../src/merge/kernels.ts';
import { runMerge } from '../../src/merge/run.ts';
import { readTensor } from '../merge/gguf-models.ts';
import { plan } from '../merge/models.ts';
import { createRandom, normals } from '../merge/support.ts';

const python = mergekitPython();
if (python === undefined) console.warn(`SKIPPED: files of merges as others read them: ${MERGEKIT_MISSING}`);
const ORACLE = fileURLToPath(new URL('../interop/python/merge_oracle.py', import.meta.url));
const RELEASE = join(
  dirname(createRequire(import.meta.url).resolve('node-llama-cpp')),
  ...['..', 'llama', 'gitRelease.bundle'],
);

let root = '';
const at = (...parts: string[]): string => join(root, ...parts);
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'sahara-oracles-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

function ask<T>(command: string, path: string): T {
  return JSON.parse(execFileSync(python ?? '', [ORACLE, command, path], { encoding: 'utf8' }));
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function numbersHash(model: string, name: string): Promise<string> {
  return sha256(new Uint8Array(Float32Array.from(await readTensor(model, name)).buffer));
}

describe.skipIf(python === undefined)('files of merges, as others read them', () => {
  it('MRG-25, MRG-26: gguf reads every tensor of a merge as the same numbers, in every type', async () => {
    await makeTalkingModels(root);
    for (const dtype of ['float32', 'float16', 'bfloat16', 'q8_0', 'q5_1', 'q5_0', 'q4_1', 'q4_0']) {
      const models = '[{model: law, parameters: {weight: 1}}, {model: medicine, parameters: {weight: 1}}]';
      const recipe = `merge_method: linear\nmodels: ${models}\nout_dtype: ${dtype}\n`;
      const output = at(`gguf-${dtype}`);
      await runMerge(await plan(root, recipe), { output }, { clock: systemClock });
      type Read = Record<string, { dtype: string; shape: number[]; sha256: string }>;
      const theirs = ask<Read>('gguf', join(output, 'model.gguf'));
      const { tensors } = await openCheckpoint(output);
      expect(Object.keys(theirs)).toEqual([...tensors.keys()]);
      for (const [name, tensor] of tensors) {
        const ours = { dtype: tensor.dtype, shape: tensor.shape, sha256: await numbersHash(output, name) };
        expect([name, theirs[name]]).toEqual([name, ours]);
      }
    }
  });

  it('MRG-25: gguf rounds to every type that is written as we do', async () => {
    const values = Float32Array.from(normals(64 * 256, 0.02, createRandom(8)));
    await writeFile(at('values.bin'), new Uint8Array(values.buffer));
    const theirs = ask<Record<string, string>>('quantise', at('values.bin'));
    const { kernels, bytes: memory, free } = createKernels(1024 * 1024);
    const target = free + values.byteLength;
    for (const [dtype, expected] of Object.entries(theirs)) {
      memory.set(new Uint8Array(values.buffer), free);
      encodeLane(codecOf(dtype), { kernels, memory }, { src: free, dst: target, n: values.length });
      const made = memory.subarray(target, target + codecBytes(codecOf(dtype), values.length));
      expect([dtype, sha256(made)]).toEqual([dtype, expected]);
    }
  });

  it('MRG-1: safetensors reads a merge of several files as the same numbers', async () => {
    for (const [i, name] of ['a', 'b'].entries()) await makeModel(at(name), TINY, { base: 1, tune: 2 + i });
    const recipe =
      'merge_method: slerp\nbase_model: a\nmodels: [{model: a}, {model: b}]\nparameters: {t: 0.4}\n';
    const planned = await plan(root, recipe, { shardBytesMax: 40_000 });
    await runMerge(planned, { output: at('slerp') }, { clock: systemClock });
    expect(planned.files.length).toBeGreaterThan(2);
    for (const { name: file, tensors } of planned.files) {
      const theirs = ask<Record<string, string>>('safetensors', at('slerp', file));
      expect(Object.keys(theirs).sort()).toEqual([...tensors].sort());
      for (const name of tensors) expect(theirs[name]).toBe(await numbersHash(at('slerp'), name));
    }
  });

  it('MRG-40: what PyTorch saves is read as the same numbers', async () => {
    await mkdir(at('torch'));
    const theirs = ask<Record<string, string>>('torch', at('torch', 'pytorch_model.bin'));
    const { tensors } = await openCheckpoint(at('torch'));
    expect([...tensors.keys()].sort()).toEqual(Object.keys(theirs).sort());
    for (const name of tensors.keys()) expect(await numbersHash(at('torch'), name)).toBe(theirs[name]);
  });

  it.skipIf(!existsSync(RELEASE))(
    'MRG-36: llama.cpp’s converter makes the same adapter of one from PEFT',
    async () => {
      execFileSync('git', ['clone', '--quiet', RELEASE, at('llama.cpp')], { stdio: 'ignore' });
      const random = createRandom(3);
      const matrix = (rows: number, columns: number): Matrix => {
        return { rows, columns, values: normals(rows * columns, 1, random).map(Math.fround) };
      };
      const update = (rows: number, columns: number): LowRank => ({
        b: matrix(rows, 4),
        a: matrix(4, columns),
      });
      const adapter: Adapter = {
        config: { peft_type: 'LORA', bias: 'none', base_model_name_or_path: 'base' },
        modules: new Map([
          ['model.layers.0.self_attn.q_proj', update(64, 64)],
          ['model.layers.0.self_attn.k_proj', update(32, 64)],
          ['model.layers.0.self_attn.v_proj', update(32, 64)],
          ['model.layers.1.self_attn.o_proj', update(64, 64)],
          ['model.layers.1.mlp.gate_proj', update(128, 64)],
          ['model.layers.1.mlp.down_proj', update(64, 128)],
        ]),
      };
      await makeModel(at('base'), TINY, { base: 1 });
      const config = JSON.parse(await readFile(at('base', 'config.json'), 'utf8'));
      const more = { max_position_embeddings: 2048, rms_norm_eps: 1e-6 };
      await writeFile(at('base', 'config.json'), JSON.stringify({ ...config, ...more }));
      await writePeft(at('adapter'), adapter);
      await writeGgufLora(
        at('ours.gguf'),
        toGgufNames(adapter, { architecture: 'llama', heads: 4, headsKv: 2 }),
      );
      const converter = at('llama.cpp', 'convert_lora_to_gguf.py');
      const options = [
        '--base',
        at('base'),
        '--outtype',
        'f32',
        '--outfile',
        at('theirs.gguf'),
        at('adapter'),
      ];
      execFileSync(python ?? '', [converter, ...options], { stdio: 'ignore' });
      const [ours, theirs] = [await openCheckpoint(at('ours.gguf')), await openCheckpoint(at('theirs.gguf'))];
      expect([...ours.tensors.keys()].sort()).toEqual([...theirs.tensors.keys()].sort());
      for (const [name, { shape }] of theirs.tensors) {
        expect(ours.tensors.get(name)?.shape).toEqual(shape);
        expect([name, await readTensor(at('ours.gguf'), name)]).toEqual([
          name,
          await readTensor(at('theirs.gguf'), name),
        ]);
      }
      for (const key of ['general.architecture', 'general.type', 'adapter.type', 'adapter.lora.alpha']) {
        expect(ours.metadata?.get(key)).toEqual(theirs.metadata?.get(key));
      }
    },
  );
});
