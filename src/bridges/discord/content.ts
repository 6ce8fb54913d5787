/** A reply in Discord's Markdown. Everything that is not meant as markup is escaped, so no text can ping or format. */
import {
  type APIActionRowComponent,
  type APIButtonComponentWithCustomId,
  ButtonStyle,
  ComponentType,
} from 'discord.js';
import type { Button } from '../core/platform.ts';
import type { Rich, Span } from '../core/rich.ts';
import type { SplitLimit } from '../core/split.ts';
import { DISCORD_TEXT_MAX } from '../limits.ts';

/** How long a Discord message may be: what counts is the text with its markup. */
export const DISCORD_LIMIT: SplitLimit = {
  sizeMax: DISCORD_TEXT_MAX,
  sizeOf: (rich) => discordMarkdown(rich).length,
  spansMax: Number.POSITIVE_INFINITY,
};

const MARKS: Readonly<Partial<Record<Span['style'], string>>> = { bold: '**', italic: '*', strike: '~~' };

/** The Markdown that Discord shows as `rich`. */
export function discordMarkdown(rich: Rich): string {
  const quotes = rich.spans.filter((span) => span.style === 'quote');
  const rest = rich.spans.filter((span) => span.style !== 'quote');
  return render({ text: rich.text, spans: rest, quotes }, 0, rich.text.length);
}

interface Source extends Rich {
  readonly quotes: readonly Span[];
}

/** Writes `from..to`; `spans` are those that lie in it, the outer first. */
function render(source: Source, from: number, to: number, spans: readonly Span[] = source.spans): string {
  let written = '';
  let at = from;
  for (let i = 0; i < spans.length; i++) {
    const span = spans[i];
    if (span === undefined || span.offset < at) continue;
    const end = span.offset + span.length;
    const inner = spans.slice(i + 1).filter((other) => other.offset + other.length <= end);
    written += escaped(source, at, span.offset) + marked(source, span, inner);
    at = end;
  }
  return written + escaped(source, at, to);
}

function marked(source: Source, span: Span, inner: readonly Span[]): string {
  const end = span.offset + span.length;
  const raw = source.text.slice(span.offset, end);
  if (span.style === 'pre') return fenced(raw, span, source);
  if (span.style === 'code') return codeSpan(raw);
  const body = render(source, span.offset, end, inner);
  if (span.style === 'link') return linked(raw, body, span.url ?? '');
  const mark = MARKS[span.style] ?? '';
  return mark + body + mark;
}

function linked(raw: string, body: string, url: string): string {
  const address = url.replace(/[<>()\s]/g, (character) =>
    encodeURIComponent(character).replace(/[()]/g, hexed),
  );
  const isBare = raw === url || `${raw}/` === url;
  return isBare ? `<${address}>` : `[${body.replace(/\n/g, ' ')}](<${address}>)`;
}

function hexed(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}

/** A code block; three backticks inside are kept apart by an invisible character, as Discord has no longer fence. */
function fenced(raw: string, span: Span, source: Source): string {
  const before = span.offset > 0 && source.text[span.offset - 1] !== '\n' ? '\n' : '';
  const after = source.text[span.offset + span.length];
  const closing = after === undefined || after === '\n' ? '' : '\n';
  return `${before}\`\`\`${span.language ?? ''}\n${raw.replaceAll('```', '`\u200b`\u200b`')}\n\`\`\`${closing}`;
}

function codeSpan(raw: string): string {
  const line = raw.replace(/\n/g, ' ');
  if (!line.includes('`')) return `\`${line}\``;
  return `\`\` ${line.replaceAll('``', '`\u200b`')} \`\``;
}

function escaped({ text, quotes }: Source, from: number, to: number): string {
  let written = '';
  for (let at = from; at < to; at++) {
    const character = text[at] ?? '';
    const startsLine = at === 0 || text[at - 1] === '\n';
    if (startsLine && quotes.some((span) => at >= span.offset && at < span.offset + span.length))
      written += '> ';
    written +=
      /[\\*_~`|<>@#[\]():-]/.test(character) && mustEscape(text, at, character)
        ? `\\${character}`
        : character;
  }
  return written;
}

/** Some characters mean something only at the start of a line, or not alone. */
function mustEscape(text: string, at: number, character: string): boolean {
  const lineStart = /(^|\n)[ \t]*$/.test(text.slice(Math.max(0, at - 20), at));
  if (character === '#' || character === '-') return lineStart || (character === '-' && text[at + 1] === '#');
  if (character === '(' || character === ')') return text[at - 1] === ']';
  if (character === ':') return text.startsWith('://', at) || /^:\w+:/.test(text.slice(at, at + 40));
  return true;
}

/** Buttons in one row. Their ids name action and job. */
export function discordButtons(
  buttons: readonly Button[],
): APIActionRowComponent<APIButtonComponentWithCustomId>[] {
  if (buttons.length === 0) return [];
  const row = buttons.map(
    ({ action, job, label }): APIButtonComponentWithCustomId => ({
      type: ComponentType.Button,
      style: action === 'stop' ? ButtonStyle.Danger : ButtonStyle.Secondary,
      label,
      custom_id: `${action}:${job}`,
    }),
  );
  return [{ type: ComponentType.ActionRow, components: row }];
}
