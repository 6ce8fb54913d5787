/**
 * Inline queries: `@bot` typed in any chat shows agents and what they cost. It never asks and never spends: what is put
 * into the chat is a text about the agent, and such messages are no questions.
 */
import type { InlineQuery, InlineQueryResultArticle } from 'grammy/types';
import { formatAmount } from '../../base/amount.ts';
import type { AgentIndex } from '../core/agent-index.ts';
import type { Language } from '../core/language.ts';
import { languageFor } from '../core/languages.ts';
import { clipped } from '../core/markdown.ts';
import type { AgentListing } from '../core/ports.ts';
import { joined, type Rich, styled } from '../core/rich.ts';
import { telegramEntities } from './content.ts';
import type { TelegramSelf } from './events.ts';

/** Most results of one answer; Telegram takes 50. */
const RESULTS_MAX = 20;

/** What an inline query is answered with. */
export interface InlineAnswer {
  readonly results: readonly InlineQueryResultArticle[];
  /** Where the next page begins; empty at the end. */
  readonly nextOffset: string;
}

/** The agents that a query means, a page at a time. */
export function inlineAnswer(query: InlineQuery, index: AgentIndex, self: TelegramSelf): InlineAnswer {
  const language = languageFor(query.from.language_code ?? '');
  const from = /^\d{1,4}$/.test(query.offset) ? Number(query.offset) : 0;
  const found = index.search(query.query);
  const results = found.slice(from, from + RESULTS_MAX).map((agent) => article(agent, self, language));
  const next = from + RESULTS_MAX;
  return { results, nextOffset: next < found.length ? String(next) : '' };
}

function article(agent: AgentListing, self: TelegramSelf, language: Language): InlineQueryResultArticle {
  const price = agent.amountMax === 0n ? language.free : `≤ ${formatAmount(agent.amountMax)}`;
  const about: Rich = joined(
    styled(clipped(agent.name, 64), 'bold'),
    ` (${price})\n${clipped(agent.description, 500)}`,
  );
  return {
    type: 'article',
    // Telegram takes 64 bytes; the end of a DID tells agents apart.
    id: agent.did.slice(-48),
    title: `${clipped(agent.name, 64)} · ${price}`,
    description: clipped(agent.description, 160),
    input_message_content: {
      message_text: about.text,
      entities: telegramEntities(about),
      link_preview_options: { is_disabled: true },
    },
    reply_markup: {
      inline_keyboard: [[{ text: language.formTitle, url: `https://t.me/${self.username}` }]],
    },
  };
}
