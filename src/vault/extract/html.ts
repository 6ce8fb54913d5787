import { type DefaultTreeAdapterTypes, parse } from 'parse5';
import { type Block, type Extracted, oneLine } from '../blocks.ts';
import { NESTING_MAX } from '../limits.ts';

type Node = DefaultTreeAdapterTypes.ChildNode;
type Parent = DefaultTreeAdapterTypes.ParentNode;

const SKIPPED: ReadonlySet<string> = new Set(
  'script style noscript template svg math canvas iframe object embed nav form button select textarea head dialog'.split(
    ' ',
  ),
);
const BREAKING: ReadonlySet<string> = new Set(
  'address article aside blockquote body center dd details dialog div dl dt fieldset figcaption figure footer header hgroup hr html main p section summary td th tr tbody thead tfoot caption'.split(
    ' ',
  ),
);

/** The blocks of an HTML page as a browser reads it; scripts, styles, navigation, forms and hidden parts are left out. */
export function extractHtml(html: string): Extracted {
  const document = parse(html);
  const walker = new Walker();
  walker.children(document, 0);
  walker.flush();
  const title = find(document, 'title', 0);
  return { title: title && (oneLine(textOf(title, 0)) || undefined), blocks: walker.blocks };
}

class Walker {
  readonly blocks: Block[] = [];
  #inline = '';

  children(parent: Parent, depth: number): void {
    for (const child of parent.childNodes) this.#node(child, depth + 1);
  }

  flush(): void {
    const text = oneLine(this.#inline);
    this.#inline = '';
    if (text !== '') this.blocks.push({ kind: 'prose', text });
  }

  #node(node: Node, depth: number): void {
    if (node.nodeName === '#text' && 'value' in node) {
      this.#inline += node.value;
      return;
    }
    if (!('tagName' in node) || SKIPPED.has(node.tagName) || isHidden(node)) return;
    if (depth > NESTING_MAX) return;
    if (/^h[1-6]$/.test(node.tagName)) {
      this.#block({ kind: 'heading', level: Number(node.tagName[1]), text: oneLine(textOf(node, depth)) });
    } else if (node.tagName === 'pre') {
      this.#block({
        kind: 'code',
        text: `\`\`\`\n${textOf(node, depth).replace(/^```/gm, ' ```').trim()}\n\`\`\``,
      });
    } else if (node.tagName === 'ul' || node.tagName === 'ol') {
      this.#block({ kind: 'list', text: listText(node, '', depth) });
    } else if (node.tagName === 'table' && isDataTable(node)) {
      this.#block({ kind: 'table', text: rowsOf(node, depth).join('\n') });
    } else {
      this.#container(node, depth);
    }
  }

  #block(block: Block): void {
    this.flush();
    if (block.text.replace(/[`\s|]/g, '') !== '') this.blocks.push(block);
  }

  #container(node: Parent & { readonly tagName: string }, depth: number): void {
    const breaks = BREAKING.has(node.tagName);
    if (breaks) this.flush();
    if (node.tagName === 'br') this.#inline += ' ';
    this.children(node, depth);
    if (breaks) this.flush();
  }
}

function isHidden(node: DefaultTreeAdapterTypes.Element): boolean {
  return node.attrs.some(
    ({ name, value }) =>
      name === 'hidden' ||
      (name === 'aria-hidden' && value === 'true') ||
      (name === 'style' && /display\s*:\s*none/i.test(value)),
  );
}

function textOf(node: Node | Parent, depth: number): string {
  if (node.nodeName === '#text' && 'value' in node) return node.value;
  if (!('childNodes' in node) || depth > NESTING_MAX) return '';
  if ('tagName' in node && (SKIPPED.has(node.tagName) || isHidden(node))) return '';
  if (node.nodeName === 'br') return '\n';
  return node.childNodes.map((child) => textOf(child, depth + 1)).join('');
}

function listText(list: Parent & { readonly tagName: string }, indent: string, depth: number): string {
  const lines: string[] = [];
  let number = 1;
  for (const item of list.childNodes) {
    if (!('tagName' in item) || item.tagName !== 'li' || isHidden(item)) continue;
    const bullet = list.tagName === 'ol' ? `${number++}. ` : '- ';
    const nested: string[] = [];
    let own = '';
    for (const child of item.childNodes) {
      if ('tagName' in child && (child.tagName === 'ul' || child.tagName === 'ol')) {
        if (depth < NESTING_MAX) nested.push(listText(child, `${indent}  `, depth + 1));
      } else
        own += `${textOf(child, depth + 1)}${'tagName' in child && BREAKING.has(child.tagName) ? ' ' : ''}`;
    }
    lines.push([`${indent}${bullet}${oneLine(own)}`, ...nested].join('\n'));
  }
  return lines.join('\n');
}

/** A table that holds data, not a page's layout: no table, heading or list inside. */
function isDataTable(table: Parent): boolean {
  return !['table', 'h1', 'h2', 'h3', 'ul', 'ol', 'pre'].some((tag) => find(table, tag, 0) !== undefined);
}

function rowsOf(parent: Parent, depth: number): string[] {
  const rows: string[] = [];
  for (const child of parent.childNodes) {
    if (!('tagName' in child)) continue;
    if (child.tagName === 'tr') {
      const cells = child.childNodes.filter((cell) => cell.nodeName === 'td' || cell.nodeName === 'th');
      const texts = cells.map((cell) => oneLine(textOf(cell, depth + 2)).replaceAll('|', '/'));
      if (texts.some((text) => text !== '')) rows.push(`| ${texts.join(' | ')} |`);
    } else if (depth < NESTING_MAX) rows.push(...rowsOf(child, depth + 1));
  }
  return rows;
}

function find(parent: Parent, tag: string, depth: number): DefaultTreeAdapterTypes.Element | undefined {
  if (depth > NESTING_MAX) return undefined;
  for (const child of parent.childNodes) {
    if (!('tagName' in child)) continue;
    const found = child.tagName === tag ? child : find(child, tag, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}
