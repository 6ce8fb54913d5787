/** The two platforms as the chaos sees them: people who ask, stop, pay in, buy and give back, and what they read. */
import { type DiscordService, startDiscordService } from '../stand-ins/discord.ts';
import { type FaultPlan, startTelegramService, type TelegramService } from '../stand-ins/telegram.ts';
import { SKU } from './settings.ts';

/** A bot's message in any chat. */
export interface Reply {
  readonly id: string;
  readonly text: string;
  readonly replyTo: string | undefined;
  /** Data of its buttons. */
  readonly buttons: readonly string[];
  readonly edits: number;
}

/** One platform's stand-in, as the chaos needs it. People are numbers. */
export interface Arena {
  /** What the bridge's process is started with: platform, address, token. */
  readonly names: readonly [platform: 'telegram' | 'discord', api: string, token: string];
  /** Someone new asks: alone with the bot, in a group, or in one of its topics or threads. Returns the message's id. */
  ask(person: number, text: string): string;
  /** Sends a command to the bot alone; returns its id. */
  command(person: number, name: string, argument?: string): string;
  /** Presses stop under the answer to a person's question, or under its draft; `false` when there is nothing to press. */
  stop(person: number, question: string): boolean;
  /** Agrees to the price of the answer to a person's question; `false` where that is not asked about. */
  agree(person: number, question: string): boolean;
  /** Buys credit; a payment may come of it later, or none when the bot was away. */
  buy(person: number): void;
  /** Who paid, and whether it was given back: one of each payment. */
  bought(): readonly { readonly person: number; readonly isBack: boolean }[];
  /** Whether buyers give back by `/refund`; elsewhere the platform takes back. */
  takeBack(person: number): void;
  replies(): readonly Reply[];
  /** What a person alone with the bot reads of it, in order. */
  readBy(person: number): readonly string[];
  plan(faults: FaultPlan | undefined): void;
  repeat(count: number): void;
  /** What changes on the platform between two lives of the bridge. */
  turn(round: number): void;
  /** Where people are when they ask. */
  readonly places: () => Readonly<Record<string, number>>;
  close(): Promise<void>;
}

const GROUP = -5;
const TOPIC = 77;

/** Telegram, whose drafts come and go. */
export async function telegramArena(): Promise<Arena> {
  const features = { drafts: true };
  const service = await startTelegramService(undefined, features);
  const places = { direct: 0, group: 0, topic: 0 };
  const isGroup = (person: number): boolean => person % 4 >= 2;
  const press = (person: number, question: string, action: 'stop' | 'approve'): boolean => {
    const chat = isGroup(person) ? GROUP : person;
    const isMeant = (button: { readonly callback_data: string }): boolean =>
      button.callback_data.startsWith(`${action}:`);
    const found = service
      .messages(chat)
      .find(({ replyTo, buttons }) => String(replyTo) === question && buttons.some(isMeant));
    const data = found?.buttons.find(isMeant)?.callback_data;
    if (found === undefined || data === undefined) return false;
    service.press(chat, person, found.id, data);
    return true;
  };
  return {
    names: ['telegram', service.apiRoot, service.token],
    ask(person, text) {
      const isTopic = person % 4 === 3;
      places[isTopic ? 'topic' : isGroup(person) ? 'group' : 'direct'] += 1;
      const where = isGroup(person)
        ? { chat: GROUP, text: `@sahara_bot ${text}`, ...(isTopic && { topic: TOPIC }) }
        : { chat: person, text };
      return String(service.say({ user: person, ...where }).id);
    },
    command: (person, name, argument = '') =>
      String(service.say({ chat: person, user: person, text: `/${name} ${argument}`.trim() }).id),
    stop(person, question) {
      const draft = isGroup(person) ? undefined : service.draft(person);
      if (draft?.canStop) {
        service.stopDraft(person);
        return true;
      }
      return press(person, question, 'stop');
    },
    agree: (person, question) => press(person, question, 'approve'),
    buy(person) {
      const invoice = service
        .messages(person)
        .flatMap(({ entities }) => entities)
        .find((entity) => entity.type === 'text_link');
      if (invoice?.type === 'text_link') void service.pay(person, person, invoice.url, { repeat: true });
      else service.say({ chat: person, user: person, text: '/buy' });
    },
    bought: () =>
      [...service.payments.values()].map(({ user, refunds }) => ({ person: user, isBack: refunds > 0 })),
    takeBack: (person) => void service.say({ chat: person, user: person, text: '/refund' }),
    replies: () => service.messages().filter(byBot).map(telegramReply),
    readBy: (person) =>
      service
        .messages(person)
        .filter(byBot)
        .map(({ text }) => text),
    plan: service.plan,
    repeat: service.repeatUpdates,
    turn(round) {
      features.drafts = round % 3 !== 2;
    },
    places: () => places,
    close: service.close,
  };
}

function byBot(message: { readonly fromBot: boolean }): boolean {
  return message.fromBot;
}

function telegramReply(message: ReturnType<TelegramService['messages']>[number]): Reply {
  const { id, text, replyTo, edits, buttons } = message;
  return {
    id: String(id),
    text,
    edits,
    replyTo: replyTo === undefined ? undefined : String(replyTo),
    buttons: buttons.map((button) => button.callback_data),
  };
}

const CHANNEL = '501';
const GUILD = '500';

/** Discord; a question in its channel begins a thread, and others are asked inside one. */
export async function discordArena(): Promise<Arena> {
  const service = await startDiscordService();
  const places = { direct: 0, channel: 0, thread: 0 };
  const alone = (person: number) => ({ user: String(person), channel: `7${person}`, guild: undefined });
  const askedIn = new Map<number, string>();
  const entitlements = new Map<string, number>();
  const back = new Set<string>();
  const press = (person: number, question: string, action: 'stop' | 'approve'): boolean => {
    const channels = [askedIn.get(person) ?? alone(person).channel, question];
    const isMeant = (data: string): boolean => data.startsWith(`${action}:`);
    const found = channels
      .flatMap((channel) => service.messages(channel))
      .find(
        ({ replyTo, channel, buttons }) =>
          (replyTo === question || channel === question) && buttons.some(isMeant),
      );
    const data = found?.buttons.find(isMeant);
    if (found === undefined || data === undefined) return false;
    const guild = askedIn.has(person) ? GUILD : undefined;
    service.press({ user: String(person), channel: found.channel, guild }, found.id, data);
    return true;
  };
  return {
    names: ['discord', service.api, service.token],
    ask(person, text) {
      if (person % 4 < 2) {
        places.direct += 1;
        return service.say(alone(person), text);
      }
      const begun = [...service.threads.keys()];
      const thread = person % 4 === 3 ? begun[person % Math.max(begun.length, 1)] : undefined;
      const channel = thread ?? CHANNEL;
      places[thread === undefined ? 'channel' : 'thread'] += 1;
      askedIn.set(person, channel);
      return service.say({ user: String(person), channel, guild: GUILD }, `<@${service.self.id}> ${text}`);
    },
    command: (person, name, argument) => service.command(alone(person), name, argument),
    stop: (person, question) => press(person, question, 'stop'),
    agree: (person, question) => press(person, question, 'approve'),
    buy(person) {
      entitlements.set(service.buy(String(person), SKU, { unheard: person % 3 === 0 }), person);
    },
    bought: () => [...entitlements].map(([id, person]) => ({ person, isBack: back.has(id) })),
    takeBack(person) {
      const [id] = [...entitlements].find(([one, owner]) => owner === person && !back.has(one)) ?? [];
      if (id === undefined) return;
      back.add(id);
      service.takeBack(id);
    },
    replies: () =>
      service
        .messages()
        .filter(byBot)
        .map((message) => discordReply(message, service)),
    readBy: (person) =>
      service
        .messages(alone(person).channel)
        .filter(byBot)
        .map(({ content }) => content.replaceAll('\\', '')),
    plan: service.plan,
    repeat: service.repeatEvents,
    turn: () => undefined,
    places: () => places,
    close: service.close,
  };
}

function discordReply(
  { id, channel, content, replyTo, edits, buttons }: ReturnType<DiscordService['messages']>[number],
  service: DiscordService,
): Reply {
  // A thread has the id of the question that began it.
  return {
    id,
    text: content,
    edits,
    buttons,
    replyTo: replyTo ?? (service.threads.has(channel) ? channel : undefined),
  };
}
