/**
 * An agent's Markdown as text and spans. The source is untrusted: HTML is shown as it was written, only http,
 * https and mailto addresses become links, and nothing is fetched. Every word of the source appears in the text.
 */
import type { Definition, List, ListItem, Nodes, PhrasingContent, Root, RootContent, Table } from 'mdast';
import { fromMarkdown } from 'mdast-util-from-markdown';
import { gfmFromMarkdown } from 'mdast-util-gfm';
import { gfm } from 'micromark-extension-gfm';
import { MARKDOWN_WORK_MAX, markdownWork } from '../../base/markdown-cost.ts';
import { ANSWER_TEXT_MAX, LAID_OUT_TEXT_MAX, MARKDOWN_DEPTH_MAX, TABLES_TEXT_MAX } from '../limits.ts';
import { joined, normalised, plain, type Rich, type Span, separated, sliced, styled } from './rich.ts';

interface Scope {
  readonly source: string;
  readonly definitions: ReadonlyMap<string, Definition>;
  /** How often each text stands in brackets, in lower case. */
  readonly labels: ReadonlyMap<string, number>;
  /** What is left for aligned tables, UTF-16 units. */
  readonly room: { left: number };
  readonly depth: number;
}

/** `markdown` (CommonMark with GitHub's tables, strikethrough, task lists and footnotes) as text and spans. */
export function renderMarkdown(markdown: string): Rich {
  const source = clipped(markdown, ANSWER_TEXT_MAX);
  if (nestingOf(source) > MARKDOWN_DEPTH_MAX || markdownWork(source) > MARKDOWN_WORK_MAX) {
    return plain(source.trim());
  }
  const root: Root = fromMarkdown(source, { extensions: [gfm()], mdastExtensions: [gfmFromMarkdown()] });
  const definitions = new Map(
    root.children
      .filter((node) => node.type === 'definition')
      .map((node) => [node.identifier, node] as const),
  );
  const room = { left: TABLES_TEXT_MAX };
  const whole = blocks(root.children, { source, definitions, labels: labelsOf(source), room, depth: 0 });
  const end = clipped(whole.text, LAID_OUT_TEXT_MAX).trimEnd().length;
  return normalised(sliced(whole, 0, end));
}

/** Cuts at `max` UTF-16 units without leaving half a character. */
export function clipped(text: string, max: number): string {
  if (text.length <= max) return text;
  const last = text.charCodeAt(max - 1);
  return text.slice(0, last >= 0xd800 && last < 0xdc00 ? max - 1 : max);
}

// The parser's time grows with the square of the nesting, so a bomb is recognised before it is parsed.
function nestingOf(source: string): number {
  let deepest = 0;
  for (const [opening = ''] of source.matchAll(/^(?:[ \t]*(?:>|[-+*](?=[ \t])|\d{1,9}[.)](?=[ \t])))+/gm)) {
    deepest = Math.max(deepest, opening.replace(/[\d \t]/g, '').length);
  }
  return deepest;
}

function blocks(nodes: readonly RootContent[], scope: Scope): Rich {
  const shown = nodes.filter((node) => node.type !== 'definition' || !isUsed(node, scope));
  return separated(
    shown.map((node) => block(node, scope)),
    '\n\n',
  );
}

// A definition that nothing refers to would vanish with what it says.
function isUsed(node: Definition, scope: Scope): boolean {
  return (scope.labels.get((node.label ?? node.identifier).toLowerCase()) ?? 0) > 1;
}

function labelsOf(source: string): ReadonlyMap<string, number> {
  const labels = new Map<string, number>();
  for (const [, label = ''] of source.toLowerCase().matchAll(/\[([^[\]]*)\]/g)) {
    labels.set(label, (labels.get(label) ?? 0) + 1);
  }
  return labels;
}

function block(node: RootContent, scope: Scope): Rich {
  if (scope.depth > MARKDOWN_DEPTH_MAX) return verbatim(node, scope);
  const inner = { ...scope, depth: scope.depth + 1 };
  switch (node.type) {
    case 'paragraph':
      return phrasing(node.children, inner);
    case 'heading':
      return styled(phrasing(node.children, inner), 'bold');
    case 'blockquote':
      return styled(blocks(node.children, inner), 'quote');
    case 'code':
      return pre(node.value, node.lang ?? undefined);
    case 'list':
      return list(node, inner);
    case 'table':
      return table(node, inner);
    case 'thematicBreak':
      return plain('———');
    case 'footnoteDefinition':
      return joined(`[${node.label ?? node.identifier}] `, blocks(node.children, inner));
    case 'listItem':
      return blocks(node.children, inner);
    case 'html':
    case 'definition':
    case 'yaml':
    case 'tableRow':
    case 'tableCell':
      return verbatim(node, scope);
    default:
      return phrasing([node], inner);
  }
}

function verbatim(node: Nodes, scope: Scope): Rich {
  return plain(scope.source.slice(node.position?.start.offset ?? 0, node.position?.end.offset ?? 0));
}

function pre(value: string, language: string | undefined): Rich {
  const text = value === '' ? ' ' : value;
  const safe = language !== undefined && /^[\w+#.-]{1,32}$/.test(language);
  const span: Span = { style: 'pre', offset: 0, length: text.length, ...(safe && { language }) };
  return { text, spans: [span] };
}

function list(node: List, scope: Scope): Rich {
  const first = node.start ?? 1;
  const items = node.children.map((item, i) => listItem(item, node.ordered ? `${first + i}. ` : '• ', scope));
  return separated(items, node.spread ? '\n\n' : '\n');
}

function listItem(item: ListItem, bullet: string, scope: Scope): Rich {
  const box = item.checked === true ? '☑ ' : item.checked === false ? '☐ ' : '';
  const body = separated(
    item.children.map((child) => block(child, scope)),
    item.spread ? '\n\n' : '\n',
  );
  const startsWithCode = item.children[0]?.type === 'code';
  return joined(bullet + box + (startsWithCode ? '\n' : ''), indented(body, scope.depth > 8 ? '' : '   '));
}

/** Puts `margin` after every line break outside code, whose text must not change. */
function indented(body: Rich, margin: string): Rich {
  const fixed = body.spans.filter((span) => span.style === 'pre');
  const isFixed = (at: number): boolean =>
    fixed.some((span) => at >= span.offset && at < span.offset + span.length);
  const shifts: number[] = [];
  let text = '';
  let shift = 0;
  for (let at = 0; at < body.text.length; at++) {
    shifts.push(shift);
    text += body.text[at];
    if (body.text[at] !== '\n' || isFixed(at) || isFixed(at + 1) || body.text[at + 1] === '\n') continue;
    text += margin;
    shift += margin.length;
  }
  shifts.push(shift);
  const spans = body.spans.map((span) => {
    const offset = span.offset + (shifts[span.offset] ?? shift);
    const last = span.offset + span.length - 1;
    return { ...span, offset, length: last + (shifts[last] ?? shift) + 1 - offset };
  });
  return { text, spans };
}

function table(node: Table, scope: Scope): Rich {
  const rows = node.children.map((row) =>
    row.children.map((cell) => phrasing(cell.children, scope).text.replace(/\s+/g, ' ').trim()),
  );
  const widths: number[] = [];
  for (const row of rows) {
    for (const [c, cell] of row.entries()) widths[c] = Math.max(widths[c] ?? 1, widthOf(cell));
  }
  const lineWidth = widths.reduce((sum, width) => sum + width + 3, 0);
  const size = lineWidth * (rows.length + 1);
  if (size > scope.room.left) return pre(verbatim(node, scope).text, undefined);
  scope.room.left -= size;
  const lines = rows.map((row) =>
    widths
      .map((width, c) => (row[c] ?? '') + ' '.repeat(width - widthOf(row[c] ?? '')))
      .join(' │ ')
      .trimEnd(),
  );
  const rule = widths.map((width) => '─'.repeat(width)).join('─┼─');
  return pre([lines[0] ?? '', rule, ...lines.slice(1)].join('\n'), undefined);
}

/** Columns that a text takes in a fixed-width font: wide East Asian characters and emoji take two. */
function widthOf(text: string): number {
  let width = 0;
  for (const character of text) {
    if (/\p{Mn}|\p{Me}|\p{Cf}/u.test(character)) continue;
    width +=
      /\p{Extended_Pictographic}|[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\uff00-\uff60]/u.test(
        character,
      )
        ? 2
        : 1;
  }
  return width;
}

function phrasing(nodes: readonly (PhrasingContent | RootContent)[], scope: Scope): Rich {
  return joined(...nodes.map((node) => inline(node, scope)));
}

function inline(node: PhrasingContent | RootContent, scope: Scope): Rich {
  if (scope.depth > MARKDOWN_DEPTH_MAX) return verbatim(node, scope);
  const inner = { ...scope, depth: scope.depth + 1 };
  switch (node.type) {
    case 'text':
      return plain(node.value);
    case 'emphasis':
      return styled(phrasing(node.children, inner), 'italic');
    case 'strong':
      return styled(phrasing(node.children, inner), 'bold');
    case 'delete':
      return styled(phrasing(node.children, inner), 'strike');
    case 'inlineCode':
      return styled(node.value, 'code');
    case 'break':
      return plain('\n');
    case 'link':
      return link(phrasing(node.children, inner), node.url);
    case 'image':
      return link(plain(node.alt || node.url), node.url);
    case 'linkReference':
      return link(phrasing(node.children, inner), scope.definitions.get(node.identifier)?.url ?? '');
    case 'imageReference':
      return link(plain(node.alt || node.identifier), scope.definitions.get(node.identifier)?.url ?? '');
    case 'footnoteReference':
      return plain(`[${node.label ?? node.identifier}]`);
    default:
      return verbatim(node, scope);
  }
}

function link(label: Rich, url: string): Rich {
  const address = safeAddress(url);
  const shown = label.text.trim() === '' ? plain(url) : label;
  if (address !== undefined) return styled(shown, 'link', { url: address });
  return url === '' || label.text === url ? shown : joined(shown, ` (${url})`);
}

/** The address in its normal form, or `undefined` when it is not one that a chat may link to. */
function safeAddress(url: string): string | undefined {
  const parsed = URL.parse(url);
  if (parsed === null || !['http:', 'https:', 'mailto:'].includes(parsed.protocol)) return undefined;
  return parsed.href.length > 2048 ? undefined : parsed.href;
}
