/** One conversation as people see it on each platform: messages in the form that the platform was sent them. */
import type { SeenMessage } from '../stand-ins/telegram.ts';
import { GENEROUS } from './settings.ts';
import { onDiscord } from './stage.ts';
import { telegramStage } from './telegram-stage.ts';

/** One message of a transcript. */
export interface Line {
  readonly from: 'person' | 'bot';
  /** In Markdown; Telegram's entities are written as such, Discord's is what it was sent. */
  readonly text: string;
  readonly buttons: readonly string[];
}

const QUESTIONS = ['/agents', '/balance', 'as=markdown', '/history', '/privacy', '/buy'];
const MARKS: Readonly<Record<string, string>> = {
  bold: '**',
  italic: '*',
  strikethrough: '~~',
  code: '`',
};

/** A conversation on Telegram. */
export async function telegramTranscript(): Promise<readonly Line[]> {
  const stage = await telegramStage(GENEROUS, {
    features: { drafts: true },
    stars: [{ stars: 50, credit: 5_000_000n }],
  });
  const { telegram } = stage;
  const ofBot = (): readonly SeenMessage[] => telegram.messages(7).filter(({ fromBot }) => fromBot);
  for (const [i, text] of QUESTIONS.entries()) {
    telegram.say({ chat: 7, user: 7, text });
    await telegram.until(() => ofBot().length > i, text);
    await stage.bot.bridge.idle();
  }
  for (const wanted of ['sources', 'receipt', 'good']) {
    const before = ofBot().length;
    const answer = ofBot().find(({ buttons }) => buttons.length > 0);
    const data = answer?.buttons.map((button) => button.callback_data).find((one) => one.startsWith(wanted));
    telegram.press(7, 7, answer?.id ?? 0, data ?? '');
    await telegram.until(() => ofBot().length > before, wanted);
    await stage.bot.bridge.idle();
  }
  const lines = telegram.messages(7).map(
    (message): Line => ({
      from: message.fromBot ? 'bot' : 'person',
      text: masked(withMarks(message)),
      buttons: message.buttons.map(({ text }) => text),
    }),
  );
  await stage.close();
  return lines;
}

/** The same on Discord. */
export async function discordTranscript(): Promise<readonly Line[]> {
  const stage = await onDiscord(GENEROUS);
  const lines: Line[] = [];
  const ofBot = () => [...stage.shown(7, 'direct'), ...stage.secret(7, 'direct')];
  const told = new Set<string>();
  const tell = async (said: string, act: () => void): Promise<void> => {
    lines.push({ from: 'person', text: said, buttons: [] });
    act();
    await stage.until(() => ofBot().some(({ id, text }) => !told.has(id) && text !== ''), said);
    await stage.bridge().idle();
    for (const { id, text, actions } of ofBot().filter((message) => !told.has(message.id))) {
      told.add(id);
      lines.push({ from: 'bot', text: masked(text), buttons: actions });
    }
  };
  for (const text of QUESTIONS.slice(0, -1)) {
    const name = text.startsWith('/') ? text.slice(1) : undefined;
    await tell(text, () => (name ? stage.command(7, 'direct', name) : stage.ask(7, 'direct', text)));
  }
  const answer = ofBot().find(({ actions }) => actions.includes('receipt'));
  for (const action of ['sources', 'receipt', 'good'])
    await tell(`(${action})`, () => answer && stage.press(7, 'direct', answer, action));
  await stage.close();
  return lines;
}

/** A transcript as text: what the golden files hold. */
export function asText(lines: readonly Line[]): string {
  return lines
    .map(({ from, text, buttons }) => {
      const shown = text.replace(/^/gm, '    ').replace(/ +$/gm, '');
      return `${from}:\n${shown}\n${buttons.length === 0 ? '' : `    [${buttons.join('] [')}]\n`}`;
    })
    .join('\n');
}

/** Ids and times differ from run to run. */
function masked(text: string): string {
  return text.replace(/\b[0-9a-f]{12}\b/g, '0123456789ab');
}

function withMarks({ text, entities }: SeenMessage): string {
  const marks = entities.flatMap((entity) => {
    const { type, offset, length } = entity;
    const end = offset + length;
    const url = type === 'text_link' ? entity.url : '';
    const [open, close] =
      type === 'pre'
        ? ['```\n', '\n```']
        : type === 'text_link'
          ? ['[', `](${url})`]
          : [MARKS[type] ?? '', MARKS[type] ?? ''];
    return [
      { at: offset, mark: open, order: 1 },
      { at: end, mark: close, order: 0 },
    ];
  });
  marks.sort((a, b) => b.at - a.at || b.order - a.order);
  return marks.reduce((marked, { at, mark }) => marked.slice(0, at) + mark + marked.slice(at), text);
}
