/** One view of both bots for the scenario suite: people who ask, press and read, whatever the platform. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { silentLog } from '../../src/base/log.ts';
import type { Bridge, BridgeOptions } from '../../src/bridges/core/bridge.ts';
import { createState } from '../../src/bridges/core/state.ts';
import { DISCORD_DEFAULTS, type DiscordBot, startDiscordBot } from '../../src/bridges/discord/bot.ts';
import { type AgentService, agentsOver, startAgentService } from '../stand-ins/agents.ts';
import { startDiscordService } from '../stand-ins/discord.ts';
import type { Fault } from '../stand-ins/telegram.ts';
import { FAST, GENEROUS } from './settings.ts';
import { telegramStage } from './telegram-stage.ts';

/** Where someone writes: to the bot alone, or in a group of several. */
export type Where = 'direct' | 'group' | 'closed-group';

/** A message of the bot's. */
export interface BotMessage {
  readonly id: string;
  readonly text: string;
  readonly actions: readonly string[];
  /** The data of the button for an action. */
  readonly dataOf: (action: string) => string;
}

/** A bot on one platform. */
export interface Stage {
  readonly name: 'telegram' | 'discord';
  readonly agents: AgentService;
  bridge(): Bridge;
  /** Writes to the bot; in a group, mentioning it. */
  ask(
    user: number,
    where: Where,
    text: string,
    file?: { readonly name: string; readonly content: Uint8Array },
  ): void;
  command(user: number, where: Where, name: string, argument?: string): void;
  press(user: number, where: Where, message: BotMessage, action: string, data?: string): void;
  /** What everyone in a place sees of the bot. */
  shown(user: number, where: Where): readonly BotMessage[];
  /** What only one user sees, from a place that is not theirs alone. */
  secret(user: number, where: Where): readonly BotMessage[];
  until(done: () => boolean, what: string): Promise<void>;
  /** Loses or breaks every request that sends or edits a message, as the plan says. */
  fault(plan: ((count: number) => Fault | undefined) | undefined): void;
  /** Delivers the last events once more. */
  repeat(count: number): void;
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** Telegram's stage. */
export async function onTelegram(options: BridgeOptions = GENEROUS): Promise<Stage> {
  const inner = await telegramStage(options);
  const { telegram } = inner;
  const chatOf = (user: number, where: Where): number =>
    where === 'direct' ? user : where === 'group' ? -5 : -6;
  const messages = (chat: number): readonly BotMessage[] =>
    telegram
      .messages(chat)
      .filter((message) => message.fromBot)
      .map((message) =>
        botMessage(
          String(message.id),
          message.text,
          message.buttons.map((button) => button.callback_data),
        ),
      );
  return {
    name: 'telegram',
    agents: inner.agents,
    bridge: () => inner.bot.bridge,
    ask(user, where, text, file) {
      const mention = where === 'direct' ? '' : '@sahara_bot ';
      telegram.say({
        chat: chatOf(user, where),
        user,
        text: mention + text,
        ...(file && { document: file }),
      });
    },
    command: (user, where, name, argument) =>
      void telegram.say({
        chat: chatOf(user, where),
        user,
        text: `/${name}${argument === undefined ? '' : ` ${argument}`}`,
      }),
    press: (user, where, message, action, data = message.dataOf(action)) =>
      void telegram.press(chatOf(user, where), user, Number(message.id), data),
    shown: (user, where) => messages(chatOf(user, where)),
    secret: (user) => messages(user),
    until: telegram.until,
    fault: (plan) => telegram.plan(plan && byCount(plan, ['sendMessage', 'editMessageText'])),
    repeat: (count) => telegram.repeatUpdates(count),
    restart: inner.restart,
    close: inner.close,
  };
}

/** Discord's stage. */
export async function onDiscord(options: BridgeOptions = GENEROUS): Promise<Stage> {
  const home = await mkdtemp(join(tmpdir(), 'bridge-'));
  const store = await openLevelStore(join(home, 'store'));
  const discord = await startDiscordService();
  const agents = await startAgentService();
  const start = (): Promise<DiscordBot> =>
    startDiscordBot(
      {
        agents: agentsOver(agents.url),
        state: createState(store),
        clock: systemClock,
        log: silentLog,
      },
      {
        ...DISCORD_DEFAULTS,
        token: discord.token,
        api: discord.api,
        fileHosts: [discord.fileHost],
        pace: FAST,
        bridge: options,
      },
    );
  let bot = await start();
  const actor = (user: number, where: Where) => ({
    user: String(user),
    channel: where === 'direct' ? `7000${user}` : where === 'group' ? '501' : '601',
    guild: where === 'direct' ? undefined : where === 'group' ? '500' : '600',
  });
  /** A channel and the threads that were begun in it. */
  const channelsOf = (channel: string): readonly string[] => {
    const begun = [...discord.threads].filter(([, thread]) => thread.channel === channel);
    return [channel, ...begun.map(([id]) => id)];
  };
  const messages = (user: number, where: Where, onlyFor: string | undefined): readonly BotMessage[] =>
    channelsOf(actor(user, where).channel)
      .flatMap((channel) => discord.messages(channel))
      .filter((message) => message.fromBot && message.onlyFor === onlyFor)
      .map((message) => botMessage(message.id, message.content, message.buttons));
  return {
    name: 'discord',
    agents,
    bridge: () => bot.bridge,
    ask(user, where, text, file) {
      const mention = where === 'direct' ? '' : `<@${discord.self.id}> `;
      discord.say(actor(user, where), mention + text, file ? { file } : {});
    },
    command: (user, where, name, argument) => void discord.command(actor(user, where), name, argument),
    press(user, where, message, action, data = message.dataOf(action)) {
      const at = actor(user, where);
      const stands = (channel: string): boolean =>
        discord.messages(channel).some(({ id }) => id === message.id);
      const channel = channelsOf(at.channel).find(stands) ?? at.channel;
      discord.press({ ...at, channel }, message.id, data);
    },
    shown: (user, where) => messages(user, where, undefined),
    secret: (user, where) => messages(user, where, String(user)),
    until: discord.until,
    fault: (plan) =>
      discord.plan(
        plan && byCount(plan, ['POST channels/messages', 'PATCH channels/messages', 'PATCH webhooks']),
      ),
    repeat: (count) => discord.repeatEvents(count),
    async restart() {
      await bot.stop();
      bot = await start();
    },
    async close() {
      await bot.stop();
      await discord.close();
      await agents.close();
      await store.close();
      await rm(home, { recursive: true });
    },
  };
}

function botMessage(id: string, text: string, data: readonly string[]): BotMessage {
  const actions = data.map((one) => one.split(':')[0] ?? '');
  return { id, text, actions, dataOf: (action) => data[actions.indexOf(action)] ?? '' };
}

/** Counts only the requests named. */
function byCount(
  plan: (count: number) => Fault | undefined,
  methods: readonly string[],
): (method: string) => Fault | undefined {
  let count = 0;
  return (method) => (methods.includes(method) ? plan(++count) : undefined);
}
