/**
 * Answers that are being written, as drafts: Telegram shows them in direct chats with a stop button of its own, and no
 * message exists until the answer is whole. Servers and chats without drafts get a message that is edited.
 */
import { type Api, GrammyError } from 'grammy';
import type { DraftRequest } from '../core/platform.ts';
import { telegramEntities } from './content.ts';
import { telegramFailure } from './failures.ts';

/** Shows a draft; `false` where there are none. Throws what trying again may mend. */
export function createDrafts(api: Api): (request: DraftRequest) => Promise<boolean> {
  let isKnown = true;
  return async ({ place, key, content }) => {
    if (!isKnown || !place.direct) return false;
    const { rich } = content;
    try {
      return await api.sendMessageDraft(Number(place.chat), draftId(key), rich.text, {
        entities: telegramEntities(rich),
        can_stop: true,
        keep_on_stop: true,
        ...(place.thread !== undefined && { message_thread_id: Number(place.thread) }),
      });
    } catch (error) {
      if (!(error instanceof GrammyError) || (error.error_code !== 404 && error.error_code !== 400))
        throw telegramFailure(error);
      // 404: a server without the method. 400: something about this text or chat, for which a message may do.
      if (error.error_code === 404) isKnown = false;
      return false;
    }
  };
}

/** The number of the draft of a job's answer, never 0. */
export function draftId(key: string): number {
  return Number.parseInt(key.slice(0, 7), 16) + 1;
}
