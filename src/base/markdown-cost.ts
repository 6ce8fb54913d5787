/**
 * What a Markdown parser will spend beyond its linear share, told by one linear scan before parsing. Parsers look for the
 * partner of every closing mark among all earlier ones of its block, and walk every open container at every line, so
 * a few kilobytes of `a* ` or `- - - ` can occupy a thread for minutes. Each block (up to a blank line, a list item or
 * a table row, which parsers divide there too) is charged the squares of its emphasis runs and of its brackets, and
 * for each beginning of an HTML comment, declaration or instruction the whole block, through which its end is sought.
 * Counts that ordinary writing reaches are free. The estimate may be high; it says nothing about the result.
 */

/** Work above which a text is better read as plain, in units of 30 to 700 ns: about a second at worst. */
export const MARKDOWN_WORK_MAX = 2_000_000;

/** Marks of one kind in one block that are free. */
const MARKS_FREE = 64;
/** Containers that one line may open or continue free of charge. */
const DEPTH_FREE = 4;
const WORK_PER_OPENED = 2000;
const WORK_PER_QUOTE = 200;
const WORK_PER_DEPTH_SQUARED = 32;
const WORK_PER_BLANK_AND_DEPTH = 10;
const WORK_PER_HEADING_SQUARED = 8;
/** Beginnings of HTML in one block that are free, and characters sought through for one unit of work. */
const HTML_FREE = 8;
const SOUGHT_PER_WORK = 8;

interface Scan {
  work: number;
  runs: number;
  brackets: number;
  /** Beginnings of HTML comments, declarations and instructions in the block, and its characters. */
  openings: number;
  characters: number;
  /** Lines of the block so far. */
  lines: number;
  headings: number;
  /** Containers that a blank line leaves open. */
  depth: number;
  /** The fence of the code that the scan is in, or empty. */
  fence: string;
  /** Whether HTML may hide that a fence is none: until the next blank line, or for good. */
  html: 'no' | 'block' | 'always';
  inTable: boolean;
  previous: string;
}

/** Units of work that parsing `text` as Markdown takes beyond a fixed time per character; see `MARKDOWN_WORK_MAX`. */
export function markdownWork(text: string): number {
  const scan: Scan = {
    ...{ work: 0, runs: 0, brackets: 0, openings: 0, characters: 0, lines: 0, headings: 0, depth: 0 },
    ...{ fence: '', html: 'no', inTable: false, previous: '' },
  };
  for (const line of text.split(/\r\n|\n|\r/)) takeLine(scan, line);
  endBlock(scan);
  return scan.work + charged(scan.headings) * WORK_PER_HEADING_SQUARED;
}

function takeLine(scan: Scan, line: string): void {
  if (scan.fence !== '') {
    if (closes(scan.fence, line)) scan.fence = '';
    return;
  }
  if (/^[\s>]*$/.test(line)) {
    endBlock(scan);
    if (scan.depth > DEPTH_FREE) scan.work += scan.depth * WORK_PER_BLANK_AND_DEPTH;
    if (scan.html === 'block') scan.html = 'no';
    chargeContainers(scan, line);
    return;
  }
  // Only a fence that no HTML and no container can hold surely hides its marks.
  const fence = scan.html === 'no' ? /^(?:`{3,}(?=[^`]*$)|~{3,})/.exec(line)?.[0] : undefined;
  if (fence !== undefined) {
    endBlock(scan);
    scan.fence = fence;
    return;
  }
  noteHtml(scan, line);
  chargeContainers(scan, line);
  if (/^ {0,3}(?:[-+*]|1[.)])[ \t]+\S/.test(line)) endBlock(scan);
  if (/^ {0,3}(?:-+|=+)[ \t]*$/.test(line) && (scan.lines > 0 || !line.includes('='))) {
    if (scan.lines > 0) scan.headings += 1;
    endBlock(scan);
    return;
  }
  if (scan.lines === 1 && isTable(scan.previous, line)) scan.inTable = true;
  if (scan.inTable) endMarks(scan);
  countMarks(scan, line);
  scan.lines += 1;
  scan.previous = line;
}

function closes(fence: string, line: string): boolean {
  const closing = /^ {0,3}(`{3,}|~{3,})[ \t]*$/.exec(line)?.[1];
  return closing !== undefined && closing[0] === fence[0] && closing.length >= fence.length;
}

function noteHtml(scan: Scan, line: string): void {
  // These run over blank lines; a container may hold them as well.
  if (/<(?:[!?]|pre|script|style|textarea)/i.test(line)) scan.html = 'always';
  else if (scan.html === 'no' && /^ {0,3}</.test(line)) scan.html = 'block';
}

function chargeContainers(scan: Scan, line: string): void {
  const indent = /^[ \t]*/.exec(line)?.[0].length ?? 0;
  let quotes = 0;
  let items = 0;
  const marker = /[ \t]*(?:(>)|[-+*](?=[ \t]|$)|\d{1,9}[.)](?=[ \t]|$))/y;
  for (let found = marker.exec(line); found !== null; found = marker.exec(line)) {
    if (found[1] === undefined) items += 1;
    else quotes += 1;
  }
  const depth = quotes + items;
  if (items > 0) scan.depth = Math.max(scan.depth, depth + Math.floor(indent / 2));
  else if (indent === 0 && line !== '') scan.depth = 0;
  if (depth <= DEPTH_FREE) return;
  scan.work += depth * depth * WORK_PER_DEPTH_SQUARED + items * WORK_PER_OPENED + quotes * WORK_PER_QUOTE;
}

/** Whether `line` is the row under a table's header `header`, in a table that a parser surely sees. */
function isTable(header: string, line: string): boolean {
  if (!/^ {0,3}[-:|][-:| \t]*$/.test(line) || !line.includes('|') || /^ {4}|^\t/.test(header)) return false;
  const parts = cellsOf(line);
  return parts.every((part) => /^\s*:?-+:?\s*$/.test(part)) && parts.length === cellsOf(header).length;
}

function cellsOf(row: string): readonly string[] {
  return row
    .trim()
    .replace(/^\||(?<!\\)\|$/g, '')
    .split(/(?<!\\)\|/);
}

function countMarks(scan: Scan, line: string): void {
  let last = '';
  scan.characters += line.length;
  for (let at = 0; at < line.length; at++) {
    const mark = line.charAt(at);
    if (mark === '[' || mark === ']') scan.brackets += 1;
    else if (last === '<' && (mark === '!' || mark === '?')) scan.openings += 1;
    else if (mark === '*' || mark === '~' || mark === '_') {
      const inWord = mark === '_' && /[A-Za-z0-9]/.test(last) && /[A-Za-z0-9]/.test(line.charAt(at + 1));
      if (mark !== last && !inWord) scan.runs += 1;
    }
    last = mark;
  }
}

function endMarks(scan: Scan): void {
  scan.work += charged(scan.runs) + charged(scan.brackets);
  if (scan.openings > HTML_FREE) scan.work += (scan.openings * scan.characters) / SOUGHT_PER_WORK;
  scan.runs = 0;
  scan.brackets = 0;
  scan.openings = 0;
  scan.characters = 0;
}

function endBlock(scan: Scan): void {
  endMarks(scan);
  scan.lines = 0;
  scan.inTable = false;
}

function charged(count: number): number {
  return count <= MARKS_FREE ? 0 : count * count;
}
