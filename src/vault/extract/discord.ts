/** Channels that DiscordChatExporter saved as JSON. */
import type { Block, Extracted } from '../blocks.ts';
import { conversationBlocks, type Message, textField } from './conversation.ts';
import { isObject } from './json.ts';

/** Whether a JSON document is an export of a Discord channel. */
export function isDiscord(value: unknown): boolean {
  return isObject(value) && isObject(value.guild) && isObject(value.channel) && Array.isArray(value.messages);
}

/** The conversations of a channel. What bots announce about the channel itself is left out. */
export function extractDiscord(name: string, value: unknown): Extracted {
  if (!isObject(value)) return { title: undefined, blocks: [] };
  const guild = isObject(value.guild) ? textField(value.guild.name) : '';
  const channel = isObject(value.channel) ? value.channel : {};
  const title = `${guild} #${textField(channel.name)}`.trim();
  const topic = textField(channel.topic);
  const blocks: Block[] = topic === '' ? [] : [{ kind: 'prose', text: topic }];
  const messages = Array.isArray(value.messages) ? value.messages.filter(isObject).flatMap(messageOf) : [];
  return { title: undefined, blocks: [...blocks, ...conversationBlocks(name, title, messages)] };
}

const SPOKEN: ReadonlySet<string> = new Set(['Default', 'Reply', '0', '19', '']);

function messageOf(message: Readonly<Record<string, unknown>>): Message[] {
  if (!SPOKEN.has(textField(message.type))) return [];
  const author = isObject(message.author) ? message.author : {};
  const reference = isObject(message.reference) ? textField(message.reference.messageId) : '';
  const attached = listOf(message.attachments).map((file) => `[${textField(file.fileName)}]`);
  const embedded = listOf(message.embeds).map(
    (embed) => `${textField(embed.title)} ${textField(embed.description)}`,
  );
  return [
    {
      id: textField(message.id),
      author: textField(author.nickname) || textField(author.name),
      at: textField(message.timestamp),
      text: [textField(message.content), ...embedded, ...attached].join(' '),
      answers: reference === '' ? undefined : reference,
    },
  ];
}

function listOf(value: unknown): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}
