import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeModel, TINY } from '../../examples/merge/make-models.ts';
import { readAdapter, writeAdapter } from '../../src/merge/adapters/adapter-files.ts';
import { innerLowRank, product, sumLowRank } from '../../src/merge/adapters/low-rank.ts';
import type { Adapter } from '../../src/merge/adapters/peft.ts';
import { readTensor } from '../merge/gguf-models.ts';

const LAUNCHER = fileURLToPath(new URL('../../bin/sahara.js', import.meta.url));

let folder = '';
const at = (...path: readonly string[]): string => join(folder, ...path);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sahara-adapters-'));
  const shape = { ...TINY, dtype: 'F32' } as const;
  await makeModel(at('base'), shape, { base: 1 });
  for (const [i, name] of ['law', 'medicine'].entries())
    await makeModel(at(`${name}-tuned`), shape, { base: 1, tune: 2 + i });
}, 60_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command, in the folder of the models, without a daemon. */
async function sahara(...args: readonly string[]): Promise<Ended> {
  const options = { cwd: folder, env: { ...process.env, SAHARA_HOME: at('home') } };
  try {
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      [LAUNCHER, 'adapter', ...args],
      options,
    );
    return { code: 0, stdout, stderr };
  } catch (error) {
    // What execFile rejects with has the outcome.
    const { code, stdout, stderr } = error as Ended;
    return { code, stdout, stderr };
  }
}

// What a command says under --json; the test names what it looks at.
async function json(...args: readonly string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await sahara(...args, '--json');
  expect([code, stderr]).toEqual([0, '']);
  return JSON.parse(stdout);
}

/** How far two adapters are apart, relative to the first. */
function distance(x: Adapter, y: Adapter): number {
  expect([...y.modules.keys()].sort()).toEqual([...x.modules.keys()].sort());
  let [apart, size] = [0, 0];
  for (const [name, delta] of x.modules) {
    const other = y.modules.get(name);
    if (!other) throw new Error(`no ${name}`);
    const difference = sumLowRank([
      { delta, weight: 1 },
      { delta: other, weight: -1 },
    ]);
    apart += innerLowRank(difference, difference);
    size += innerLowRank(delta, delta);
  }
  return Math.sqrt(Math.max(0, apart) / size);
}

const SINGLE = 1e-6;

describe('sahara adapter', { timeout: 240_000 }, () => {
  it('MRG-29: extracts adapters, and tells what they are', async () => {
    for (const name of ['law', 'medicine']) {
      const made = await json('extract', `${name}-tuned`, '--base', 'base', '--rank', '6', '--out', name);
      expect(made).toMatchObject({ output: name, adapter: { format: 'PEFT' } });
      const lost = Object.values(made.lostEnergy ?? {});
      expect(lost).toHaveLength(14);
      for (const part of lost) expect(part).toBeGreaterThan(0);
    }
    const report = await json('info', 'law');
    expect(report.modules).toContainEqual(
      expect.objectContaining({ name: 'model.layers.0.mlp.down_proj', rows: 64, columns: 128, rank: 6 }),
    );
    const some = [
      'extract',
      'law-tuned',
      '--base',
      'base',
      '--rank',
      '2',
      '--module',
      'q_proj',
      'v_proj',
      '--out',
      'qv',
    ];
    await json(...some);
    expect([...(await readAdapter(at('qv'))).modules.keys()].every((name) => /[qv]_proj$/.test(name))).toBe(
      true,
    );
    expect((await sahara('info', 'law')).stdout).toMatch(
      /down_proj +64 x 128 +6 .*\n(.*\n)*PEFT, 14 modules of rank 6, length/,
    );
  });

  it('MRG-27: merges exactly, says shares, and what a lower rank loses', async () => {
    const merged = await json('merge', 'law=0.7', 'medicine=-0.3', '--out', 'both');
    expect(merged.lostEnergy).toBe(0);
    expect(merged.parents).toMatchObject([{ name: 'law' }, { name: 'medicine' }]);
    const [law, medicine, both] = await Promise.all(
      ['law', 'medicine', 'both'].map((name) => readAdapter(at(name))),
    );
    const modules = new Map(
      [...(law?.modules ?? [])].map(([name, delta]) => {
        const other = medicine?.modules.get(name);
        return [
          name,
          sumLowRank([{ delta, weight: 0.7 }, ...(other ? [{ delta: other, weight: -0.3 }] : [])]),
        ];
      }),
    );
    if (!both) throw new Error('nothing was merged');
    expect(distance({ modules, config: {} }, both)).toBeLessThan(SINGLE);
    const smaller = await json('recompress', 'both', '--rank', '5', '--out', 'both-5');
    const lost = Number(smaller.lostEnergy);
    expect(distance(both, await readAdapter(at('both-5')))).toBeCloseTo(Math.sqrt(lost), 5);
    const direct = await json('merge', 'law=0.7', 'medicine=-0.3', '--rank', '5', '--out', 'both-direct');
    expect(direct.lostEnergy).toBeCloseTo(lost, 5);
  });

  it('MRG-36, MRG-37: merges by ties straight into GGUF, the same again, and converts back', async () => {
    const ties = [
      'law',
      'medicine',
      '--method',
      'ties',
      '--set',
      'density=0.5',
      'lambda=1.1',
      '--rank',
      '6',
      '--model',
      'base',
    ];
    const merged = await json('merge', ...ties, '--out', 'ties.gguf');
    expect(merged.adapter).toMatchObject({ format: 'GGUF', architecture: 'llama' });
    await json('merge', ...ties, '--out', 'again.gguf');
    expect(await readFile(at('again.gguf'))).toEqual(await readFile(at('ties.gguf')));
    await json('merge', ...ties, '--out', 'ties');
    await json('convert', 'ties.gguf', '--model', 'base', '--out', 'back');
    expect(distance(await readAdapter(at('ties')), await readAdapter(at('back')))).toBeLessThan(SINGLE);
  });

  it('MRG-28: bakes either format into a model, scaled, with everything else as it was', async () => {
    await json('convert', 'law', '--model', 'base', '--out', 'law.gguf');
    const name = 'model.layers.1.self_attn.q_proj';
    const { b, a } = (await readAdapter(at('law'))).modules.get(name) ?? {};
    if (!a || !b) throw new Error('no update');
    const [update, base] = [product(b, a), await readTensor(at('base'), `${name}.weight`)];
    for (const [i, adapter] of ['law', 'law.gguf'].entries()) {
      const out = `tuned-${i}`;
      expect(await json('bake', adapter, '--model', 'base', '--weight', '-0.5', '--out', out)).toEqual({
        output: out,
        modules: 14,
      });
      const baked = await readTensor(at(out), `${name}.weight`);
      const off = baked.map((value, k) => Math.abs(value - ((base[k] ?? 0) - 0.5 * (update.values[k] ?? 0))));
      expect(Math.max(...off)).toBeLessThan(1e-7);
      const head = 'lm_head.weight';
      expect(await readTensor(at(out), head)).toEqual(await readTensor(at('base'), head));
    }
  });

  it('MRG-38: holds a round, without who points another way', async () => {
    const { modules, config } = await readAdapter(at('law'));
    const turned = [...modules].map(([name, { a, b }]) => {
      return [name, { a, b: { ...b, values: b.values.map((value) => -3 * value) } }] as const;
    });
    await writeAdapter(at('against'), { modules: new Map(turned), config });
    const round = await json(
      'federate',
      'law=600',
      'medicine=200',
      'both-5=200',
      'against=500',
      '--out',
      'round',
      '--rank',
      '8',
    );
    expect(round.clients).toMatchObject([
      { name: 'law', admitted: true },
      { name: 'medicine' },
      { name: 'both-5' },
      { name: 'against', admitted: false, weight: 0, share: { sharePpm: 0 } },
    ]);
    expect(
      (await sahara('federate', 'law', 'both-5', '--norm-max', '0.01', '--cosine-min', '-1', '--out', 'held'))
        .stdout,
    ).toMatch(/law +\S+ +0\.01000 +\S+ +0\.5000/);
  });

  it.each<[string, readonly string[], number, RegExp]>([
    ['an output that exists', ['merge', 'law', '--out', 'both'], 1, /output exists/],
    ['no output', ['merge', 'law'], 2, /--out/],
    [
      'another method',
      ['merge', 'law', '--method', 'tis', '--rank', '4', '--out', 'x'],
      2,
      /did you mean ties\?/,
    ],
    ['no rank', ['merge', 'law', 'medicine', '--method', 'ties', '--out', 'x'], 2, /--rank/],
    ['a rank of zero', ['recompress', 'law', '--rank', '0', '--out', 'x'], 2, /whole number from 1/],
    [
      'another setting',
      ['merge', 'law', '--method', 'ties', '--rank', '4', '--set', 'densty=1', '--out', 'x'],
      2,
      /densty.*density/,
    ],
    [
      'a setting out of range',
      ['merge', 'law', '--method', 'ties', '--rank', '4', '--set', 'density=2', '--out', 'x'],
      1,
      /density is 2/,
    ],
    ['a setting without a value', ['merge', 'law', '--set', 'density', '--out', 'x'], 2, /name=value/],
    ['a weight that is none', ['merge', 'law=much', '--out', 'x'], 2, /number such as 0\.6/],
    ['GGUF without the model', ['merge', 'law', '--out', 'x.gguf'], 2, /--model/],
    ['an adapter that is not there', ['info', 'lwa'], 1, /is not there/],
    ['a model for an adapter', ['info', 'base'], 1, /adapter_config\.json/],
    ['an adapter of another shape', ['bake', 'law', '--model', 'odd', '--out', 'x'], 1, /adapter is for/],
    [
      'nothing that changed',
      ['extract', 'base', '--base', 'base', '--rank', '2', '--out', 'x'],
      1,
      /differs from the base/,
    ],
    ['an amount of zero', ['federate', 'law=0', 'medicine', '--out', 'x'], 2, /above 0/],
  ])('says what is wrong and leaves nothing behind: %s', async (_what, args, code, text) => {
    if (args.includes('odd')) await makeModel(at('odd'), { ...TINY, hidden: 32 }, { base: 1 });
    const before = await readdir(folder);
    const ended = await sahara(...args);
    expect([ended.code, ended.stdout]).toEqual([code, '']);
    expect(ended.stderr).toMatch(text);
    expect(await readdir(folder)).toEqual(before);
  });
});
