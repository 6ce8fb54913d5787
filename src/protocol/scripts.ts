/**
 * Scripts that are written without spaces between words, by fixed ranges of code points: what counts as a unit must
 * not change with the Unicode version of a runtime.
 */

/** Ranges of code points, first and last: Hangul, Han with its radicals and marks, Hiragana, Katakana. */
export const EAST_ASIAN_RANGES: readonly (readonly [first: number, last: number])[] = [
  [0x1100, 0x11ff],
  [0x2e80, 0x2fdf],
  [0x3005, 0x3007],
  [0x3021, 0x3029],
  [0x3031, 0x303c],
  [0x3041, 0x3096],
  [0x309d, 0x309f],
  [0x30a1, 0x30fa],
  [0x30fc, 0x30ff],
  [0x3131, 0x318e],
  [0x31f0, 0x31ff],
  [0x3400, 0x4dbf],
  [0x4e00, 0x9fff],
  [0xa960, 0xa97c],
  [0xac00, 0xd7fb],
  [0xf900, 0xfad9],
  [0xff66, 0xffdc],
  [0x1aff0, 0x1b16f],
  [0x20000, 0x323af],
];

/** Whether a character belongs to one of these scripts. */
export function isEastAsian(character: string): boolean {
  const point = character.codePointAt(0) ?? 0;
  return point >= 0x1100 && EAST_ASIAN_RANGES.some(([first, last]) => point >= first && point <= last);
}
