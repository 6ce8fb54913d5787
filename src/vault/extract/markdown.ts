import { fromMarkdown } from 'mdast-util-from-markdown';
import { gfmFromMarkdown } from 'mdast-util-gfm';
import { gfm } from 'micromark-extension-gfm';
import { MARKDOWN_WORK_MAX, markdownWork } from '../../base/markdown-cost.ts';
import { type Block, type Extracted, oneLine } from '../blocks.ts';
import { NESTING_MAX } from '../limits.ts';
import { extractHtml } from './html.ts';
import { extractPlain } from './plain.ts';

/** Levels of a list that are told apart by indentation: without an end it grows with the square of the nesting. */
const INDENTED_LEVELS_MAX = 16;

type Root = ReturnType<typeof fromMarkdown>;
type Node = Root | Root['children'][number];

/**
 * The blocks of a Markdown document (CommonMark and GitHub's extensions), without its markup and front matter; those of
 * a plain text where parsing the markup would take disproportionate time.
 */
export function extractMarkdown(text: string): Extracted {
  const front = /^---\r?\n([\s\S]*?)\r?\n(?:---|\.\.\.)\r?\n/.exec(text);
  const body = front === null ? text : text.slice(front[0].length);
  const title = /^title:\s*(["']?)(.+?)\1\s*$/m.exec(front?.[1] ?? '')?.[2];
  if (markdownWork(body) > MARKDOWN_WORK_MAX) return { title, blocks: extractPlain(body).blocks };
  const root = fromMarkdown(body, { extensions: [gfm()], mdastExtensions: [gfmFromMarkdown()] });
  const blocks: Block[] = [];
  for (const node of root.children) walk(node, blocks, 0);
  return { title, blocks };
}

function walk(node: Node, blocks: Block[], depth: number): void {
  if (depth > NESTING_MAX) return;
  switch (node.type) {
    case 'heading':
      blocks.push({ kind: 'heading', level: node.depth, text: oneLine(inline(node)) });
      break;
    case 'paragraph':
      blocks.push({ kind: 'prose', text: paragraph(node) });
      break;
    case 'code':
      blocks.push({ kind: 'code', text: fenced(node.value, node.lang ?? '') });
      break;
    case 'list':
      blocks.push({ kind: 'list', text: listText(node, '', depth) });
      break;
    case 'table':
      blocks.push({ kind: 'table', text: node.children.map(rowText).join('\n') });
      break;
    case 'html':
      blocks.push(...extractHtml(node.value).blocks);
      break;
    case 'blockquote':
    case 'footnoteDefinition':
      for (const child of node.children) walk(child, blocks, depth + 1);
      break;
    default:
      break;
  }
}

/** A code block in its line form; the extracted text keeps the fence, so that a passage shows what it is. */
function fenced(code: string, language: string): string {
  const name = /^[\w+#.-]{1,24}/.exec(language)?.[0] ?? '';
  // A fence inside would end the block early.
  return `\`\`\`${name}\n${code.replace(/^```/gm, ' ```')}\n\`\`\``;
}

function paragraph(node: Node): string {
  return inline(node)
    .split('\n')
    .map((line) => oneLine(line))
    .filter((line) => line !== '')
    .join(' ');
}

function listText(node: Extract<Node, { type: 'list' }>, indent: string, depth: number): string {
  const lines: string[] = [];
  let number = node.start ?? 1;
  const deeper = indent.length < 2 * INDENTED_LEVELS_MAX ? `${indent}  ` : indent;
  for (const item of node.children) {
    const bullet = node.ordered ? `${number++}. ` : '- ';
    lines.push(`${indent}${bullet}${itemText(item, deeper, depth)}`);
  }
  return lines.join('\n');
}

function itemText(item: { readonly children: readonly Node[] }, indent: string, depth: number): string {
  const parts: string[] = [];
  for (const child of item.children) {
    if (child.type === 'list') {
      if (depth < NESTING_MAX) parts.push(`\n${listText(child, indent, depth + 1)}`);
    } else if (child.type === 'code') {
      parts.push(`${parts.length === 0 ? '' : ' '}${oneLine(child.value)}`);
    } else {
      parts.push(`${parts.length === 0 ? '' : ' '}${paragraph(child)}`);
    }
  }
  return parts.join('');
}

function rowText(row: { readonly children: readonly Node[] }): string {
  return `| ${row.children.map((cell) => oneLine(inline(cell)).replaceAll('|', '/')).join(' | ')} |`;
}

/** The plain text of inline content: words, code and line breaks; images by their alternative text. */
function inline(node: unknown, depth = 0): string {
  if (typeof node !== 'object' || node === null || depth > NESTING_MAX) return '';
  if ('type' in node && node.type === 'break') return '\n';
  if ('type' in node && node.type === 'html') return '';
  if ('value' in node && typeof node.value === 'string') return node.value;
  if ('children' in node && Array.isArray(node.children)) {
    return node.children.map((child) => inline(child, depth + 1)).join('');
  }
  return 'alt' in node && typeof node.alt === 'string' ? node.alt : '';
}
