/** Text of a Word document: paragraphs, headings by their styles, lists and tables, notes at the end; not what was deleted. */
import { fromUtf8 } from '../../base/bytes.ts';
import { type Block, type Extracted, oneLine } from '../blocks.ts';
import { unreadable } from './refusals.ts';
import { tableText } from './tables.ts';
import { attribute, readXml } from './xml.ts';
import { openZip, type Zip } from './zip.ts';

/** Where the text of a Word document stands in its archive. */
export const DOCX_BODY = 'word/document.xml';

/** The blocks of a Word document. Errors: `document-unreadable`, `document-too-large`. */
export function extractDocx(name: string, bytes: Uint8Array): Extracted {
  const zip = openZip(name, bytes);
  const body = textOf(name, zip, DOCX_BODY);
  if (body === undefined)
    throw unreadable(name, 'it holds no text', 'save it again from the program that made it');
  const levels = headingStyles(name, textOf(name, zip, 'word/styles.xml') ?? '');
  const blocks: Block[] = [];
  for (const xml of [body, textOf(name, zip, 'word/footnotes.xml'), textOf(name, zip, 'word/endnotes.xml')]) {
    if (xml !== undefined) for (const block of new Reader(name, levels).read(xml)) blocks.push(block);
  }
  return { title: titleOf(name, textOf(name, zip, 'docProps/core.xml') ?? ''), blocks };
}

function textOf(name: string, zip: Zip, path: string): string | undefined {
  const bytes = zip.read(path);
  if (bytes === undefined) return undefined;
  const text = fromUtf8(bytes);
  if (text === undefined)
    throw unreadable(name, 'its text is in no known encoding', 'save it again as .docx');
  return text.replace(/^\ufeff/, '');
}

function titleOf(name: string, xml: string): string | undefined {
  let inside = false;
  let title = '';
  for (const event of readXml(name, xml)) {
    if (event.type === 'text') title += inside ? event.text : '';
    else if (event.name === 'dc:title') inside = event.type === 'open';
  }
  return oneLine(title) || undefined;
}

/** Level of each style that is a heading: by its name or its outline level. */
function headingStyles(name: string, xml: string): ReadonlyMap<string, number> {
  const levels = new Map<string, number>();
  let style: string | undefined;
  for (const event of readXml(name, xml)) {
    if (event.type === 'text') continue;
    if (event.name === 'w:style') {
      style = event.type === 'open' ? attribute(event.attributes, 'w:styleId') : undefined;
    } else if (style !== undefined && event.type === 'open') {
      const value = attribute(event.attributes, 'w:val') ?? '';
      const named = event.name === 'w:name' ? /^(?:heading (\d)|(title))$/i.exec(value) : null;
      if (named !== null) levels.set(style, named[2] === undefined ? Number(named[1]) : 1);
      if (event.name === 'w:outlineLvl' && /^[0-5]$/.test(value)) levels.set(style, Number(value) + 1);
    }
  }
  return levels;
}

interface Paragraph {
  text: string;
  level: number;
  listed: boolean;
  depth: number;
}

/** Elements whose content is not shown: what was deleted, field codes, and the second form of what stands there twice. */
const SKIPPED: ReadonlySet<string> = new Set([
  'w:del',
  'w:instrText',
  'mc:Fallback',
  'w:moveFrom',
  'w:delText',
]);
const SPACES: ReadonlySet<string> = new Set(['w:tab', 'w:br', 'w:cr']);

class Reader {
  readonly #name: string;
  readonly #levels: ReadonlyMap<string, number>;
  readonly #blocks: Block[] = [];
  /** Paragraphs that are open: a text box stands inside another one. */
  readonly #open: Paragraph[] = [];
  #list: string[] = [];
  #rows: string[][] = [];
  #tables = 0;
  #skipping = 0;
  #inText = false;

  constructor(name: string, levels: ReadonlyMap<string, number>) {
    this.#name = name;
    this.#levels = levels;
  }

  read(xml: string): readonly Block[] {
    for (const event of readXml(this.#name, xml)) {
      if (event.type === 'text') {
        const paragraph = this.#open.at(-1);
        if (this.#inText && this.#skipping === 0 && paragraph !== undefined) paragraph.text += event.text;
      } else if (SKIPPED.has(event.name)) this.#skipping += event.type === 'open' ? 1 : -1;
      else if (this.#skipping > 0) continue;
      else if (event.type === 'open') this.#start(event.name, event.attributes);
      else this.#end(event.name);
    }
    this.#endList();
    return this.#blocks;
  }

  #start(element: string, attributes: string): void {
    const paragraph = this.#open.at(-1);
    if (element === 'w:p') this.#open.push({ text: '', level: 0, listed: false, depth: 0 });
    else if (element === 'w:t') this.#inText = true;
    else if (element === 'w:tbl') {
      this.#endList();
      if (this.#tables++ === 0) this.#rows = [];
    } else if (element === 'w:tr') {
      if (this.#tables === 1) this.#rows.push([]);
    } else if (element === 'w:tc') {
      if (this.#tables === 1) this.#rows.at(-1)?.push('');
    } else if (paragraph === undefined) return;
    else if (SPACES.has(element)) paragraph.text += ' ';
    else if (element === 'w:pStyle') {
      paragraph.level = this.#levels.get(attribute(attributes, 'w:val') ?? '') ?? paragraph.level;
    } else if (element === 'w:numPr') paragraph.listed = true;
    else if (element === 'w:ilvl') paragraph.depth = Math.min(8, Number(attribute(attributes, 'w:val')) || 0);
  }

  #end(element: string): void {
    if (element === 'w:t') this.#inText = false;
    else if (element === 'w:p') {
      const paragraph = this.#open.pop();
      if (paragraph !== undefined) this.#paragraph(paragraph);
    } else if (element === 'w:tbl' && --this.#tables === 0) {
      this.#blocks.push({ kind: 'table', text: tableText(this.#rows) });
    }
  }

  #paragraph({ text, level, listed, depth }: Paragraph): void {
    const line = oneLine(text);
    if (line === '') return;
    const row = this.#rows.at(-1);
    if (this.#tables > 0 && row !== undefined) {
      const last = Math.max(0, row.length - 1);
      row[last] = `${row[last] ?? ''} ${line}`.trim();
    } else if (level > 0) {
      this.#endList();
      this.#blocks.push({ kind: 'heading', level, text: line });
    } else if (listed) this.#list.push(`${'  '.repeat(depth)}- ${line}`);
    else {
      this.#endList();
      this.#blocks.push({ kind: 'prose', text: line });
    }
  }

  #endList(): void {
    if (this.#list.length > 0) this.#blocks.push({ kind: 'list', text: this.#list.join('\n') });
    this.#list = [];
  }
}
