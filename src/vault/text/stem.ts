/**
 * Light English stemming: plurals, `-ed`, `-ing`, `-ly` and a silent final `e`, so that `serve`, `serves`, `served`
 * and `serving` meet. Derivations (`pay` and `payment`) stay apart. The rules are normative: `spec/knowledge.md`.
 */

const VOWEL = /[aeiouy]/;
const ASCII_WORD = /^[a-z]+$/;

/** The stem of one folded word. Words with anything but a-z, or shorter than four letters, are their own stem. */
export function stem(word: string): string {
  if (word.length < 4 || !ASCII_WORD.test(word)) return word;
  return dropFinal(dropSuffix(dropPlural(word)));
}

function dropPlural(word: string): string {
  if (word.endsWith('ies') && word.length > 4) return `${word.slice(0, -3)}y`;
  if (/(?:ss|x|z|ch|sh)es$/.test(word)) return word.slice(0, -2);
  if (word.endsWith('s') && !/(?:ss|us|is)$/.test(word)) return word.slice(0, -1);
  return word;
}

function dropSuffix(word: string): string {
  for (const suffix of ['ing', 'ed', 'ly']) {
    if (!word.endsWith(suffix)) continue;
    const rest = word.slice(0, -suffix.length);
    if (rest.length < 3 || !VOWEL.test(rest)) return word;
    return suffix === 'ly' ? rest : undouble(rest);
  }
  return word;
}

function undouble(word: string): string {
  const last = word.at(-1) ?? '';
  return last === word.at(-2) && !/[lsz]/.test(last) && !VOWEL.test(last) ? word.slice(0, -1) : word;
}

function dropFinal(word: string): string {
  if (word.length > 3 && word.endsWith('e')) return word.slice(0, -1);
  if (word.length > 3 && word.endsWith('y') && !VOWEL.test(word.at(-2) ?? '')) return `${word.slice(0, -1)}i`;
  return word;
}
