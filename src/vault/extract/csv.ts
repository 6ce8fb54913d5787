/** Rows of a CSV or TSV file (RFC 4180): each as one line that says what its values are. */
import { type Extracted, oneLine } from '../blocks.ts';
import { CSV_COLUMNS_MAX, CSV_ROWS_MAX, EXTRACTED_BYTES_MAX } from '../limits.ts';
import { tooLarge, tooMany, unreadable } from './refusals.ts';
import { describedRow } from './tables.ts';

const DELIMITERS = [',', ';', '\t', '|'];

/** The rows of a CSV document. Errors: `document-unreadable` for an open quotation, `document-too-large`. */
export function extractCsv(name: string, text: string): Extracted {
  const delimiter = delimiterOf(text);
  const lines: string[] = [];
  let header: readonly string[] | undefined;
  let characters = 0;
  for (const row of rowsOf(name, text, delimiter)) {
    const cells = row.map(oneLine);
    if (cells.every((cell) => cell === '')) continue;
    if (header === undefined) {
      header = isHeader(cells) ? cells : [];
      if (header.length > 0) continue;
    }
    const line = describedRow(header, cells);
    characters += line.length + 1;
    if (characters > EXTRACTED_BYTES_MAX) throw tooLarge(name, characters, EXTRACTED_BYTES_MAX);
    lines.push(line);
    if (lines.length > CSV_ROWS_MAX) throw tooMany(name, 'more rows', CSV_ROWS_MAX);
  }
  if (lines.length === 0 && header !== undefined) lines.push(header.join('; '));
  return { title: undefined, blocks: [{ kind: 'table', text: lines.join('\n') }] };
}

/** The one that the first line has most of outside of quotations. */
function delimiterOf(text: string): string {
  const first =
    text
      .slice(0, 16_384)
      .split(/\r?\n/, 1)[0]
      ?.replace(/"[^"]*"/g, '') ?? '';
  const counts = DELIMITERS.map((delimiter) => first.split(delimiter).length);
  const most = Math.max(...counts);
  return DELIMITERS[counts.indexOf(most)] ?? ',';
}

/** Whether a first row names columns: every cell is short, none is a number, and none is there twice. */
function isHeader(cells: readonly string[]): boolean {
  const named = cells.filter((cell) => cell !== '');
  return (
    new Set(named).size === named.length &&
    named.every((cell) => cell.length <= 64 && !/^[-+]?[\d.,]+%?$/.test(cell))
  );
}

function* rowsOf(name: string, text: string, delimiter: string): Generator<string[]> {
  let row: string[] = [];
  let at = 0;
  let line = 1;
  while (at < text.length) {
    let cell: string;
    if (text[at] === '"') {
      const quoted = quotedCell(text, at);
      if (quoted === undefined) {
        throw unreadable(name, `the quotation that begins in row ${line} does not end`, 'correct the file');
      }
      // What stands between the end of a quotation and the next delimiter belongs to the cell.
      at = nextOf(text, quoted.end, delimiter);
      cell = quoted.cell + text.slice(quoted.end, at);
    } else {
      const end = nextOf(text, at, delimiter);
      cell = text.slice(at, end);
      at = end;
    }
    if (row.push(cell) > CSV_COLUMNS_MAX) throw tooMany(name, `more columns in row ${line}`, CSV_COLUMNS_MAX);
    if (text[at] === delimiter) {
      at++;
      // A row that ends behind a delimiter has one more, empty cell.
      if (at < text.length) continue;
    }
    if (text[at] === '\r') at++;
    if (text[at] === '\n') at++;
    yield row;
    row = [];
    line++;
  }
}

function quotedCell(
  text: string,
  start: number,
): { readonly cell: string; readonly end: number } | undefined {
  let at = start + 1;
  for (;;) {
    const quote = text.indexOf('"', at);
    if (quote < 0) return undefined;
    if (text[quote + 1] !== '"') {
      return { cell: text.slice(start + 1, quote).replaceAll('""', '"'), end: quote + 1 };
    }
    at = quote + 2;
  }
}

function nextOf(text: string, from: number, delimiter: string): number {
  let at = from;
  while (at < text.length && text[at] !== delimiter && text[at] !== '\n' && text[at] !== '\r') at++;
  return at;
}
