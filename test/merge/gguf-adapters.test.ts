import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import { bakeAdapter } from '../../src/merge/adapters/bake.ts';
import { extractAdapter } from '../../src/merge/adapters/extract.ts';
import { readGgufLora, writeGgufLora } from '../../src/merge/adapters/gguf-lora.ts';
import { fromGgufNames, toGgufNames } from '../../src/merge/adapters/gguf-names.ts';
import { type LowRank, type Matrix, product } from '../../src/merge/adapters/low-rank.ts';
import { mergeAdapters } from '../../src/merge/adapters/merge-adapters.ts';
import type { Adapter } from '../../src/merge/adapters/peft.ts';
import { writePeft } from '../../src/merge/adapters/peft.ts';
import { openCheckpoint } from '../../src/merge/checkpoint.ts';
import { type GgufValue, ggufF32, ggufText, ggufU32, layOutGguf } from '../../src/merge/gguf.ts';
import { readTensor, writeModel } from './gguf-models.ts';
import { useModels } from './models.ts';
import { createRandom, encode, normals } from './support.ts';

const models = useModels();
const random = createRandom(21);
const LLAMA = { architecture: 'llama', heads: 4, headsKv: 2 };

function matrix(rows: number, columns: number, size = 1): Matrix {
  return { rows, columns, values: normals(rows * columns, size, random).map(Math.fround) };
}

function lowRank(rows: number, columns: number, rank: number): LowRank {
  return { b: matrix(rows, rank), a: matrix(rank, columns) };
}

function dense(delta: LowRank | undefined): Float64Array {
  return delta ? product(delta.b, delta.a).values : new Float64Array();
}

function distance(x: Float64Array, y: Float64Array): number {
  const squares = x.reduce((sum, value, i) => sum + (value - (y[i] ?? 0)) ** 2, 0);
  return Math.sqrt(squares / x.reduce((sum, value) => sum + value * value, 0));
}

const PEFT: Adapter = {
  config: { peft_type: 'LORA', bias: 'none' },
  modules: new Map([
    ['model.layers.0.self_attn.q_proj', lowRank(32, 24, 2)],
    ['model.layers.0.self_attn.k_proj', lowRank(16, 24, 3)],
    ['model.layers.1.mlp.down_proj', lowRank(24, 48, 3)],
    ['lm_head', lowRank(40, 24, 1)],
  ]),
};

describe('MRG-36: adapters in GGUF', () => {
  it('are written with one alpha for all ranks, and read the same', async () => {
    const named = toGgufNames(PEFT, LLAMA);
    expect([...named.modules.keys()]).toEqual(['blk.0.attn_q', 'blk.0.attn_k', 'blk.1.ffn_down', 'output']);
    const path = models.path('adapter.gguf');
    // What lies beside it is somebody else's.
    await writeFile(`${path}.partial`, 'kept');
    await writeGgufLora(path, named);
    expect(await readFile(`${path}.partial`, 'utf8')).toBe('kept');
    expect((await readdir(dirname(path))).filter((name) => name.includes('.partial-'))).toEqual([]);
    const { metadata, tensors } = await openCheckpoint(path);
    expect(metadata?.get('adapter.lora.alpha')?.value).toBe(3);
    expect(tensors.get('blk.0.attn_q.weight.lora_b')?.shape).toEqual([32, 2]);
    const again = await readGgufLora(path);
    expect(again.architecture).toBe('llama');
    for (const [name, delta] of named.modules)
      expect(distance(dense(delta), dense(again.modules.get(name)))).toBeLessThan(1e-7);
    await expect(writePeft(models.path('no'), again)).rejects.toMatchObject({ code: 'merge-refused' });
    await expect(writeGgufLora(path, PEFT)).rejects.toMatchObject({ code: 'merge-refused' });
    expect(() => mergeAdapters([PEFT, again].map((adapter) => ({ adapter, weight: 1 })))).toThrow(
      expect.objectContaining({ code: 'merge-refused' }),
    );
  });

  it('have the rows of query and key in the order of llama.cpp, which is undone on the way back', () => {
    const rows: Matrix = { rows: 8, columns: 1, values: Float64Array.from([0, 1, 2, 3, 4, 5, 6, 7]) };
    const one: Adapter = {
      config: {},
      modules: new Map([['model.layers.0.self_attn.q_proj', { b: rows, a: matrix(1, 4) }]]),
    };
    const orderOf = (model: typeof LLAMA): number[] => [
      ...(toGgufNames(one, model).modules.get('blk.0.attn_q')?.b.values ?? []),
    ];
    // reshape(heads, 2, half).swapaxes(1, 2), as in llama.cpp's converter.
    expect(orderOf({ ...LLAMA, heads: 2 })).toEqual([0, 2, 1, 3, 4, 6, 5, 7]);
    expect(orderOf({ ...LLAMA, heads: 1 })).toEqual([0, 4, 1, 5, 2, 6, 3, 7]);
    expect(orderOf({ ...LLAMA, architecture: 'qwen2' })).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    const back = fromGgufNames(toGgufNames(PEFT, LLAMA), LLAMA);
    expect(back).toEqual(PEFT);
    expect(() => toGgufNames(PEFT, { ...LLAMA, heads: 5 })).toThrow(
      expect.objectContaining({ code: 'merge-refused' }),
    );
  });

  it('are refused when a module has no name there, or the kind of model is another', () => {
    const odd: Adapter = { config: {}, modules: new Map([['model.layers.0.moe.router', lowRank(4, 4, 1)]]) };
    const problems = ['model.layers.0.moe.router has no counterpart'];
    expect(() => toGgufNames(odd, LLAMA)).toThrow(
      expect.objectContaining({ code: 'merge-refused', facts: expect.objectContaining({ problems }) }),
    );
    expect(() => toGgufNames(PEFT, { ...LLAMA, architecture: 'mamba' })).toThrow(/mamba/);
    expect(() => toGgufNames({ ...odd, architecture: 'qwen2' }, LLAMA)).toThrow(/another kind/);
    expect(() => fromGgufNames({ ...odd, architecture: 'qwen2' }, LLAMA)).toThrow(/another kind/);
  });

  it('keep alpha zero as a scale of one, and half-precision factors', async () => {
    const write = async (alpha: number, change: Record<string, unknown> = {}): Promise<Adapter> => {
      const factors = [
        { name: 'output.weight.lora_a', dtype: 'F16', shape: [2, 3], values: [1, 2, 3, 4, 5, 6] },
        { name: 'output.weight.lora_b', dtype: 'F32', shape: [2, 2], values: [1, 0, 0, 1] },
      ].map((tensor) => ({ ...tensor, ...(tensor.name.endsWith('b') ? change : {}) }));
      const metadata = new Map<string, GgufValue>([
        ['general.architecture', ggufText('llama')],
        ['general.type', ggufText('adapter')],
        ['adapter.type', ggufText('lora')],
        ['adapter.lora.alpha', ggufF32(alpha)],
      ]);
      const { bytes, tensors, fileBytes } = layOutGguf(factors, metadata);
      const file = new Uint8Array(fileBytes);
      file.set(bytes);
      tensors.forEach(({ offset, dtype }, i) => {
        file.set(encode(factors[i]?.values ?? [], dtype), offset);
      });
      await writeFile(models.path('made.gguf'), file);
      return readGgufLora(models.path('made.gguf'));
    };
    expect([...dense((await write(0)).modules.get('output'))]).toEqual([1, 2, 3, 4, 5, 6]);
    expect([...dense((await write(4)).modules.get('output'))]).toEqual([2, 4, 6, 8, 10, 12]);
    await expect(write(1, { name: 'output.weight.lora_c' })).rejects.toMatchObject({ code: 'merge-refused' });
    await expect(write(1, { name: 'other.weight.lora_b' })).rejects.toMatchObject({ code: 'tensor-invalid' });
    await expect(write(1, { shape: [4, 1] })).rejects.toMatchObject({ code: 'tensor-invalid' });
    await expect(write(1, { values: [1, 0, 0, Number.NaN] })).rejects.toMatchObject({
      code: 'tensor-invalid',
    });
    await expect(write(Number.NaN)).rejects.toMatchObject({ code: 'tensor-invalid' });
    await writeFile(models.path('made.gguf'), 'GGUF');
    await expect(readGgufLora(models.path('made.gguf'))).rejects.toMatchObject({ code: 'tensor-invalid' });
  });
});

describe('MRG-28, MRG-29: GGUF models', () => {
  const NAME = 'blk.0.attn_q.weight';

  async function store(name: string, dtype: string, values: Float64Array): Promise<string> {
    const metadata = new Map<string, GgufValue>([
      ['general.architecture', ggufText('llama')],
      ['llama.attention.head_count', ggufU32(4)],
    ]);
    await mkdir(models.path(name), { recursive: true });
    return writeModel(models.path(name, 'model.gguf'), {
      metadata,
      tensors: [{ name: NAME, dtype, shape: [32, 32], values }],
    });
  }

  it('get an adapter baked in, in their own type and order of rows', async () => {
    const values = normals(1024, 0.1, random);
    const delta = lowRank(32, 32, 2);
    const adapter: Adapter = { config: {}, modules: new Map([['model.layers.0.self_attn.q_proj', delta]]) };
    const order = toGgufNames(adapter, { ...LLAMA, headsKv: 4 }).modules.get('blk.0.attn_q');
    for (const dtype of ['F32', 'F16', 'Q8_0']) {
      const model = await store(`plain-${dtype}`, dtype, values);
      const output = models.path(`baked-${dtype}`);
      await bakeAdapter({ model, adapter, output });
      const [before, after] = [await readTensor(model, NAME), await readTensor(output, NAME)];
      const expected = before.map((value, i) => value + (dense(order)[i] ?? 0));
      expect(distance(expected, after)).toBeLessThan(dtype === 'Q8_0' ? 8e-3 : 4e-4);
      expect((await openCheckpoint(output)).tensors.get(NAME)?.dtype).toBe(dtype);
    }
    const base = await store('q6', 'Q8_0', values);
    const wrong: Adapter = { ...adapter, architecture: 'qwen2' };
    await expect(
      bakeAdapter({ model: base, adapter: wrong, output: models.path('no') }),
    ).rejects.toMatchObject({ code: 'merge-refused' });
    const gguf: Adapter = toGgufNames(adapter, LLAMA);
    await expect(
      bakeAdapter({ model: models.path('a'), adapter: gguf, output: models.path('no') }),
    ).rejects.toMatchObject({ code: 'merge-refused' });
  });

  it('give an adapter, which is written as GGUF again', async () => {
    const values = normals(1024, 0.1, random);
    const delta = lowRank(32, 32, 2);
    const moved = values.map((value, i) => value + (dense(delta)[i] ?? 0));
    const [base, tuned] = [await store('from', 'F32', values), await store('to', 'F32', moved)];
    const { adapter, lostEnergy } = await extractAdapter({ base, tuned, rank: 2 });
    expect(adapter.architecture).toBe('llama');
    expect(distance(dense(delta), dense(adapter.modules.get('blk.0.attn_q')))).toBeLessThan(1e-5);
    expect(lostEnergy.get('blk.0.attn_q')).toBeLessThan(1e-9);
    await writeGgufLora(models.path('extracted.gguf'), adapter);
    await bakeAdapter({
      model: base,
      adapter: await readGgufLora(models.path('extracted.gguf')),
      output: models.path('again'),
    });
    expect(distance(moved, await readTensor(models.path('again'), NAME))).toBeLessThan(1e-5);
  });
});
