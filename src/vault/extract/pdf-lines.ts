/** Lines of a page from characters that stand somewhere on it. */
import { oneLine } from '../blocks.ts';

/** A piece of text as the parser of PDF files places it; sizes and places in points, y upwards. */
export interface PlacedText {
  readonly str: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly fontSize: number;
}

/** A line of a page. */
export interface PdfLine {
  readonly text: string;
  readonly size: number;
  /** Distance below the line above, in multiples of the font size; 0 for the first of a page. */
  readonly gap: number;
  /** Whether it is the first or the last of its page. */
  readonly edge: boolean;
}

/** The lines of one page. */
export function linesOf(items: readonly PlacedText[]): PdfLine[] {
  const rows: { text: string; size: number; y: number; right: number }[] = [];
  for (const item of items) {
    const last = rows.at(-1);
    const size = item.fontSize || item.height || 1;
    if (last !== undefined && Math.abs(last.y - item.y) < size / 2) {
      const spaced = item.x - last.right > size / 8 && !/\s$/.test(last.text) && !/^\s/.test(item.str);
      last.text += (spaced ? ' ' : '') + item.str;
      last.right = item.x + item.width;
      if (item.str.trim() !== '') last.size = Math.max(last.size, size);
    } else if (item.str.trim() !== '') {
      rows.push({ text: item.str, size, y: item.y, right: item.x + item.width });
    }
  }
  return rows.map((row, i) => {
    const above = rows[i - 1];
    const gap = above === undefined ? 0 : (above.y - row.y) / row.size;
    const edge = i === 0 || i === rows.length - 1;
    return { text: oneLine(row.text), size: Math.round(row.size * 10) / 10, gap, edge };
  });
}
