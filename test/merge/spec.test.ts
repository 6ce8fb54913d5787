import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const ID = /MRG-\d+/g;

it('every requirement of spec/merge.md is cited by a test, and every cited one exists', () => {
  const spec = readFileSync(new URL('../../spec/merge.md', import.meta.url), 'utf8');
  const stated = [...spec.matchAll(/^\*\*(MRG-\d+)\*\*/gm)].map(([, id]) => id);
  expect(new Set(stated).size).toBe(stated.length);
  const folder = new URL('./', import.meta.url);
  const tests = readdirSync(folder).filter((name) => name.endsWith('.test.ts') && name !== 'spec.test.ts');
  const cited = tests.flatMap((name) => readFileSync(new URL(name, folder), 'utf8').match(ID) ?? []);
  expect([...new Set(cited)].sort()).toEqual([...stated].sort());
});
