/** Conversations: the last turns of one person in one place, which go along with the next question. */
import type { StoreOperation } from '../../base/store.ts';
import type { Turn } from '../../protocol/call.ts';
import { CONVERSATION_TURN_CHARACTERS_MAX, CONVERSATION_TURNS_MAX } from '../limits.ts';
import { clipped } from './markdown.ts';
import { accountOf } from './people.ts';
import type { ChatEvent } from './platform.ts';
import { conversationSchema } from './records.ts';
import { userOf } from './spending.ts';
import { put, type State } from './state.ts';

/** A pause after which a conversation starts anew, milliseconds: six hours. */
export const CONVERSATION_IDLE_MS = 21_600_000;

/** The turns before an event, oldest first. */
export function turnsBefore(state: State, event: ChatEvent): readonly Turn[] {
  const known = state.get(talkKey(state, event), conversationSchema);
  return known === undefined || known.atMs < event.atMs - CONVERSATION_IDLE_MS ? [] : known.turns;
}

/** The writes that add a question and its answer. */
export function addTurn(
  state: State,
  event: ChatEvent,
  turn: { readonly question: string; readonly answer: string },
): StoreOperation {
  const earlier = turnsBefore(state, event);
  const turns = [
    ...earlier,
    { role: 'user', text: clipped(turn.question, CONVERSATION_TURN_CHARACTERS_MAX) } as const,
    { role: 'agent', text: clipped(turn.answer, CONVERSATION_TURN_CHARACTERS_MAX) } as const,
  ].slice(-CONVERSATION_TURNS_MAX);
  return put(talkKey(state, event), conversationSchema, { turns, atMs: event.atMs });
}

function talkKey(state: State, event: ChatEvent): string {
  const user = userOf(event);
  const account = accountOf(state, user);
  const { chat, thread = '', direct } = event.place;
  // Who linked a DID goes on in any direct chat where another one stopped.
  return direct && account !== user ? `talk/${account}/direct` : `talk/${user}/${chat}:${thread}`;
}
