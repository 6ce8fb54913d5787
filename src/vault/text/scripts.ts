import { isEastAsian } from '../../protocol/scripts.ts';

/** The runs of a word: each all in these scripts, or all outside them. */
export function scriptRuns(word: string): { readonly text: string; readonly eastAsian: boolean }[] {
  const runs: { text: string; eastAsian: boolean }[] = [];
  for (const character of word) {
    const eastAsian = isEastAsian(character);
    const last = runs.at(-1);
    if (last !== undefined && last.eastAsian === eastAsian) last.text += character;
    else runs.push({ text: character, eastAsian });
  }
  return runs;
}
