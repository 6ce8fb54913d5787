const MARKS = /[\u0300-\u036f]/g;

/** `text` in compatibility form without the diacritics of Latin, Greek and Cyrillic. */
export function withoutMarks(text: string): string {
  // ASCII needs no folding, and most text is ASCII.
  if (!/[^\p{ASCII}]/u.test(text)) return text;
  return text.normalize('NFKD').replace(MARKS, '').normalize('NFKC');
}
