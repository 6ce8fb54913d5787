/** The section `bridges` of the configuration: what people in chats may do through this peer, and what they may spend. */
import { z } from 'zod';
import { parseAmount } from '../base/amount.ts';

/** How bridges to chats behave. Amounts are texts such as `0.002`, in SAHARA. Tokens never stand here. */
export interface BridgesConfig {
  readonly off: readonly string[];
  readonly agent: string;
  readonly callMax: string;
  readonly askAbove: string;
  readonly userDayMax: string;
  readonly chatDayMax: string;
  readonly guildDayMax: string;
  readonly dayMax: string;
  readonly max: string;
  readonly welcome: string;
  readonly groups: readonly string[];
  readonly users: readonly string[];
  readonly blocked: readonly string[];
  readonly admins: readonly string[];
  readonly listen: string;
  readonly learn: string;
  readonly stars: readonly string[];
  readonly products: readonly string[];
  readonly support: string;
  readonly telegramApi: string;
  readonly discordApi: string;
}

const amount = (about: string): z.ZodDefault<z.ZodString> =>
  z
    .string()
    .refine((text) => parseAmount(text) !== undefined)
    .meta({ allowed: 'an amount in SAHARA such as 0.002' })
    .default('0')
    .describe(about);

const names = (about: string): z.ZodDefault<z.ZodArray<z.ZodString>> =>
  z
    .array(z.string().regex(/^(telegram|discord):-?\d{1,24}$/))
    .meta({ allowed: 'names such as telegram:12345 and discord:12345' })
    .default([])
    .describe(about);

const prices = (pattern: RegExp, about: string): z.ZodDefault<z.ZodArray<z.ZodString>> =>
  z
    .array(
      z
        .string()
        .regex(pattern)
        .refine((text) => parseAmount(text.split('=')[1] ?? '') !== undefined),
    )
    .max(10)
    .meta({ allowed: 'pairs such as 100=0.1' })
    .default([])
    .describe(about);

const api = (fallback: string, about: string): z.ZodDefault<z.ZodString> =>
  z
    .string()
    .regex(/^https:\/\/[^\s@]+$|^http:\/\/(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?(?:\/[^\s@]*)?$/)
    .meta({ allowed: 'an https address, or http on this machine' })
    .default(fallback)
    .describe(about);

/** The schema of the section. */
export const bridgesSchema: z.ZodType<BridgesConfig> = z
  .strictObject({
    off: z
      .array(z.enum(['telegram', 'discord']))
      .meta({ allowed: 'telegram, discord' })
      .default([])
      .describe('Bridges that do not run although they have a token.'),
    agent: z
      .string()
      .max(128)
      .default('')
      .describe('Whom people ask who chose nobody: a name or a DID. Empty: the only agent there is.'),
    callMax: amount('Most that one answer may cost. SAHARA; 0 means that nothing is spent.'),
    askAbove: z
      .string()
      .refine((text) => text === '' || parseAmount(text) !== undefined)
      .meta({ allowed: 'an amount in SAHARA such as 0.002, or nothing' })
      .default('')
      .describe(
        'Answers that can cost more than this are asked for only after the person has seen that and pressed a button. SAHARA; 0 for everything that is not free. Empty: no such question.',
      ),
    userDayMax: amount('Most that one person may spend in a UTC day. SAHARA.'),
    chatDayMax: amount('Most that one chat or channel may spend in a UTC day. SAHARA.'),
    guildDayMax: amount('Most that one Discord server may spend in a UTC day. SAHARA.'),
    dayMax: amount('Most that all bridges may spend in a UTC day. SAHARA.'),
    max: amount('Most that all bridges may ever spend. SAHARA.'),
    welcome: amount(
      'What a person who was never seen before may spend of the operator’s money; it cannot be paid out. SAHARA.',
    ),
    groups: names('Groups and Discord servers in which anyone may ask; the others are closed.'),
    users: names('People who may ask. Empty: everybody.'),
    blocked: names('People who get no answer.'),
    admins: names('People who may ask anywhere and stop anyone’s answer.'),
    listen: z
      .string()
      .regex(/^$|^(?:\[[0-9a-f:]+\]|[\w.-]+):\d{1,5}$/i)
      .meta({ allowed: 'an address such as 127.0.0.1:4180, or nothing' })
      .default('')
      .describe(
        'Where bridges on other machines may use this daemon’s agents and wallet, with the token in SAHARA_BRIDGE_TOKEN; plain HTTP. Empty: nowhere.',
      ),
    learn: z
      .string()
      .max(64)
      .default('')
      .describe(
        'The hosted agent that people may give documents of their own by /learn, with their consent and their DID as contributor. Empty: none.',
      ),
    stars: prices(
      /^[1-9]\d{0,5}=\d[\d.]{0,30}$/,
      'Credit that is sold on Telegram: Stars, and SAHARA for them. Empty: nothing is sold.',
    ),
    products: prices(
      /^\d{5,24}=\d[\d.]{0,30}$/,
      'Credit that is sold on Discord: a consumable SKU’s id, and SAHARA for it. Empty: nothing is sold.',
    ),
    support: z
      .string()
      .max(200)
      .default('')
      .describe('How people reach you about payments: /terms and /paysupport say it.'),
    telegramApi: api('https://api.telegram.org', 'Where Telegram’s Bot API is.'),
    discordApi: api('https://discord.com/api', 'Where Discord’s REST API is.'),
  })
  .prefault({});
