import { describe, expect, it } from 'vitest';
import { groundednessOf } from '../../src/agent/groundedness.ts';
import { utf8 } from '../../src/base/bytes.ts';

const SOURCE = 'A payee claims on the ledger. The payer has two hours to answer.';

/** A citation of the whole source for the part of `text` that is `of`. */
function citing(text: string, of: string) {
  const start = utf8(text.slice(0, text.indexOf(of))).length;
  const end = start + utf8(of).length;
  return { start, end, source: 0, sourceStart: 0, sourceEnd: utf8(SOURCE).length };
}

describe('AGENT-12: an answer', () => {
  it('rests on what it cites, sentence by sentence', () => {
    const [grounded, made] = ['The payee claims on the ledger.', 'Elephants swim across rivers gladly.'];
    const text = `${grounded} ${made}`;
    const answer = { text, sources: [SOURCE], citations: [citing(text, grounded), citing(text, made)] };
    expect(groundednessOf(answer)).toEqual({ sentences: 2, grounded: 1, ppm: 500_000, first: made });
  });

  it('has nothing from a source that it does not cite for that sentence', () => {
    const text = 'Claims go to the ledger. The payee claims on the ledger.';
    const answer = { text, sources: [SOURCE], citations: [citing(text, 'The payee claims on the ledger.')] };
    expect(groundednessOf(answer)).toMatchObject({ sentences: 2, grounded: 1 });
  });

  it('is grounded at half of the terms and not below', () => {
    const half = 'Ledger claims elephants rivers.';
    const less = 'Ledger elephants rivers.';
    const of = (text: string) => groundednessOf({ text, sources: [SOURCE], citations: [citing(text, text)] });
    expect(of(half).grounded).toBe(1);
    expect(of(less).grounded).toBe(0);
  });

  it('counts offsets in bytes, in any script', () => {
    const text = 'Übrigens: 支払いは台帳で請求されます。';
    const source = '支払いは台帳で請求されます。';
    const start = utf8('Übrigens: ').length;
    const citation = {
      start,
      end: utf8(text).length,
      source: 0,
      sourceStart: 0,
      sourceEnd: utf8(source).length,
    };
    expect(groundednessOf({ text, sources: [source], citations: [citation] }).grounded).toBe(1);
  });

  it('without sentences lacks nothing', () => {
    expect(groundednessOf({ text: '', sources: [], citations: [] })).toEqual({
      sentences: 0,
      grounded: 0,
      ppm: 1_000_000,
    });
  });
});
