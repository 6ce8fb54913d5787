import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/base/bytes.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { FACTS_MAX, failureSchema, fromWireFailure, toWireFailure } from '../../src/protocol/failure.ts';

const travel = (error: SaharaError): SaharaError =>
  fromWireFailure(failureSchema.decode(failureSchema.encode(toWireFailure(error, 1000))));

describe('a failure on the wire', () => {
  it('arrives with its code, facts and clock (ERR-2)', () => {
    const facts = { reason: 'late', count: -1.5, yes: true, no: false, names: ['a', 'b'], none: [], zero: 0 };
    const arrived = travel(new SaharaError('expired', facts));
    expect(arrived.code).toBe('expired');
    expect(arrived.facts).toEqual({ ...facts, peerTimeMs: 1000 });
  });

  it('is clipped to its limits rather than lost (ERR-3)', () => {
    const many = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`fact${i}`, i]));
    expect(Object.keys(travel(new SaharaError('internal', many)).facts)).toHaveLength(FACTS_MAX + 1);
    const long = { text: '🐪'.repeat(500), infinite: Number.POSITIVE_INFINITY, näme: 'dropped' };
    const arrived = travel(new SaharaError('internal', long));
    expect(String(arrived.facts.text).length).toBeLessThanOrEqual(256);
    expect(arrived.facts.infinite).toBe('Infinity');
    expect(arrived.facts).not.toHaveProperty('näme');
  });

  it('keeps a code that is not known as a fact (ERR-4)', () => {
    const arrived = fromWireFailure({ code: 'from-the-future', facts: { a: 1 }, atMs: 5 });
    expect(arrived.code).toBe('internal');
    expect(arrived.facts).toMatchObject({ peerCode: 'from-the-future', a: 1 });
    expect(fromWireFailure({ code: 'toString', facts: {}, atMs: 5 }).code).toBe('internal');
  });

  it('does not let a name of a fact reach a prototype', () => {
    const hostile = fromWireFailure(
      failureSchema.decode(
        failureSchema.encode({ code: 'internal', facts: JSON.parse('{"__proto__":"x"}'), atMs: 0 }),
      ),
    );
    expect(Object.getPrototypeOf(hostile.facts)).toBe(Object.prototype);
  });

  it('has one encoding of each fact (ENC-2)', () => {
    const encoded = toHex(failureSchema.encode({ code: 'internal', facts: { a: 1 }, atMs: 0 }));
    expect(encoded).toContain('82616e6131');
    const decoded = (fact: string): unknown =>
      failureSchema.decode(Buffer.from(encoded.replace('82616e6131', fact), 'hex')).facts;
    expect(decoded('82616e6132')).toEqual({ a: 2 });
    for (const crooked of [
      '82616e623031',
      '82616e632b31',
      '82616e60',
      '8261626132',
      '82617a6131',
      '8161 6e'.replace(' ', ''),
      '80',
    ]) {
      expect(() => decoded(crooked), crooked).toThrow('malformed');
    }
  });
});
