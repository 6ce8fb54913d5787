/**
 * Source code as passages: functions, classes and what else stands by itself, told by indentation and closing brackets
 * alone, so that it works for every language that is laid out. A comment or decorator stays with what it stands above;
 * what is too long for one passage is taken apart at its own parts, with the outer ones in the title. Titles carry the
 * numbers of the lines.
 */
import type { Block, Extracted } from '../blocks.ts';
import { CHUNK_WORDS_TARGET } from '../limits.ts';
import { countWords } from '../text/scan.ts';

/** Longest first line of a unit that its title shows, characters. */
const SIGNATURE_CHARACTERS_MAX = 96;
/** Parts inside parts that are told apart. */
const LEVELS_MAX = 4;
/** Characters of one line from which on a file is taken for machine-made. */
export const CODE_LINE_CHARACTERS_MAX = 20_000;

const LANGUAGES: Readonly<Record<string, string>> = {
  ...{ ts: 'ts', tsx: 'tsx', mts: 'ts', cts: 'ts', js: 'js', jsx: 'jsx', mjs: 'js', cjs: 'js' },
  ...{ py: 'python', go: 'go', rs: 'rust', java: 'java', kt: 'kotlin', scala: 'scala', swift: 'swift' },
  ...{ c: 'c', h: 'c', cc: 'cpp', cpp: 'cpp', cxx: 'cpp', hpp: 'cpp', cs: 'csharp', m: 'objc', zig: 'zig' },
  ...{ rb: 'ruby', php: 'php', pl: 'perl', lua: 'lua', sh: 'sh', bash: 'sh', ps1: 'powershell', sql: 'sql' },
  ...{ hs: 'haskell', ml: 'ocaml', ex: 'elixir', exs: 'elixir', erl: 'erlang', clj: 'clojure', r: 'r' },
  ...{ jl: 'julia', dart: 'dart', sol: 'solidity', proto: 'proto', vue: 'vue', svelte: 'svelte', nim: 'nim' },
};

/** The language of a file by its name; `undefined` when it is no source code. */
export function languageOf(name: string): string | undefined {
  const extension = /\.([a-z0-9]{1,7})$/i.exec(name)?.[1]?.toLowerCase();
  return extension !== undefined && Object.hasOwn(LANGUAGES, extension) ? LANGUAGES[extension] : undefined;
}

interface Unit {
  /** Lines from `first` to `last`, both included, from 0. */
  readonly first: number;
  readonly last: number;
}

/** The units of a source file. */
export function extractCode(name: string, text: string): Extracted {
  const lines = text.replace(/\r\n?/g, '\n').split('\n');
  const blocks: Block[] = [];
  const file = name.slice(name.indexOf('/') + 1);
  const writer = { lines, language: languageOf(name) ?? '', blocks };
  write(writer, unitsOf(lines, 0, lines.length - 1), 1);
  return { title: file, blocks };
}

interface Writer {
  readonly lines: readonly string[];
  readonly language: string;
  readonly blocks: Block[];
}

function write(writer: Writer, units: readonly Unit[], level: number): void {
  for (const group of grouped(writer.lines, units)) {
    const words = wordsOf(writer.lines, group);
    const inner = words > CHUNK_WORDS_TARGET && level < LEVELS_MAX ? innerUnits(writer.lines, group) : [];
    if (inner.length < 2) {
      for (const piece of pieces(writer.lines, group)) put(writer, piece, level);
      continue;
    }
    writer.blocks.push({ kind: 'heading', level, text: signature(writer.lines, group) });
    write(writer, inner, level + 1);
  }
}

function put({ lines, language, blocks }: Writer, unit: Unit, level: number): void {
  const text = lines
    .slice(unit.first, unit.last + 1)
    .join('\n')
    .replace(/^```/gm, ' ```')
    .trimEnd();
  if (text.trim() === '') return;
  const place =
    unit.first === unit.last ? `line ${unit.first + 1}` : `lines ${unit.first + 1}-${unit.last + 1}`;
  blocks.push({ kind: 'heading', level, text: `${place}: ${signature(lines, unit)}` });
  blocks.push({ kind: 'code', text: `\`\`\`${language}\n${text}\n\`\`\`` });
}

/** Units of one indentation: each begins at a line that is indented no deeper than the first one, and is no closing. */
function unitsOf(lines: readonly string[], first: number, last: number): Unit[] {
  let base = Number.POSITIVE_INFINITY;
  for (let at = first; at <= last; at++) {
    const line = lines[at] ?? '';
    if (!CLOSING.test(line)) base = Math.min(base, indentOf(line));
  }
  const units: Unit[] = [];
  let start = first;
  let body = false;
  for (let at = first; at <= last; at++) {
    const line = lines[at] ?? '';
    if (line.trim() === '') continue;
    const begins = indentOf(line) <= base && !CLOSING.test(line);
    // What stands above a unit without having a body of its own (comments, decorators) belongs to it.
    if (begins && body) {
      units.push({ first: start, last: at - 1 });
      start = at;
      body = false;
    }
    body ||= !begins || !ABOVE.test(line);
  }
  units.push({ first: start, last });
  return units.map((unit) => trimmed(lines, unit)).filter((unit) => unit.first <= unit.last);
}

const CLOSING = /^\s*(?:[)\]}]|end\b|else\b|elif\b|except\b|finally\b|catch\b|\{\s*$)/;
const ABOVE = /^\s*(?:\/\/|\/\*|\*|#(?!include|define|if|endif)|--|@|"""|''')/;

/** Small neighbours share a passage: imports, constants, short functions. */
function grouped(lines: readonly string[], units: readonly Unit[]): Unit[] {
  const groups: Unit[] = [];
  let words = 0;
  for (const unit of units) {
    const own = wordsOf(lines, unit);
    const open = groups.at(-1);
    if (open !== undefined && words + own <= CHUNK_WORDS_TARGET / 2) {
      groups[groups.length - 1] = { first: open.first, last: unit.last };
      words += own;
    } else {
      groups.push(unit);
      words = own;
    }
  }
  return groups;
}

/** The parts of a unit behind its first line. */
function innerUnits(lines: readonly string[], { first, last }: Unit): Unit[] {
  let at = first;
  while (at < last && (ABOVE.test(lines[at] ?? '') || (lines[at] ?? '').trim() === '')) at++;
  if (at >= last) return [];
  const inside = unitsOf(lines, at + 1, last);
  return inside.length < 2 ? [] : [{ first, last: at }, ...inside];
}

/** A unit in runs of whole lines that each fit a passage. */
function pieces(lines: readonly string[], { first, last }: Unit): Unit[] {
  const found: Unit[] = [];
  let start = first;
  let words = 0;
  for (let at = first; at <= last; at++) {
    const own = countWords(lines[at] ?? '');
    if (words > 0 && words + own > CHUNK_WORDS_TARGET - 2) {
      found.push({ first: start, last: at - 1 });
      start = at;
      words = 0;
    }
    words += own;
  }
  found.push({ first: start, last });
  return found.map((unit) => trimmed(lines, unit)).filter((unit) => unit.first <= unit.last);
}

function trimmed(lines: readonly string[], { first, last }: Unit): Unit {
  let [from, to] = [first, last];
  while (from <= to && (lines[from] ?? '').trim() === '') from++;
  while (to >= from && (lines[to] ?? '').trim() === '') to--;
  return { first: from, last: to };
}

/** The first line of a unit that says what it is. */
function signature(lines: readonly string[], { first, last }: Unit): string {
  let at = first;
  while (at < last && (ABOVE.test(lines[at] ?? '') || (lines[at] ?? '').trim() === '')) at++;
  const line = (lines[at] ?? '').trim().replace(/\s*[{:(]$/, '');
  return line.slice(0, SIGNATURE_CHARACTERS_MAX).toWellFormed();
}

function wordsOf(lines: readonly string[], { first, last }: Unit): number {
  let words = 0;
  for (let at = first; at <= last; at++) words += countWords(lines[at] ?? '');
  return words;
}

/** Columns of indentation; a tab counts as four. An empty line has none that counts. */
function indentOf(line: string): number {
  let columns = 0;
  for (const character of line) {
    if (character === ' ') columns++;
    else if (character === '\t') columns += 4;
    else return columns;
  }
  return Number.POSITIVE_INFINITY;
}
