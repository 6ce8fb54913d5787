/** Passages that say the same in nearly the same words count as one, so that copies cannot multiply a share. */
import { analyse } from '../../vault/text/words.ts';
import { SHINGLE_WORDS } from './limits.ts';

/** The words of a text as the terms that texts of all languages have, one for each position: the whole of a compound word. */
export function wordSequence(text: string): string[] {
  const words: string[] = [];
  let last = -1;
  for (const { term, position } of analyse(text, 'en')) {
    if (position === last) words[words.length - 1] = term;
    else words.push(term);
    last = position;
  }
  return words;
}

/**
 * Groups of near-duplicates among `texts`, as lists of indexes: two belong together when at least four fifths of all
 * shingles (five words in a row) of both are common to both, and so do those that a third one connects.
 */
export function groupNearDuplicates(texts: readonly string[]): number[][] {
  const shingles = texts.map(shinglesOf);
  const leader = texts.map((_, index) => index);
  const find = (index: number): number => {
    const up = leader[index] ?? index;
    return up === index ? index : find(up);
  };
  for (let a = 0; a < texts.length; a++) {
    for (let b = a + 1; b < texts.length; b++) {
      if (find(a) !== find(b) && alike(shingles[a] ?? new Set(), shingles[b] ?? new Set()))
        leader[find(b)] = find(a);
    }
  }
  const groups = new Map<number, number[]>();
  for (const index of texts.keys()) groups.set(find(index), [...(groups.get(find(index)) ?? []), index]);
  return [...groups.values()];
}

function shinglesOf(text: string): ReadonlySet<string> {
  const words = wordSequence(text);
  if (words.length <= SHINGLE_WORDS) return new Set([words.join(' ')]);
  const shingles = new Set<string>();
  for (let i = 0; i + SHINGLE_WORDS <= words.length; i++) {
    shingles.add(words.slice(i, i + SHINGLE_WORDS).join(' '));
  }
  return shingles;
}

function alike(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  let common = 0;
  for (const shingle of a) if (b.has(shingle)) common++;
  return 5 * common >= 4 * (a.size + b.size - common);
}
