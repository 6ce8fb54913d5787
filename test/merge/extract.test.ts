import { describe, expect, it } from 'vitest';
import { makeModel, TINY } from '../../examples/merge/make-models.ts';
import { bakeAdapter } from '../../src/merge/adapters/bake.ts';
import { extractAdapter } from '../../src/merge/adapters/extract.ts';
import { type Matrix, product } from '../../src/merge/adapters/low-rank.ts';
import type { Adapter } from '../../src/merge/adapters/peft.ts';
import { useModels } from './models.ts';
import { createRandom, normals } from './support.ts';

const models = useModels();
const random = createRandom(17);

function matrix(rows: number, columns: number): Matrix {
  return { rows, columns, values: normals(rows * columns, 0.1, random) };
}

describe('MRG-29: extracting an adapter', { timeout: 120_000 }, () => {
  it('finds the one that was baked in, and nothing where nothing changed', async () => {
    await makeModel(models.path('plain'), { ...TINY, dtype: 'F32' }, { base: 4 });
    const module = 'model.layers.1.mlp.down_proj';
    const update = { b: matrix(64, 3), a: matrix(3, 128) };
    const adapter: Adapter = { modules: new Map([[module, update]]), config: {} };
    await bakeAdapter({ model: models.path('plain'), adapter, output: models.path('tuned') });
    const input = { base: models.path('plain'), tuned: models.path('tuned'), rank: 3 };
    const found = await extractAdapter(input);
    expect([...found.adapter.modules.keys()]).toEqual([module]);
    expect(found.lostEnergy.get(module)).toBeLessThan(1e-6);
    const back = found.adapter.modules.get(module);
    const [exact, got] = [
      product(update.b, update.a).values,
      back ? product(back.b, back.a).values : new Float64Array(),
    ];
    exact.forEach((value, i) => {
      expect(got[i]).toBeCloseTo(value, 5);
    });
    expect(await extractAdapter(input)).toEqual(found);
    const short = await extractAdapter({ ...input, rank: 1 });
    expect(short.lostEnergy.get(module)).toBeGreaterThan(0.1);
    expect(short.adapter.modules.get(module)?.a.rows).toBe(1);
  });

  it('comes near the optimum on a change of full rank', async () => {
    const input = { base: models.path('base'), tuned: models.path('a'), rank: 64 };
    const whole = await extractAdapter({ ...input, modules: (name) => name.endsWith('0.self_attn.q_proj') });
    expect([...whole.lostEnergy.values()]).toHaveLength(1);
    for (const lost of whole.lostEnergy.values()) expect(lost).toBeLessThan(1e-12);
    const half = await extractAdapter({
      ...input,
      rank: 32,
      modules: (name) => name.endsWith('0.self_attn.q_proj'),
    });
    // A square random matrix has about 88 % of its energy in the larger half of its singular values.
    for (const lost of half.lostEnergy.values()) {
      expect(lost).toBeGreaterThan(0.08);
      expect(lost).toBeLessThan(0.17);
    }
  });

  it('refuses a rank that is none, and stops when told to', async () => {
    const input = { base: models.path('base'), tuned: models.path('a'), rank: 0 };
    await expect(extractAdapter(input)).rejects.toMatchObject({ code: 'usage' });
    await expect(extractAdapter({ ...input, rank: 2 }, AbortSignal.abort())).rejects.toMatchObject({
      code: 'cancelled',
    });
    await expect(extractAdapter({ ...input, rank: 2, base: models.path('none') })).rejects.toMatchObject({
      code: 'file-missing',
    });
  });
});
