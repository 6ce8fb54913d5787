/** What a person does on each platform before and after `sahara bridge setup` asks for the token. */
import type { BridgeCheckReport } from '../../daemon/admin/methods-bridge.ts';

/** One platform's steps. */
export interface BridgeGuide {
  readonly name: 'telegram' | 'discord';
  readonly about: string;
  /** What to make there, and where. */
  readonly steps: readonly string[];
  /** What is wrong with a text that should be a token. */
  fault(text: string): string | undefined;
  /** What to do once the bot runs. */
  after(report: BridgeCheckReport): readonly string[];
}

/** The platforms. */
export const BRIDGE_GUIDES: Readonly<Record<BridgeGuide['name'], BridgeGuide>> = {
  telegram: {
    name: 'telegram',
    about: 'a bot that people write to, or mention in groups',
    steps: [
      '1. In Telegram, write to @BotFather (https://t.me/BotFather): /newbot',
      '2. Give it a name, then a user name that ends in "bot".',
      '3. Leave its group privacy on: it then gets only what is meant for it.',
      '4. BotFather answers with a token such as 123456789:AAE... Keep it secret.',
    ],
    fault: (text) =>
      /^\d{3,20}:[\w-]{20,100}$/.test(text) ? undefined : 'A token of Telegram looks like 123456789:AAE...',
    after: ({ name, invite }) => [
      `Write to ${name}: ${invite}`,
      'Anyone may write to it. A group is open once its id stands in `bridges.groups` (telegram:-100...).',
      MONEY,
    ],
  },
  discord: {
    name: 'discord',
    about: 'a bot on your servers and in direct messages',
    steps: [
      '1. Open https://discord.com/developers/applications and press New Application.',
      '2. Under Bot, leave all three Privileged Gateway Intents off: it needs none.',
      '3. Under Bot, press Reset Token and copy the token. Keep it secret.',
    ],
    fault: (text) =>
      /^[\w.-]{20,150}$/.test(text) ? undefined : 'A token of Discord has 20 to 150 letters and dots.',
    after: ({ invite }) => [
      `Add it to a server of yours: ${invite}`,
      'Anyone may write to it directly. A server is open once its id stands in `bridges.groups` (discord:123...).',
      MONEY,
    ],
  },
};

const MONEY =
  'Agents of this peer are free for it. For others nothing is spent until `bridges.callMax` and the other limits say how much: docs/bridges.md.';
