/**
 * A Bot API server for tests, over real HTTP: long polling with offsets that confirm, 409 for a second poller,
 * message ids that rise over all chats, edits only of the bot's own messages, "message is not modified", lengths,
 * entity ranges, callback queries, files, flood limits with `retry_after`, and faults on request.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type {
  ApiError,
  ApiMethods,
  Chat,
  InlineKeyboardButton,
  InlineKeyboardMarkup,
  InlineQueryResultArticle,
  Message,
  MessageEntity,
  Update,
  User,
  UserFromGetMe,
} from '@grammyjs/types';
import {
  articlesOf,
  type Body,
  botUser,
  chatOf,
  checkedText,
  commandEntities,
  documentOf,
  integer,
  keyboardOf,
  Refusal,
  readBody,
  replyOf,
  send,
  string,
  topicOf,
} from './telegram-shapes.ts';
import { createWatch } from './watch.ts';

/** What happens to a request instead of the ordinary. */
export type Fault = 'drop-before' | 'drop-after' | '500-before' | '500-after' | '429' | 'slow';

/** Asked before each request. */
export type FaultPlan = (method: string, count: number) => Fault | undefined;

/** At most `count` requests in `windowMs`. */
export interface FloodWindow {
  readonly count: number;
  readonly windowMs: number;
}

/** Flood limits: for each direct chat, for each group, and for the bot. */
export interface FloodLimits {
  readonly direct: FloodWindow;
  readonly group: FloodWindow;
  readonly total: FloodWindow;
}

/** A message as someone in the chat sees it. */
export interface SeenMessage {
  readonly id: number;
  readonly chat: number;
  readonly fromBot: boolean;
  readonly text: string;
  readonly entities: readonly MessageEntity[];
  readonly buttons: readonly InlineKeyboardButton.CallbackButton[];
  readonly replyTo: number | undefined;
  readonly topic: number | undefined;
  readonly edits: number;
}

/** A text that the bot is writing. */
export interface SeenDraft {
  readonly id: number;
  readonly text: string;
  readonly entities: readonly MessageEntity[];
  readonly canStop: boolean;
}

/** What an inline query was answered with. */
export interface SeenInline {
  readonly results: readonly InlineQueryResultArticle[];
  readonly nextOffset: string;
}

/** What the server can do. */
export interface TelegramFeatures {
  /** It has drafts, as servers since Bot API 9.3 do. May change while it runs. */
  drafts: boolean;
}

/** Someone's message. */
export interface Saying {
  readonly chat: number;
  readonly user: number;
  readonly text: string;
  readonly entities?: MessageEntity[];
  readonly replyTo?: number;
  readonly language?: string;
  readonly document?: { readonly name: string; readonly content: Uint8Array };
  /** The topic it stands in. */
  readonly topic?: number;
  /** It was put into the chat by an inline query of the bot. */
  readonly viaBot?: boolean;
  /** It was somebody else's, and is forwarded. */
  readonly forwarded?: boolean;
}

/** The server and what a test does to it. Chats with an id below 0 are groups. */
export interface TelegramService {
  readonly apiRoot: string;
  readonly token: string;
  readonly self: UserFromGetMe;
  say(saying: Saying): SeenMessage;
  /** Presses a message's button; returns the callback's id. */
  press(chat: number, user: number, message: number, data: string): string;
  /** Sends the last `count` updates again, as after a lost offset. */
  repeatUpdates(count: number): void;
  /** Of one chat; without one, of all. */
  messages(chat?: number): readonly SeenMessage[];
  /** The draft that a chat shows now. */
  draft(chat: number): SeenDraft | undefined;
  /** Every draft text that was shown, in order. */
  readonly drafted: readonly string[];
  /** Presses the stop button under a chat's draft. */
  stopDraft(chat: number): void;
  /** Types `@bot text` somewhere; resolves with what is offered. */
  inline(user: number, text: string, offset?: string): Promise<SeenInline>;
  /** Pays an invoice; resolves with whether the bot let it through. `repeat` announces the payment twice. */
  pay(chat: number, user: number, invoice: string, more?: { readonly repeat?: boolean }): Promise<boolean>;
  /** Asks the bot about a payment for something it never offered. */
  forgeCheckout(user: number, payload: string, stars: number): Promise<boolean>;
  /** Payments by their charge id. */
  readonly payments: ReadonlyMap<
    string,
    { readonly user: number; readonly stars: number; readonly refunds: number }
  >;
  /** Gives a payment back without the bot's asking. */
  giveBack(chat: number, charge: string): void;
  /** Chats that refuse the bot. */
  readonly closedChats: Set<number>;
  readonly answeredCallbacks: readonly string[];
  readonly calls: ReadonlyMap<string, number>;
  /** Requests that broke a flood limit. */
  floods(): number;
  plan(faults: FaultPlan | undefined): void;
  remove(chat: number, message: number): void;
  /** Resolves when `done` holds, looking again after each request. */
  until(done: () => boolean, what: string): Promise<void>;
  close(): Promise<void>;
}

const TOKEN = '4242:stand-in-token-that-is-not-a-secret';
const GENEROUS: FloodLimits = {
  direct: { count: 1000, windowMs: 1000 },
  group: { count: 1000, windowMs: 1000 },
  total: { count: 10_000, windowMs: 1000 },
};

interface Stored {
  message: Message & { chat: Exclude<Chat, Chat.ChannelChat>; from: User };
  text: string;
  entities: MessageEntity[];
  keyboard: InlineKeyboardMarkup | undefined;
  edits: number;
  /** The message it replies to, without its own reply. */
  quoted: Message | undefined;
}

/** Starts the server on loopback. */
export async function startTelegramService(
  limits: FloodLimits = GENEROUS,
  features: TelegramFeatures = { drafts: false },
): Promise<TelegramService> {
  const self = botUser();
  const updates: Update[] = [];
  const past: Update[] = [];
  const stored = new Map<string, Stored>();
  const files = new Map<string, Uint8Array>();
  const calls = new Map<string, number>();
  const answeredCallbacks: string[] = [];
  const closedChats = new Set<number>();
  const drafts = new Map<number, SeenDraft>();
  const drafted: string[] = [];
  const invoices = new Map<string, { readonly payload: string; readonly stars: number }>();
  const checkouts = new Map<string, PromiseWithResolvers<boolean>>();
  const payments = new Map<
    string,
    { readonly user: number; readonly stars: number; readonly refunds: number; readonly payload: string }
  >();
  const inlines = new Map<string, PromiseWithResolvers<SeenInline>>();
  const sentAt = new Map<number | 'total', number[]>();
  const watch = createWatch();
  let faults: FaultPlan | undefined;
  let nextMessage = 100;
  let nextUpdate = 7_000_000;
  let floodCount = 0;
  let poll: { wake(update: 'ready' | 'conflict'): void } | undefined;

  function push(update: Omit<Update, 'update_id'>): void {
    updates.push({ update_id: nextUpdate++, ...update });
    poll?.wake('ready');
  }

  function checkout(user: number, payload: string, stars: number): Promise<boolean> {
    const id = `checkout-${nextUpdate}`;
    const waiting = Promise.withResolvers<boolean>();
    checkouts.set(id, waiting);
    const from = { id: user, is_bot: false, first_name: `User ${user}`, language_code: 'en' };
    push({
      pre_checkout_query: { id, from, currency: 'XTR', total_amount: stars, invoice_payload: payload },
    });
    return waiting.promise;
  }

  function serviceMessage(chat: number, user: number): Stored['message'] {
    const from = { id: user, is_bot: false, first_name: `User ${user}`, language_code: 'en' };
    return { message_id: nextMessage++, date: 1, chat: chatOf(chat), from };
  }

  function flood(chat: number): void {
    const windows = [
      ['total', limits.total],
      [chat, chat < 0 ? limits.group : limits.direct],
    ] as const;
    for (const [name, { count, windowMs }] of windows) {
      const now = performance.now();
      const recent = (sentAt.get(name) ?? []).filter((at) => at > now - windowMs);
      sentAt.set(name, [...recent, now]);
      if (recent.length < count) continue;
      floodCount += 1;
      throw new Refusal(429, 'Too Many Requests: retry after 1', 1);
    }
  }

  function writable(body: Body): number {
    const chat = integer(body, 'chat_id');
    if (closedChats.has(chat))
      throw new Refusal(403, "Forbidden: bot can't initiate conversation with a user");
    flood(chat);
    return chat;
  }

  function own(body: Body): Stored {
    const chat = writable(body);
    const found = stored.get(`${chat}/${integer(body, 'message_id')}`);
    if (!found) throw new Refusal(400, 'Bad Request: message to edit not found');
    if (found.message.from.id !== self.id) throw new Refusal(400, "Bad Request: message can't be edited");
    return found;
  }

  const methods: {
    readonly [K in keyof ApiMethods<unknown>]?: (body: Body, request: IncomingMessage) => unknown;
  } = {
    getMe: () => self,
    getWebhookInfo: () => ({ url: '', has_custom_certificate: false, pending_update_count: updates.length }),
    setMyCommands: () => true,
    sendChatAction: (body) => {
      if (closedChats.has(integer(body, 'chat_id')))
        throw new Refusal(403, 'Forbidden: bot was blocked by the user');
      return true;
    },
    answerCallbackQuery: (body) => {
      answeredCallbacks.push(string(body, 'callback_query_id'));
      return true;
    },
    getUpdates: (body, request) => getUpdates(body, request),
    sendMessage(body) {
      const chat = writable(body);
      const { text, entities } = checkedText(body);
      const replyTo = replyOf(body);
      drafts.delete(chat);
      const topic = topicOf(body);
      const id = nextMessage++;
      const quoted = replyTo === undefined ? undefined : stored.get(`${chat}/${replyTo}`);
      const message: Stored['message'] = {
        message_id: id,
        date: 1,
        chat: chatOf(chat),
        from: self,
        text,
        entities,
        ...topic,
      };
      const kept: Stored = {
        message,
        text,
        entities,
        keyboard: keyboardOf(body),
        edits: 0,
        quoted: quoted?.message,
      };
      stored.set(`${chat}/${id}`, kept);
      return shownTo(kept);
    },
    sendMessageDraft(body) {
      if (!features.drafts) throw new Refusal(404, 'Not Found: method not found');
      const chat = writable(body);
      const id = integer(body, 'draft_id');
      if (chat < 0 || id === 0) throw new Refusal(400, 'Bad Request: TEXTDRAFT_PEER_INVALID');
      const { text, entities } = checkedText(body);
      drafts.set(chat, { id, text, entities, canStop: body.can_stop === true });
      drafted.push(text);
      return true;
    },
    createInvoiceLink(body) {
      const prices: unknown = body.prices;
      const [price] = Array.isArray(prices) ? prices : [];
      const stars = integer({ amount: 0, ...price }, 'amount');
      const payload = string(body, 'payload');
      if (string(body, 'currency') !== 'XTR' || stars < 1 || Buffer.byteLength(payload) > 128)
        throw new Refusal(400, 'Bad Request: CURRENCY_TOTAL_AMOUNT_INVALID');
      const url = `https://t.me/$invoice-${invoices.size + 1}`;
      invoices.set(url, { payload, stars });
      return url;
    },
    answerPreCheckoutQuery(body) {
      const waiting = checkouts.get(string(body, 'pre_checkout_query_id'));
      if (!waiting) throw new Refusal(400, 'Bad Request: query is too old');
      if (body.ok !== true) string(body, 'error_message');
      waiting.resolve(body.ok === true);
      return true;
    },
    refundStarPayment(body) {
      const charge = string(body, 'telegram_payment_charge_id');
      const payment = payments.get(charge);
      if (payment?.user !== integer(body, 'user_id')) throw new Refusal(400, 'Bad Request: CHARGE_ID_EMPTY');
      if (payment.refunds > 0) throw new Refusal(400, 'Bad Request: CHARGE_ALREADY_REFUNDED');
      payments.set(charge, { ...payment, refunds: 1 });
      return true;
    },
    answerInlineQuery(body) {
      const waiting = inlines.get(string(body, 'inline_query_id'));
      if (!waiting) throw new Refusal(400, 'Bad Request: query is too old');
      waiting.resolve({ results: articlesOf(body), nextOffset: string(body, 'next_offset') });
      return true;
    },
    editMessageText(body) {
      const found = own(body);
      const { text, entities } = checkedText(body);
      const keyboard = keyboardOf(body);
      const before = JSON.stringify([found.text, found.entities, found.keyboard ?? { inline_keyboard: [] }]);
      if (before === JSON.stringify([text, entities, keyboard ?? { inline_keyboard: [] }])) {
        throw new Refusal(
          400,
          'Bad Request: message is not modified: specified new message content is the same',
        );
      }
      Object.assign(found, { text, entities, keyboard, edits: found.edits + 1 });
      found.message = { ...found.message, text, entities };
      return { ...shownTo(found), edit_date: 2 };
    },
    deleteMessage(body) {
      const chat = writable(body);
      if (!stored.delete(`${chat}/${integer(body, 'message_id')}`)) {
        throw new Refusal(400, 'Bad Request: message to delete not found');
      }
      return true;
    },
    getFile(body) {
      const id = string(body, 'file_id');
      if (!files.has(id)) throw new Refusal(400, 'Bad Request: invalid file_id');
      return { file_id: id, file_unique_id: id, file_path: `documents/${id}` };
    },
  };

  async function getUpdates(body: Body, request: IncomingMessage): Promise<readonly object[]> {
    const offset = integer(body, 'offset', 0);
    while (updates[0] && updates[0].update_id < offset) past.push(...updates.splice(0, 1));
    poll?.wake('conflict');
    if (updates.length === 0) {
      const { promise, resolve } = Promise.withResolvers<'ready' | 'conflict' | 'over'>();
      const mine = { wake: resolve };
      poll = mine;
      const timer = setTimeout(() => resolve('over'), 1000 * integer(body, 'timeout', 0));
      const gone = (): void => resolve('over');
      request.socket.once('close', gone);
      const why = await promise;
      request.socket.off('close', gone);
      clearTimeout(timer);
      if (poll === mine) poll = undefined;
      if (why === 'conflict') {
        throw new Refusal(
          409,
          'Conflict: terminated by other getUpdates request; make sure that only one bot instance is running',
        );
      }
    }
    return updates.slice(0, integer(body, 'limit', 100)).map((update) => {
      const kept = update.message && stored.get(`${update.message.chat.id}/${update.message.message_id}`);
      return kept ? { ...update, message: shownTo(kept) } : update;
    });
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, kind, ...rest] = (request.url ?? '').split('/');
    if (kind === 'file') return sendFile(rest, response);
    const body = await readBody(request);
    const method = rest[0] ?? '';
    const count = (calls.get(method) ?? 0) + 1;
    calls.set(method, count);
    const fault = faults?.(method, count);
    if (fault === 'drop-before') return void request.socket.destroy();
    if (fault === '500-before')
      return send(response, 500, { ok: false, error_code: 500, description: 'Internal Server Error' });
    if (fault === '429') {
      return send(response, 429, new Refusal(429, 'Too Many Requests: retry after 1', 1).answer);
    }
    if (fault === 'slow') await new Promise((resolve) => setTimeout(resolve, 200));
    const answer =
      kind === `bot${TOKEN}` ? await run(method, body, request) : new Refusal(401, 'Unauthorized').answer;
    if (fault === 'drop-after') request.socket.destroy();
    else if (fault === '500-after')
      send(response, 502, { ok: false, error_code: 502, description: 'Bad Gateway' });
    else send(response, answer.ok ? 200 : answer.error_code, answer);
    watch.notify();
  }

  async function run(
    method: string,
    body: Body,
    request: IncomingMessage,
  ): Promise<ApiError | { readonly ok: true; readonly result: unknown }> {
    try {
      const known = Object.entries(methods).find(([name]) => name === method)?.[1];
      if (!known) throw new Refusal(404, 'Not Found: method not found');
      return { ok: true, result: await known(body, request) };
    } catch (error) {
      if (error instanceof Refusal) return error.answer;
      throw error;
    }
  }

  function sendFile(path: readonly string[], response: ServerResponse): void {
    const content = files.get(path[2] ?? '');
    response.writeHead(path[0] === `bot${TOKEN}` && content ? 200 : 404).end(content);
  }

  const server: Server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => {
      response.writeHead(500).end(String(error));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  return {
    apiRoot: `http://127.0.0.1:${port}`,
    token: TOKEN,
    self,
    closedChats,
    drafted,
    payments,
    draft: (chat) => drafts.get(chat),
    answeredCallbacks,
    calls,
    floods: () => floodCount,
    plan(next) {
      faults = next;
    },
    say(saying) {
      const id = nextMessage++;
      const quoted =
        saying.replyTo === undefined ? undefined : stored.get(`${saying.chat}/${saying.replyTo}`);
      const text = saying.text;
      const entities = saying.entities ?? commandEntities(text);
      const words = saying.document ? { caption: text, caption_entities: entities } : { text, entities };
      const message: Stored['message'] = {
        message_id: id,
        date: 1,
        chat: chatOf(saying.chat),
        from: {
          id: saying.user,
          is_bot: false,
          first_name: `User ${saying.user}`,
          language_code: saying.language ?? 'en',
        },
        ...(text !== '' && words),
        ...(saying.topic !== undefined && { is_topic_message: true, message_thread_id: saying.topic }),
        ...(saying.viaBot && { via_bot: self }),
        ...(saying.forwarded && {
          forward_origin: { type: 'hidden_user', sender_user_name: 'Somebody', date: 1 },
        }),
        ...(saying.document && { document: documentOf(saying.document, id) }),
      };
      if (saying.document) files.set(`file-${id}`, saying.document.content);
      const kept: Stored = {
        message,
        text,
        entities,
        keyboard: undefined,
        edits: 0,
        quoted: quoted?.message,
      };
      stored.set(`${saying.chat}/${id}`, kept);
      // What it answers has no such field itself, which its type says in a way that no object can have.
      push({ message: shownTo(kept) as typeof message });
      return seen(kept, self.id);
    },
    press(chat, user, message, data) {
      const found = stored.get(`${chat}/${message}`);
      if (!found) throw new Error(`no message ${message} in chat ${chat}`);
      const id = `callback-${nextUpdate}`;
      const from = { id: user, is_bot: false, first_name: `User ${user}`, language_code: 'en' };
      push({ callback_query: { id, from, chat_instance: String(chat), message: found.message, data } });
      return id;
    },
    stopDraft(chat) {
      const draft = drafts.get(chat);
      if (!draft?.canStop) throw new Error(`no draft to stop in chat ${chat}`);
      const at: Chat.PrivateChat = { id: chat, type: 'private', first_name: `User ${chat}` };
      push({ stopped_message_generation: { chat: at, draft_id: draft.id } });
    },
    inline(user, text, offset = '') {
      const id = `inline-${nextUpdate}`;
      const waiting = Promise.withResolvers<SeenInline>();
      inlines.set(id, waiting);
      const from = { id: user, is_bot: false, first_name: `User ${user}`, language_code: 'en' };
      push({ inline_query: { id, from, query: text, offset } });
      return waiting.promise;
    },
    async pay(chat, user, invoice, more = {}) {
      const known = invoices.get(invoice);
      if (!known) throw new Error(`no invoice ${invoice}`);
      const { payload, stars } = known;
      if (!(await checkout(user, payload, stars))) return false;
      const charge = `stars-${payments.size + 1}`;
      payments.set(charge, { user, stars, refunds: 0, payload });
      const paid = {
        currency: 'XTR',
        total_amount: stars,
        invoice_payload: payload,
        telegram_payment_charge_id: charge,
        provider_payment_charge_id: '',
      };
      for (let times = more.repeat ? 2 : 1; times > 0; times--)
        push({ message: { ...serviceMessage(chat, user), successful_payment: paid } });
      return true;
    },
    forgeCheckout: (user, payload, stars) => checkout(user, payload, stars),
    giveBack(chat, charge) {
      const payment = payments.get(charge);
      if (!payment) throw new Error(`no payment ${charge}`);
      const returned = {
        currency: 'XTR',
        total_amount: payment.stars,
        invoice_payload: payment.payload,
        telegram_payment_charge_id: charge,
      } as const;
      push({ message: { ...serviceMessage(chat, payment.user), refunded_payment: returned } });
    },
    repeatUpdates(count) {
      updates.unshift(...past.slice(-count));
      poll?.wake('ready');
    },
    messages: (chat) =>
      [...stored.values()]
        .filter((one) => chat === undefined || one.message.chat.id === chat)
        .map((one) => seen(one, self.id)),
    remove(chat, message) {
      stored.delete(`${chat}/${message}`);
    },
    until: watch.until,
    async close() {
      poll?.wake('conflict');
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A message as the API shows it. */
function shownTo({ message, quoted }: Stored): object {
  return quoted === undefined ? message : { ...message, reply_to_message: quoted };
}

function seen(one: Stored, botId: number): SeenMessage {
  const buttons = (one.keyboard?.inline_keyboard ?? []).flat().filter((button) => 'callback_data' in button);
  return {
    id: one.message.message_id,
    chat: one.message.chat.id,
    fromBot: one.message.from.id === botId,
    text: one.text,
    entities: one.entities,
    buttons,
    replyTo: one.quoted?.message_id,
    topic: one.message.message_thread_id,
    edits: one.edits,
  };
}
