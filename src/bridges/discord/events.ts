/** Discord's dispatches as chat events. What is not addressed to the bot gives none. */
import {
  type APIApplicationCommandInteraction,
  type APIAttachment,
  type APIMessageComponentInteraction,
  type APIModalSubmitInteraction,
  type APIUser,
  ApplicationCommandOptionType,
  ApplicationCommandType,
  ApplicationIntegrationType,
  GatewayDispatchEvents,
  type GatewayDispatchPayload,
  type GatewayMessageCreateDispatchData,
  InteractionContextType,
  InteractionType,
} from 'discord.js';
import { pressedButton } from '../core/buttons.ts';
import { clipped } from '../core/markdown.ts';
import type { Attachment, ChatEvent } from '../core/platform.ts';
import { ATTACHMENTS_MAX, QUOTE_CHARACTERS_MAX } from '../limits.ts';
import { ASK_FORM, askedInForm, BUDGET_FORM, budgetInForm } from './instant.ts';
import { interactionToken } from './interactions.ts';

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
  if (interaction.type === InteractionType.ModalSubmit) return formEvent(interaction, atMs);
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
  return {
    ...emptyEvent(message.author, message.channel_id, message.guild_id),
    id: `discord:${message.id}`,
    type: 'question',
    messageId: message.id,
    text,
    quote: replied && replied.author.id !== selfId ? clipped(replied.content, QUOTE_CHARACTERS_MAX) : '',
    attachments: attachmentsOf(message.attachments),
    atMs,
  };
}

function attachmentsOf(files: readonly APIAttachment[]): readonly Attachment[] {
  const readable = files.filter((file) => file.url.length <= ATTACHMENT_ADDRESS_MAX);
  return readable.slice(0, ATTACHMENTS_MAX).map((file) => ({
    id: file.url,
    name: clipped(file.filename, 200),
    sizeBytes: file.size,
  }));
}

function commandEvent(interaction: APIApplicationCommandInteraction, atMs: number): ChatEvent | undefined {
  const { data } = interaction;
  if (data.type !== ApplicationCommandType.ChatInput) return undefined;
  const option = data.options?.find((one) => one.type === ApplicationCommandOptionType.String);
  const argument = option?.type === ApplicationCommandOptionType.String ? option.value : '';
  const attachments = attachmentsOf(Object.values(data.resolved?.attachments ?? {}));
  return interactionEvent(interaction, { type: 'command', text: data.name, argument, attachments, atMs });
}

function formEvent(interaction: APIModalSubmitInteraction, atMs: number): ChatEvent | undefined {
  if (interaction.data.custom_id === BUDGET_FORM) {
    const argument = budgetInForm(interaction.data);
    return interactionEvent(interaction, { type: 'command', text: 'budget', argument, atMs });
  }
  if (interaction.data.custom_id !== ASK_FORM) return undefined;
  const { text, quote } = askedInForm(interaction.data);
  return interactionEvent(interaction, { type: 'command', text: 'ask', argument: text, quote, atMs });
}

function pressEvent(interaction: APIMessageComponentInteraction, atMs: number): ChatEvent | undefined {
  const pressed = pressedButton(interaction.data.custom_id);
  if (!pressed) return undefined;
  return interactionEvent(interaction, {
    type: 'press',
    text: pressed.action,
    argument: pressed.job,
    atMs,
  });
}

type Interaction =
  | APIApplicationCommandInteraction
  | APIMessageComponentInteraction
  | APIModalSubmitInteraction;

function interactionEvent(
  interaction: Interaction,
  more: Pick<ChatEvent, 'type' | 'text' | 'argument' | 'atMs'> &
    Partial<Pick<ChatEvent, 'quote' | 'attachments'>>,
): ChatEvent | undefined {
  const user = interaction.member?.user ?? interaction.user;
  if (!user || interaction.channel === undefined) return undefined;
  const isAlone = onlyTheUserHasIt(interaction);
  const empty = emptyEvent(user, interaction.channel.id, interaction.guild_id);
  return {
    ...empty,
    // What only the person sees is between the person and the bot, wherever it was asked.
    place: isAlone ? { ...empty.place, direct: true, guild: undefined } : empty.place,
    id: `discord:${interaction.id}`,
    language: interaction.locale,
    token: interactionToken(interaction, isAlone),
    ...more,
  };
}

/** Whether the bot is in this place only because the person installed it for themselves. */
function onlyTheUserHasIt({ authorizing_integration_owners: owners, context }: Interaction): boolean {
  const isGuests = owners[ApplicationIntegrationType.GuildInstall] === undefined;
  return isGuests && context !== undefined && context !== InteractionContextType.BotDM;
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
