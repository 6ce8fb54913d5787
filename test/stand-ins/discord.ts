/**
 * Discord for tests: REST over HTTP and the gateway over WebSocket. Identify, heartbeats, resume with replay, invalid
 * sessions; interactions that must be acknowledged once and in time and whose tokens expire; enforced nonces; edits of
 * the bot's own messages only; lengths; rate-limit buckets with their headers; faults on request.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type APIApplicationCommandAutocompleteInteraction,
  type APIApplicationCommandOptionChoice,
  type APIAttachment,
  type APIChatInputApplicationCommandInteraction,
  type APIEntitlement,
  type APIMessage,
  type APIMessageApplicationCommandInteraction,
  type APIMessageComponentButtonInteraction,
  type APIModalSubmitInteraction,
  type APIUser,
  ApplicationCommandOptionType,
  ApplicationCommandType,
  ApplicationFlags,
  ChannelType,
  ComponentType,
  EntitlementType,
  GatewayCloseCodes,
  GatewayDispatchEvents,
  type GatewayDispatchPayload,
  type GatewayInteractionCreateDispatchData,
  GatewayOpcodes,
  type GatewayReadyDispatch,
  type GatewayReadyDispatchData,
  InteractionResponseType,
  InteractionType,
  MessageFlags,
  MessageReferenceType,
  MessageType,
} from 'discord-api-types/v10';
import { WebSocket, WebSocketServer } from 'ws';
import {
  type Actor,
  type Body,
  componentsOf,
  contentOf,
  formOf,
  interactionOf,
  messageOf,
  Refused,
  readBody,
  SELF,
  type SeenForm,
  userOf,
} from './discord-shapes.ts';
import type { Fault, FaultPlan } from './telegram.ts';
import { createWatch } from './watch.ts';

/** A message as someone in the channel sees it. */
export interface SeenDiscordMessage {
  readonly id: string;
  readonly channel: string;
  readonly fromBot: boolean;
  readonly content: string;
  readonly buttons: readonly string[];
  readonly replyTo: string | undefined;
  /** The only user who sees it. */
  readonly onlyFor: string | undefined;
  readonly edits: number;
}

/** The service and what a test does to it. */
export interface DiscordService {
  readonly api: string;
  readonly fileHost: string;
  readonly token: string;
  readonly self: APIUser;
  say(
    actor: Actor,
    text: string,
    more?: {
      readonly replyTo?: string;
      readonly file?: { readonly name: string; readonly content: Uint8Array };
    },
  ): string;
  /** Runs a slash command; returns the interaction's id. */
  command(
    actor: Actor,
    name: string,
    argument?: string,
    file?: { readonly name: string; readonly content: Uint8Array },
  ): string;
  press(actor: Actor, message: string, data: string): string;
  /** What is offered while an agent's name is typed. */
  complete(actor: Actor, typed: string): Promise<readonly string[]>;
  /** Opens a form by `/ask` without a question, or by the menu of a message; or by another command. */
  openForm(actor: Actor, about?: string, name?: string): Promise<SeenForm>;
  /** Sends a form; returns the interaction's id. */
  sendForm(actor: Actor, form: string, fields: Readonly<Record<string, string>>): string;
  /** Threads by their id: where they were begun, and their names. */
  readonly threads: ReadonlyMap<string, { readonly channel: string; readonly name: string }>;
  /** Channels in which the bot may begin no thread. */
  readonly threadless: Set<string>;
  /** Of one channel; without one, of all. */
  messages(channel?: string): readonly SeenDiscordMessage[];
  readonly calls: ReadonlyMap<string, number>;
  readonly commands: () => readonly string[];
  /** How the gateway was joined: identified and resumed. */
  readonly joins: { identified: number; resumed: number };
  refusals(): number;
  plan(faults: FaultPlan | undefined): void;
  /** Cuts the gateway connection; with `forget` the session cannot be resumed. */
  cut(forget?: boolean): void;
  /** Someone buys a product; returns the entitlement's id. `unheard`: no dispatch says so. */
  buy(user: string, sku: string, more?: { readonly unheard?: boolean }): string;
  /** Discord takes a purchase back. */
  takeBack(entitlement: string): void;
  readonly entitlements: ReadonlyMap<string, APIEntitlement>;
  /** Sends the last `count` dispatches' events again under new numbers. */
  repeatEvents(count: number): void;
  /** Lets the tokens of all interactions so far expire. */
  expireTokens(): void;
  until(done: () => boolean, what: string): Promise<void>;
  close(): Promise<void>;
}

/** Requests per channel and route: at most `limit` in `windowMs`. */
export interface BucketLimit {
  readonly limit: number;
  readonly windowMs: number;
}

const TOKEN = 'stand-in.discord.token';
const ACK_DEADLINE_MS = 3000;
const EPOCH = 1_420_070_400_000n;

type Answer = readonly [status: number, body?: unknown];

interface Stored {
  message: APIMessage;
  channel: string;
  onlyFor: string | undefined;
  edits: number;
  /** Shown in place of a deferred response that is not filled in yet. */
  pending: boolean;
}

interface Interaction {
  readonly id: string;
  readonly actor: Actor;
  readonly openedAt: number;
  acked: InteractionResponseType | undefined;
  ephemeral: boolean;
  original: string | undefined;
  expired: boolean;
  choices: PromiseWithResolvers<readonly string[]>;
  form: PromiseWithResolvers<SeenForm>;
}

/** Starts the service on loopback. */
export async function startDiscordService(
  bucket: BucketLimit = { limit: 1000, windowMs: 1000 },
): Promise<DiscordService> {
  const self = userOf(SELF, true);
  const stored = new Map<string, Stored>();
  const interactions = new Map<string, Interaction>();
  const nonces = new Map<string, string>();
  const calls = new Map<string, number>();
  const files = new Map<string, Uint8Array>();
  const entitlements = new Map<string, APIEntitlement>();
  const threads = new Map<string, { readonly channel: string; readonly name: string }>();
  const threadless = new Set<string>();
  /** Channels that the bot is not in. */
  const foreign = new Set<string>();
  const used = new Map<string, number[]>();
  const watch = createWatch();
  const joins = { identified: 0, resumed: 0 };
  let published: readonly string[] = [];
  let history: GatewayDispatchPayload[] = [];
  let session = 'session-1';
  let sequence = 0;
  let socket: WebSocket | undefined;
  let faults: FaultPlan | undefined;
  let refusals = 0;
  let lastId = 0n;

  const snowflake = (): string => {
    const next = (BigInt(Date.now()) - EPOCH) << 22n;
    lastId = next > lastId ? next : lastId + 1n;
    return String(lastId);
  };

  function dispatch(make: (s: number) => GatewayDispatchPayload): void {
    sequence += 1;
    const payload = make(sequence);
    history.push(payload);
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(payload));
  }

  // ----- gateway

  function joinGateway(joined: WebSocket): void {
    const send = (payload: object): void => joined.send(JSON.stringify(payload));
    send({ op: GatewayOpcodes.Hello, d: { heartbeat_interval: 20_000 } });
    joined.on('message', (data) => {
      const { op, d }: { op: number; d: Body } = { op: -1, d: {}, ...JSON.parse(String(data)) };
      if (op === GatewayOpcodes.Heartbeat) send({ op: GatewayOpcodes.HeartbeatAck });
      else if (op === GatewayOpcodes.Identify) identify(joined, d);
      else if (op === GatewayOpcodes.Resume) resume(joined, d);
      else joined.close(GatewayCloseCodes.UnknownOpcode);
    });
  }

  function identify(joined: WebSocket, d: Body): void {
    if (d.token !== TOKEN) {
      joined.close(GatewayCloseCodes.AuthenticationFailed);
      return;
    }
    joins.identified += 1;
    session = `session-${joins.identified + 1}`;
    sequence = 0;
    history = [];
    socket = joined;
    const data: GatewayReadyDispatchData = {
      v: 10,
      user: self,
      guilds: [],
      session_id: session,
      resume_gateway_url: gatewayUrl(),
      application: { id: SELF, flags: ApplicationFlags.ApplicationCommandBadge, flags_new: '0' },
    };
    dispatch(
      (s): GatewayReadyDispatch => ({
        op: GatewayOpcodes.Dispatch,
        t: GatewayDispatchEvents.Ready,
        s,
        d: data,
      }),
    );
  }

  function resume(joined: WebSocket, d: Body): void {
    if (d.token !== TOKEN || d.session_id !== session || typeof d.seq !== 'number') {
      joined.send(JSON.stringify({ op: GatewayOpcodes.InvalidSession, d: false }));
      return;
    }
    joins.resumed += 1;
    socket = joined;
    const from = d.seq;
    for (const payload of history.filter((one) => one.s > from)) joined.send(JSON.stringify(payload));
    sequence += 1;
    joined.send(
      JSON.stringify({ op: GatewayOpcodes.Dispatch, t: GatewayDispatchEvents.Resumed, s: sequence, d: {} }),
    );
  }

  // ----- REST

  function create(
    channel: string,
    body: Body,
    more: { readonly onlyFor?: string; readonly reply?: string } = {},
  ): Stored {
    const content = contentOf(body);
    const id = snowflake();
    const message: APIMessage = {
      ...messageOf(id, channel, self, content),
      components: componentsOf(body),
      ...(more.reply !== undefined && {
        type: MessageType.Reply,
        message_reference: {
          type: MessageReferenceType.Default,
          channel_id: channel,
          message_id: more.reply,
        },
      }),
    };
    const kept: Stored = { message, channel, onlyFor: more.onlyFor, edits: 0, pending: false };
    stored.set(id, kept);
    return kept;
  }

  function post(channel: string, body: Body): Answer {
    const nonce = typeof body.nonce === 'string' ? body.nonce : undefined;
    if (nonce !== undefined && nonce.length > 25) throw new Refused(400, 50_035, 'Invalid Form Body');
    const known =
      nonce === undefined || body.enforce_nonce !== true ? undefined : nonces.get(`${channel}/${nonce}`);
    if (known !== undefined) return [200, stored.get(known)?.message];
    const reference = body.message_reference;
    const reply =
      reference instanceof Object && 'message_id' in reference ? String(reference.message_id) : undefined;
    const { message } = create(channel, body, reply === undefined ? {} : { reply });
    if (nonce !== undefined) nonces.set(`${channel}/${nonce}`, message.id);
    return [200, message];
  }

  function beginThread(channel: string, message: string, body: Body): Answer {
    if (threadless.has(channel)) throw new Refused(403, 50_013, 'Missing Permissions');
    if (threads.has(channel)) throw new Refused(400, 50_024, 'Cannot execute action on this channel type');
    if (threads.has(message))
      throw new Refused(400, 160_004, 'A thread has already been created for this message');
    const { name } = body;
    if (typeof name !== 'string' || name === '' || name.length > 100)
      throw new Refused(400, 50_035, 'Invalid Form Body: name');
    threads.set(message, { channel, name });
    return [201, { id: message, type: ChannelType.PublicThread, name, parent_id: channel }];
  }

  function edit(id: string, body: Body, channel: string | undefined): Answer {
    const found = stored.get(id);
    if (!found || (channel !== undefined && found.channel !== channel))
      throw new Refused(404, 10_008, 'Unknown Message');
    if (found.message.author.id !== SELF)
      throw new Refused(403, 50_005, 'Cannot edit a message authored by another user');
    if (channel !== undefined && found.onlyFor !== undefined)
      throw new Refused(404, 10_008, 'Unknown Message');
    found.message = { ...found.message, content: contentOf(body), components: componentsOf(body) };
    found.edits += 1;
    found.pending = false;
    return [200, found.message];
  }

  function acknowledge(id: string, body: Body): Answer {
    const interaction = interactions.get(id);
    if (!interaction || interaction.expired) throw new Refused(404, 10_062, 'Unknown interaction');
    if (interaction.acked !== undefined)
      throw new Refused(400, 40_060, 'Interaction has already been acknowledged.');
    if (performance.now() - interaction.openedAt > ACK_DEADLINE_MS)
      throw new Refused(404, 10_062, 'Unknown interaction');
    const data = body.data instanceof Object ? body.data : {};
    interaction.acked = Number(body.type);
    interaction.ephemeral = 'flags' in data && data.flags === MessageFlags.Ephemeral;
    if (interaction.acked === InteractionResponseType.ApplicationCommandAutocompleteResult) {
      const choices = 'choices' in data && Array.isArray(data.choices) ? data.choices : [];
      interaction.choices.resolve(choices.map((choice: APIApplicationCommandOptionChoice) => choice.name));
    } else if (interaction.acked === InteractionResponseType.Modal) {
      interaction.form.resolve(formOf(body));
    } else if (interaction.acked === InteractionResponseType.DeferredChannelMessageWithSource) {
      const onlyFor = interaction.ephemeral ? { onlyFor: interaction.actor.user } : {};
      const response = create(interaction.actor.channel, { content: 'is thinking…' }, onlyFor);
      response.pending = true;
      interaction.original = response.message.id;
    }
    return [204];
  }

  function byToken(token: string): Interaction {
    const interaction = [...interactions.values()].find((one) => `token-${one.id}` === token);
    if (!interaction || interaction.expired) throw new Refused(401, 50_027, 'Invalid Webhook Token');
    if (interaction.acked === undefined) throw new Refused(404, 10_015, 'Unknown Webhook');
    return interaction;
  }

  function route(method: string, path: readonly string[], body: Body, query: URLSearchParams): Answer {
    const [area = '', id = '', part = '', sub = ''] = path;
    if (area === 'gateway')
      return [
        200,
        {
          url: gatewayUrl(),
          shards: 1,
          session_start_limit: { total: 1000, remaining: 999, reset_after: 1000, max_concurrency: 16 },
        },
      ];
    if (area === 'users') return [200, self];
    if (area === 'applications' && part === 'entitlements') {
      if (path[4] !== 'consume') return [200, [...entitlements.values()]];
      const owned = entitlements.get(sub);
      if (!owned || owned.consumed) throw new Refused(400, 50_097, 'Entitlement is already consumed');
      entitlements.set(sub, { ...owned, consumed: true });
      return [204];
    }
    if (area === 'applications') {
      published = Array.isArray(body) ? body.map((one: { name: string }) => one.name) : [];
      return [200, []];
    }
    if (area === 'interactions') return acknowledge(id, body);
    if (area === 'webhooks') {
      const interaction = byToken(part);
      if (method === 'POST') {
        return [200, create(interaction.actor.channel, body, { onlyFor: interaction.actor.user }).message];
      }
      const target = path[4] === '@original' ? interaction.original : path[4];
      return edit(target ?? '', body, undefined);
    }
    if (part === 'typing') return [204];
    if (part === 'messages' && path[4] === 'threads') return beginThread(id, sub, body);
    if (area !== 'channels' || part !== 'messages') throw new Refused(404, 0, '404: Not Found');
    if (foreign.has(id)) throw new Refused(403, 50_001, 'Missing Access');
    if (method === 'POST') return post(id, body);
    if (method === 'PATCH') return edit(sub, body, id);
    if (method === 'DELETE') {
      if (!stored.delete(sub)) throw new Refused(404, 10_008, 'Unknown Message');
      return [204];
    }
    return [200, listed(id, query)];
  }

  /** Newest first; of what comes after a message those that follow it first, else the newest. */
  function listed(channel: string, query: URLSearchParams): readonly object[] {
    const [after, before] = [query.get('after'), query.get('before')];
    const limit = Number(query.get('limit') ?? 50);
    const found = [...stored.values()]
      .filter((one) => one.channel === channel && one.onlyFor === undefined)
      .map(({ message }) => message)
      .filter(({ id }) => after === null || BigInt(id) > BigInt(after))
      .filter(({ id }) => before === null || BigInt(id) < BigInt(before));
    return (after === null ? found.slice(-limit) : found.slice(0, limit)).reverse();
  }

  /** Takes one request out of its bucket, or says after how many seconds there is one again. */
  function overLimit(name: string, response: ServerResponse): number | undefined {
    const now = performance.now();
    const recent = (used.get(name) ?? []).filter((at) => at > now - bucket.windowMs);
    used.set(name, recent);
    const waitSeconds =
      recent.length < bucket.limit ? 0 : (bucket.windowMs - (now - (recent[0] ?? now))) / 1000;
    if (waitSeconds === 0) recent.push(now);
    response.setHeader('x-ratelimit-bucket', name.replaceAll('/', '-'));
    response.setHeader('x-ratelimit-limit', bucket.limit);
    response.setHeader('x-ratelimit-remaining', Math.max(0, bucket.limit - recent.length));
    response.setHeader('x-ratelimit-reset-after', (bucket.windowMs / 1000).toFixed(3));
    return waitSeconds === 0 ? undefined : waitSeconds;
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://stand-in');
    const [, top, , ...path] = url.pathname.split('/').map(decodeURIComponent);
    if (top === 'files') return void response.end(files.get(url.pathname.slice('/files/'.length)));
    const body = await readBody(request);
    const method = request.method ?? 'GET';
    const name = `${method} ${path[0]}${path[2] === 'messages' ? '/messages' : ''}`;
    const count = (calls.get(name) ?? 0) + 1;
    calls.set(name, count);
    const fault = faults?.(name, count);
    if (fault === 'drop-before') return void request.socket.destroy();
    if (fault === '500-before') return reply(response, [500, { message: 'Internal Server Error' }]);
    if (fault === 'slow') await new Promise((resolve) => setTimeout(resolve, 200));
    const waitSeconds = path[0] === 'channels' ? overLimit(`${name}/${path[1]}`, response) : undefined;
    if (waitSeconds !== undefined || fault === '429') {
      refusals += 1;
      const seconds = waitSeconds ?? 0.3;
      response.setHeader('retry-after', seconds.toFixed(3));
      return reply(response, [
        429,
        { message: 'You are being rate limited.', retry_after: seconds, global: false },
      ]);
    }
    reply(response, outcome(method, path, { body, query: url.searchParams, request }), fault);
    watch.notify();
  }

  function outcome(
    method: string,
    path: readonly string[],
    {
      body,
      query,
      request,
    }: { readonly body: Body; readonly query: URLSearchParams; readonly request: IncomingMessage },
  ): Answer {
    const needsToken = path[0] !== 'interactions' && path[0] !== 'webhooks';
    if (needsToken && request.headers.authorization !== `Bot ${TOKEN}`)
      return [401, { code: 0, message: '401: Unauthorized' }];
    try {
      return route(method, path, body, query);
    } catch (error) {
      if (error instanceof Refused) return [error.status, error.body];
      throw error;
    }
  }

  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)));
  });
  const gateway = new WebSocketServer({ server });
  gateway.on('connection', joinGateway);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const gatewayUrl = (): string => `ws://127.0.0.1:${port}`;

  function interact(d: GatewayInteractionCreateDispatchData): void {
    dispatch((s) => ({ op: GatewayOpcodes.Dispatch, t: GatewayDispatchEvents.InteractionCreate, s, d }));
  }

  function attachmentOf(
    id: string,
    { name, content }: { readonly name: string; readonly content: Uint8Array },
  ): APIAttachment {
    const url = `http://127.0.0.1:${port}/files/${id}/${encodeURIComponent(name)}`;
    return { id, filename: name, size: content.length, url, proxy_url: '' };
  }

  function openInteraction(actor: Actor, about?: string): Interaction {
    if (actor.alone) foreign.add(actor.channel);
    const interaction: Interaction = {
      id: snowflake(),
      actor,
      openedAt: performance.now(),
      acked: undefined,
      ephemeral: false,
      // An update that is deferred edits the message whose button was pressed.
      original: about,
      expired: false,
      choices: Promise.withResolvers(),
      form: Promise.withResolvers(),
    };
    interactions.set(interaction.id, interaction);
    return interaction;
  }

  return {
    api: `http://127.0.0.1:${port}/api`,
    fileHost: `127.0.0.1:${port}`,
    token: TOKEN,
    self,
    calls,
    joins,
    commands: () => published,
    threads,
    threadless,
    entitlements,
    buy(user, sku, more = {}) {
      const id = snowflake();
      const bought: APIEntitlement = {
        id,
        sku_id: sku,
        user_id: user,
        application_id: SELF,
        type: EntitlementType.Purchase,
        deleted: false,
        starts_at: null,
        ends_at: null,
        consumed: false,
      };
      entitlements.set(id, bought);
      if (!more.unheard) {
        dispatch((s) => ({
          op: GatewayOpcodes.Dispatch,
          t: GatewayDispatchEvents.EntitlementCreate,
          s,
          d: bought,
        }));
      }
      return id;
    },
    takeBack(id) {
      const owned = entitlements.get(id);
      if (!owned) throw new Error(`no entitlement ${id}`);
      entitlements.delete(id);
      const d = { ...owned, deleted: true };
      dispatch((s) => ({ op: GatewayOpcodes.Dispatch, t: GatewayDispatchEvents.EntitlementDelete, s, d }));
    },
    refusals: () => refusals,
    plan(next) {
      faults = next;
    },
    say(actor, text, more = {}) {
      const id = snowflake();
      const isMention = text.includes(`<@${SELF}>`);
      const quoted = more.replyTo === undefined ? undefined : stored.get(more.replyTo)?.message;
      if (more.file) files.set(`${id}/${encodeURIComponent(more.file.name)}`, more.file.content);
      const message: APIMessage = {
        ...messageOf(id, actor.channel, userOf(actor.user, false), text),
        mentions: isMention || quoted?.author.id === SELF ? [self] : [],
        ...(quoted && { type: MessageType.Reply, referenced_message: quoted }),
        attachments: more.file ? [attachmentOf(id, more.file)] : [],
      };
      stored.set(id, { message, channel: actor.channel, onlyFor: undefined, edits: 0, pending: false });
      const where = actor.guild === undefined ? {} : { guild_id: actor.guild };
      dispatch((s) => ({
        op: GatewayOpcodes.Dispatch,
        t: GatewayDispatchEvents.MessageCreate,
        s,
        d: { ...message, ...where, mentions: message.mentions },
      }));
      return id;
    },
    command(actor, name, argument, file) {
      const { id } = openInteraction(actor);
      if (file) files.set(`${id}/${encodeURIComponent(file.name)}`, file.content);
      const data: APIChatInputApplicationCommandInteraction = {
        ...interactionOf(id, actor),
        type: InteractionType.ApplicationCommand,
        data: {
          id: '1',
          name,
          type: ApplicationCommandType.ChatInput,
          options: [
            ...(argument === undefined
              ? []
              : [
                  {
                    name: 'argument',
                    type: ApplicationCommandOptionType.String as const,
                    value: argument,
                  },
                ]),
            ...(file === undefined
              ? []
              : [{ name: 'document', type: ApplicationCommandOptionType.Attachment as const, value: id }]),
          ],
          ...(file && { resolved: { attachments: { [id]: attachmentOf(id, file) } } }),
        },
      };
      interact(data);
      return id;
    },
    press(actor, messageId, custom) {
      const { id } = openInteraction(actor, messageId);
      const message = stored.get(messageId)?.message;
      if (!message) throw new Error(`no message ${messageId}`);
      const data: APIMessageComponentButtonInteraction = {
        ...interactionOf(id, actor),
        type: InteractionType.MessageComponent,
        message,
        data: { component_type: ComponentType.Button, custom_id: custom },
      };
      interact(data);
      return id;
    },
    complete(actor, typed) {
      const interaction = openInteraction(actor);
      const data: APIApplicationCommandAutocompleteInteraction = {
        ...interactionOf(interaction.id, actor),
        type: InteractionType.ApplicationCommandAutocomplete,
        data: {
          id: '1',
          name: 'agent',
          type: ApplicationCommandType.ChatInput,
          options: [{ name: 'name', type: ApplicationCommandOptionType.String, value: typed, focused: true }],
        },
      };
      interact(data);
      return interaction.choices.promise;
    },
    openForm(actor, about, name = 'ask') {
      const interaction = openInteraction(actor);
      const base = {
        ...interactionOf(interaction.id, actor),
        type: InteractionType.ApplicationCommand as const,
      };
      const message = about === undefined ? undefined : stored.get(about)?.message;
      const data: APIChatInputApplicationCommandInteraction | APIMessageApplicationCommandInteraction =
        message === undefined
          ? { ...base, data: { id: '1', name, type: ApplicationCommandType.ChatInput } }
          : {
              ...base,
              data: {
                id: '1',
                name: 'Ask about this message',
                type: ApplicationCommandType.Message,
                target_id: message.id,
                resolved: { messages: { [message.id]: message } },
              },
            };
      interact(data);
      return interaction.form.promise;
    },
    sendForm(actor, form, fields) {
      const { id } = openInteraction(actor);
      const data: APIModalSubmitInteraction = {
        ...interactionOf(id, actor),
        type: InteractionType.ModalSubmit,
        data: {
          custom_id: form,
          components: Object.entries(fields).map(([custom_id, value], i) => ({
            type: ComponentType.Label,
            id: i,
            component: { type: ComponentType.TextInput, id: 10 + i, custom_id, value },
          })),
        },
      };
      interact(data);
      return id;
    },
    messages: (channel) =>
      [...stored.values()].filter((one) => channel === undefined || one.channel === channel).map(seen),
    cut(forget = false) {
      if (forget) session = 'forgotten';
      socket?.terminate();
    },
    repeatEvents(count) {
      for (const payload of history.filter((one) => one.t !== GatewayDispatchEvents.Ready).slice(-count)) {
        dispatch((s) => ({ ...payload, s }));
      }
    },
    expireTokens() {
      for (const interaction of interactions.values()) interaction.expired = true;
    },
    until: watch.until,
    async close() {
      for (const client of gateway.clients) client.terminate();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function seen({ message, channel, onlyFor, edits, pending }: Stored): SeenDiscordMessage {
  const rows = (message.components ?? []).filter((row) => row.type === ComponentType.ActionRow);
  const buttons = rows
    .flatMap((row) => row.components)
    .flatMap((one) => ('custom_id' in one ? [one.custom_id] : []));
  return {
    id: message.id,
    channel,
    fromBot: message.author.id === SELF,
    content: pending ? '' : message.content,
    buttons,
    replyTo: message.message_reference?.message_id,
    onlyFor,
    edits,
  };
}

function reply(response: ServerResponse, [status, body]: Answer, fault?: Fault): void {
  if (fault === 'drop-after') return void response.destroy();
  if (fault === '500-after')
    return void response.writeHead(502, { 'content-type': 'application/json' }).end('{}');
  if (body === undefined) return void response.writeHead(status).end();
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
