/** What the bot publishes: its slash commands, and an entry in the menu of each message. */
import {
  ApplicationCommandOptionType,
  ApplicationCommandType,
  ApplicationIntegrationType,
  InteractionContextType,
  type RESTPutAPIApplicationCommandsJSONBody,
} from 'discord.js';
import { COMMAND_TEXTS } from '../core/commands.ts';
import { SHOP_TEXTS } from '../core/shop.ts';

/** Name of the entry in a message's menu. */
export const ASK_ABOUT = 'Ask about this message';

interface Argument {
  readonly name: string;
  readonly description: string;
}

/** Commands that something may follow. `ask` without a question opens a form for a long one. */
const ARGUMENTS: Readonly<Record<string, Argument>> = {
  ask: { name: 'question', description: 'What you would like to know; leave it out for a large field' },
  agent: { name: 'name', description: 'The agent’s name' },
  withdraw: { name: 'order', description: 'An amount or all, and the DID that gets it' },
  budget: { name: 'amount', description: 'In SAHARA, or off' },
  link: { name: 'grant', description: 'What `sahara bridge link` printed' },
  receipt: { name: 'id', description: 'The id under an answer' },
  proof: { name: 'id', description: 'The id under an answer' },
  explain: { name: 'id', description: 'The id under an answer' },
  learn: { name: 'text', description: 'A text, where it is no file' },
  unlearn: { name: 'name', description: 'Its name, or its number in the list' },
};

/** A file that comes with a command. */
const DOCUMENT = {
  type: ApplicationCommandOptionType.Attachment as const,
  required: false,
  name: 'document',
  description: 'A file of your own',
};

/** In servers and for oneself; in servers, with the bot, and with other people. */
const EVERYWHERE = {
  integration_types: [ApplicationIntegrationType.GuildInstall, ApplicationIntegrationType.UserInstall],
  contexts: [
    InteractionContextType.Guild,
    InteractionContextType.BotDM,
    InteractionContextType.PrivateChannel,
  ],
};

/** Everything to publish; it takes the place of what was published before. */
export function commandList(hasShop: boolean): RESTPutAPIApplicationCommandsJSONBody {
  const texts = { ...COMMAND_TEXTS, ...(hasShop && SHOP_TEXTS) };
  const commands = Object.entries(texts).map(([name, description]) => {
    const argument = ARGUMENTS[name];
    const options =
      argument === undefined
        ? []
        : [
            ...(name === 'learn' ? [DOCUMENT] : []),
            {
              type: ApplicationCommandOptionType.String as const,
              required: false,
              ...argument,
              ...(name === 'agent' && { autocomplete: true as const }),
            },
          ];
    return { name, description, ...EVERYWHERE, options };
  });
  return [...commands, { type: ApplicationCommandType.Message, name: ASK_ABOUT, ...EVERYWHERE }];
}
