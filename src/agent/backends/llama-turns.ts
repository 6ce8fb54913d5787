/** A local model that may use tools: what it calls is run and told to it, until it answers without. */
import type { EngineRequest, LlamaEngine } from '../llama/engine.ts';
import type { MadeCall, Prompt, PromptMessage, ToolUse } from '../llama/messages.ts';
import type { HostPart } from '../llama/model-host.ts';
import { TOOL_ROUNDS_MAX } from '../tools/limits.ts';
import type { ToolSpec } from '../tools/tool.ts';
import type { Toolbox, ToolResult } from '../tools/toolbox.ts';

/** What is asked of a model that may use tools. */
export type TurnsRequest = Omit<EngineRequest, 'prompt'> & {
  readonly prompt: Extract<Prompt, { kind: 'chat' }>;
};

/**
 * Generates as `engine.generate` does, in as many turns as calls of `tools` make, at most `TOOL_ROUNDS_MAX` and one
 * without tools. No sequence is held while tools run. Throws what `generate` throws.
 */
export async function* generateInTurns(
  { engine, tools }: { readonly engine: LlamaEngine; readonly tools: Toolbox | undefined },
  request: TurnsRequest,
  { signal }: { readonly signal: AbortSignal },
): AsyncGenerator<HostPart> {
  let { messages } = request.prompt;
  // As many units as the context has tokens: at about three to a token, a third of it.
  let left = request.context.tokens;
  for (let round = 0; ; round++) {
    const open = round < TOOL_ROUNDS_MAX && tools?.open === true ? tools : undefined;
    const uses = open === undefined || open.specs.length === 0 ? {} : { tools: open.specs.map(useOf) };
    const prompt: Prompt = { kind: 'chat', messages, ...uses };
    let said = '';
    let calls: readonly MadeCall[] = [];
    for await (const part of engine.generate({ ...request, prompt }, { signal })) {
      if (part.type === 'text') said += part.text;
      if (part.type === 'end' && part.finish === 'calls') calls = part.calls;
      else yield part;
    }
    if (open === undefined || calls.length === 0) return;
    const made = calls.map((call, i) => ({ ...call, id: `${round}-${i}` }));
    const results = await open.run(made, { signal });
    const told = toldOf(said, calls, { results, lengthMax: Math.floor(left / 2) });
    left -= told.calls?.reduce((sum, { result }) => sum + result.length, 0) ?? 0;
    messages = [...messages, told];
  }
}

function useOf({ name, description, parameters }: ToolSpec): ToolUse {
  return { name, description, parameters: JSON.stringify(parameters) };
}

/**
 * What a model said and called, with what came of it, together at most `lengthMax` UTF-16 units: data, and untrusted
 * like everything that others wrote.
 */
function toldOf(
  said: string,
  calls: readonly MadeCall[],
  { results, lengthMax }: { readonly results: readonly ToolResult[]; readonly lengthMax: number },
): PromptMessage {
  const each = Math.floor(lengthMax / calls.length);
  const told = calls.map((call, i) => {
    const { text = '', failed = true } = results[i] ?? {};
    return { ...call, result: cut(failed ? `The call failed: ${text}` : text, each) };
  });
  return { role: 'assistant', content: said, calls: told };
}

const CUT = '\n[cut]';

function cut(text: string, lengthMax: number): string {
  if (text.length <= lengthMax) return text;
  const kept = text.slice(0, Math.max(0, lengthMax - CUT.length));
  // Never half a character.
  return `${kept.toWellFormed().replace(/\ufffd$/, '')}${CUT}`;
}
