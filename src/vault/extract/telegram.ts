/** Chats that Telegram Desktop saved as `result.json`: one, or all of an account. */
import type { Block, Extracted } from '../blocks.ts';
import { conversationBlocks, type Message, textField } from './conversation.ts';
import { isObject } from './json.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Whether a JSON document is such an export. */
export function isTelegram(value: unknown): boolean {
  return chatsOf(value).length > 0;
}

/** The conversations of every chat in it. Service messages are left out. */
export function extractTelegram(name: string, value: unknown): Extracted {
  const blocks: Block[] = [];
  for (const chat of chatsOf(value)) {
    const messages = Array.isArray(chat.messages) ? chat.messages.filter(isObject).flatMap(messageOf) : [];
    for (const block of conversationBlocks(name, textField(chat.name), messages)) blocks.push(block);
  }
  return { title: undefined, blocks };
}

function chatsOf(value: unknown): readonly Fields[] {
  if (!isObject(value)) return [];
  if (isChat(value)) return [value];
  const lists = [value.chats, value.left_chats].filter(isObject).map(({ list }) => list);
  return lists.flatMap((list) => (Array.isArray(list) ? list.filter(isObject).filter(isChat) : []));
}

function isChat(value: Fields): boolean {
  return (
    Array.isArray(value.messages) &&
    typeof value.id === 'number' &&
    typeof value.type === 'string' &&
    !isObject(value.guild)
  );
}

function messageOf(message: Fields): Message[] {
  if (message.type !== 'message') return [];
  const answers = textField(message.reply_to_message_id);
  return [
    {
      id: textField(message.id),
      author: textField(message.from),
      at: textField(message.date),
      text: [plainText(message.text), textField(message.file_name)].join(' '),
      answers: answers === '' ? undefined : answers,
    },
  ];
}

/** A text, or a list of texts and formatted pieces. */
function plainText(text: unknown): string {
  if (!Array.isArray(text)) return textField(text);
  return text.map((piece) => (isObject(piece) ? textField(piece.text) : textField(piece))).join('');
}
