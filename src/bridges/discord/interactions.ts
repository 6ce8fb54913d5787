/** What the journal keeps of an interaction: its id, its token, and whether only the person may see the answer. */
import { PRIVATE_COMMANDS } from '../core/commands.ts';
import type { ChatEvent } from '../core/platform.ts';

const ALONE = 'alone:';
const PRIVATE_PRESSES: readonly string[] = [
  ...['receipt', 'good', 'bad', 'stop', 'approve', 'dismiss'],
  ...['agree', 'decline', 'unlearn'],
];
/** What these lead to is shown by the message with the button. */
const SILENT_PRESSES: readonly string[] = ['stop', 'approve', 'dismiss'];

/** The stored form. `isAlone`: nobody but the person may see what comes back. */
export function interactionToken(
  interaction: { readonly id: string; readonly token: string },
  isAlone: boolean,
): string {
  return `${isAlone ? ALONE : ''}${interaction.id}/${interaction.token}`;
}

/** Id and token of the interaction that an event came by. */
export function interactionOf(event: ChatEvent): { readonly id: string; readonly token: string } {
  const stored = event.token.startsWith(ALONE) ? event.token.slice(ALONE.length) : event.token;
  const slash = stored.indexOf('/');
  return { id: stored.slice(0, slash), token: stored.slice(slash + 1) };
}

/** Whether only the person sees the reply. It is settled when the interaction is acknowledged, before the reply is known. */
export function isEphemeral(event: ChatEvent): boolean {
  if (event.token === '') return false;
  if (event.token.startsWith(ALONE)) return true;
  return event.type === 'press'
    ? PRIVATE_PRESSES.includes(event.text)
    : PRIVATE_COMMANDS.includes(event.text);
}

/** Whether an event is acknowledged without a response of its own: what is edited then is the message with the button. */
export function isSilent(event: ChatEvent): boolean {
  return event.token !== '' && event.type === 'press' && SILENT_PRESSES.includes(event.text);
}

/** Whether the bot can reach the place of an event by nothing but the interaction. */
export function isAlone(event: ChatEvent): boolean {
  return event.token.startsWith(ALONE);
}
