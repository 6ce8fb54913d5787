/**
 * The platform's verbs over the Bot API. Telegram has no idempotency keys, so a message whose sending was never
 * confirmed is found by editing: only messages of the bot's own can be edited, their ids rise, and those that the
 * journal knows are passed over. What answers an edit and replies to the same question is the lost one.
 */
import { type Api, GrammyError } from 'grammy';
import type { Message } from 'grammy/types';
import { SaharaError } from '../../base/errors.ts';
import {
  type MessageContent,
  type Place,
  type PlaceRequest,
  type Platform,
  platformFailure,
  type Shop,
} from '../core/platform.ts';
import { plain } from '../core/rich.ts';
import { FIND_WINDOW } from '../limits.ts';
import { TELEGRAM_LIMIT, telegramEntities, telegramKeyboard } from './content.ts';
import { createDrafts } from './drafts.ts';
import { isUnchanged, telegramFailure } from './failures.ts';

/** What the platform works with. */
export interface TelegramParts {
  readonly api: Api;
  /** Reads a file by its path on Telegram's file server; rejects without naming the token. */
  readonly download: (path: string) => Promise<Response>;
  /** Absent where nothing is sold. */
  readonly shop?: Shop | undefined;
}

const FOUND: MessageContent = { rich: plain('…'), buttons: [] };
const FOUND_AGAIN: MessageContent = { rich: plain('… …'), buttons: [] };

/** Telegram as the bridge's core sees it. */
export function createTelegramPlatform({ api, download, shop }: TelegramParts): Platform {
  const found = new Map<string, number>();

  async function edit(place: Place, messageId: number, content: MessageContent): Promise<Message | 'same'> {
    const more = {
      entities: telegramEntities(content.rich),
      link_preview_options: { is_disabled: true },
      reply_markup: telegramKeyboard(content.buttons),
    };
    try {
      const edited = await api.editMessageText(place.chat, messageId, content.rich.text, more);
      if (edited === true) throw platformFailure('telegram', 'refused', 'edited an inline message');
      return edited;
    } catch (error) {
      if (isUnchanged(error)) return 'same';
      throw telegramFailure(error);
    }
  }

  async function send({ place, replyTo, content }: PlaceRequest): Promise<string> {
    const thread = Number(place.thread);
    try {
      const message = await api.sendMessage(place.chat, content.rich.text, {
        entities: telegramEntities(content.rich),
        link_preview_options: { is_disabled: true },
        ...(content.buttons.length > 0 && { reply_markup: telegramKeyboard(content.buttons) }),
        ...(replyTo !== undefined && {
          reply_parameters: { message_id: Number(replyTo), allow_sending_without_reply: true },
        }),
        ...(place.thread !== undefined && { message_thread_id: thread }),
      });
      return String(message.message_id);
    } catch (error) {
      throw telegramFailure(error);
    }
  }

  /** The id of the message that an unconfirmed sending left, if any. Goes on where a 429 broke it off. */
  async function findLost(request: PlaceRequest): Promise<string | undefined> {
    const first = Number(request.after ?? request.replyTo ?? 0) + 1;
    const search = `${request.key}/${request.index}`;
    for (let id = found.get(search) ?? first; id < first + FIND_WINDOW; id++) {
      found.set(search, id);
      if (request.isTaken(String(id)) || String(id) === request.replyTo) continue;
      if (await isLost(request, id)) {
        found.delete(search);
        return String(id);
      }
      await request.next();
    }
    found.delete(search);
    return undefined;
  }

  /** Whether a message answers an edit and replies to the same question. The edits show only that something comes. */
  async function isLost({ place, replyTo, next }: PlaceRequest, id: number): Promise<boolean> {
    try {
      // An edit that changes nothing does not tell what the message replies to, so the second differs.
      let edited = await edit(place, id, FOUND);
      if (edited === 'same') {
        await next();
        edited = await edit(place, id, FOUND_AGAIN);
      }
      if (edited === 'same') return false;
      return edited.reply_to_message?.message_id === (replyTo === undefined ? undefined : Number(replyTo));
    } catch (error) {
      const failure = telegramFailure(error);
      if (failure.code !== 'platform-failed' || failure.facts.fault === 'uncertain') throw failure;
      return false;
    }
  }

  return {
    name: 'telegram',
    limit: TELEGRAM_LIMIT,
    shop,
    hasForms: false,
    // Supergroups and channels count for themselves; all other chats of an account share one sequence.
    sequenceOf: ({ chat }) => (chat.startsWith('-100') ? chat : 'account'),
    async ack(event) {
      // A draft's own stop button wants no answer.
      if (event.type !== 'press' || event.token === '') return;
      try {
        await api.answerCallbackQuery(event.token);
      } catch (error) {
        // A query that is too old was answered before, or nobody waits for it any more.
        if (!(error instanceof GrammyError && error.error_code === 400)) throw telegramFailure(error);
      }
    },
    draft: createDrafts(api),
    place: send,
    find: findLost,
    async edit(_event, place, messageId, content) {
      await edit(place, Number(messageId), content);
    },
    async remove(place, messageId) {
      try {
        await api.deleteMessage(place.chat, Number(messageId));
      } catch (error) {
        const failure = telegramFailure(error);
        if (failure.facts.fault !== 'refused' && failure.facts.fault !== 'gone') throw failure;
      }
    },
    privatePlace: (event) =>
      event.place.direct
        ? undefined
        : { chat: event.userId, thread: undefined, direct: true, guild: undefined },
    async typing(place) {
      const thread = place.thread === undefined ? {} : { message_thread_id: Number(place.thread) };
      try {
        await api.sendChatAction(place.chat, 'typing', thread);
      } catch (error) {
        throw telegramFailure(error);
      }
    },
    async fetchAttachment(attachment, sizeBytesMax) {
      try {
        const file = await api.getFile(attachment.id);
        return await bytesOf(await download(file.file_path ?? ''), sizeBytesMax);
      } catch (error) {
        throw telegramFailure(error);
      }
    },
  };
}

async function bytesOf(response: Response, sizeBytesMax: number): Promise<Uint8Array> {
  if (response.status >= 500) throw platformFailure('telegram', 'uncertain', 'file not read');
  if (!response.ok || response.body === null) throw new SaharaError('document-unreadable');
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body) {
    size += part.length;
    if (size > sizeBytesMax) throw new SaharaError('document-too-large', { max: sizeBytesMax });
    parts.push(part);
  }
  return Buffer.concat(parts);
}
