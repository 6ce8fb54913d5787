/** Tests of the repository itself: who imports whom, what is not done here, and that the spec says what the code does. */
import { describe, expect, it } from 'vitest';
import { errorText } from '../src/base/error-text.ts';
import { ERROR_KINDS, type ErrorCode, SaharaError } from '../src/base/errors.ts';
import { sendableError } from '../src/mesh/sendable.ts';
import * as limits from '../src/protocol/limits.ts';
import type { Schema } from '../src/protocol/schema.ts';
import { SCHEMAS } from './protocol/schemas.ts';
import { findCycle } from './tidy/graph.ts';
import { BANNED, LAYERS, LINES_MAX, MARKS, NODE_IN_PURE, OWNERS, PREFIXES } from './tidy/layers.ts';
import { codeOnly, files, importsOf, places, read, withoutComments } from './tidy/source.ts';
import { citedIds, definedIds, tableRows } from './tidy/spec-text.ts';

const isTypeScript = (path: string): boolean => path.endsWith('.ts') && !path.endsWith('.d.ts');
const source = files('src').filter(isTypeScript);
const imports = source.flatMap(importsOf);
const folderOf = (path: string): string => path.split('/')[1] ?? '';

describe('imports', () => {
  it('follow the table of layers', () => {
    const crossing = imports.filter(({ ours, from, to }) => ours && folderOf(from) !== folderOf(to));
    const wrong = crossing.filter(({ from, to }) => {
      if (from === 'src/index.ts') return folderOf(to) === 'cli';
      return !to.startsWith('src/') || !LAYERS[folderOf(from)]?.includes(folderOf(to));
    });
    expect(wrong.map(({ from, to }) => `${from} -> ${to}`)).toEqual([]);
  });

  it('are seen by these tests, over several lines and as types too', () => {
    const seen = (from: string, to: string, typeOnly: boolean): boolean =>
      imports.some((found) => found.from === from && found.to === to && found.typeOnly === typeOnly);
    expect(seen('src/protocol/codec.ts', 'src/base/bytes.ts', false)).toBe(true);
    expect(seen('src/protocol/verify-bundle.ts', 'src/protocol/verify-receipt.ts', false)).toBe(true);
    expect(seen('src/protocol/signing.ts', 'src/protocol/suite.ts', true)).toBe(true);
    expect(seen('src/protocol/suite-portable.ts', '@noble/hashes/sha2.js', false)).toBe(true);
  });

  it('stay inside folders that the table knows', () => {
    const unknown = source.filter(
      (path) => path !== 'src/index.ts' && !Object.hasOwn(LAYERS, folderOf(path)),
    );
    expect(unknown).toEqual([]);
  });

  it('make no cycle when the code runs', () => {
    const edges = new Map(source.map((path): [string, string[]] => [path, []]));
    for (const { from, to, ours, typeOnly } of imports) if (ours && !typeOnly) edges.get(from)?.push(to);
    expect(findCycle(edges)).toBeUndefined();
  });

  it('take foreign libraries only where they are at home', () => {
    const wrong = imports.filter(({ from, to, ours }) => {
      if (ours || to.startsWith('node:')) return false;
      const owner = OWNERS.find(([library]) => library.test(to));
      return !owner?.[1].some((place) => from.startsWith(`src/${place}`));
    });
    expect(wrong.map(({ from, to }) => `${from} -> ${to}`)).toEqual([]);
  });

  it('leave Node out of what also runs in a browser', () => {
    const pure = imports.filter(
      ({ from, to }) => /^src\/(base|protocol)\//.test(from) && to.startsWith('node:'),
    );
    expect(pure.filter(({ from }) => !NODE_IN_PURE.includes(from))).toEqual([]);
  });

  it('go to files, not through barrels', () => {
    const barrels = source.filter((path) => path.endsWith('/index.ts') && path !== 'src/index.ts');
    const passing = source
      .filter((path) => path !== 'src/index.ts')
      .flatMap((path) =>
        places(path, codeOnly(read(path)), /^export (?:type )?(?:\*|\{[^}]*\})[^;]*? from /gm),
      );
    expect([...barrels, ...passing]).toEqual([]);
  });
});

describe('source', () => {
  it(`has at most ${LINES_MAX} lines a file`, () => {
    const long = source.map((path) => [path, read(path).trimEnd().split('\n').length] as const);
    expect(long.filter(([, lines]) => lines > LINES_MAX).map(([path, lines]) => `${path}: ${lines}`)).toEqual(
      [],
    );
  });

  it.each(BANNED)('uses $instead rather than $pattern', ({ pattern, allowed }) => {
    const found = source
      .filter((path) => !allowed.some((place) => path.startsWith(place)))
      .flatMap((path) => places(path, codeOnly(read(path)), pattern));
    expect(found).toEqual([]);
  });

  it('holds nothing unfinished or silenced', () => {
    const checked = files('src', 'test', 'scripts', 'bench', 'examples', 'bin').filter(
      (path) => /\.(ts|js|mjs)$/.test(path) && !path.startsWith('test/tidy'),
    );
    const found = checked.flatMap((path) => MARKS.flatMap((mark) => places(path, read(path), mark)));
    expect(found).toEqual([]);
  });

  it('says of every export what it is', () => {
    const bare = source.flatMap((path) => {
      const lines = read(path).split('\n');
      return lines.flatMap((line, i) => {
        const exported =
          /^export (?:default |declare |abstract |async )*(?:const|function\*?|class|interface|type|enum|let) (\w+)/.exec(
            line,
          );
        return exported && !(lines[i - 1] ?? '').trimEnd().endsWith('*/')
          ? [`${path}:${i + 1} ${exported[1]}`]
          : [];
      });
    });
    expect(bare).toEqual([]);
  });

  it('can be read by these rules: comments and texts are told from code', () => {
    expect(codeOnly("a('Date.now()') // Date.now()\n/* Date.now() */ b")).not.toContain('Date');
    expect(withoutComments("'http://x' // gone")).toContain('http://x');
    expect(
      findCycle(
        new Map([
          ['a', ['b']],
          ['b', ['c']],
          ['c', ['b']],
        ]),
      ),
    ).toEqual(['b', 'c', 'b']);
    const mark = (text: string): boolean =>
      MARKS.some((pattern) => new RegExp(pattern.source, 'm').test(text));
    for (const bad of ['x: any;', 'y as any)', 'Map<string, any>', 'any[]'.replace('any', ': any')]) {
      expect(mark(bad), bad).toBe(true);
    }
    for (const good of ['if any of them', 'as many', '// has any', 'company: string']) {
      expect(mark(good), good).toBe(false);
    }
  });
});

describe('the repository', () => {
  const text = files().filter((path) =>
    /\.(ts|js|mjs|json|md|yaml|yml|sh|html|css|toml)$|^\.ci\/|^\.npmrc$/.test(path),
  );

  it('names no place of the machine that it was made on', () => {
    const found = text
      .filter((path) => !path.startsWith('test/tidy'))
      .flatMap((path) =>
        places(path, read(path), /(?:\/work\/|\/root\/|\/home\/(?!me\/)\w+\/|\/Users\/\w+\/)[\w./-]*/g),
      );
    expect(found).toEqual([]);
  });

  it('locks packages without naming where they were downloaded', () => {
    const lock = JSON.parse(read('package-lock.json')) as { packages: Record<string, { resolved?: string }> };
    const addressed = Object.entries(lock.packages).filter(([, { resolved }]) =>
      /^(?:https?|git)/.test(resolved ?? ''),
    );
    expect(addressed.map(([name]) => name)).toEqual([]);
    expect(Object.keys(lock.packages).length).toBeGreaterThan(100);
  });

  it('pins every dependency exactly', () => {
    const manifest = JSON.parse(read('package.json')) as Record<string, Record<string, string> | undefined>;
    const ranges = ['dependencies', 'devDependencies', 'optionalDependencies'].flatMap((kind) =>
      Object.entries(manifest[kind] ?? {}).filter(
        ([, version]) => !/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version),
      ),
    );
    expect(ranges).toEqual([]);
  });

  it('has vectors that any language can read', () => {
    const vectors = files('spec/vectors').filter((path) => path.endsWith('.json'));
    expect(vectors.length).toBeGreaterThan(9);
    for (const path of vectors) expect(() => JSON.parse(read(path)), path).not.toThrow();
  });
});

describe('the spec', () => {
  const defined = definedIds();
  const cited = citedIds(PREFIXES);

  it('defines every requirement once, under a known prefix', () => {
    expect([...defined].filter(([, pages]) => pages.length > 1)).toEqual([]);
    expect([...defined.keys()].filter((id) => !PREFIXES.includes(id.split('-')[0] ?? ''))).toEqual([]);
  });

  it('has a test for every requirement', () => {
    const uncited = [...defined].filter(([id]) => !cited.has(id));
    expect(uncited.map(([id, pages]) => `${pages[0]} ${id}`)).toEqual([]);
  });

  it('holds every requirement that a test cites', () => {
    const invented = [...cited].filter(([id]) => !defined.has(id));
    expect(invented.map(([id, paths]) => `${paths[0]} ${id}`)).toEqual([]);
  });

  it('lists every page in its README, and no other', () => {
    const linked = [...read('spec/README.md').matchAll(/\]\((\w+\.md)\)/g)].map(
      (match) => `spec/${match[1]}`,
    );
    const pages = files('spec').filter((path) => path.endsWith('.md') && path !== 'spec/README.md');
    expect([...new Set(linked)].sort()).toEqual(pages);
  });

  it('shares the limits of the code (LIM-1)', () => {
    const rows = tableRows('spec/limits.md', '').map(
      ([name, value]) => `${name} ${value?.replaceAll(',', '')}`,
    );
    expect(rows).toEqual(Object.entries(limitsInOrder()).map(([name, value]) => `\`${name}\` ${value}`));
  });

  it('shares the codes of the code (ERR-1)', () => {
    const peers = tableRows('spec/errors.md', '## Codes that travel between peers');
    const local = tableRows('spec/errors.md', '## Codes of one machine');
    const rows = [...peers, ...local].map((cells) => cells.join(' ')).sort();
    const codes = (Object.keys(ERROR_KINDS) as ErrorCode[]).map(
      (code) => `\`${code}\` ${ERROR_KINDS[code]} ${errorText({ code, facts: {} }).what}`,
    );
    expect(rows).toEqual(codes.sort());
    // What stays on one machine is what the mesh keeps to itself, besides defects of the program.
    const kept = local.map(([code]) => (code ?? '').replaceAll('`', '') as ErrorCode);
    const sent = (code: ErrorCode): string => sendableError(new SaharaError(code, { path: 'x' })).code;
    const silent = (Object.keys(ERROR_KINDS) as ErrorCode[]).filter((code) => sent(code) !== code);
    expect(silent).toEqual(kept);
    expect(sendableError(new SaharaError('internal', { reason: 'x' })).facts).toEqual({});
  });

  const records = new Map<string, Schema<unknown>>();
  const gather = (schema: Schema<unknown>): void => {
    if (records.has(schema.name)) return;
    records.set(schema.name, schema);
    for (const inner of schema.inner) gather(inner);
  };
  for (const schema of SCHEMAS) gather(schema);
  const withFields = [...records.values()].filter(({ fields }) => fields.length > 0);

  it.each(withFields)('shows the record $name as it is (ENC-10)', ({ name, fields }) => {
    const rows = tableRows('spec/records.md', `## ${name}`);
    expect(rows.map(([field, kind]) => `${field} ${kind}`)).toEqual(
      fields.map((field) => `\`${field.name}\` ${field.about}`),
    );
    for (const [field, , meaning] of rows) expect(meaning, `${name} ${field}`).not.toBe('');
  });

  it('shows every record that a module of the protocol exports (ENC-10)', async () => {
    const modules = source.filter(
      (path) => path.startsWith('src/protocol/') && path !== 'src/protocol/verifier.ts',
    );
    const exported = await Promise.all(modules.map((path): Promise<object> => import(`../${path}`)));
    const names = exported
      .flatMap((module): unknown[] => Object.values(module))
      .filter(
        (value): value is Schema<unknown> =>
          typeof value === 'object' && value !== null && 'inner' in value && 'encode' in value,
      )
      .map(({ name }) => name);
    expect(names.length).toBeGreaterThan(25);
    expect(names.filter((name) => !records.has(name))).toEqual([]);
  });

  it('shows no record that does not exist (ENC-10)', () => {
    const shown = [...read('spec/records.md').matchAll(/^## (\S+)$/gm)].map((match) => match[1] ?? '');
    expect(shown.sort()).toEqual(withFields.map(({ name }) => name).sort());
  });
});

/** The limits in the order of their file, which is the order of the page. */
function limitsInOrder(): Readonly<Record<string, number>> {
  const order = [...read('src/protocol/limits.ts').matchAll(/^export const (\w+)/gm)].map(
    (match) => match[1] ?? '',
  );
  const values: Readonly<Record<string, unknown>> = { ...limits };
  return Object.fromEntries(order.map((name) => [name, Number(values[name])]));
}
