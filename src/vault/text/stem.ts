/**
 * Light English stemming: plurals, `-ed`, `-ing`, `-ly` and a silent final `e`, so that `serve`, `serves`, `served`
 * and `serving` meet. Derivations (`pay` and `payment`) stay apart. The rules are normative: `spec/knowledge.md`.
 */

const VOWEL = /[aeiouy]/;
const ASCII_WORD = /^[a-z]+$/;

/** Past forms that no rule reaches. */
export const IRREGULAR: ReadonlyMap<string, string> = new Map(
  `began begin begun begin bought buy broke break broken break brought bring built build caught catch chose choose
  chosen choose died die dying die drawn draw drew draw felt feel forgot forget forgotten forget gave give given
  give gone go went go grew grow grown grow held hold hidden hide kept keep knew know known know led lead lost lose
  meant mean met meet paid pay ran run said say sent send shown show sold sell spent spend stolen steal stole steal
  taken take took take taught teach thought think told tell wrote write written write won win woken wake`
    .split(/\s+/)
    .flatMap((word, i, words) => (i % 2 === 0 ? [[word, words[i + 1] ?? word] as const] : [])),
);

/** The stem of one folded word. Words with anything but a-z, or shorter than three letters, are their own stem. */
export function stem(word: string): string {
  if (word.length < 3 || !ASCII_WORD.test(word)) return word;
  const irregular = IRREGULAR.get(word);
  if (irregular !== undefined) return dropFinal(irregular);
  if (word.length < 4) return word;
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
