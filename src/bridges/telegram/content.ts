/** A reply in Telegram's own form: text and entities, never a markup language that its text could break. */
import type { InlineKeyboardMarkup, MessageEntity } from 'grammy/types';
import type { Button } from '../core/platform.ts';
import type { Rich, Span } from '../core/rich.ts';
import type { SplitLimit } from '../core/split.ts';
import { TELEGRAM_ENTITIES_MAX, TELEGRAM_TEXT_MAX } from '../limits.ts';

/** How long a Telegram message may be. */
export const TELEGRAM_LIMIT: SplitLimit = {
  sizeMax: TELEGRAM_TEXT_MAX,
  sizeOf: (rich) => rich.text.length,
  spansMax: TELEGRAM_ENTITIES_MAX,
};

/** The entities of a text. */
export function telegramEntities(rich: Rich): MessageEntity[] {
  return rich.spans.map(entity);
}

function entity({ style, offset, length, url, language }: Span): MessageEntity {
  const range = { offset, length };
  switch (style) {
    case 'pre':
      return { type: 'pre', ...range, ...(language !== undefined && { language }) };
    case 'link':
      return { type: 'text_link', ...range, url: url ?? '' };
    case 'quote':
      return { type: 'blockquote', ...range };
    case 'strike':
      return { type: 'strikethrough', ...range };
    default:
      return { type: style, ...range };
  }
}

/** Buttons in one row. Their data names action and job: at most 41 of the 64 bytes that Telegram takes. */
export function telegramKeyboard(buttons: readonly Button[]): InlineKeyboardMarkup {
  const row = buttons.map(({ action, job, label }) => ({ text: label, callback_data: `${action}:${job}` }));
  return { inline_keyboard: row.length === 0 ? [] : [row] };
}
