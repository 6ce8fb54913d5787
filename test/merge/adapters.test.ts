import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  innerLowRank,
  type LowRank,
  type Matrix,
  product,
  recompress,
  sumLowRank,
} from '../../src/merge/adapters/low-rank.ts';
import { mergeAdapters } from '../../src/merge/adapters/merge-adapters.ts';
import { type Adapter, readPeft, writePeft } from '../../src/merge/adapters/peft.ts';
import { layOut } from '../../src/merge/safetensors.ts';
import { createRandom, encode, normals } from './support.ts';

const random = createRandom(5);
let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'sahara-adapter-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

function matrix(rows: number, columns: number): Matrix {
  return { rows, columns, values: normals(rows * columns, 1, random).map(Math.fround) };
}

function lowRank(rows: number, columns: number, rank: number): LowRank {
  return { b: matrix(rows, rank), a: matrix(rank, columns) };
}

function dense({ b, a }: LowRank): Float64Array {
  return product(b, a).values;
}

function distance(x: Float64Array, y: Float64Array): number {
  return Math.sqrt(x.reduce((sum, value, i) => sum + (value - (y[i] ?? 0)) ** 2, 0));
}

function length(x: Float64Array): number {
  return distance(x, new Float64Array(x.length));
}

interface Stored {
  readonly tensors: readonly { name: string; shape: number[]; values: ArrayLike<number>; dtype?: string }[];
  readonly config: object;
}

async function store(name: string, { tensors, config }: Stored): Promise<string> {
  const directory = join(root, name);
  await mkdir(directory, { recursive: true });
  const typed = tensors.map((tensor) => ({ dtype: 'F32', ...tensor }));
  const layout = layOut(typed, {});
  const data = layout.tensors.map((entry) => {
    const found = typed.find((tensor) => tensor.name === entry.name);
    return encode(found?.values ?? [], found?.dtype ?? 'F32');
  });
  await writeFile(join(directory, 'adapter_model.safetensors'), Buffer.concat([layout.bytes, ...data]));
  await writeFile(join(directory, 'adapter_config.json'), JSON.stringify(config));
  return directory;
}

function peft(module: string, { a, b }: LowRank): Stored['tensors'] {
  return [
    { name: `base_model.model.${module}.lora_A.weight`, shape: [a.rows, a.columns], values: a.values },
    { name: `base_model.model.${module}.lora_B.weight`, shape: [b.rows, b.columns], values: b.values },
  ];
}

describe('MRG-27: updates of low rank', () => {
  const [x, y] = [lowRank(30, 20, 3), lowRank(30, 20, 5)];

  it('are summed exactly, whatever their ranks', () => {
    const sum = dense(
      sumLowRank([
        { delta: x, weight: 0.7 },
        { delta: y, weight: -0.3 },
      ]),
    );
    const [left, right] = [dense(x), dense(y)];
    const expected = left.map((value, i) => 0.7 * value - 0.3 * (right[i] ?? 0));
    expect(distance(sum, expected)).toBeLessThan(1e-12 * length(expected));
  });

  it('have the inner product of the full matrices', () => {
    const [left, right] = [dense(x), dense(y)];
    const full = left.reduce((sum, value, i) => sum + value * (right[i] ?? 0), 0);
    expect(innerLowRank(x, y)).toBeCloseTo(full, 8);
  });

  it('are recompressed to what no other update of the rank is nearer to', () => {
    const sum = sumLowRank([
      { delta: x, weight: 1 },
      { delta: y, weight: 1 },
    ]);
    const whole = recompress(sum, 8);
    expect(distance(dense(whole.delta), dense(sum))).toBeLessThan(1e-12 * length(dense(sum)));
    expect(whole.lostEnergy).toBeLessThan(1e-24);
    const exact = dense(sum);
    const small = recompress(sum, 4);
    expect(small.delta.a.rows).toBe(4);
    const best = distance(dense(small.delta), exact);
    expect((best / length(exact)) ** 2).toBeCloseTo(small.lostEnergy, 10);
    // At the optimum every change makes it worse.
    for (let i = 0; i < 50; i++) {
      const nudge = (m: Matrix): Matrix => ({
        ...m,
        values: m.values.map((value) => value + 1e-3 * (random() - 0.5)),
      });
      const other = { a: nudge(small.delta.a), b: nudge(small.delta.b) };
      expect(distance(dense(other), exact)).toBeGreaterThan(best);
    }
  });

  it('survive dependent factors and zeroes', () => {
    const twice = sumLowRank([
      { delta: x, weight: 1 },
      { delta: x, weight: 1 },
    ]);
    const { delta, lostEnergy } = recompress(twice, 3);
    expect(lostEnergy).toBeLessThan(1e-20);
    expect(distance(dense(delta), dense(twice))).toBeLessThan(1e-10 * length(dense(twice)));
    const nothing = recompress(sumLowRank([{ delta: x, weight: 0 }]), 2);
    expect(nothing.lostEnergy).toBe(0);
    expect(length(dense(nothing.delta))).toBe(0);
  });
});

describe('MRG-27: adapters', () => {
  const module = 'model.layers.0.self_attn.q_proj';
  const own: Record<string, LowRank> = { a: lowRank(16, 12, 2), b: lowRank(16, 12, 4) };
  const config = { peft_type: 'LORA', r: 2, lora_alpha: 8, bias: 'none', target_modules: ['q_proj'] };

  async function read(name: string, more: object = {}): Promise<Adapter> {
    return readPeft(
      await store(name, {
        tensors: peft(module, own[name] ?? lowRank(2, 2, 1)),
        config: { ...config, ...more },
      }),
    );
  }

  it('are read with their scale: alpha over rank, its root, or the module’s own', async () => {
    const plain = dense(own.a ?? lowRank(1, 1, 1));
    const scaleOf = async (more: object): Promise<number> => {
      const delta = (await read('a', more)).modules.get(module);
      return (delta ? (dense(delta)[0] ?? 0) : 0) / (plain[0] ?? 1);
    };
    expect(await scaleOf({})).toBeCloseTo(4, 12);
    expect(await scaleOf({ use_rslora: true })).toBeCloseTo(8 / Math.sqrt(2), 12);
    expect(await scaleOf({ alpha_pattern: { q_proj: 6 } })).toBeCloseTo(3, 12);
    expect(await scaleOf({ alpha_pattern: { k_proj: 6 } })).toBeCloseTo(4, 12);
  });

  it('are merged exactly, with shares, and written so that they read the same', async () => {
    const [a, b] = [await read('a'), await read('b', { use_rslora: true })];
    const { adapter, shares, lostEnergy } = mergeAdapters([
      { adapter: a, weight: 0.6 },
      { adapter: b, weight: 0.4 },
    ]);
    const [left, right] = [a, b].map(({ modules }) => dense(modules.get(module) ?? lowRank(1, 1, 1)));
    const expected = (left ?? new Float64Array()).map((value, i) => 0.6 * value + 0.4 * (right?.[i] ?? 0));
    expect(distance(dense(adapter.modules.get(module) ?? lowRank(1, 1, 1)), expected)).toBeLessThan(
      1e-12 * length(expected),
    );
    expect(lostEnergy).toBe(0);
    expect(shares.reduce((sum, { sharePpm }) => sum + sharePpm, 0)).toBe(1_000_000);
    const value = (left ?? new Float64Array()).reduce(
      (sum, each, i) => sum + 0.6 * each * (expected[i] ?? 0),
      0,
    );
    expect((shares[0]?.sharePpm ?? 0) / 1e6).toBeCloseTo(value / length(expected) ** 2, 5);
    await writePeft(join(root, 'merged'), adapter);
    const again = (await readPeft(join(root, 'merged'))).modules.get(module);
    expect(distance(dense(again ?? lowRank(1, 1, 1)), expected)).toBeLessThan(1e-6 * length(expected));
  });

  it('keep modules that only one has, of a rank of their own', async () => {
    const a = await read('a');
    const other: Adapter = { ...a, modules: new Map([['model.layers.0.mlp.up_proj', lowRank(6, 12, 3)]]) };
    const { adapter, shares } = mergeAdapters([
      { adapter: a, weight: 1 },
      { adapter: other, weight: 1 },
    ]);
    expect([...adapter.modules.keys()]).toEqual([module, 'model.layers.0.mlp.up_proj']);
    expect(shares.every(({ sharePpm }) => sharePpm > 0)).toBe(true);
    await writePeft(join(root, 'ranks'), adapter);
    const again = await readPeft(join(root, 'ranks'));
    expect(again.config).toMatchObject({ r: 3, lora_alpha: 3, target_modules: ['q_proj', 'up_proj'] });
    expect(again.config.rank_pattern).toEqual({ [module]: 2 });
    for (const [name, delta] of adapter.modules) {
      const back = again.modules.get(name) ?? lowRank(1, 1, 1);
      expect(distance(dense(back), dense(delta))).toBeLessThan(1e-6 * length(dense(delta)));
    }
  });

  it('are recompressed on demand, and say what that loses', async () => {
    const [a, b] = [await read('a'), await read('b')];
    const parents = [
      { adapter: a, weight: 1 },
      { adapter: b, weight: 1 },
    ];
    expect(mergeAdapters(parents, { rank: 6 }).lostEnergy).toBeLessThan(1e-20);
    const { adapter, lostEnergy } = mergeAdapters(parents, { rank: 2 });
    expect(adapter.modules.get(module)?.a.rows).toBe(2);
    expect(lostEnergy).toBeGreaterThan(0.01);
    expect(lostEnergy).toBeLessThan(0.9);
  });

  it('are refused when they are more than a plain LoRA, or do not fit', async () => {
    const refused: object[] = [
      { peft_type: 'IA3' },
      { use_dora: true },
      { bias: 'all' },
      { modules_to_save: ['lm_head'] },
      { fan_in_fan_out: true },
      { alpha_pattern: { 'layers.[0-3].q_proj': 2 } },
    ];
    for (const more of refused)
      await expect(read('a', more)).rejects.toMatchObject({ code: 'merge-refused' });
    await expect(read('a', { lora_alpha: 'x' })).rejects.toMatchObject({ code: 'tensor-invalid' });
    const delta = lowRank(4, 4, 1);
    const [first, second] = peft('m', delta);
    const stored = (name: string, tensors: (typeof first)[]): Promise<string> =>
      store(name, { tensors: tensors.filter((tensor) => tensor !== undefined), config });
    await expect(readPeft(await stored('half', [first]))).rejects.toMatchObject({ code: 'tensor-invalid' });
    const embedding = { name: 'base_model.model.m.lora_embedding_A', shape: [1, 1], values: [0] };
    await expect(readPeft(await stored('more', [first, second, embedding]))).rejects.toMatchObject({
      code: 'merge-refused',
    });
    const nan = { name: 'base_model.model.m.lora_A.weight', shape: [1, 4], values: [0, Number.NaN, 0, 0] };
    await expect(readPeft(await stored('nan', [nan, second]))).rejects.toMatchObject({
      code: 'tensor-invalid',
    });
    await expect(readPeft(join(root, 'nowhere'))).rejects.toMatchObject({ code: 'file-missing' });
    const a = await read('a');
    const other: Adapter = { ...a, modules: new Map([[module, lowRank(4, 4, 1)]]) };
    const parents = [
      { adapter: a, weight: 1 },
      { adapter: other, weight: 1 },
    ];
    expect(() => mergeAdapters(parents)).toThrow(expect.objectContaining({ code: 'merge-refused' }));
    expect(() => mergeAdapters([])).toThrow(expect.objectContaining({ code: 'usage' }));
  });
});
