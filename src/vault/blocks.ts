/** The structure that every kind of document is reduced to. */

/** One block of a document, in reading order. Text is plain; lists, code and tables keep their line form. */
export type Block =
  | { readonly kind: 'heading'; readonly level: number; readonly text: string }
  | { readonly kind: 'prose' | 'list' | 'code' | 'table'; readonly text: string };

/** What an extractor made of a document. */
export interface Extracted {
  /** The document's own title where it states one apart from its headings. */
  readonly title: string | undefined;
  readonly blocks: readonly Block[];
}

/** A block and where it stands in the extracted text, UTF-16 indexes, end excluded. */
export type PlacedBlock = Block & { readonly start: number; readonly end: number };

const SEPARATOR = '\n\n';

/** The extracted text of a document, its blocks joined by blank lines, and where each block stands in it. */
export function layOut(blocks: readonly Block[]): { readonly text: string; readonly blocks: PlacedBlock[] } {
  const parts: string[] = [];
  const placed: PlacedBlock[] = [];
  let at = 0;
  for (const block of blocks) {
    const text = clean(block.text);
    if (text === '') continue;
    if (parts.length > 0) {
      parts.push(SEPARATOR);
      at += SEPARATOR.length;
    }
    parts.push(text);
    placed.push({ ...block, text, start: at, end: at + text.length });
    at += text.length;
  }
  return { text: parts.join(''), blocks: placed };
}

/** One line: runs of white space become one space. */
export function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}

/** Characters that are not seen: soft hyphens, joiners, directions, tags, variation selectors, byte order marks. */
const INVISIBLE =
  /\u034f|[\ufe00-\ufe0f]|[\u{e0100}-\u{e01ef}]|[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\u{e0000}-\u{e007f}]/gu;

/** `text` as it is seen: without characters that are not, and in the form NFKC. */
export function visible(text: string): string {
  return /^[\0-\x7f]*$/.test(text) ? text : text.toWellFormed().replace(INVISIBLE, '').normalize('NFKC');
}

function clean(text: string): string {
  const lines = visible(text)
    .replace(/\r\n?/g, '\n')
    // Control characters say nothing to a reader and upset terminals.
    .replace(/[^\P{Cc}\n\t]/gu, '');
  return lines.replace(/^\n+/, '').trimEnd();
}
