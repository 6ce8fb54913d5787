import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countUnits, inputUnits, UnitCounter } from '../../src/protocol/units.ts';

describe('units', () => {
  it.each([
    ['', 0],
    ['one', 1],
    ['  two  words, ', 2],
    ["it's", 2],
    ['a-b_c', 3],
    ['3.14', 2],
    ['naïve', 1],
    ['e\u0301te\u0301', 1],
    ['沙漠很热', 4],
    ['サハラ desert 사하라', 7],
    ['🐪 🐪', 0],
  ])('of %j are %i (RCPT-9)', (text, units) => {
    expect(countUnits(text)).toBe(units);
  });

  it('do not depend on how a text is cut (RCPT-9)', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme' })), (pieces) => {
        const counter = new UnitCounter();
        for (const piece of pieces) counter.push(piece);
        expect(counter.count).toBe(countUnits(pieces.join('')));
      }),
    );
  });

  it('of a request are those of its question and of each turn alone (RCPT-9)', () => {
    expect(inputUnits({ question: 'one two', context: [{ text: 'three' }, { text: 'four' }] })).toBe(4);
  });

  it('stop at a maximum without losing text', () => {
    const counter = new UnitCounter();
    expect(counter.take('one two three', 2)).toBe('one two '.length);
    expect(counter.count).toBe(2);
  });
});
