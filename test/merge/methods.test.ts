import { describe, expect, it } from 'vitest';
import { METHODS } from '../../src/merge/methods.ts';
import type { Settings } from '../../src/merge/task.ts';
import { createRandom, type MemoryCase, normals, referenceCase, runCase } from './support.ts';

const SHAPE = [37, 601];
const ELEMENTS = 37 * 601;

/** Two or three fine-tunes of one base, with exact ties and untouched elements as real ones have. */
function family(models: number, seed = 1): { base: Float64Array; models: Float64Array[] } {
  const random = createRandom(seed);
  const base = normals(ELEMENTS, 0.02, random);
  const tuned = Array.from({ length: models }, () => {
    const delta = normals(ELEMENTS, 0.002, random);
    return base.map((value, i) => value + (i % 7 === 0 ? 0 : i % 5 === 0 ? 2 ** -9 : (delta[i] ?? 0)));
  });
  return { base, models: tuned };
}

const three = family(3);
const two = { ...family(2, 2) };
const one = { ...family(1, 3) };
const far = Array.from({ length: 3 }, (_, i) => normals(ELEMENTS, 1 + i, createRandom(50 + i)));

const sparse = (more: Settings): Settings => ({
  weight: [0.5, 0.3, -0.4],
  lambda: 1.2,
  normalize: false,
  density: [0.3, 0.5, 0.9],
  rescale: false,
  rescale_by: 'l1',
  ...more,
});

const CASES: Record<string, Omit<MemoryCase, 'method' | 'shape'>[]> = {
  linear: [
    { models: three.models, settings: { weight: [0.5, 0.3, 0.9], normalize: true } },
    { models: three.models, settings: { weight: [0.5, -0.3, 0.9], normalize: false } },
  ],
  passthrough: [
    { models: one.models, settings: { scale: [1] } },
    { models: one.models, settings: { scale: [-0.7] } },
  ],
  slerp: [
    { models: two.models, settings: { t: 0.3 } },
    { models: far.slice(0, 2), settings: { t: 0.3 } },
    { models: [far[0] ?? new Float64Array(), new Float64Array(ELEMENTS)], settings: { t: 0.6 } },
  ],
  nuslerp: [true, false].flatMap((flatten) =>
    [true, false].flatMap((rowWise) => [
      {
        models: far.slice(1),
        settings: { weight: [0.4, 0.8], nuslerp_flatten: flatten, nuslerp_row_wise: rowWise },
      },
      {
        ...two,
        settings: { weight: [0.4, 0.8], nuslerp_flatten: flatten, nuslerp_row_wise: rowWise },
      },
    ]),
  ),
  multislerp: [
    { models: far, settings: { weight: [1, 2, 3], normalize_weights: true, eps: 1e-8 } },
    { ...three, settings: { weight: [0.2, 0.4, 0.4], normalize_weights: false, eps: 1e-8 } },
  ],
  karcher: [
    { models: far, settings: { max_iter: 10, tol: 1e-5 } },
    { models: three.models, settings: { max_iter: 10, tol: 1e-5 } },
    {
      models: [far[0] ?? new Float64Array(), new Float64Array(ELEMENTS)],
      settings: { max_iter: 3, tol: 1e-9 },
    },
  ],
  task_arithmetic: [
    { ...three, settings: sparse({}) },
    { ...three, settings: sparse({ normalize: true }) },
  ],
  ties: [
    { ...three, settings: sparse({ normalize: true }) },
    { ...three, settings: sparse({ rescale: true }) },
    { ...three, settings: sparse({ rescale: true, rescale_by: 'density' }) },
    { ...three, settings: sparse({ density: [1, 0, 1e-9] }) },
  ],
  dare_linear: [
    { ...three, settings: sparse({ rescale: true }) },
    { ...three, settings: sparse({ density: [1, 0, 0.5], rescale: true, rescale_by: 'density' }) },
  ],
  dare_ties: [{ ...three, settings: sparse({ rescale: true, normalize: true }) }],
  della: [{ ...three, settings: sparse({ rescale: true, normalize: true, epsilon: [0.1, 0.15, 0.05] }) }],
  della_linear: [{ ...three, settings: sparse({ rescale: true, epsilon: [0.1, 0.15, 0.05] }) }],
  breadcrumbs: [
    { ...three, settings: sparse({ gamma: [0.01, 0.05, 0.2] }) },
    { ...three, settings: sparse({ gamma: [0, 0, 1] }) },
  ],
  breadcrumbs_ties: [{ ...three, settings: sparse({ gamma: [0.01, 0.05, 0.2] }) }],
  model_stock: [
    { ...three, settings: { filter_wise: false } },
    { ...three, settings: { filter_wise: true } },
  ],
  sce: [
    { ...three, settings: { select_topk: 0.2 } },
    { ...three, settings: { select_topk: 1 } },
  ],
  ram: [{ ...three, settings: { epsilon: 1e-3 } }],
  nearswap: [{ ...one, settings: { t: 1e-3 } }],
  arcee_fusion: [{ ...one, settings: {} }],
};

// One rounding of f32 per step and a handful of steps: a few parts in 10^7 of the largest term.
function tolerance(values: Float64Array): number {
  return 1e-6 * values.reduce((top, value) => Math.max(top, Math.abs(value)), 1e-3);
}

describe('MRG-4: every method computes what its f64 reference says', { timeout: 120_000 }, () => {
  it('has cases for every method', () => {
    expect(Object.keys(CASES).sort()).toEqual([...METHODS.keys()].sort());
  });

  for (const [method, cases] of Object.entries(CASES)) {
    cases.forEach((settings, which) => {
      it(`${method} (case ${which + 1})`, () => {
        const test: MemoryCase = { ...settings, method, shape: SHAPE };
        const { merged, result } = runCase(test);
        const { merged: expected, contributions } = referenceCase(test);
        const worst = merged.reduce(
          (top, value, i) => Math.max(top, Math.abs(value - (expected[i] ?? 0))),
          0,
        );
        expect(worst).toBeLessThan(tolerance(expected));
        contributions.forEach((a, i) => {
          contributions.forEach((b, j) => {
            const product = a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0);
            const got = result.gram[i * contributions.length + j] ?? Number.NaN;
            const scale = Math.sqrt(
              (result.gram[i * contributions.length + i] ?? 0) *
                (result.gram[j * contributions.length + j] ?? 0),
            );
            expect(Math.abs(got - product)).toBeLessThanOrEqual(1e-6 * scale + 1e-12);
          });
        });
      });
    });
  }
});
