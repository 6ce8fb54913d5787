import { oneLine } from '../blocks.ts';
import { CHUNK_WORDS_TARGET } from '../limits.ts';

/** Longest name of a column that is repeated in front of its values, characters. */
const COLUMN_CHARACTERS_MAX = 24;

/**
 * A table as lines. A small one stays as it is, `| a | b |`; in a large one, which is cut into passages, every row says
 * what its values are, `a: 1; b: 2`, by the first row.
 */
export function tableText(rows: readonly (readonly string[])[]): string {
  const filled = rows.filter((row) => row.some((cell) => cell.trim() !== ''));
  const cells = filled.map((row) => row.map(oneLine));
  const plain = cells.map((row) => `| ${row.map((cell) => cell.replaceAll('|', '/')).join(' | ')} |`);
  const [header, ...body] = cells;
  if (header === undefined || !isLarge(plain) || header.filter((cell) => cell !== '').length < 2) {
    return plain.join('\n');
  }
  return body.map((row) => describedRow(header, row)).join('\n');
}

/** A row that says what its values are; empty ones are left out. */
export function describedRow(header: readonly string[], row: readonly string[]): string {
  const parts: string[] = [];
  for (const [i, cell] of row.entries()) {
    if (cell === '') continue;
    const column = (header[i] ?? '').slice(0, COLUMN_CHARACTERS_MAX).toWellFormed();
    parts.push(column === '' ? cell : `${column}: ${cell}`);
  }
  return parts.join('; ');
}

function isLarge(lines: readonly string[]): boolean {
  let words = 0;
  for (const line of lines) {
    words += line.split(' ').length;
    if (words > 2 * CHUNK_WORDS_TARGET) return true;
  }
  return false;
}
