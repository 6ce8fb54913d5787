import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUNDLE_FORMAT, bundle, deliveredOf, readBundle } from '../../src/protocol/bundle.ts';
import { explainReceipt } from '../../src/protocol/explain.ts';
import { BUNDLE_BYTES_MAX } from '../../src/protocol/limits.ts';
import { portableSuite } from '../../src/protocol/suite-portable.ts';
import { verifyBundle } from '../../src/protocol/verify-bundle.ts';
import { fileOf, sampleStory, suite, tell } from './sample.ts';
import { bytesOf, vectors } from './vector-files.ts';

const file = fileOf(sampleStory());

const flipped = (at: number, mask: number): Uint8Array => {
  const changed = file.slice();
  changed[at] = (changed[at] ?? 0) ^ mask;
  return changed;
};

describe('an evidence bundle', () => {
  it('fails for a change of any byte, with a reason (RCPT-31)', { timeout: 120_000 }, () => {
    for (let at = 0; at < file.length; at++) {
      const { ok, steps } = verifyBundle(suite, flipped(at, 1 << (at % 8)));
      expect(ok, `byte ${at}`).toBe(false);
      expect(steps.at(-1)?.detail.length, `byte ${at}`).toBeGreaterThan(3);
      // A reason is words for a reader, never a code.
      expect(steps.at(-1)?.detail, `byte ${at}`).not.toMatch(/-invalid|-missing|malformed|refused as/);
    }
  });

  it('fails alike in the portable suite (RCPT-31, SIGN-3)', { timeout: 120_000 }, () => {
    for (let at = 0; at < file.length; at += 61) {
      const changed = flipped(at, 1 << (at % 8));
      expect(verifyBundle(portableSuite, changed), `byte ${at}`).toEqual(verifyBundle(suite, changed));
    }
    expect(verifyBundle(portableSuite, file)).toEqual(verifyBundle(suite, file));
  });

  it('fails when cut or continued anywhere (RCPT-31)', () => {
    for (let length = 0; length < file.length; length += 7) {
      expect(verifyBundle(suite, file.subarray(0, length)).steps).toMatchObject([
        { check: 'bundle', ok: false },
      ]);
    }
    expect(verifyBundle(suite, Uint8Array.from([...file, 0])).ok).toBe(false);
  });

  it('never throws for what a file holds (RCPT-33)', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (noise) => {
        expect(verifyBundle(suite, noise).ok).toBe(false);
      }),
    );
    const splice = fc.record({ at: fc.nat(file.length), from: fc.nat(file.length), length: fc.nat(80) });
    fc.assert(
      fc.property(splice, ({ at, from, length }) => {
        const moved = file.slice();
        moved.set(file.subarray(from, from + Math.min(length, file.length - at)), at);
        verifyBundle(suite, moved);
      }),
    );
  });

  it('is refused unread when it is too large (RCPT-30)', () => {
    const { steps } = verifyBundle(suite, new Uint8Array(BUNDLE_BYTES_MAX + 1));
    expect(steps).toMatchObject([{ check: 'bundle', ok: false }]);
  });

  it('gives back what it holds', () => {
    const read = readBundle(file);
    expect(read.format).toBe(BUNDLE_FORMAT);
    expect(bundle.encode(read)).toEqual(file);
    const { answer, sources } = deliveredOf(read.deliveries);
    expect(answer).toBe('In the central Sahara some years pass without any.');
    expect(sources.map(({ document }) => document)).toEqual(['climate.md']);
    expect(() => deliveredOf([{ kind: 9, body: new Uint8Array(0) }])).toThrow('malformed');
  });

  it('names every earner and contributor in its summary (RCPT-34)', () => {
    const { summary } = verifyBundle(suite, file);
    expect(
      summary?.shares.map(({ role, amount, contributors }) => [role, amount, contributors.length]),
    ).toEqual([
      ['knowledge', 76_376n, 1],
      ['agent', 32_733n, 0],
    ]);
    expect(summary?.settlement).toMatchObject({ height: 7, chargeTotal: 209_109n });
  });
});

describe('the arithmetic in words', () => {
  it('names every term and every earner (RCPT-8)', () => {
    const lines = explainReceipt(
      verifyBundle(suite, file).summary?.receipt ?? expect.fail('a sound bundle'),
    ).join('\n');
    expect(lines).toContain('9 units × 0.000001001 SAHARA = 0.000009009 SAHARA');
    expect(lines).toContain('sum: 0.000109109 SAHARA');
    expect(lines).toContain('0.000076376 SAHARA (70 %)');
    expect(lines).toContain('with 1 grain that rounding left over');
    expect(lines).not.toMatch(/undefined|NaN/);
  });

  it('says so when a call was free or was not charged (RCPT-8)', () => {
    const words = (change: Partial<ReturnType<typeof sampleStory>>): string => {
      const verdict = verifyBundle(suite, bundle.encode(tell({ ...sampleStory(), ...change })));
      if (!verdict.summary) throw new TypeError(JSON.stringify(verdict.steps.at(-1)));
      return explainReceipt(verdict.summary.receipt).join('\n');
    };
    expect(words({ paid: false })).toContain('nothing is charged');
    const uncharged = { finish: 'nothing-found', amount: 0n, shares: [] } as const;
    expect(words({ receipt: uncharged, settled: false })).toContain('; 0 SAHARA is charged');
  });
});

describe('the standalone verifier', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sahara-verifier-'));
  const script = join(folder, 'verifier.mjs');
  beforeAll(() => {
    const build = join(import.meta.dirname, '../../scripts/build-verifier.mjs');
    const made = spawnSync(process.execPath, [build, script], { encoding: 'utf8' });
    expect(made.stderr).toBe('');
    expect(made.status).toBe(0);
    cpSync(join(import.meta.dirname, '../../spec/vectors/bundle.json'), join(folder, 'bundle.json'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('runs alone in plain Node and gives the same verdicts (RCPT-33)', { timeout: 120_000 }, () => {
    const program = join(folder, 'run.mjs');
    writeFileSync(
      program,
      `import { readFileSync } from 'node:fs';
import { explain, verify } from ${JSON.stringify(pathToFileURL(script).href)};
const { valid, invalid } = JSON.parse(readFileSync(new URL('bundle.json', import.meta.url)));
const verdicts = [...valid, ...invalid].map(({ hex }) => verify(Buffer.from(hex, 'hex')));
const last = ({ ok, steps }) => [ok, ok ? '' : steps.at(-1).check];
console.log(JSON.stringify({ verdicts: verdicts.map(last), words: explain(verdicts[0]) }));`,
    );
    // No type stripping, no module of ours, no installed package: only the built file.
    const ran = spawnSync(process.execPath, ['--no-experimental-strip-types', program], {
      encoding: 'utf8',
      cwd: folder,
      env: {},
    });
    expect(ran.stderr).toBe('');
    const { verdicts, words } = JSON.parse(ran.stdout) as { verdicts: unknown; words: string[] };
    const known = vectors('bundle');
    const native = [...known.valid, ...known.invalid].map((entry) => {
      const { ok, steps } = verifyBundle(suite, bytesOf(entry, 'hex'));
      return [ok, ok ? '' : steps.at(-1)?.check];
    });
    expect(verdicts).toEqual(native);
    expect(words.length).toBeGreaterThan(5);
  });
});
