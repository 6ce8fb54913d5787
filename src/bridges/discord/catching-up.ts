/**
 * What was written while no session was there to be told of it. Discord sends nothing of that again, so where people wrote to the
 * bot before, messages since the last journalled one are read. Each is the event that it would have been, so none is taken twice.
 */
import { type APIMessage, GatewayDispatchEvents, GatewayOpcodes, type REST, Routes } from 'discord.js';
import type { Clock } from '../../base/clock.ts';
import { asSaharaError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Bridge } from '../core/bridge.ts';
import { patiently } from '../core/patience.ts';
import { faultOf, type Place } from '../core/platform.ts';
import { CAUGHT_UP_MESSAGES_MAX, CAUGHT_UP_MS, CAUGHT_UP_PLACES_MAX } from '../limits.ts';
import { discordEvent } from './events.ts';
import { discordFailure } from './failures.ts';

/** What catching up works with. */
export interface CatchingUpParts {
  readonly rest: REST;
  readonly selfId: string;
  readonly bridge: Bridge;
  readonly clock: Clock;
  readonly log: Log;
}

/** First millisecond of Discord's ids. */
const EPOCH_MS = 1_420_070_400_000;
const PAGE_MESSAGES_MAX = 100;

/** Journals what was missed since the message or interaction `heard`; `false` when something could not be read. Never throws. */
export async function catchUp(parts: CatchingUpParts, heard: string): Promise<boolean> {
  const { bridge, clock, log } = parts;
  const earliest = BigInt(Math.max(0, clock.nowMs() - CAUGHT_UP_MS - EPOCH_MS)) << 22n;
  let isWhole = true;
  const after = BigInt(heard) > earliest ? heard : String(earliest);
  for (const place of await bridge.recentPlaces(CAUGHT_UP_PLACES_MAX)) {
    try {
      const messages = await messagesIn(parts, place, after);
      for (const message of messages.toReversed()) await take(parts, place, message);
    } catch (error) {
      // Where the bot may not read any more, nothing is to be read later either.
      if (faultOf(error) !== 'forbidden' && faultOf(error) !== 'gone') isWhole = false;
      log.warn('what was missed is not read', { code: asSaharaError(error).code });
    }
  }
  return isWhole;
}

/** What was written in a place since the message `after`, newest first: page by page back to it, as far as the limit reaches. */
async function messagesIn(
  parts: CatchingUpParts,
  place: Place,
  after: string,
): Promise<readonly APIMessage[]> {
  const found: APIMessage[] = [];
  for (let before: string | undefined; ; before = found.at(-1)?.id) {
    const page = await patiently(parts, () => pageIn(parts.rest, place, before));
    const missed = page.filter(({ id }) => BigInt(id) > BigInt(after));
    found.push(...missed);
    if (missed.length < page.length || page.length < PAGE_MESSAGES_MAX) return found;
    if (found.length >= CAUGHT_UP_MESSAGES_MAX) {
      parts.log.warn('more was missed than is read', { place: place.chat, read: found.length });
      return found;
    }
  }
}

/** Newest first, as Discord lists them. */
async function pageIn(rest: REST, place: Place, before: string | undefined): Promise<readonly APIMessage[]> {
  const query = new URLSearchParams({ limit: String(PAGE_MESSAGES_MAX), ...(before && { before }) });
  try {
    // Discord documents the type of the route; the library leaves it unknown.
    return (await rest.get(Routes.channelMessages(place.chat), { query })) as readonly APIMessage[];
  } catch (error) {
    throw discordFailure(error);
  }
}

async function take(
  { bridge, selfId, clock }: CatchingUpParts,
  { guild }: Place,
  message: APIMessage,
): Promise<void> {
  const where = guild === undefined ? {} : { guild_id: guild };
  const event = discordEvent(
    {
      ...{ op: GatewayOpcodes.Dispatch, s: 0, t: GatewayDispatchEvents.MessageCreate },
      d: { ...message, ...where, mentions: message.mentions },
    },
    selfId,
    clock.nowMs(),
  );
  if (event) await bridge.receive([event]);
}
