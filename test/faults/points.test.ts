import { afterEach, describe, expect, it } from 'vitest';
import { isPoint, POINTS, point, watchPoints } from '../../src/base/points.ts';
import { readFaultPlan } from '../../src/daemon/fault-plan.ts';
import { files, read, withoutComments } from '../tidy/source.ts';
import { SCENARIOS } from './scenarios.ts';

afterEach(() => watchPoints(undefined));

describe('labelled points', () => {
  const code = files('src')
    .filter((path) => path.endsWith('.ts') && path !== 'src/base/points.ts')
    .map((path) => withoutComments(read(path)))
    .join('\n');
  const placed = [...code.matchAll(/'([a-z]+:[a-z-]+)'/g)].map((match) => match[1] ?? '').filter(isPoint);

  it('each stand at one place of the code', () => {
    expect([...placed].sort()).toEqual(Object.keys(POINTS).sort());
  });

  it('are all reached by the fault suite, and it knows no others', () => {
    expect(Object.keys(SCENARIOS).sort()).toEqual(Object.keys(POINTS).sort());
  });

  it('tell a watcher while there is one, and let through what it throws', () => {
    const seen: string[] = [];
    watchPoints((label) => seen.push(label));
    point('journal:batch');
    watchPoints(undefined);
    point('journal:batch');
    expect(seen).toEqual(['journal:batch']);
    watchPoints((label) => {
      throw new RangeError(label);
    });
    expect(() => point('tail:appended')).toThrow('tail:appended');
  });
});

describe('a plan of faults', () => {
  it('names points, passings and what happens there', () => {
    expect(readFaultPlan('')).toEqual([]);
    expect(
      readFaultPlan('tail:appended=kill, journal:batch=3:fail:disk-full,ledger:built=clock:-7200000'),
    ).toEqual([
      { label: 'tail:appended', hit: 1, action: { type: 'kill' } },
      { label: 'journal:batch', hit: 3, action: { type: 'fail', code: 'disk-full' } },
      { label: 'ledger:built', hit: 1, action: { type: 'clock', ms: -7_200_000 } },
    ]);
  });

  it.each([
    'nowhere:known=kill',
    'tail:appended',
    'now:=kill',
    'tail:appended=0:kill',
    'tail:appended=kill:9',
    'tail:appended=fail:no-such-code',
    'tail:appended=wait',
    'tail:appended=explode',
  ])('that cannot be read is refused: %s', (text) => {
    expect(() => readFaultPlan(text)).toThrow('config-invalid');
  });
});
