/** Words of a text as they are held against a question: the terms of the index, and what it leaves out but a question can be about. */
import { isEastAsian } from '../../protocol/scripts.ts';
import type { Language } from '../../vault/text/language.ts';
import { analyse } from '../../vault/text/words.ts';

/** A verb that the index leaves out because it stands everywhere, and that a question can be all about: "who made it". */
const MAKING = /\b(?:made|makes?|making)\b/i;
/** Its stem. */
export const MAKE = 'mak';

/** Whether a text says that something is made. */
export function saysMake(text: string): boolean {
  return MAKING.test(text);
}

/** Whether a term is a pair of characters of a script without spaces. */
export function isPair(term: string): boolean {
  const characters = [...term];
  return characters.length === 2 && characters.every(isEastAsian);
}

/** The terms of a text in a language; pairs of characters with both. */
export function heldTerms(text: string, language: Language | undefined): string[] {
  const terms = analyse(text, language).flatMap(({ term }) => (isPair(term) ? [term, ...term] : [term]));
  return saysMake(text) ? [...terms, MAKE] : terms;
}
