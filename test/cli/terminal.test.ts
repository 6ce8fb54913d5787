import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAmount, formatDecimal, parseAmount } from '../../src/base/amount.ts';
import { nearestNames } from '../../src/base/nearest.ts';
import { AnswerPrinter } from '../../src/cli/show.ts';
import { clip, printable, type Terminal, table } from '../../src/cli/terminal.ts';
import type { AskEvent } from '../../src/daemon/admin/types.ts';

function paper(): Terminal & { readonly written: () => string } {
  let text = '';
  return {
    json: false,
    interactive: false,
    write(part) {
      text += part;
    },
    line(part = '') {
      text += `${part}\n`;
    },
    result: (_value, show) => show(),
    note: () => {},
    progress: () => () => {},
    live: () => {},
    paint: (_style, part) => part,
    paintError: (_style, part) => part,
    written: () => text,
  };
}

describe('amounts', () => {
  it('reads back what it writes', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 18n }), (grains) => {
        expect(parseAmount(formatDecimal(grains))).toBe(grains);
        expect(parseAmount(formatAmount(grains))).toBe(grains);
      }),
    );
  });

  it.each(['', '-1', '1e3', '0.0000000001', '1,5', 'x', '1 EUR'])('refuses %j', (text) => {
    expect(parseAmount(text)).toBeUndefined();
  });
});

describe('text from peers', () => {
  it('cannot move the cursor or turn the reading direction', () => {
    expect(printable('a\u001b[2Jb\u009bc\u202ed\r\ne')).toBe('a[2Jbcd\ne');
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(printable(text)).not.toMatch(/[^\P{Cc}\n\t]/u);
      }),
    );
    expect(clip('a\nb'.repeat(100), 10)).toHaveLength(10);
  });

  it('stands in columns', () => {
    expect(table(['A', 'LONG'], [['xxx', 'y']])).toEqual(['A    LONG', 'xxx  y']);
  });
});

describe('nearest names', () => {
  it('offers what may have been meant, the likeliest first', () => {
    expect(nearestNames('giude', ['notes', 'guide', 'guild'])).toEqual(['guide']);
    expect(nearestNames('gui', ['guide', 'zebra'])).toEqual(['guide']);
    expect(nearestNames('qqqqq', ['guide'])).toEqual([]);
  });
});

describe('answer printer', () => {
  const end: AskEvent = {
    type: 'end',
    callId: 'ab'.repeat(16),
    finish: 'done',
    amount: '2000000',
    inputUnits: 1,
    outputUnits: 2,
    expenses: '0',
    calls: 0,
    shares: [{ asset: '00', role: 'knowledge', name: 'doc', ppm: 1_000_000, amount: '2000000' }],
    path: '/r/x.bundle',
    tookMs: 3,
  };
  const source = (index: number): AskEvent => ({
    type: 'source',
    index,
    document: `d${index}.md`,
    title: '',
    text: 't',
    contributor: 'did:key:z6Mk',
    licence: '',
  });
  const citation = (
    start: number,
    stop: number,
    from: number,
  ): Extract<AskEvent, { type: 'delta' }>['citations'][number] => ({
    start,
    end: stop,
    source: from,
    sourceStart: 0,
    sourceEnd: 1,
  });

  it('sets each mark at the end of its sentence, before the space', () => {
    const terminal = paper();
    const printer = new AnswerPrinter(terminal);
    printer.event(source(0));
    printer.event(source(1));
    printer.event({ type: 'delta', text: 'Zwölf. ', citations: [citation(0, 7, 1)] });
    printer.event({ type: 'delta', text: 'Two. ', citations: [] });
    printer.event({ type: 'delta', text: '', citations: [citation(8, 12, 0)] });
    printer.event(end);
    expect(terminal.written()).toMatch(/^Zwölf\.\[2\] Two\.\[1\]\n/);
    expect(terminal.written()).toContain('[2] d1.md');
    expect(terminal.written()).toContain('paid 0.002 SAHARA');
  });

  it('says what of the price was for calls below', () => {
    const said = (change: object): string => {
      const terminal = paper();
      new AnswerPrinter(terminal).event({ ...end, ...change });
      return terminal.written();
    };
    expect(said({ expenses: '500000', calls: 2 })).toContain(
      'paid 0.002 SAHARA, 0.0005 SAHARA of it for 2 calls below',
    );
    const own = { amount: '0', shares: [], expenses: '500000', calls: 1 };
    expect(said(own)).toContain('free, and 0.0005 SAHARA for others that it asked');
  });

  it('lists only sources that were cited', () => {
    const terminal = paper();
    const printer = new AnswerPrinter(terminal);
    printer.event(source(0));
    printer.event({ type: 'delta', text: 'None.', citations: [] });
    printer.event({ ...end, amount: '0', shares: [], finish: 'nothing-found' });
    expect(terminal.written()).not.toContain('d0.md');
    expect(terminal.written()).toContain('free (nothing in its documents answers this)');
  });
});
