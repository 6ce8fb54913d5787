/** What the Bot API takes and shows: the checks and the shapes of the stand-in. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type {
  ApiError,
  Chat,
  Document,
  InlineKeyboardMarkup,
  InlineQueryResultArticle,
  MessageEntity,
  UserFromGetMe,
} from '@grammyjs/types';

/** A request's parameters, unchecked. */
export type Body = Readonly<Record<string, unknown>>;
/** An answer that is not ok. */
export class Refusal extends Error {
  readonly answer: ApiError;
  constructor(code: number, description: string, retryAfter?: number) {
    super(description);
    const parameters = retryAfter === undefined ? undefined : { retry_after: retryAfter };
    this.answer = { ok: false, error_code: code, description, ...(parameters && { parameters }) };
  }
}

/** The bot. */
export function botUser(): UserFromGetMe {
  return {
    id: 4242,
    is_bot: true,
    first_name: 'Sahara',
    username: 'sahara_bot',
    can_join_groups: true,
    can_read_all_group_messages: false,
    can_manage_bots: false,
    supports_inline_queries: true,
    supports_join_request_queries: false,
    can_connect_to_business: false,
    has_main_web_app: false,
    has_topics_enabled: false,
    allows_users_to_create_topics: false,
  };
}

/** A chat; ids below 0 are groups. */
export function chatOf(id: number): Exclude<Chat, Chat.ChannelChat> {
  if (id < 0) return { id, type: 'group', title: `Group ${-id}` };
  return { id, type: 'private', first_name: `User ${id}` };
}

/** A file that someone sends. */
export function documentOf(
  document: { readonly name: string; readonly content: Uint8Array },
  id: number,
): Document {
  const file = `file-${id}`;
  return {
    file_id: file,
    file_unique_id: file,
    file_name: document.name,
    file_size: document.content.length,
  };
}

/** The entities that Telegram finds in what someone writes. */
export function commandEntities(text: string): MessageEntity[] {
  const command = /^\/[\w@]+/.exec(text)?.[0];
  const mentions = [...text.matchAll(/@\w+/g)].filter((match) => match.index >= (command?.length ?? 0));
  return [
    ...(command ? [{ type: 'bot_command' as const, offset: 0, length: command.length }] : []),
    ...mentions.map((match) => ({ type: 'mention' as const, offset: match.index, length: match[0].length })),
  ];
}

/** The text and entities of a message to send, or a refusal. */
export function checkedText(body: Body): { readonly text: string; readonly entities: MessageEntity[] } {
  const text = string(body, 'text');
  const entities = entitiesOf(body.entities, text);
  if (text.trim() === '') throw new Refusal(400, 'Bad Request: message text is empty');
  if (text.length > 4096) throw new Refusal(400, 'Bad Request: message is too long');
  if (entities.length > 100) throw new Refusal(400, 'Bad Request: too many entities');
  return { text, entities };
}

function entitiesOf(value: unknown, text: string): MessageEntity[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new Refusal(400, 'Bad Request: entities are not a list');
  return value.map((one: unknown) => {
    if (!isEntity(one)) throw new Refusal(400, `Bad Request: can't parse entity ${JSON.stringify(one)}`);
    const end = one.offset + one.length;
    if (
      one.offset < 0 ||
      one.length <= 0 ||
      end > text.length ||
      divides(text, one.offset) ||
      divides(text, end)
    ) {
      throw new Refusal(400, `Bad Request: entity out of range ${JSON.stringify(one)}`);
    }
    return one;
  });
}

const ENTITY_TYPES = ['bold', 'italic', 'strikethrough', 'code', 'pre', 'text_link', 'blockquote'];

function isEntity(value: unknown): value is MessageEntity {
  if (typeof value !== 'object' || value === null) return false;
  const { type, offset, length, url } = { type: '', offset: 0, length: 0, url: '', ...value };
  const hasUrl = type !== 'text_link' || /^(https?|mailto):/.test(url);
  return ENTITY_TYPES.includes(type) && Number.isInteger(offset) && Number.isInteger(length) && hasUrl;
}

function divides(text: string, at: number): boolean {
  const low = text.charCodeAt(at);
  const high = text.charCodeAt(at - 1);
  return low >= 0xdc00 && low < 0xe000 && high >= 0xd800 && high < 0xdc00;
}

/** The buttons of a message to send, or a refusal. */
export function keyboardOf(body: Body): InlineKeyboardMarkup | undefined {
  const markup = body.reply_markup;
  if (typeof markup !== 'object' || markup === null || !('inline_keyboard' in markup)) return undefined;
  const rows: unknown = markup.inline_keyboard;
  if (!Array.isArray(rows)) throw new Refusal(400, 'Bad Request: keyboard is not a list');
  const buttons = rows.flat().map((one: unknown) => {
    const { text, callback_data } = { text: '', callback_data: '', ...(one instanceof Object ? one : {}) };
    if (text === '' || callback_data === '' || Buffer.byteLength(callback_data) > 64) {
      throw new Refusal(400, 'Bad Request: BUTTON_DATA_INVALID');
    }
    return { text, callback_data };
  });
  return { inline_keyboard: buttons.length === 0 ? [] : [buttons] };
}

/** The topic that a message is sent to. */
export function topicOf(body: Body): { is_topic_message?: true; message_thread_id?: number } {
  if (body.message_thread_id === undefined) return {};
  return { is_topic_message: true, message_thread_id: integer(body, 'message_thread_id') };
}

/** The articles that an inline query is answered with, or a refusal. */
export function articlesOf(body: Body): readonly InlineQueryResultArticle[] {
  const { results } = body;
  if (!Array.isArray(results) || results.length > 50) throw new Refusal(400, 'Bad Request: RESULTS_TOO_MUCH');
  const ids = new Set<string>();
  return results.map((one: unknown) => {
    if (!isArticle(one) || ids.has(one.id)) throw new Refusal(400, 'Bad Request: RESULT_ID_INVALID');
    ids.add(one.id);
    return one;
  });
}

function isArticle(value: unknown): value is InlineQueryResultArticle {
  if (!(value instanceof Object)) return false;
  const {
    type,
    id,
    title,
    input_message_content: content,
  } = {
    type: '',
    id: '',
    title: '',
    input_message_content: {},
    ...value,
  };
  const text = 'message_text' in content ? content.message_text : '';
  const isShort = typeof text === 'string' && text !== '' && text.length <= 4096;
  return type === 'article' && id !== '' && Buffer.byteLength(id) <= 64 && title !== '' && isShort;
}

/** The message that a message to send replies to. */
export function replyOf(body: Body): number | undefined {
  const parameters = body.reply_parameters;
  if (typeof parameters !== 'object' || parameters === null || !('message_id' in parameters))
    return undefined;
  return typeof parameters.message_id === 'number' ? parameters.message_id : undefined;
}

/** A whole number among the parameters, or a refusal. */
export function integer(body: Body, name: string, otherwise?: number): number {
  const value = body[name] ?? otherwise;
  const number = typeof value === 'string' ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isInteger(number))
    throw new Refusal(400, `Bad Request: ${name} is wrong`);
  return number;
}

/** A text among the parameters, or a refusal. */
export function string(body: Body, name: string): string {
  const value = body[name];
  if (typeof value !== 'string') throw new Refusal(400, `Bad Request: ${name} is wrong`);
  return value;
}

/** The parameters of a request. */
export async function readBody(request: IncomingMessage): Promise<Body> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part);
  const value: unknown = parts.length === 0 ? {} : JSON.parse(Buffer.concat(parts).toString());
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

/** Ends a request with JSON. */
export function send(response: ServerResponse, status: number, answer: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
}
