/** Words of the dictionary that a misspelt word may have meant. */

/** Edits that a word of this many characters may have: none below five, one below nine, otherwise two. */
export function editsMax(characters: number): number {
  if (characters < 5) return 0;
  return characters < 9 ? 1 : 2;
}

/**
 * Edits (insertion, deletion, replacement, exchange of neighbours) from `a` to `b`, or `undefined` above `max`.
 * This is the optimal string alignment distance, computed inside a band.
 */
export function editDistance(a: string, b: string, max: number): number | undefined {
  if (Math.abs(a.length - b.length) > max) return undefined;
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row: number[] = new Array(b.length + 1).fill(max + 1);
    row[0] = i;
    let least = i;
    for (let j = Math.max(1, i - max); j <= Math.min(b.length, i + max); j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(at(previous, j) + 1, at(row, j - 1) + 1, at(previous, j - 1) + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, at(before, j - 2) + 1);
      }
      row[j] = cost;
      least = Math.min(least, cost);
    }
    if (least > max) return undefined;
    before = previous;
    previous = row;
  }
  const distance = at(previous, b.length);
  return distance <= max ? distance : undefined;
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY;
}
