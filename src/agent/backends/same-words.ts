/**
 * Words that count as one when a sentence is held against a question, beyond what stemming of the index joins: forms that
 * no suffix tells, short verbs, superlatives. The index keeps its own stems, so no vault is written anew for this.
 */
import { isEastAsian } from '../../protocol/scripts.ts';
import { stem } from '../../vault/text/stem.ts';
import { analyse } from '../../vault/text/words.ts';

/** Forms with their base, in pairs. Forms that are words of their own (left, rose, saw, spoke, wound) are not here. */
const FORMS = `added add adding add adds add ate eat eaten eat became become bent bend bitten bite bites bite
  blew blow blown blow bred breed burnt burn came come children child cried cry cries cry dealt deal drank drink drunk drink
  dried dry dries dry dug dig fed feed feet foot fell fall fallen fall fled flee flew fly flown fly flies fly
  fought fight fried fry froze freeze frozen freeze geese goose goes go going go halves half heard hear higher high
  hung hang knives knife larger large learnt learn lent lend lit light loaves loaf longer long lower low men man mice mouse
  mown mow older old owed owe owing owe proven prove rode ride ridden ride sang sing sung sing sank sink sunk sink sat sit
  sewn sew shaken shake shelves shelf shot shoot shrank shrink shrunk shrink slept sleep slid slide spilt spill spoken speak
  spun spin stood stand struck strike stuck stick stung sting swam swim swept sweep swollen swell swung swing teeth tooth
  threw throw thrown throw tied tie tying tie tore tear torn tear tried try tries try understood understand used use
  using use withdrawn withdraw withdrew withdraw wolves wolf women woman wore wear worn wear`.split(/\s+/);

const BASES: ReadonlyMap<string, string> = new Map(
  FORMS.flatMap((form, i) => {
    const [from, to] = [stem(form), stem(FORMS[i + 1] ?? form)];
    return i % 2 === 0 && from !== to ? [[from, to] as const] : [];
  }),
);

const DOUBLED = /([bdgmnprt])\1$/;

/** The stem that stands for a stem: its own where nothing else does. */
export function sameWord(term: string): string {
  const base = BASES.get(term);
  if (base !== undefined) return base;
  if (!/^[a-z]{3,}est$/.test(term)) return term;
  const positive = term.slice(0, -3);
  return DOUBLED.test(positive) ? positive.slice(0, -1) : positive;
}

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

/** The terms of a text, each as the stem that stands for it; pairs of characters with both. */
export function sameWords(text: string): string[] {
  const terms = analyse(text).flatMap(({ term }) => (isPair(term) ? [term, ...term] : [sameWord(term)]));
  return saysMake(text) ? [...terms, MAKE] : terms;
}
