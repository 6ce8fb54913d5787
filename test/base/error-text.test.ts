import { describe, expect, it } from 'vitest';
import { errorText, explainError } from '../../src/base/error-text.ts';
import { ERROR_KINDS, type ErrorCode, SaharaError } from '../../src/base/errors.ts';

const CODES = Object.keys(ERROR_KINDS) as ErrorCode[];

/** Facts that answer to every name. */
const everything = new Proxy(
  {},
  {
    getOwnPropertyDescriptor: () => ({ value: 'A value that is known', configurable: true }),
    get: () => 'A value that is known',
  },
);

describe.each(CODES)('%s', (code) => {
  it.each([
    ['nothing is known', {}],
    ['everything is known', everything],
  ])('is explained in three sentences when %s (ERR-5)', (_name, facts) => {
    const { what, why, next } = errorText({ code, facts });
    for (const sentence of [what, why, next]) {
      expect(sentence).toMatch(/^[A-Z0-9`].{8,}[.!]$/);
      expect(sentence).not.toMatch(/undefined|null|NaN|\[object|\$\{|\{\}| {2}| [.,:;]|\.\.|\(\)/);
    }
    expect(explainError({ code, facts })).toBe(`${what} ${why} ${next}`);
  });
});

describe('explanations', () => {
  it('name what is known', () => {
    const error = new SaharaError('agent-unknown', { agent: 'giude', nearest: ['guide', 'guild'] });
    expect(explainError(error)).toBe(
      'No live agent is called giude. Close to it: guide, guild. See `sahara agents` for everyone who can be reached now.',
    );
    const shared = new SaharaError('agent-unknown', {
      name: 'guide',
      reason: 'ambiguous',
      nearest: ['did:a', 'did:b'],
    });
    expect(explainError(shared)).toContain('Several live agents are called guide: did:a, did:b.');
    const poor = new SaharaError('funds-insufficient', { needed: '1500000000', balance: '0' });
    expect(explainError(poor)).toContain('It needs 1.5 SAHARA; there is 0 SAHARA.');
    const dear = new SaharaError('price-above-max', { price: '2000000', priceMax: '1000000' });
    expect(explainError(dear)).toContain('It may cost 0.002 SAHARA, your limit is 0.001 SAHARA.');
    const starting = new SaharaError('daemon-not-running', { reason: 'starting', pid: 7 });
    expect(explainError(starting)).toContain('It is starting (process 7). Try again in a moment.');
    const gone = new SaharaError('daemon-not-running', { reason: 'it went away' });
    expect(explainError(gone)).toContain('sahara resume');
    expect(explainError(new SaharaError('daemon-not-running', { reason: 'ENOENT' }))).toContain('sahara up');
    const skewed = new SaharaError('expired', { receiverTimeMs: 0 });
    expect(explainError(skewed)).toContain('1970-01-01T00:00:00.000Z');
    expect(explainError(new SaharaError('expired', { receiverTimeMs: 1e300 }))).toContain('unknown');
    expect(explainError(new SaharaError('overloaded', { retryAfterMs: 1500 }))).toContain('Wait 2 s');
  });

  it('spell a DID as it is, also where a sentence begins with it', () => {
    const { why, next } = errorText({
      code: 'usage',
      facts: { reason: 'did:key:z6Mk is yours', next: 'Say another DID' },
    });
    expect(why).toBe('did:key:z6Mk is yours.');
    expect(next).toBe('Say another DID.');
  });

  it('spell names as they are, and say something else where nothing is close', () => {
    const skipped = new SaharaError('document-unsupported', {
      document: 'docs/blob.txt',
      found: 'a program',
    });
    expect(explainError(skipped)).toMatch(
      /^docs\/blob\.txt is of a kind that cannot be read\. It is a program\./,
    );
    const reason = new SaharaError('document-unreadable', { document: 'a.pdf', reason: 'it is locked' });
    expect(explainError(reason)).toMatch(/^a\.pdf cannot be read\. It is locked\./);
    for (const code of ['agent-unknown', 'vault-unknown'] as const)
      expect(explainError(new SaharaError(code, { name: 'x', nearest: [] }))).not.toMatch(/Close to it|none/);
  });

  it('let nothing through that could steer a terminal or mislead a reader (ERR-6)', () => {
    const hostile = `\u001b]0;x\u0007a\u202eb\n\r\tc${'d'.repeat(5000)}`;
    const text = explainError(new SaharaError('internal', { reason: hostile }));
    expect(text).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(text.length).toBeLessThan(600);
  });

  it('never blame', () => {
    const blame = /your fault|you must|illegal|stupid|fatal/i;
    for (const code of CODES) expect(explainError({ code, facts: {} })).not.toMatch(blame);
  });
});
