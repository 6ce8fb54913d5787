/** Names offered when somebody mistypes one. */

/** Up to `max` of `names` that `wanted` may have meant, the likeliest first: few edits, or one contains the other. */
export function nearestNames(wanted: string, names: Iterable<string>, max = 3): readonly string[] {
  const low = wanted.toLowerCase();
  const distanceMax = Math.max(2, Math.floor(low.length / 3));
  return [...new Set(names)]
    .map((name) => ({ name, distance: distanceOf(low, name.toLowerCase(), distanceMax) }))
    .filter(({ distance }) => distance <= distanceMax)
    .sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : 1))
    .slice(0, max)
    .map(({ name }) => name);
}

function distanceOf(a: string, b: string, max: number): number {
  if (a.length > 0 && (b.startsWith(a) || (a.length > 3 && b.includes(a)))) return 1;
  // As many edits at least, so the long way need not be gone for every name.
  const least = Math.abs(a.length - b.length);
  return least > max ? least : editDistance(a, b);
}

/** Insertions, deletions, replacements and swaps of neighbours between two texts (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let least = Math.min(replaced, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) least = Math.min(least, (before[j - 2] ?? 0) + 1);
      current.push(least);
    }
    before = previous;
    previous = current;
  }
  return previous[b.length] ?? 0;
}
