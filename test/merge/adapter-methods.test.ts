import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { federatedRound } from '../../src/merge/adapters/federated.ts';
import { type LowRank, type Matrix, product } from '../../src/merge/adapters/low-rank.ts';
import { mergeAdapters } from '../../src/merge/adapters/merge-adapters.ts';
import { mergeAdaptersBy, SPARSE_ADAPTER_METHODS } from '../../src/merge/adapters/merge-sparse.ts';
import type { Adapter } from '../../src/merge/adapters/peft.ts';
import { METHODS } from '../../src/merge/methods.ts';
import type { Settings } from '../../src/merge/task.ts';
import { createRandom, normals, referenceCase } from './support.ts';

const random = createRandom(33);
const MODULE = 'model.layers.0.self_attn.q_proj';
const [ROWS, COLUMNS] = [24, 20];

function matrix(rows: number, columns: number): Matrix {
  return { rows, columns, values: normals(rows * columns, 1, random) };
}

function adapterOf(rank: number, names: readonly string[] = [MODULE]): Adapter {
  const modules = names.map((name): [string, LowRank] => [
    name,
    { b: matrix(ROWS, rank), a: matrix(rank, COLUMNS) },
  ]);
  return { config: {}, modules: new Map(modules) };
}

function dense(adapter: Adapter, name = MODULE): Float64Array {
  const delta = adapter.modules.get(name);
  return delta ? product(delta.b, delta.a).values : new Float64Array(ROWS * COLUMNS);
}

function length(values: Float64Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}

function distance(x: Float64Array, y: Float64Array): number {
  return length(x.map((value, i) => value - (y[i] ?? 0)));
}

function scaled(adapter: Adapter, factor: number): Adapter {
  const modules = [...adapter.modules].map(([name, { a, b }]): [string, LowRank] => [
    name,
    { a, b: { ...b, values: b.values.map((value) => value * factor) } },
  ]);
  return { ...adapter, modules: new Map(modules) };
}

describe('MRG-37: adapters merged by masks and votes', () => {
  const parents = [
    { adapter: adapterOf(2), weight: 0.6 },
    { adapter: adapterOf(4), weight: 0.4 },
  ];
  const parameters = { density: 0.5, epsilon: 0.1, lambda: 1.5 };

  it.each(SPARSE_ADAPTER_METHODS)(
    '%s is the method of models on the full updates, on a base of zero',
    async (method) => {
      const { adapter, shares, lostEnergy } = await mergeAdaptersBy(parents, {
        method,
        rank: COLUMNS,
        parameters,
      });
      const known = METHODS.get(method)?.parameters ?? [];
      const defaults = known.map(({ name, default: value }): [string, Settings[string]] => [
        name,
        value ?? 0,
      ]);
      const perModel = known.filter((each) => each.perModel).map(({ name }) => name);
      const settings: Settings = {
        ...Object.fromEntries(defaults),
        ...Object.fromEntries(
          Object.entries(parameters).filter(([name]) => known.some((each) => each.name === name)),
        ),
        ...(perModel.includes('density') && { density: [0.5, 0.5] }),
        ...(perModel.includes('epsilon') && { epsilon: [0.1, 0.1] }),
        weight: [0.6, 0.4],
      };
      const { merged, contributions } = referenceCase({
        method,
        settings,
        models: parents.map((parent) => dense(parent.adapter)),
        base: new Float64Array(ROWS * COLUMNS),
        shape: [ROWS, COLUMNS],
        name: MODULE,
      });
      expect(distance(dense(adapter), merged)).toBeLessThan(1e-5 * length(merged));
      expect(lostEnergy).toBeLessThan(1e-6);
      const [first] = contributions;
      const along = first?.reduce((sum, value, i) => sum + value * (merged[i] ?? 0), 0) ?? 0;
      expect((shares[0]?.sharePpm ?? 0) / 1e6).toBeCloseTo(along / length(merged) ** 2, 4);
      const again = await mergeAdaptersBy(parents, { method, rank: COLUMNS, parameters });
      expect(again).toEqual({ adapter, shares, lostEnergy });
    },
  );

  it('is the exact sum where nothing is left out and nobody disagrees', async () => {
    const one = adapterOf(3);
    const same = [
      { adapter: one, weight: 0.5 },
      { adapter: scaled(one, 2), weight: 0.5 },
    ];
    const exact = dense(mergeAdapters(same).adapter);
    const voted = await mergeAdaptersBy(same, { method: 'ties', rank: 3, parameters: { normalize: false } });
    expect(distance(dense(voted.adapter), exact)).toBeLessThan(1e-5 * length(exact));
    expect(voted.lostEnergy).toBeLessThan(1e-9);
  });

  it('says what a lower rank loses, and leaves modules to those that have them', async () => {
    const only = adapterOf(2, ['other']);
    const merged = await mergeAdaptersBy([...parents, { adapter: only, weight: 1 }], {
      method: 'ties',
      rank: 2,
      parameters: { density: 0.5 },
    });
    expect(merged.lostEnergy).toBeGreaterThan(0.05);
    expect(merged.lostEnergy).toBeLessThan(0.9);
    expect(merged.adapter.modules.get('other')?.a.rows).toBe(2);
    expect(merged.shares.map(({ sharePpm }) => sharePpm > 0)).toEqual([true, true, true]);
  });

  it('refuses what cannot be', async () => {
    const rank = 2;
    const wrong = [
      mergeAdaptersBy([], { method: 'ties', rank }),
      mergeAdaptersBy(parents, { method: 'slerp', rank }),
      mergeAdaptersBy(parents, { method: 'ties', rank: 0 }),
    ];
    for (const each of wrong) await expect(each).rejects.toMatchObject({ code: 'usage' });
    const thick = mergeAdaptersBy(parents, { method: 'ties', rank, parameters: { density: 2 } });
    await expect(thick).rejects.toMatchObject({ code: 'recipe-invalid' });
    const other: Adapter = {
      config: {},
      modules: new Map([[MODULE, { b: matrix(COLUMNS, 1), a: matrix(1, ROWS) }]]),
    };
    const unfit = mergeAdaptersBy([...parents, { adapter: other, weight: 1 }], { method: 'ties', rank });
    await expect(unfit).rejects.toMatchObject({ code: 'merge-refused' });
    const cancelled = mergeAdaptersBy(parents, { method: 'ties', rank }, AbortSignal.abort());
    await expect(cancelled).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('MRG-38: a federated round', () => {
  it('is the weighted sum of the updates, exactly, with everybody’s share', () => {
    const clients = [3, 1, 2].map((amount, i) => ({ adapter: adapterOf(1 + i), amount }));
    const {
      adapter,
      clients: results,
      lostEnergy,
    } = federatedRound(clients, { normMax: 1e9, cosineMin: -1 });
    const expected = new Float64Array(ROWS * COLUMNS);
    for (const { adapter: own, amount } of clients) {
      dense(own).forEach((value, i) => {
        expected[i] = (expected[i] ?? 0) + (value * amount) / 6;
      });
    }
    expect(distance(dense(adapter), expected)).toBeLessThan(1e-12 * length(expected));
    expect(lostEnergy).toBe(0);
    expect(results.map(({ weight }) => weight)).toEqual([0.5, 1 / 6, 1 / 3]);
    expect(results.reduce((sum, { share }) => sum + share.sharePpm, 0)).toBe(1_000_000);
    for (const [i, { share }] of results.entries()) {
      const own = dense(clients[i]?.adapter ?? adapterOf(1)).map(
        (value) => value * (results[i]?.weight ?? 0),
      );
      const along = own.reduce((sum, value, at) => sum + value * (expected[at] ?? 0), 0);
      expect(share.shapley).toBeCloseTo(along / length(expected) ** 2, 8);
    }
    expect(federatedRound(clients, { rank: 2, cosineMin: -1 }).adapter.modules.get(MODULE)?.a.rows).toBe(2);
  });

  it('cuts a loud client down to the median, and leaves out one that pulls the other way', () => {
    const truth = adapterOf(2);
    const near = (): Adapter => {
      const noise = scaled(adapterOf(2), 0.2);
      return mergeAdapters([truth, noise].map((adapter) => ({ adapter, weight: 1 }))).adapter;
    };
    const clients = [near(), near(), scaled(near(), 50), scaled(truth, -3)].map((adapter) => ({
      adapter,
      amount: 1,
    }));
    const { adapter, clients: results } = federatedRound(clients);
    expect(results.map(({ admitted }) => admitted)).toEqual([true, true, true, false]);
    expect(results[2]?.clip).toBeLessThan(0.1);
    expect(results[3]).toMatchObject({ weight: 0, share: { sharePpm: 0 } });
    expect(results[3]?.cosine).toBeLessThan(-0.9);
    const cosine =
      dense(adapter).reduce((sum, value, i) => sum + value * (dense(truth)[i] ?? 0), 0) /
      (length(dense(adapter)) * length(dense(truth)));
    expect(cosine).toBeGreaterThan(0.9);
  });

  it('does not depend on the order of clients, and gives nothing more to one that sends its update in two', () => {
    const clients = [1, 2, 1].map((rank) => ({ adapter: adapterOf(rank), amount: 2 }));
    const options = { normMax: 1e9, cosineMin: -1 };
    const plain = federatedRound(clients, options);
    const turned = federatedRound(clients.toReversed(), options);
    expect(distance(dense(plain.adapter), dense(turned.adapter))).toBeLessThan(
      1e-9 * length(dense(plain.adapter)),
    );
    expect(turned.clients.map(({ share }) => share.sharePpm).reverse()).toEqual(
      plain.clients.map(({ share }) => share.sharePpm),
    );
    const [first, ...others] = clients;
    const halves = [first, first].flatMap((client) => (client ? [{ ...client, amount: 1 }] : []));
    const split = federatedRound([...halves, ...others], options);
    const both = (split.clients[0]?.share.shapley ?? 0) + (split.clients[1]?.share.shapley ?? 0);
    expect(both).toBeCloseTo(plain.clients[0]?.share.shapley ?? 0, 9);
  });

  it('bounds every client, whatever is sent', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0.01, max: 1000, noNaN: true }), { minLength: 1, maxLength: 6 }),
        (sizes) => {
          const clients = sizes.map((size) => ({ adapter: scaled(adapterOf(1), size), amount: 1 }));
          const { clients: results } = federatedRound(clients, { cosineMin: -1 });
          const norms = results.map(({ norm }) => norm).sort((a, b) => a - b);
          const bound = (norms[Math.floor(norms.length / 2)] ?? 0) * (1 + 1e-9);
          for (const { norm, clip } of results) expect(norm * clip).toBeLessThanOrEqual(bound);
        },
      ),
      { numRuns: 20 },
    );
  });

  it('refuses an empty round, amounts that are none, and one where nobody is left', () => {
    const adapter = adapterOf(1);
    expect(() => federatedRound([])).toThrow(expect.objectContaining({ code: 'usage' }));
    for (const amount of [0, -1, Number.NaN])
      expect(() => federatedRound([{ adapter, amount }])).toThrow(expect.objectContaining({ code: 'usage' }));
    expect(() => federatedRound([{ adapter, amount: 1 }], { normMax: 0 })).toThrow(/longest/);
    const opposed = [adapter, scaled(adapter, -1)].map((each) => ({ adapter: each, amount: 1 }));
    const { clients } = federatedRound(opposed);
    expect(clients.filter(({ admitted }) => admitted)).toHaveLength(1);
    const nothing = [{ adapter: scaled(adapter, 0), amount: 1 }];
    expect(() => federatedRound(nothing)).toThrow(expect.objectContaining({ code: 'merge-refused' }));
    const other: Adapter = { config: {}, modules: new Map([[MODULE, { b: matrix(2, 1), a: matrix(1, 2) }]]) };
    const mixed = [adapter, other].map((each) => ({ adapter: each, amount: 1 }));
    expect(() => federatedRound(mixed, { cosineMin: -1 })).toThrow(
      expect.objectContaining({ code: 'merge-refused' }),
    );
  });
});
