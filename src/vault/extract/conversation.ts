/** A chat as passages: messages of one conversation stay together, an answer says what it answers. */
import { type Block, oneLine } from '../blocks.ts';
import { EXTRACTED_BYTES_MAX } from '../limits.ts';
import { tooLarge, unreadable } from './refusals.ts';

/** One message. */
export interface Message {
  readonly id: string;
  readonly author: string;
  /** As the export states it: `2024-01-31T10:11:12...`. */
  readonly at: string;
  readonly text: string;
  /** The message that it answers. */
  readonly answers: string | undefined;
}

/** Silence after which another conversation begins, milliseconds. */
const SILENCE_MS = 1_800_000;
/** Characters of a message that an answer repeats. */
const QUOTED_CHARACTERS_MAX = 60;
const AUTHOR_CHARACTERS_MAX = 64;

/** The messages under a heading with the chat's name, conversations by silence, each headed by its day. */
export function conversationBlocks(name: string, chat: string, messages: readonly Message[]): Block[] {
  const blocks: Block[] = [{ kind: 'heading', level: 1, text: oneLine(chat) || 'chat' }];
  const said = new Map<string, string>();
  let lines: string[] = [];
  let last = Number.NaN;
  let characters = 0;
  const flush = (): void => {
    if (lines.length > 0) blocks.push({ kind: 'table', text: lines.join('\n') });
    lines = [];
  };
  for (const message of messages) {
    const text = oneLine(message.text);
    if (text === '') continue;
    const atMs = Date.parse(message.at);
    if (!(Math.abs(atMs - last) <= SILENCE_MS)) {
      flush();
      blocks.push({ kind: 'heading', level: 2, text: dayOf(message.at) });
    }
    last = atMs;
    const author = oneLine(message.author).slice(0, AUTHOR_CHARACTERS_MAX).toWellFormed() || 'somebody';
    const quoted = message.answers === undefined ? undefined : said.get(message.answers);
    const line = `${author}${quoted === undefined ? '' : ` (to ${quoted})`}: ${text}`;
    characters += line.length + 1;
    if (characters > EXTRACTED_BYTES_MAX) throw tooLarge(name, characters, EXTRACTED_BYTES_MAX);
    lines.push(line);
    const short = text.length <= QUOTED_CHARACTERS_MAX ? text : `${text.slice(0, QUOTED_CHARACTERS_MAX)}…`;
    said.set(message.id, `${author}: “${short.toWellFormed()}”`);
  }
  flush();
  return blocks;
}

/** What others said is imported only when somebody states that they agreed. */
export function requireConsent(name: string, consent: string | undefined): void {
  if (consent !== undefined && consent.trim() !== '') return;
  const advice =
    'say with --consent how those who wrote it agreed, such as --consent "announced in #rules on 2 May 2026, who objected was left out"';
  throw unreadable(name, 'it is a chat, which holds what others wrote', advice);
}

function dayOf(at: string): string {
  return /^\d{4}-\d{2}-\d{2}/.exec(at)?.[0] ?? 'undated';
}

/** A text field of an export; empty where it is none. */
export function textField(value: unknown): string {
  if (typeof value === 'string') return value;
  return typeof value === 'number' ? String(value) : '';
}
