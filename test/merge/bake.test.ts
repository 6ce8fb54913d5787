import { readdir, readFile, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { makeModel, TINY } from '../../examples/merge/make-models.ts';
import { systemClock } from '../../src/base/clock.ts';
import { bakeAdapter } from '../../src/merge/adapters/bake.ts';
import { type Matrix, product } from '../../src/merge/adapters/low-rank.ts';
import type { Adapter } from '../../src/merge/adapters/peft.ts';
import { openCheckpoint } from '../../src/merge/checkpoint.ts';
import { runMerge } from '../../src/merge/run.ts';
import { plan, useModels } from './models.ts';
import { createRandom, decode, encode, normals } from './support.ts';

const models = useModels();
const random = createRandom(9);
const MODULE = 'model.layers.1.mlp.up_proj';

function matrix(rows: number, columns: number, size = 0.05): Matrix {
  return { rows, columns, values: normals(rows * columns, size, random) };
}

function adapter(module = MODULE, b = matrix(128, 4), a = matrix(4, 64)): Adapter {
  return { modules: new Map([[module, { b, a }]]), config: {} };
}

async function bytesOf(directory: string, name: string): Promise<Uint8Array> {
  const tensor = (await openCheckpoint(directory)).tensors.get(name);
  const file = await readFile(tensor?.path ?? '');
  return new Uint8Array(file.subarray(tensor?.offset, (tensor?.offset ?? 0) + (tensor?.sizeBytes ?? 0)));
}

describe('MRG-28: baking an adapter', { timeout: 120_000 }, () => {
  it('adds its update, rounded once, and touches nothing else', async () => {
    await writeFile(models.path('b', 'tokenizer.json'), '{}');
    const lora = adapter();
    await bakeAdapter({ model: models.path('b'), adapter: lora, output: models.path('baked') });
    const delta = lora.modules.get(MODULE) ?? { b: matrix(1, 1), a: matrix(1, 1) };
    const update = product(delta.b, delta.a).values;
    const before = decode(await bytesOf(models.path('b'), `${MODULE}.weight`), 'BF16');
    const after = await bytesOf(models.path('baked'), `${MODULE}.weight`);
    expect(after).toEqual(
      encode(
        before.map((value, i) => Math.fround(value + (update[i] ?? 0))),
        'BF16',
      ),
    );
    for (const name of (await openCheckpoint(models.path('b'))).tensors.keys()) {
      if (name === `${MODULE}.weight`) continue;
      expect(await bytesOf(models.path('baked'), name)).toEqual(await bytesOf(models.path('b'), name));
    }
    expect((await readdir(models.path('baked'))).sort()).toEqual([
      'config.json',
      'model.safetensors',
      'tokenizer.json',
    ]);
  });

  it('works on models in several files, and pieces larger than memory for one', async () => {
    await makeModel(models.path('wide'), { ...TINY, hidden: 512, intermediate: 512, layers: 1 }, { base: 3 });
    const planned = await plan(models.path(), 'merge_method: passthrough\nmodels: [{model: wide}]', {
      shardBytesMax: 400_000,
    });
    await runMerge(planned, { output: models.path('sharded') }, { clock: systemClock });
    expect(planned.files.length).toBeGreaterThan(1);
    const lora = adapter('model.layers.0.mlp.up_proj', matrix(512, 2), matrix(2, 512));
    for (const name of ['wide', 'sharded']) {
      await bakeAdapter({ model: models.path(name), adapter: lora, output: models.path(`${name}-baked`) });
    }
    const tensor = 'model.layers.0.mlp.up_proj.weight';
    const baked = await bytesOf(models.path('sharded-baked'), tensor);
    expect(baked).toEqual(await bytesOf(models.path('wide-baked'), tensor));
    expect(baked).not.toEqual(await bytesOf(models.path('wide'), tensor));
  });

  it('names everything that does not fit, and writes nothing', async () => {
    const wrong: Adapter = {
      config: {},
      modules: new Map([
        ['model.layers.1.mlp.up_prj', { b: matrix(128, 1), a: matrix(1, 64) }],
        [MODULE, { b: matrix(64, 1), a: matrix(1, 128) }],
      ]),
    };
    const input = { model: models.path('b'), adapter: wrong, output: models.path('unfit') };
    await expect(bakeAdapter(input)).rejects.toMatchObject({
      code: 'merge-refused',
      facts: {
        problems: [
          'the model lacks model.layers.1.mlp.up_prj.weight; nearest is model.layers.1.mlp.up_proj.weight',
          `${MODULE}.weight is BF16 128 x 64, the adapter is for 64 x 128`,
        ],
      },
    });
    await expect(
      bakeAdapter({ ...input, adapter: adapter(), output: models.path('a') }),
    ).rejects.toMatchObject({
      code: 'merge-refused',
    });
    const huge = adapter(MODULE, matrix(128, 4, 1e30), matrix(4, 64, 1e30));
    await expect(bakeAdapter({ ...input, adapter: huge })).rejects.toMatchObject({ code: 'tensor-invalid' });
    const cancelled = bakeAdapter({ ...input, adapter: adapter() }, AbortSignal.abort());
    await expect(cancelled).rejects.toMatchObject({ code: 'cancelled' });
    expect((await readdir(models.path())).filter((name) => name.startsWith('unfit'))).toEqual([]);
  });
});
