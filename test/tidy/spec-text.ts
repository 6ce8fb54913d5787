import { files, read } from './source.ts';

/** Rows of the tables under `heading` (to the next heading) of a page, cells trimmed, without head and rule. */
export function tableRows(page: string, heading: string): readonly (readonly string[])[] {
  const lines = read(page).split('\n');
  const start = heading === '' ? 0 : lines.indexOf(heading) + 1;
  if (heading !== '' && start === 0) return [];
  const rest = lines.slice(start);
  const end = rest.findIndex((line) => line.startsWith('## '));
  const rows = (end < 0 || heading === '' ? rest : rest.slice(0, end)).filter((line) => line.startsWith('|'));
  return rows
    .map((row) =>
      row
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
    .filter((_, i) => !/^-+$/.test((rows[i] ?? '').replace(/[|\s]/g, '')))
    .slice(1);
}

/** Each requirement that a page of the spec defines, with where. */
export function definedIds(): ReadonlyMap<string, readonly string[]> {
  const defined = new Map<string, string[]>();
  for (const page of files('spec').filter((path) => path.endsWith('.md'))) {
    for (const match of read(page).matchAll(/^(?:[-*] )?\*\*([A-Z]+-\d+)\*\*/gm)) {
      const id = match[1] ?? '';
      defined.set(id, [...(defined.get(id) ?? []), page]);
    }
  }
  return defined;
}

/** Each requirement that a test cites, with where. */
export function citedIds(prefixes: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const cited = new Map<string, string[]>();
  const pattern = new RegExp(`\\b(?:${prefixes.join('|')})-\\d+\\b`, 'g');
  for (const path of files('test').filter((file) => file.endsWith('.ts') && !file.startsWith('test/tidy/'))) {
    for (const [id] of read(path).matchAll(pattern)) cited.set(id, [...(cited.get(id) ?? []), path]);
  }
  return cited;
}
