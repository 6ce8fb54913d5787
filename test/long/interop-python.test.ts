/**
 * A second reader of the protocol in another language, written from the spec alone: it decodes records by the
 * tables of `spec/records.md` and gives its own verdict on every vector. Needs Python 3; skipped aloud without it.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const missing = spawnSync('python3', ['--version']).status !== 0;
if (missing) console.warn('SKIPPED: the second reader of the protocol: python3 is not installed');

describe('a reader that only has the spec', () => {
  it.skipIf(missing)('agrees with every vector of the protocol (ENC-1, SIGN-3, ENV-2, RCPT-31)', () => {
    const script = fileURLToPath(new URL('../interop/python/second_reader.py', import.meta.url));
    const spec = fileURLToPath(new URL('../../spec', import.meta.url));
    const ran = spawnSync('python3', [script, spec], { encoding: 'utf8' });
    expect(ran.stderr).toBe('');
    expect(ran.stdout).toMatch(/^[1-9]\d{2,} vectors, 0 disagreements\n$/);
    expect(ran.status).toBe(0);
  });
});
