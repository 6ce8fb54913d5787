/** What Discord takes and shows: the checks and the shapes of the stand-in. */
import type { IncomingMessage } from 'node:http';
import {
  type APIActionRowComponent,
  type APIButtonComponentWithCustomId,
  type APIEntitlement,
  type APIMessage,
  type APIUser,
  ApplicationIntegrationType,
  ChannelType,
  ComponentType,
  InteractionContextType,
  Locale,
  MessageType,
} from 'discord-api-types/v10';

/** The bot's id. */
export const SELF = '900';

/** Who does something where. */
export interface Actor {
  readonly user: string;
  readonly channel: string;
  /** Absent in direct messages. */
  readonly guild: string | undefined;
  /** The person installed the bot for themselves; it is in no server. */
  readonly alone?: boolean;
}

const NO_ENTITLEMENTS: APIEntitlement[] = [];

/** A request's parameters, unchecked. */
export type Body = Readonly<Record<string, unknown>>;
/** An answer with an error. */
export class Refused extends Error {
  readonly status: number;
  readonly body: { readonly code: number; readonly message: string };
  constructor(status: number, code: number, message: string) {
    super(message);
    this.status = status;
    this.body = { code, message };
  }
}

/** A user, or the bot. */
export function userOf(id: string, bot: boolean): APIUser {
  return {
    id,
    username: bot ? 'sahara' : `user${id}`,
    discriminator: '0',
    global_name: null,
    avatar: null,
    ...(bot && { bot }),
  };
}

/** A message without components. */
export function messageOf(id: string, channel: string, author: APIUser, content: string): APIMessage {
  return {
    id,
    channel_id: channel,
    author,
    content,
    timestamp: new Date(0).toISOString(),
    edited_timestamp: null,
    tts: false,
    mention_everyone: false,
    mentions: [],
    mention_roles: [],
    attachments: [],
    embeds: [],
    pinned: false,
    type: MessageType.Default,
    components: [],
  };
}

/** What all interactions share. */
export interface InteractionBase {
  readonly id: string;
  readonly application_id: string;
  readonly token: string;
  readonly version: 1;
  readonly user: APIUser;
  readonly locale: Locale;
  readonly app_permissions: string;
  readonly entitlements: APIEntitlement[];
  readonly authorizing_integration_owners: { readonly [K in ApplicationIntegrationType]?: string };
  readonly attachment_size_limit: number;
  readonly channel_id: string;
  readonly channel: { id: string; type: ChannelType.DM } | { id: string; type: ChannelType.GuildText };
  readonly context: InteractionContextType;
  readonly guild_id?: string;
}

/** An interaction without what its kind adds. */
export function interactionOf(id: string, actor: Actor): InteractionBase {
  const user = userOf(actor.user, false);
  return {
    id,
    application_id: SELF,
    token: `token-${id}`,
    version: 1,
    user,
    locale: Locale.EnglishUS,
    app_permissions: '0',
    entitlements: NO_ENTITLEMENTS,
    authorizing_integration_owners: actor.alone
      ? { [ApplicationIntegrationType.UserInstall]: actor.user }
      : { [ApplicationIntegrationType.GuildInstall]: actor.guild ?? '0' },
    attachment_size_limit: 1_000_000,
    channel_id: actor.channel,
    channel:
      actor.guild === undefined
        ? { id: actor.channel, type: ChannelType.DM }
        : { id: actor.channel, type: ChannelType.GuildText },
    context: contextOf(actor),
    ...(actor.guild !== undefined && { guild_id: actor.guild }),
  };
}

function contextOf({ guild, alone }: Actor): InteractionContextType {
  if (guild !== undefined) return InteractionContextType.Guild;
  return alone ? InteractionContextType.PrivateChannel : InteractionContextType.BotDM;
}

/** A form that someone sees. */
export interface SeenForm {
  readonly id: string;
  readonly title: string;
  /** What it says above its fields. */
  readonly words: string;
  /** What is filled in already, by the name of the field. */
  readonly fields: ReadonlyMap<string, string>;
}

function fieldsOf(value: unknown): object {
  return value instanceof Object ? value : {};
}

/** The form in a response, or a refusal. */
export function formOf(body: Body): SeenForm {
  const { data } = body;
  const {
    custom_id: id,
    title,
    components,
  } = { custom_id: '', title: '', components: [], ...(data instanceof Object && data) };
  const fields = new Map<string, string>();
  let words = '';
  for (const part of Array.isArray(components) ? components : []) {
    const shown = { type: 0, content: '', ...fieldsOf(part) };
    if (shown.type === ComponentType.TextDisplay) {
      if (shown.content === '' || shown.content.length > 4000)
        throw new Refused(400, 50_035, 'Invalid Form Body: content');
      words += shown.content;
      continue;
    }
    const { type, label, component } = { type: 0, label: '', component: {}, ...fieldsOf(part) };
    const {
      custom_id: name,
      value,
      max_length: max,
    } = { custom_id: '', value: '', max_length: 4000, ...fieldsOf(component) };
    if (
      type !== ComponentType.Label ||
      label === '' ||
      label.length > 45 ||
      name === '' ||
      value.length > max ||
      max > 4000
    )
      throw new Refused(400, 50_035, 'Invalid Form Body: component');
    fields.set(name, value);
  }
  if (id === '' || title === '' || title.length > 45 || fields.size === 0 || fields.size > 5)
    throw new Refused(400, 50_035, 'Invalid Form Body: form');
  return { id, title, words, fields };
}

/** The text of a message to send, or a refusal; one that could ping is refused too. */
export function contentOf(body: Body): string {
  const { content, allowed_mentions: allowed } = body;
  if (typeof content !== 'string' || content.trim() === '')
    throw new Refused(400, 50_006, 'Cannot send an empty message');
  if (content.length > 2000) throw new Refused(400, 50_035, 'Invalid Form Body: content is longer than 2000');
  const isThinking = content === 'is thinking…';
  const pings = !(
    allowed instanceof Object &&
    'parse' in allowed &&
    Array.isArray(allowed.parse) &&
    allowed.parse.length === 0
  );
  if (pings && !isThinking) throw new Refused(400, 50_035, 'stand-in: this message could ping');
  return content;
}

/** The buttons of a message to send, or a refusal. */
export function componentsOf(body: Body): APIActionRowComponent<APIButtonComponentWithCustomId>[] {
  const { components } = body;
  if (components === undefined) return [];
  if (!Array.isArray(components) || components.length > 5)
    throw new Refused(400, 50_035, 'Invalid Form Body');
  return components.map((row: unknown) => {
    const buttons =
      row instanceof Object && 'components' in row && Array.isArray(row.components) ? row.components : [];
    if (buttons.length === 0 || buttons.length > 5)
      throw new Refused(400, 50_035, 'Invalid Form Body: components');
    return { type: ComponentType.ActionRow, components: buttons };
  });
}

/** The parameters of a request. */
export async function readBody(request: IncomingMessage): Promise<Body> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part);
  const value: unknown = parts.length === 0 ? {} : JSON.parse(Buffer.concat(parts).toString());
  if (Array.isArray(value)) return Object.assign(value, {}) as unknown as Body;
  return value instanceof Object ? { ...value } : {};
}
