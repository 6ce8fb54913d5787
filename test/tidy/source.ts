import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';

/** The repository. */
const ROOT: string = join(dirname(import.meta.dirname), '..');

/** Files that git tracks or would track, as paths from the root with `/`. */
export function files(...folders: readonly string[]): readonly string[] {
  const listed = ['ls-files', '--cached', '--others', '--exclude-standard', '--', ...folders];
  const text = execFileSync('git', listed, { cwd: ROOT, encoding: 'utf8', maxBuffer: 16_777_216 });
  return [...new Set(text.split('\n'))].filter((path) => path !== '' && existsSync(join(ROOT, path))).sort();
}

/** The text of a file. */
export function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** One import of a file. */
export interface Import {
  readonly from: string;
  /** The module as it is written, or the path from the root for a file of ours. */
  readonly to: string;
  readonly ours: boolean;
  /** Whether it is gone when the code runs. */
  readonly typeOnly: boolean;
}

const STATEMENT = /^(?:import|export)\s+(type\s+)?(?:[\w*${}\s,]+?\s+from\s+)?'([^']+)'/gm;
const DYNAMIC = /\bimport\(\s*'([^']+)'/g;

/** What `path` imports, by statements and by calls. */
export function importsOf(path: string): readonly Import[] {
  const code = withoutComments(read(path));
  const found: Import[] = [];
  const add = (module: string, typeOnly: boolean): void => {
    const ours = module.startsWith('.');
    const to = ours ? posix.normalize(posix.join(posix.dirname(path), module)) : module;
    found.push({ from: path, to, ours, typeOnly });
  };
  for (const match of code.matchAll(STATEMENT)) add(match[2] ?? '', match[1] !== undefined);
  for (const match of code.matchAll(DYNAMIC)) add(match[1] ?? '', false);
  return found;
}

/** The code with comments blanked, lines kept, so that words in comments and places in code stay apart. */
export function withoutComments(code: string): string {
  const blank = (text: string): string => text.replace(/[^\n]/g, ' ');
  const tokens =
    /'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`|\/\*[\s\S]*?\*\/|(?<![:\\\w/])\/\/[^\n]*/g;
  return code.replace(tokens, (token) =>
    token.startsWith('/*') || token.startsWith('//') ? blank(token) : token,
  );
}

/** The code with comments and the contents of texts blanked. */
export function codeOnly(code: string): string {
  const blank = (text: string): string =>
    `${text[0]}${text.slice(1, -1).replace(/[^\n]/g, ' ')}${text.at(-1)}`;
  return withoutComments(code).replace(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/g, blank);
}

/** `path:line` of each match of `pattern` in `code`. */
export function places(path: string, code: string, pattern: RegExp): readonly string[] {
  return [...code.matchAll(pattern)].map(
    (match) => `${path}:${code.slice(0, match.index).split('\n').length} ${match[0].trim()}`,
  );
}
