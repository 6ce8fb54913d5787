import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findWork } from '../../src/agent/work.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { systemDice } from '../../src/base/random.ts';
import type { Suite } from '../../src/protocol/suite.ts';
import { nativeSuite } from '../../src/protocol/suite-native.ts';
import { portableSuite } from '../../src/protocol/suite-portable.ts';
import { WORK_BYTES, type WorkSubject, workBits, zeroBits } from '../../src/protocol/work.ts';
import { bytesOf, type Case, vectors } from './vector-files.ts';

const SUITES: readonly (readonly [string, Suite])[] = [
  ['native', nativeSuite],
  ['portable', portableSuite],
];

const subject: WorkSubject = {
  network: 'test-0000000000000000',
  agent: new Uint8Array(32).fill(3),
  envelope: new Uint8Array(200).fill(4),
};

describe.each(SUITES)('work.json over the %s suite', (_name, suite) => {
  const file = vectors('work');
  const enough = (entry: Case): boolean => {
    const of = {
      network: String(entry.network),
      agent: bytesOf(entry, 'agent'),
      envelope: bytesOf(entry, 'envelope'),
    };
    return workBits(suite, of, bytesOf(entry, 'work')) >= Number(entry.bits);
  };
  it.each(file.valid)('takes $name (CALL-125)', (entry) => expect(enough(entry)).toBe(true));
  it.each(file.invalid)('does not take $name (CALL-125)', (entry) => expect(enough(entry)).toBe(false));
});

describe('zero bits', () => {
  it('are counted from the front, bit by bit', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 32 }), (hash) => {
        const text = [...hash].map((byte) => byte.toString(2).padStart(8, '0')).join('');
        const first = text.indexOf('1');
        expect(zeroBits(hash)).toBe(first < 0 ? text.length : first);
      }),
    );
  });
});

describe('the search', () => {
  it('CALL-125: finds what is asked for, for this subject only', async () => {
    for (const bits of [0, 1, 7, 12]) {
      const work = await findWork(subject, bits, { dice: systemDice });
      expect(work).toHaveLength(WORK_BYTES);
      expect(workBits(nativeSuite, subject, work)).toBeGreaterThanOrEqual(bits);
    }
  });

  it('passes over the end of its numbers', async () => {
    const last = { bytes: (length: number) => new Uint8Array(length).fill(0xff) };
    const work = await findWork(subject, 8, { dice: last });
    expect(workBits(nativeSuite, subject, work)).toBeGreaterThanOrEqual(8);
  });

  it('lets everything else run meanwhile, and ends when it is told to', async () => {
    let turns = 0;
    const turn = (): void => {
      if (++turns < 5) setImmediate(turn);
    };
    setImmediate(turn);
    const stopped = (): void => {
      if (turns === 5) throw new SaharaError('cancelled');
    };
    // No hash begins with so many zero bits: only the stop, which needs turns of its own, ends this.
    const search = findWork(subject, 255, { dice: systemDice, stopped });
    await expect(search).rejects.toEqual(new SaharaError('cancelled'));
    expect(turns).toBe(5);
  });
});
