import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createRecent } from '../../src/base/recent.ts';

test('what is there is what was set last, within the limit, and the latest half is always there', () => {
  const step = fc.record({ name: fc.nat({ max: 20 }), cost: fc.option(fc.integer({ min: 1, max: 9 })) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 1, max: 40 }), (steps, costMax) => {
      const recent = createRecent<number>({ costMax, costOf: (_, value) => value });
      const model = new Map<string, number>();
      // Newest first. What was replaced or deleted has no name and keeps its cost.
      let latest: { readonly name: string | undefined; readonly cost: number }[] = [];
      for (const { name: number, cost } of steps) {
        const name = String(number);
        latest = latest.map((one) => (one.name === name ? { ...one, name: undefined } : one));
        if (cost === null) {
          recent.delete(name);
          model.delete(name);
        } else {
          recent.set(name, cost);
          model.set(name, cost);
          if (cost <= costMax / 2) latest.unshift({ name, cost });
        }
        expect(recent.cost).toBeLessThanOrEqual(costMax);
      }
      let room = costMax / 2;
      const due = latest.flatMap(({ name, cost }) => {
        room -= cost;
        return room >= 0 && name !== undefined ? [name] : [];
      });
      for (const name of due.reverse()) expect(recent.get(name)).toBe(model.get(name));
      for (let i = 0; i <= 20; i++) {
        const found = recent.get(String(i));
        if (found !== undefined) expect(found).toBe(model.get(String(i)));
      }
    }),
    { numRuns: 400 },
  );
});

test('an entry counts one unless told otherwise', () => {
  const recent = createRecent<string>({ costMax: 4 });
  for (const name of ['a', 'b', 'c', 'd', 'e']) recent.set(name, name);
  expect(recent.cost).toBeLessThanOrEqual(4);
  expect([recent.get('d'), recent.get('e'), recent.get('a')]).toEqual(['d', 'e', undefined]);
});
