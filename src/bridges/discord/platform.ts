/**
 * The platform's verbs over Discord's REST API. Each new message carries a nonce that Discord enforces for some
 * minutes, and a message whose sending was never confirmed is looked for by what it replies to. An interaction's first message is
 * its deferred response, which is edited into being and so cannot double. Tokens of interactions die after 15
 * minutes; the bot's own token still edits what everyone can see.
 */
import {
  type APIMessage,
  InteractionResponseType,
  MessageFlags,
  MessageType,
  type REST,
  type RESTPostAPIChannelMessageJSONBody,
  Routes,
} from 'discord.js';
import type { Clock } from '../../base/clock.ts';
import { SaharaError } from '../../base/errors.ts';
import {
  type ChatEvent,
  faultOf,
  type MessageContent,
  type PlaceRequest,
  type Platform,
  platformFailure,
  type Shop,
} from '../core/platform.ts';
import { DISCORD_LIMIT, discordButtons, discordMarkdown } from './content.ts';
import { discordFailure, isAlreadyAcknowledged, isDeadInteraction } from './failures.ts';
import { interactionOf, isAlone, isEphemeral, isSilent } from './interactions.ts';
import { createThreads } from './threads.ts';

/** What the platform works with. */
export interface DiscordParts {
  readonly rest: REST;
  readonly applicationId: string;
  readonly clock: Clock;
  /** Hosts that attachments may be fetched from. */
  readonly fileHosts: readonly string[];
  /** Whether a question in a channel begins a thread. */
  readonly threads: boolean;
  /** Absent where nothing is sold. */
  readonly shop?: Shop | undefined;
}

type MessageBody = Required<
  Pick<RESTPostAPIChannelMessageJSONBody, 'content' | 'components' | 'allowed_mentions'>
>;

const INTERACTION_LIFE_MS = 14 * 60_000;
const SEARCHED_MAX = 50;

/** Discord as the bridge's core sees it. */
export function createDiscordPlatform({ rest, applicationId, clock, ...parts }: DiscordParts): Platform {
  const request = async <T>(run: () => Promise<T>): Promise<T> => {
    try {
      return await run();
    } catch (error) {
      throw discordFailure(error);
    }
  };

  const isAlive = (event: ChatEvent): boolean =>
    event.token !== '' && clock.nowMs() - event.atMs < INTERACTION_LIFE_MS;

  /** Fills the deferred response in; `undefined` when the interaction is dead or was never acknowledged. */
  async function fillResponse(event: ChatEvent, content: MessageContent): Promise<string | undefined> {
    try {
      return (await patchByToken(event, '@original', content)).id;
    } catch (error) {
      if (isDeadInteraction(error) || faultOf(discordFailure(error)) === 'gone') return undefined;
      throw discordFailure(error);
    }
  }

  // Responses are typed by what Discord documents for the route; the library leaves them unknown.
  function patchByToken(event: ChatEvent, messageId: string, content: MessageContent): Promise<APIMessage> {
    const route = Routes.webhookMessage(applicationId, interactionOf(event).token, messageId);
    return rest.patch(route, { auth: false, body: bodyOf(content) }) as Promise<APIMessage>;
  }

  async function followUp(event: ChatEvent, content: MessageContent): Promise<string> {
    const route = Routes.webhook(applicationId, interactionOf(event).token);
    const body = { ...bodyOf(content), flags: MessageFlags.SuppressEmbeds | MessageFlags.Ephemeral };
    const message = (await request(() => rest.post(route, { auth: false, body }))) as APIMessage;
    return message.id;
  }

  async function send({ place, replyTo, content, key, index }: PlaceRequest): Promise<string> {
    const body: RESTPostAPIChannelMessageJSONBody = {
      ...bodyOf(content),
      nonce: `${key}${index}`,
      enforce_nonce: true,
      flags: MessageFlags.SuppressEmbeds,
      ...(replyTo !== undefined && { message_reference: { message_id: replyTo, fail_if_not_exists: false } }),
    };
    const message = (await request(() =>
      rest.post(Routes.channelMessages(place.chat), { body }),
    )) as APIMessage;
    return message.id;
  }

  async function findLost(asked: PlaceRequest): Promise<string | undefined> {
    const { event, place, replyTo, after, isTaken } = asked;
    // In the thread that its question began, an answer replies to nothing; everything else there does.
    const isOpening = replyTo === undefined && place.chat === event.messageId;
    const first = replyTo ?? (isOpening ? event.messageId : undefined);
    if (first === undefined) return undefined;
    const query = new URLSearchParams({ limit: String(SEARCHED_MAX), after: after ?? first });
    try {
      const route = Routes.channelMessages(place.chat);
      const messages = (await request(() => rest.get(route, { query }))) as readonly APIMessage[];
      const lost = messages.filter(
        (message) =>
          message.type === (isOpening ? MessageType.Default : MessageType.Reply) &&
          message.author.id === applicationId &&
          message.message_reference?.message_id === replyTo &&
          !isTaken(message.id),
      );
      return lost.at(-1)?.id;
    } catch (error) {
      // Without the right to read a channel's history only the nonce guards.
      if (faultOf(error) === 'forbidden') return undefined;
      throw error;
    }
  }

  async function editByBot(chat: string, messageId: string, content: MessageContent): Promise<void> {
    await request(() => rest.patch(Routes.channelMessage(chat, messageId), { body: bodyOf(content) }));
  }

  return {
    name: 'discord',
    limit: DISCORD_LIMIT,
    shop: parts.shop,
    hasForms: true,
    sequenceOf: () => 'all',
    async ack(event) {
      if (event.token === '') return;
      const { id, token } = interactionOf(event);
      const type = isSilent(event)
        ? InteractionResponseType.DeferredMessageUpdate
        : InteractionResponseType.DeferredChannelMessageWithSource;
      const isSecret = isEphemeral(event) && !isSilent(event);
      const body = { type, ...(isSecret && { data: { flags: MessageFlags.Ephemeral } }) };
      try {
        await rest.post(Routes.interactionCallback(id, token), { auth: false, body });
      } catch (error) {
        if (!isAlreadyAcknowledged(error)) throw discordFailure(error);
      }
    },
    async place(asked) {
      const { event, content, index } = asked;
      if (isAlive(event)) {
        const filled = index === 0 && !isSilent(event) ? await fillResponse(event, content) : undefined;
        if (filled !== undefined) return filled;
        if (isEphemeral(event)) return followUp(event, content);
      }
      // What only one person may see is not said before everyone because its interaction has ended.
      if (isEphemeral(event) && (isAlone(event) || !asked.place.direct))
        throw platformFailure('discord', 'forbidden', 'the interaction has ended');
      return send(asked);
    },
    find: findLost,
    ...(parts.threads && { converse: createThreads(rest, clock) }),
    async edit(event, place, messageId, content) {
      if (!isAlive(event) || !isEphemeral(event)) return editByBot(place.chat, messageId, content);
      await request(() => patchByToken(event, messageId, content));
    },
    async remove(place, messageId) {
      try {
        await request(() => rest.delete(Routes.channelMessage(place.chat, messageId)));
      } catch (error) {
        if (faultOf(error) !== 'gone') throw error;
      }
    },
    privatePlace: () => undefined,
    async typing(place) {
      await request(() => rest.post(Routes.channelTyping(place.chat)));
    },
    fetchAttachment: ({ id }, sizeBytesMax) => fetchFile(id, parts.fileHosts, sizeBytesMax),
  };
}

function bodyOf(content: MessageContent): MessageBody {
  return {
    content: discordMarkdown(content.rich),
    components: discordButtons(content.buttons),
    allowed_mentions: { parse: [], replied_user: false },
  };
}

async function fetchFile(
  address: string,
  hosts: readonly string[],
  sizeBytesMax: number,
): Promise<Uint8Array> {
  const url = URL.parse(address);
  if (url === null || !hosts.includes(url.host)) throw new SaharaError('document-unreadable');
  const response = await fetch(url, { redirect: 'error' }).catch(() => undefined);
  if (response === undefined || response.status >= 500)
    throw platformFailure('discord', 'uncertain', 'file not read');
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
