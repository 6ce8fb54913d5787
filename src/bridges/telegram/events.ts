/** Telegram's updates as chat events. What is not addressed to the bot gives none. */
import type {
  CallbackQuery,
  Chat,
  MaybeInaccessibleMessage,
  Message,
  MessageEntity,
  MessageGenerationStopped,
  Update,
  User,
} from 'grammy/types';
import { pressedButton } from '../core/buttons.ts';
import { clipped } from '../core/markdown.ts';
import type { Attachment, ChatEvent, Place } from '../core/platform.ts';
import { GIVEN_BACK, paymentEvent } from '../core/shop.ts';
import { QUOTE_CHARACTERS_MAX } from '../limits.ts';
import { promisedCredit } from './stars.ts';

/** Who the bot is. */
export interface TelegramSelf {
  readonly id: number;
  readonly username: string;
}

/** The event of an update, or `undefined` when the bot has nothing to do with it. `atMs` is when it arrived. */
export function telegramEvent(update: Update, self: TelegramSelf, atMs: number): ChatEvent | undefined {
  const id = eventId(update, self);
  if (update.callback_query) return pressEvent(update.callback_query, id, atMs);
  return update.message && messageEvent(update.message, self, { id, atMs });
}

function pressEvent(query: CallbackQuery, id: string, atMs: number): ChatEvent | undefined {
  const pressed = pressedButton(query.data ?? '');
  if (!query.message || !pressed) return undefined;
  return {
    ...emptyEvent(query.from, placeOf(query.message.chat, topicOf(query.message))),
    id,
    type: 'press',
    messageId: String(query.message.message_id),
    text: pressed.action,
    argument: pressed.job,
    token: query.id,
    atMs,
  };
}

/** A payment, or one that was given back; Telegram says both as messages of who paid. */
function starEvent(message: Message, self: TelegramSelf, atMs: number): ChatEvent | undefined {
  const { successful_payment: paid, refunded_payment: returned, from } = message;
  const payment = paid ?? returned;
  if (payment === undefined || from === undefined) return undefined;
  const event = {
    ...emptyEvent(from, placeOf(message.chat, topicOf(message))),
    messageId: String(message.message_id),
    atMs,
  };
  const amount = paid === undefined ? GIVEN_BACK : (promisedCredit(paid) ?? 0n);
  return paymentEvent(event, { id: payment.telegram_payment_charge_id, amount, bot: String(self.id) });
}

function messageEvent(
  message: Message,
  self: TelegramSelf,
  { id, atMs }: { readonly id: string; readonly atMs: number },
): ChatEvent | undefined {
  if (message.successful_payment || message.refunded_payment) return starEvent(message, self, atMs);
  const text = message.text ?? message.caption;
  const attachments = attachmentsOf(message);
  if (!message.from || message.from.is_bot || message.sender_chat) return undefined;
  // What an inline query put into a chat is about an agent, not a question to one.
  if (message.via_bot?.id === self.id) return undefined;
  if (text === undefined && attachments.length === 0) return undefined;
  const replied = message.reply_to_message;
  const isReplyToBot = replied?.from?.id === self.id;
  const base = {
    ...emptyEvent(message.from, placeOf(message.chat, topicOf(message))),
    id,
    messageId: String(message.message_id),
    quote: isReplyToBot ? '' : clipped(replied?.text ?? replied?.caption ?? '', QUOTE_CHARACTERS_MAX),
    attachments,
    atMs,
  };
  const entities = message.entities ?? message.caption_entities ?? [];
  const command = commandOf(text ?? '', entities, self);
  if (command === 'foreign') return undefined;
  if (command?.text === 'learn') return { ...base, type: 'command', ...command, ...ownDocument(message) };
  if (command) return { ...base, type: 'command', ...command };
  const asked = withoutMention(text ?? '', entities, self);
  if (message.chat.type !== 'private' && !isReplyToBot && !asked.isMentioned) return undefined;
  return { ...base, type: 'question', text: asked.text };
}

/** The press of the stop button that Telegram shows under a draft. */
export function stopEvent(
  { chat, message_thread_id: thread }: MessageGenerationStopped,
  { id, job, atMs }: { readonly id: string; readonly job: string; readonly atMs: number },
): ChatEvent {
  const user: User = { id: chat.id, is_bot: false, first_name: chat.first_name };
  const place = placeOf(chat, thread);
  return { ...emptyEvent(user, place), id, type: 'press', text: 'stop', argument: job, atMs };
}

/** The id of an update's event. */
export function eventId(update: Update, self: TelegramSelf): string {
  return `telegram:${self.id}:${update.update_id}`;
}

function topicOf(message: MaybeInaccessibleMessage): number | undefined {
  return 'is_topic_message' in message && message.is_topic_message ? message.message_thread_id : undefined;
}

function emptyEvent(user: User, place: Place): Omit<ChatEvent, 'id' | 'type' | 'atMs'> {
  return {
    platform: 'telegram',
    userId: String(user.id),
    userName: clipped(user.first_name, 64),
    language: clipped(user.language_code ?? '', 16),
    place,
    messageId: undefined,
    text: '',
    argument: '',
    quote: '',
    attachments: [],
    token: '',
  };
}

function placeOf(chat: Chat, thread: number | undefined): Place {
  return {
    chat: String(chat.id),
    thread: thread === undefined ? undefined : String(thread),
    direct: chat.type === 'private',
    guild: undefined,
  };
}

/** A leading `/name` or `/name@bot`; `foreign` when it names another bot. */
function commandOf(
  text: string,
  entities: readonly MessageEntity[],
  self: TelegramSelf,
): { readonly text: string; readonly argument: string } | 'foreign' | undefined {
  const entity = entities.find((one) => one.type === 'bot_command' && one.offset === 0);
  if (!entity) return undefined;
  const [name = '', bot] = text.slice(1, entity.length).split('@');
  if (bot !== undefined && bot.toLowerCase() !== self.username.toLowerCase()) return 'foreign';
  return { text: name.toLowerCase(), argument: text.slice(entity.length).trim() };
}

function withoutMention(
  text: string,
  entities: readonly MessageEntity[],
  self: TelegramSelf,
): { readonly text: string; readonly isMentioned: boolean } {
  const name = `@${self.username.toLowerCase()}`;
  const mention = entities.find(
    (one) => one.type === 'mention' && text.slice(one.offset, one.offset + one.length).toLowerCase() === name,
  );
  if (!mention) return { text: text.trim(), isMentioned: false };
  const rest = text.slice(0, mention.offset) + text.slice(mention.offset + mention.length);
  return { text: rest.replace(/^[\s,:]+/, '').trim(), isMentioned: true };
}

/** What of a message is the sender's own to give: nothing that was forwarded, and of a quoted one only a file of theirs. */
function ownDocument(message: Message): Partial<Pick<ChatEvent, 'argument' | 'attachments'>> {
  if (message.forward_origin !== undefined) return { argument: '', attachments: [] };
  const own = attachmentsOf(message);
  const replied = message.reply_to_message;
  const isOwn = replied?.from?.id === message.from?.id && replied?.forward_origin === undefined;
  return { attachments: own.length > 0 || !replied || !isOwn ? own : attachmentsOf(replied) };
}

function attachmentsOf(message: Pick<Message, 'document'>): readonly Attachment[] {
  const { document } = message;
  if (!document) return [];
  return [
    {
      id: document.file_id,
      name: clipped(document.file_name ?? '', 200),
      sizeBytes: document.file_size ?? 0,
    },
  ];
}
