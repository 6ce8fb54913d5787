/**
 * A thread for each conversation. A thread that is begun at a message has the message's id, so beginning it twice is the
 * same as once. Where Discord lets the bot begin none, answers stay replies, and it is not tried again for a while.
 */
import {
  DiscordAPIError,
  type REST,
  type RESTPostAPIChannelMessagesThreadsJSONBody,
  Routes,
  ThreadAutoArchiveDuration,
} from 'discord.js';
import type { Clock } from '../../base/clock.ts';
import { clipped } from '../core/markdown.ts';
import { type ChatEvent, faultOf, type Place } from '../core/platform.ts';
import { PACED_CHATS_MAX } from '../limits.ts';
import { discordFailure } from './failures.ts';

const ALREADY_CREATED = 160_004;
/** How long a channel counts as one without threads, milliseconds: an hour. Permissions change. */
const WITHOUT_MS = 3_600_000;
const NAME_CHARACTERS_MAX = 90;

/** Begins the thread of a question's conversation; `undefined` where there is none. Throws what trying again may mend. */
export function createThreads(rest: REST, clock: Clock): (event: ChatEvent) => Promise<Place | undefined> {
  const without = new Map<string, number>();

  return async (event) => {
    const { place, messageId } = event;
    if (place.direct || place.guild === undefined || event.type !== 'question' || messageId === undefined)
      return undefined;
    if ((without.get(place.chat) ?? 0) > clock.monotonicMs()) return undefined;
    const body: RESTPostAPIChannelMessagesThreadsJSONBody = {
      name: nameOf(event.text),
      auto_archive_duration: ThreadAutoArchiveDuration.OneDay,
    };
    try {
      await rest.post(Routes.threads(place.chat, messageId), { body });
    } catch (error) {
      if (!(error instanceof DiscordAPIError && error.code === ALREADY_CREATED)) {
        const failure = discordFailure(error);
        const fault = faultOf(failure);
        if (fault !== 'forbidden' && fault !== 'refused') throw failure;
        if (without.size >= PACED_CHATS_MAX) without.clear();
        without.set(place.chat, clock.monotonicMs() + WITHOUT_MS);
        return undefined;
      }
    }
    return { ...place, chat: messageId };
  };
}

function nameOf(question: string): string {
  const line = question.replace(/\s+/g, ' ').trim();
  return line === '' ? 'Sahara' : clipped(line, NAME_CHARACTERS_MAX);
}
