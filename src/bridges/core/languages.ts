import type { Language } from './language.ts';
import { de } from './languages/de.ts';
import { en } from './languages/en.ts';

/** All languages; the first is the one for everyone else. */
export const LANGUAGES: readonly Language[] = [en, de];

/** The language for an IETF tag such as `de-AT`. */
export function languageFor(tag: string): Language {
  const base = tag.toLowerCase().split('-')[0];
  return LANGUAGES.find((language) => language.tag === base) ?? en;
}
