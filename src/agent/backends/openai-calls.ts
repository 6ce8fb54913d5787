/** Puts the calls of tools together that an endpoint streams in pieces. */
import type { ChatCompletionChunk } from 'openai/resources';
import { TOOL_ARGUMENTS_BYTES_MAX, TOOL_CALLS_MAX } from '../tools/limits.ts';
import type { ToolCall } from '../tools/toolbox.ts';

type Piece = NonNullable<ChatCompletionChunk.Choice.Delta['tool_calls']>[number];

/** The calls of one turn of a model, as far as they have come. */
export class CallCollector {
  readonly #calls = new Map<number, { id: string; name: string; arguments: string }>();

  get empty(): boolean {
    return this.#calls.size === 0;
  }

  /** Takes pieces in; how many characters they had. Calls beyond what is allowed, and arguments too long, are cut. */
  push(pieces: readonly Piece[] | undefined): number {
    let length = 0;
    for (const { index, id, function: called } of pieces ?? []) {
      const call = this.#calls.get(index) ?? { id: '', name: '', arguments: '' };
      if (!this.#calls.has(index) && this.#calls.size === TOOL_CALLS_MAX) continue;
      const json = called?.arguments ?? '';
      call.id ||= (id ?? '').slice(0, 128);
      call.name ||= (called?.name ?? '').slice(0, 128);
      // One more than is allowed is enough to have it refused.
      if (call.arguments.length <= TOOL_ARGUMENTS_BYTES_MAX) call.arguments += json;
      this.#calls.set(index, call);
      length += json.length;
    }
    return length;
  }

  /** The calls in their order; one without a name of its own gets its place as name. */
  whole(): readonly ToolCall[] {
    return [...this.#calls.entries()]
      .sort(([a], [b]) => a - b)
      .map(([index, call]) => ({ ...call, id: call.id === '' ? `call-${index}` : call.id }));
  }
}
