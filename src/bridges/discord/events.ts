/** Discord's dispatches as chat events. What is not addressed to the bot gives none. */
import {
  type APIApplicationCommandInteraction,
  type APIMessageComponentInteraction,
  type APIUser,
  ApplicationCommandOptionType,
  ApplicationCommandType,
  GatewayDispatchEvents,
  type GatewayDispatchPayload,
  type GatewayMessageCreateDispatchData,
  InteractionType,
} from 'discord.js';
import { pressedButton } from '../core/buttons.ts';
import { clipped } from '../core/markdown.ts';
import type { ChatEvent } from '../core/platform.ts';
import { ATTACHMENTS_MAX, QUOTE_CHARACTERS_MAX } from '../limits.ts';

/** Longest address of an attachment that is kept. */
const ATTACHMENT_ADDRESS_MAX = 1000;

/** The event of a dispatch, or `undefined` when the bot has nothing to do with it. `atMs` is when it arrived. */
export function discordEvent(
  payload: GatewayDispatchPayload,
  selfId: string,
  atMs: number,
): ChatEvent | undefined {
  if (payload.t === GatewayDispatchEvents.MessageCreate) return messageEvent(payload.d, selfId, atMs);
  if (payload.t !== GatewayDispatchEvents.InteractionCreate) return undefined;
  const interaction = payload.d;
  if (interaction.type === InteractionType.ApplicationCommand) return commandEvent(interaction, atMs);
  return interaction.type === InteractionType.MessageComponent ? pressEvent(interaction, atMs) : undefined;
}

function messageEvent(
  message: GatewayMessageCreateDispatchData,
  selfId: string,
  atMs: number,
): ChatEvent | undefined {
  const isDirect = message.guild_id === undefined;
  const isMentioned = message.mentions.some((user) => user.id === selfId);
  if (message.author.bot || message.webhook_id !== undefined || (!isDirect && !isMentioned)) return undefined;
  const text = message.content.replaceAll(new RegExp(`<@!?${selfId}>`, 'g'), ' ').trim();
  const replied = message.referenced_message;
  const readable = message.attachments.filter((file) => file.url.length <= ATTACHMENT_ADDRESS_MAX);
  const attachments = readable.slice(0, ATTACHMENTS_MAX).map((file) => ({
    id: file.url,
    name: clipped(file.filename, 200),
    sizeBytes: file.size,
  }));
  return {
    ...emptyEvent(message.author, message.channel_id, message.guild_id),
    id: `discord:${message.id}`,
    type: 'question',
    messageId: message.id,
    text,
    quote: replied && replied.author.id !== selfId ? clipped(replied.content, QUOTE_CHARACTERS_MAX) : '',
    attachments,
    atMs,
  };
}

function commandEvent(interaction: APIApplicationCommandInteraction, atMs: number): ChatEvent | undefined {
  const user = interaction.member?.user ?? interaction.user;
  const { data } = interaction;
  if (!user || data.type !== ApplicationCommandType.ChatInput) return undefined;
  const option = data.options?.find((one) => one.type === ApplicationCommandOptionType.String);
  return {
    ...emptyEvent(user, interaction.channel.id, interaction.guild_id),
    id: `discord:${interaction.id}`,
    type: 'command',
    language: interaction.locale,
    text: data.name,
    argument: option?.type === ApplicationCommandOptionType.String ? option.value : '',
    token: tokenOf(interaction),
    atMs,
  };
}

function pressEvent(interaction: APIMessageComponentInteraction, atMs: number): ChatEvent | undefined {
  const user = interaction.member?.user ?? interaction.user;
  const pressed = pressedButton(interaction.data.custom_id);
  if (!user || !pressed) return undefined;
  return {
    ...emptyEvent(user, interaction.channel.id, interaction.guild_id),
    id: `discord:${interaction.id}`,
    type: 'press',
    language: interaction.locale,
    text: pressed.action,
    argument: pressed.job,
    token: tokenOf(interaction),
    atMs,
  };
}

/** What an interaction is answered with: its id and its token. */
function tokenOf(interaction: { readonly id: string; readonly token: string }): string {
  return `${interaction.id}/${interaction.token}`;
}

function emptyEvent(
  user: APIUser,
  channel: string,
  guild: string | undefined,
): Omit<ChatEvent, 'id' | 'type' | 'atMs'> {
  return {
    platform: 'discord',
    userId: user.id,
    userName: clipped(user.global_name ?? user.username, 64),
    language: clipped(user.locale ?? '', 16),
    place: { chat: channel, thread: undefined, direct: guild === undefined, guild },
    messageId: undefined,
    text: '',
    argument: '',
    quote: '',
    attachments: [],
    token: '',
  };
}
