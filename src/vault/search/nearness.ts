/** Words of a question that stand near each other in a passage. */

/** Words within which two terms are near. */
const NEARNESS_WINDOW = 8;

/** How often `right` stands within the window of `left`; right behind it counts twice. Both rise. */
export function countPairs(left: readonly number[], right: readonly number[]): number {
  let pairs = 0;
  let from = 0;
  for (const position of left) {
    while (from < right.length && (right[from] ?? 0) < position - NEARNESS_WINDOW) from++;
    for (let i = from; i < right.length; i++) {
      const other = right[i] ?? 0;
      if (other > position + NEARNESS_WINDOW) break;
      // Parts of one compound word share a position and are no phrase.
      if (other !== position) pairs += other === position + 1 ? 2 : 1;
    }
  }
  return pairs;
}
