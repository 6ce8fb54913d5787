import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Passing } from '../../src/base/passing.ts';

type Step = readonly ['set' | 'delete', number];

describe('a map of what comes and goes', () => {
  it('answers as a map does, in the order of a map', () => {
    const step = fc.tuple(
      fc.constantFrom('set' as const, 'delete' as const),
      fc.integer({ min: 0, max: 12 }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps: readonly Step[]) => {
        const passing = new Passing<number, { readonly at: number }>();
        const map = new Map<number, { readonly at: number }>();
        steps.forEach(([what, key], at) => {
          if (what === 'delete') expect(passing.delete(key)).toBe(map.delete(key));
          else {
            passing.set(key, { at });
            map.set(key, { at });
          }
          expect(passing.get(key)).toEqual(map.get(key));
          expect(passing.has(key)).toBe(map.has(key));
        });
        expect(passing.size).toBe(map.size);
        expect([...passing.keys()]).toEqual([...map.keys()]);
        expect([...passing.values()]).toEqual([...map.values()]);
      }),
    );
  });

  it('lets others leave while they are walked over', () => {
    const passing = new Passing<string, { readonly name: string }>();
    for (const name of ['a', 'b', 'c']) passing.set(name, { name });
    const seen: string[] = [];
    for (const { name } of passing.values()) {
      seen.push(name);
      passing.delete('a');
      passing.delete('b');
    }
    expect(seen).toEqual(['a', 'c']);
  });
});
