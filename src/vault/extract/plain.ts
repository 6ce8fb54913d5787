import type { Block, Extracted } from '../blocks.ts';
import { oneLine } from '../blocks.ts';

const ITEM = /^[ \t]*(?:[-*+\u2022]|\d{1,4}[.)])[ \t]+\S/;
const UNDERLINE = /^(?:={3,}|-{3,}|~{3,})\s*$/;
const HEADING_CHARACTERS_MAX = 80;

/** Paragraphs, lists and evident headings (underlined, or one short unpunctuated line) of a plain text. */
export function extractPlain(text: string): Extracted {
  const groups = text
    .replace(/\r\n?/g, '\n')
    .split(/\n[ \t]*(?:\n[ \t]*)+|\f/)
    .map((group) => group.split('\n').filter((line) => line.trim() !== ''))
    .filter((lines) => lines.length > 0);
  const blocks: Block[] = [];
  for (const [i, lines] of groups.entries())
    for (const block of blocksOfGroup(lines, groups[i + 1])) blocks.push(block);
  return { title: undefined, blocks };
}

function blocksOfGroup(group: readonly string[], next: readonly string[] | undefined): Block[] {
  const blocks: Block[] = [];
  let at = 0;
  for (; at < group.length; at += 2) {
    const [first = '', second = ''] = group.slice(at, at + 2);
    if (!UNDERLINE.test(second) || first.length > HEADING_CHARACTERS_MAX) break;
    blocks.push({ kind: 'heading', level: second.startsWith('=') ? 1 : 2, text: oneLine(first) });
  }
  if (at < group.length) blocks.push(...blocksOfLines(group.slice(at), next));
  return blocks;
}

function blocksOfLines(lines: readonly string[], next: readonly string[] | undefined): Block[] {
  const [first = ''] = lines;
  if (lines.length === 1 && next !== undefined && isHeading(first, next)) {
    return [{ kind: 'heading', level: levelOf(first), text: oneLine(first) }];
  }
  const item = lines.findIndex((line) => ITEM.test(line));
  if (item === -1) return [{ kind: 'prose', text: oneLine(lines.join(' ')) }];
  const list: Block = { kind: 'list', text: lines.slice(item).map(trimEnd).join('\n') };
  return item === 0 ? [list] : [{ kind: 'prose', text: oneLine(lines.slice(0, item).join(' ')) }, list];
}

function isHeading(line: string, next: readonly string[]): boolean {
  const text = line.trim();
  if (text.length > HEADING_CHARACTERS_MAX || ITEM.test(line) || /^[ \t]{2}/.test(line)) return false;
  const numbered = /^\d+(?:\.\d+)*\.?\s+\p{Lu}/u.test(text);
  if (!numbered && (/[.,;:!?"\u201d)]$/.test(text) || !/^[\p{Lu}\p{Lo}\p{N}]/u.test(text))) return false;
  return next.join(' ').length > text.length;
}

function levelOf(line: string): number {
  const number = /^(\d+(?:\.\d+)*)/.exec(line.trim())?.[1];
  return number === undefined ? 2 : 1 + number.split('.').length;
}

function trimEnd(line: string): string {
  return line.trimEnd();
}
