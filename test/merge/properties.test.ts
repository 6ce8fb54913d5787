import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toPpm } from '../../src/merge/shares.ts';
import type { Settings } from '../../src/merge/task.ts';
import { createRandom, decode, encode, type MemoryCase, normals, referenceCase, runCase } from './support.ts';

const SHAPE = [64, 700];
const ELEMENTS = 64 * 700;

function family(models: number, seed: number): { base: Float64Array; models: Float64Array[] } {
  const random = createRandom(seed);
  const base = normals(ELEMENTS, 0.02, random);
  return {
    base,
    models: Array.from({ length: models }, () => {
      const delta = normals(ELEMENTS, 0.002, random);
      return base.map((value, i) => value + (delta[i] ?? 0));
    }),
  };
}

const sparse = (density: number, models: number, more: Settings = {}): Settings => ({
  weight: Array.from({ length: models }, () => 1),
  density: Array.from({ length: models }, () => density),
  lambda: 1,
  normalize: false,
  rescale: false,
  rescale_by: 'l1',
  ...more,
});

function countKept(merged: Float64Array, base: Float64Array): number {
  return merged.reduce((count, value, i) => count + (value === Math.fround(base[i] ?? 0) ? 0 : 1), 0);
}

describe('MRG-5: the result does not depend on memory', { timeout: 120_000 }, () => {
  const three = family(3, 11);
  const cases: [string, Settings][] = [
    ['linear', { weight: [0.2, 0.3, 0.5], normalize: true }],
    ['karcher', { max_iter: 10, tol: 1e-5 }],
    ['ties', sparse(0.3, 3)],
    ['dare_ties', sparse(0.3, 3, { rescale: true })],
    ['della', sparse(0.3, 3, { rescale: true, epsilon: [0.1, 0.1, 0.1] })],
    ['sce', { select_topk: 0.3 }],
    ['model_stock', { filter_wise: false }],
  ];
  for (const [method, settings] of cases) {
    it(method, () => {
      const base = method === 'linear' || method === 'karcher' ? {} : { base: three.base };
      const test: MemoryCase = {
        method,
        settings,
        models: three.models,
        ...base,
        shape: SHAPE,
        dtype: 'BF16',
      };
      const [large, small] = [8 * 2 ** 20, 17 * 65_536].map((memoryBytes) =>
        runCase({ ...test, memoryBytes }),
      );
      expect(small).toEqual(large);
    });
  }
});

describe('MRG-7, MRG-9: selection and vote', () => {
  it('keeps exactly floor(density n), ties at the threshold included', () => {
    const base = new Float64Array(ELEMENTS);
    const few = base.map((_value, i) => ((i * 7919) % 5) * 2 ** -8);
    for (const density of [0.1, 0.35, 0.5, 0.799]) {
      const { merged } = runCase({
        method: 'ties',
        settings: sparse(density, 1),
        models: [few],
        base,
        shape: SHAPE,
      });
      expect(countKept(merged, base)).toBe(Math.floor(density * ELEMENTS));
    }
  });

  it('splits ties evenly over the tensor', () => {
    const base = new Float64Array(ELEMENTS);
    const same = base.map(() => 0.5);
    const { merged } = runCase({
      method: 'ties',
      settings: sparse(0.2, 1),
      models: [same],
      base,
      shape: SHAPE,
    });
    const firstHalf = countKept(merged.subarray(0, ELEMENTS / 2), base);
    // A binomial count of 4480 has a deviation of about 60.
    expect(Math.abs(firstHalf - (0.2 * ELEMENTS) / 2)).toBeLessThan(350);
  });

  it('keeps one element of a tensor too small for its density', () => {
    const models = [Float64Array.of(1, 5, -9)];
    const { merged } = runCase({
      method: 'ties',
      settings: sparse(0.1, 1),
      models,
      base: new Float64Array(3),
      shape: [3],
    });
    expect([...merged]).toEqual([0, 0, -9]);
  });

  it('never loses a small tensor to breadcrumbs, as mergekit 0.1.4 does', () => {
    const models = [Float64Array.of(1, 5, -9)];
    const settings = sparse(1, 1, { gamma: [0.01] });
    const { merged } = runCase({
      method: 'breadcrumbs',
      settings,
      models,
      base: new Float64Array(3),
      shape: [3],
    });
    expect([...merged]).toEqual([1, 5, -9]);
  });

  it('lets the sum of the weighted deltas decide the sign', () => {
    const models = [Float64Array.of(3, 3, -1), Float64Array.of(-2, -4, 1)];
    const { merged } = runCase({
      method: 'ties',
      settings: sparse(1, 2),
      models,
      base: new Float64Array(3),
      shape: [3],
    });
    expect([...merged]).toEqual([3, -4, 1]);
  });
});

describe('MRG-10: random masks', { timeout: 120_000 }, () => {
  const { base, models } = family(1, 21);
  it('dare keeps what density says, and makes up for the rest', () => {
    const settings = sparse(0.1, 1, { rescale: true });
    const { merged, result } = runCase({ method: 'dare_linear', settings, models, base, shape: SHAPE });
    const kept = countKept(merged, base);
    // Deviation of a binomial count: 63.
    expect(Math.abs(kept - 0.1 * ELEMENTS)).toBeLessThan(5 * 64);
    expect(result.gram[0]).toBeGreaterThan(0);
  });

  it('averages to task arithmetic over seeds', () => {
    const runs = 60;
    const mean = new Float64Array(ELEMENTS);
    for (let seed = 0; seed < runs; seed++) {
      const settings = sparse(0.5, 1, { rescale: true, rescale_by: 'density' });
      const { merged } = runCase({
        method: 'dare_linear',
        settings,
        models,
        base,
        shape: SHAPE,
        seed: `${seed}`,
      });
      merged.forEach((value, i) => {
        mean[i] = (mean[i] ?? 0) + value / runs;
      });
    }
    const [tuned = new Float64Array()] = models;
    const error = mean.reduce((sum, value, i) => sum + (value - (tuned[i] ?? 0)) ** 2, 0) / ELEMENTS;
    // One draw has the variance of the delta, 4e-6; the mean of sixty a sixtieth of it.
    expect(error).toBeLessThan((1.2 * 4e-6) / runs);
  });

  it('della keeps large changes more often than small ones', () => {
    const settings = sparse(0.3, 1, { epsilon: [0.1] });
    const { merged } = runCase({ method: 'della_linear', settings, models, base, shape: [1, ELEMENTS] });
    const [tuned = new Float64Array()] = models;
    const order = Array.from({ length: ELEMENTS }, (_, i) => i);
    const size = (i: number): number => Math.abs((tuned[i] ?? 0) - (base[i] ?? 0));
    order.sort((a, b) => size(a) - size(b));
    const rate = (indices: number[]): number =>
      indices.filter((i) => merged[i] !== Math.fround(base[i] ?? 0)).length / indices.length;
    expect(rate(order.slice(0, ELEMENTS / 10))).toBeCloseTo(0.21, 1);
    expect(rate(order.slice(-ELEMENTS / 10))).toBeCloseTo(0.39, 1);
  });

  it('draws differ between tensors, models and seeds', () => {
    const run = (more: Partial<MemoryCase>) =>
      runCase({ method: 'dare_linear', settings: sparse(0.5, 1), models, base, shape: SHAPE, ...more }).result
        .sha256;
    const all = [run({}), run({ seed: '1' }), run({ name: 'other' })];
    expect(new Set(all).size).toBe(3);
    expect(run({})).toBe(all[0]);
  });
});

describe('MRG-12: stochastic rounding', () => {
  it('keeps small updates that rounding to nearest swallows', () => {
    const noise = normals(ELEMENTS, 5e-5, createRandom(33));
    const base = decode(encode(family(1, 31).base, 'BF16'), 'BF16');
    const models = [base.map((value, i) => value + (noise[i] ?? 0))];
    const settings = sparse(1, 1, { weight: [0.1] });
    const test: MemoryCase = {
      method: 'task_arithmetic',
      settings,
      models,
      base,
      shape: SHAPE,
      outDtype: 'BF16',
    };
    expect(runCase(test).result.survival).toBeLessThan(0.3);
    const { result, merged } = runCase({ ...test, rounding: 'stochastic' });
    expect(runCase({ ...test, rounding: 'stochastic' }).result).toEqual(result);
    expect(Math.abs(result.survival - 1)).toBeLessThan(0.2);
    const exact = referenceCase({ ...test, outDtype: 'F32' }).merged;
    const bias = merged.reduce((sum, value, i) => sum + value - (exact[i] ?? 0), 0) / ELEMENTS;
    // Errors are within one step of about 1e-4, so their mean has a deviation below 1e-4 / sqrt(n).
    expect(Math.abs(bias)).toBeLessThan(3e-6);
    const step = (i: number): number => Math.abs(exact[i] ?? 0) / 128 + 1e-30;
    expect(merged.every((value, i) => Math.abs(value - (exact[i] ?? 0)) <= step(i))).toBe(true);
  });
});

describe('MRG-11: what is no number', () => {
  const good = normals(ELEMENTS, 1, createRandom(41));
  for (const bad of [Number.NaN, Infinity]) {
    it(`refuses ${bad} in an input, by place`, () => {
      const models = [good, good.with(12_345, bad)];
      const run = () =>
        runCase({ method: 'linear', settings: { weight: [1, 1], normalize: true }, models, shape: SHAPE });
      const facts = expect.objectContaining({ index: 12_345, path: '1', tensor: 'model.layers.0.weight' });
      expect(run).toThrow(expect.objectContaining({ code: 'tensor-invalid', facts }));
    });
  }

  it('refuses a result that the output type cannot hold', () => {
    const test: MemoryCase = {
      method: 'passthrough',
      settings: { scale: [1e6] },
      models: [good],
      shape: SHAPE,
    };
    expect(() => runCase({ ...test, outDtype: 'F16' })).toThrow(
      expect.objectContaining({ code: 'tensor-invalid' }),
    );
    expect(() => runCase({ ...test, settings: { scale: [3e38] } })).toThrow(
      expect.objectContaining({ code: 'tensor-invalid' }),
    );
    expect(runCase({ ...test, outDtype: 'BF16' }).result.sha256).toHaveLength(64);
  });
});

describe('identities', () => {
  const { base, models } = family(2, 51);
  const [a = new Float64Array(), b = new Float64Array()] = models;
  const bytesOf = (
    method: string,
    settings: Settings,
    inputs: Float64Array[],
    more: Partial<MemoryCase> = {},
  ): Uint8Array => runCase({ method, settings, models: inputs, shape: SHAPE, dtype: 'BF16', ...more }).bytes;
  const original = bytesOf('passthrough', { scale: [1] }, [a]);

  it('a merge that takes one model whole gives that model', () => {
    expect(bytesOf('linear', { weight: [1, 0], normalize: true }, [a, b])).toEqual(original);
    expect(bytesOf('slerp', { t: 0 }, [a, b])).toEqual(original);
    expect(bytesOf('slerp', { t: 1 }, [b, a])).toEqual(original);
  });

  it('models that did not change give the base', () => {
    for (const method of ['ties', 'dare_ties', 'task_arithmetic']) {
      expect(bytesOf(method, sparse(0.5, 2, { rescale: true }), [a, a], { base: a })).toEqual(original);
    }
    expect(bytesOf('model_stock', { filter_wise: false }, [a, a], { base: a })).toEqual(original);
    expect(bytesOf('sce', { select_topk: 0.5 }, [a, a], { base: a })).toEqual(original);
  });

  it('two models in either order give the same linear merge', () => {
    const [one, other] = [
      bytesOf('linear', { weight: [0.25, 0.75], normalize: true }, [a, b]),
      bytesOf('linear', { weight: [0.75, 0.25], normalize: true }, [b, a]),
    ];
    expect(one).toEqual(other);
    expect(base).toHaveLength(ELEMENTS);
  });

  it('multislerp of models that cancel is refused', () => {
    const inputs = [0, 1, 2].map((i) =>
      Float64Array.of(Math.cos((2 * Math.PI * i) / 3), Math.sin((2 * Math.PI * i) / 3)),
    );
    const settings = { weight: [1, 1, 1], normalize_weights: true, eps: 1e-6 };
    expect(() => bytesOf('multislerp', settings, inputs, { shape: [2], dtype: 'F32' })).toThrow(
      expect.objectContaining({ code: 'merge-refused' }),
    );
  });
});

describe('MRG-20: shares', () => {
  it('sum to exactly a million whatever the values', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ noNaN: true, min: -1e9, max: 1e9 }), { minLength: 1, maxLength: 64 }),
        (values) => {
          const ppm = toPpm(values);
          expect(ppm.reduce((sum, each) => sum + each, 0)).toBe(1_000_000);
          expect(ppm.every((each) => Number.isInteger(each) && each >= 0)).toBe(true);
        },
      ),
    );
  });

  it('are the Shapley values of |sum of contributions|^2, by brute force over all orders', () => {
    const random = createRandom(61);
    const vectors = [0, 1, 2, 3].map(() => normals(16, 1, random));
    const dot = (a: Float64Array, b: Float64Array): number =>
      a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
    const value = (set: readonly number[]): number =>
      set.reduce(
        (sum, i) =>
          sum +
          set.reduce(
            (row, j) => row + dot(vectors[i] ?? new Float64Array(), vectors[j] ?? new Float64Array()),
            0,
          ),
        0,
      );
    const orders = permutations([0, 1, 2, 3]);
    vectors.forEach((vector, i) => {
      const marginal = orders.map((order) => {
        const before = order.slice(0, order.indexOf(i));
        return value([...before, i]) - value(before);
      });
      const shapley = marginal.reduce((sum, each) => sum + each, 0) / orders.length;
      const closed = vectors.reduce((sum, other) => sum + dot(vector, other), 0);
      expect(closed).toBeCloseTo(shapley, 9);
    });
  });
});

function permutations(items: readonly number[]): number[][] {
  if (items.length < 2) return [[...items]];
  return items.flatMap((item) =>
    permutations(items.filter((other) => other !== item)).map((rest) => [item, ...rest]),
  );
}
