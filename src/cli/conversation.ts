/** How much of a conversation goes along with its next question. */
import { fromUtf8, utf8 } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import type { AskInput } from '../daemon/admin/methods.ts';
import { CONTEXT_TURN_BYTES_MAX } from '../protocol/limits.ts';

/** What one side said. */
export type Turn = NonNullable<AskInput['context']>[number];

/** Asks with earlier turns. */
export interface Remembering<T> {
  /** Rejects with `context-overflow` where they do not fit into the model; then nothing is charged. */
  ask(context: readonly Turn[]): Promise<T>;
  /** It is asked again with so many of them. */
  shortened(turns: number): void;
}

/** Most turns that go along, and most bytes of them. */
const TURNS_MAX = 16;
const BYTES_MAX = 32_768;

/** Asks with the newest turns; where the model has no room for them, again with the newer half, and in the end with none. */
export async function remembering<T>(
  conversation: readonly Turn[],
  { ask, shortened }: Remembering<T>,
): Promise<T> {
  let context = newest(conversation);
  for (;;) {
    try {
      return await ask(context);
    } catch (error) {
      const overflow = error instanceof SaharaError && error.code === 'context-overflow';
      if (!overflow || context.length === 0) throw error;
      context = context.slice(Math.ceil(context.length / 2));
      shortened(context.length);
    }
  }
}

/** The newest turns that may go along, each with as much of its beginning as may. */
export function newest(conversation: readonly Turn[]): readonly Turn[] {
  const turns: Turn[] = [];
  let sizeBytes = 0;
  for (const { role, text } of conversation.slice(-TURNS_MAX).reverse()) {
    const turn = { role, text: clipped(text) };
    sizeBytes += utf8(turn.text).length;
    if (sizeBytes > BYTES_MAX) break;
    turns.unshift(turn);
  }
  return turns;
}

function clipped(text: string): string {
  const bytes = utf8(text);
  let end = Math.min(bytes.length, CONTEXT_TURN_BYTES_MAX);
  // Never half a character.
  while (end < bytes.length && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return fromUtf8(bytes.subarray(0, end)) ?? '';
}
