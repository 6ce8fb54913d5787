/**
 * The tools of one answer: arguments are checked before anything runs, calls are counted and bounded, and whatever
 * goes wrong is told to the model as a result, because it may know another way.
 */
import { z } from 'zod';
import { fromUtf8, utf8 } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { explainError } from '../../base/error-text.ts';
import { asSaharaError, SaharaError } from '../../base/errors.ts';
import { nearestNames } from '../../base/nearest.ts';
import {
  TOOL_ARGUMENTS_BYTES_MAX,
  TOOL_CALL_MS_MAX,
  TOOL_CALLS_AT_ONCE_MAX,
  TOOL_CALLS_MAX,
  TOOL_RESULT_BYTES_MAX,
} from './limits.ts';
import type { ParameterSchema, Tool, ToolSpec } from './tool.ts';

/** A call of a tool as a model makes it. */
export interface ToolCall {
  /** The model's own name for the call. */
  readonly id: string;
  readonly name: string;
  /** JSON. */
  readonly arguments: string;
}

/** What came of a call. */
export interface ToolResult {
  readonly id: string;
  /** At most `TOOL_RESULT_BYTES_MAX` bytes; untrusted. */
  readonly text: string;
  readonly failed: boolean;
}

/** The tools of one answer. */
export interface Toolbox {
  readonly specs: readonly ToolSpec[];
  /** Whether there may be more calls. */
  readonly open: boolean;
  /** Runs calls beside each other; results in the order of the calls. Rejects only with `cancelled`. */
  run(calls: readonly ToolCall[], options: { readonly signal: AbortSignal }): Promise<readonly ToolResult[]>;
}

/** A toolbox of `tools`, whose names differ. */
export function createToolbox(parts: { readonly tools: readonly Tool[]; readonly clock: Clock }): Toolbox {
  const { tools, clock } = parts;
  const checks = new Map(tools.map((tool) => [tool.name, parameterCheck(tool.parameters)]));
  let left = TOOL_CALLS_MAX;

  async function one(call: ToolCall, signal: AbortSignal): Promise<ToolResult> {
    const { id } = call;
    try {
      if (left === 0)
        return { id, failed: true, text: `No more calls: ${TOOL_CALLS_MAX} is the most of an answer.` };
      left--;
      const tool = tools.find(({ name }) => name === call.name);
      if (tool === undefined) return { id, failed: true, text: unknownTool(call.name, tools) };
      const args = checkedArguments(call.arguments, checks.get(tool.name));
      const text = await within({ clock, signal }, (own) => tool.run(args, { signal: own }));
      return { id, failed: false, text: clipped(text) };
    } catch (error) {
      if (signal.aborted) throw new SaharaError('cancelled', {}, { cause: error });
      return { id, failed: true, text: clipped(told(asSaharaError(error))) };
    }
  }

  return {
    specs: tools,
    get open() {
      return left > 0;
    },
    async run(calls, { signal }) {
      const results: ToolResult[] = [];
      for (let at = 0; at < calls.length; at += TOOL_CALLS_AT_ONCE_MAX) {
        const some = calls.slice(at, at + TOOL_CALLS_AT_ONCE_MAX);
        results.push(...(await Promise.all(some.map((call) => one(call, signal)))));
      }
      return results;
    },
  };
}

/** A check of arguments by a JSON schema. Throws `usage` for a schema that cannot be one. */
export function parameterCheck(schema: ParameterSchema): z.ZodType {
  try {
    return z.fromJSONSchema(schema);
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'it cannot be read';
    throw new SaharaError(
      'usage',
      { reason: `This is no JSON schema of parameters: ${reason}` },
      { cause: error },
    );
  }
}

function checkedArguments(json: string, check: z.ZodType | undefined): Readonly<Record<string, unknown>> {
  const sizeBytes = utf8(json).length;
  if (sizeBytes > TOOL_ARGUMENTS_BYTES_MAX) {
    throw new SaharaError('too-large', {
      what: 'arguments',
      sizeBytes,
      limitBytes: TOOL_ARGUMENTS_BYTES_MAX,
    });
  }
  let given: unknown;
  try {
    // Models send nothing for a function without parameters.
    given = JSON.parse(json.trim() === '' ? '{}' : json);
  } catch {
    throw new SaharaError('usage', { reason: 'The arguments are no JSON' });
  }
  const parsed = z.record(z.string(), z.unknown()).safeParse(given);
  const fits = check?.safeParse(given);
  const fault = parsed.error ?? fits?.error;
  if (fault !== undefined || parsed.data === undefined) {
    const [issue] = fault?.issues ?? [];
    const where = issue === undefined || issue.path.length === 0 ? '' : ` at ${issue.path.join('.')}`;
    throw new SaharaError('usage', { reason: `The arguments do not fit${where}: ${issue?.message ?? ''}` });
  }
  return parsed.data;
}

async function within<T>(
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController();
  const over = Promise.withResolvers<never>();
  const cancel = clock.after(TOOL_CALL_MS_MAX, () => {
    const error = new SaharaError('deadline-exceeded', { what: 'a tool', limitMs: TOOL_CALL_MS_MAX });
    late.abort(error);
    over.reject(error);
  });
  const stop = (): void => over.reject(new SaharaError('cancelled'));
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  try {
    // A tool that does not listen must not hold the answer.
    return await Promise.race([work(AbortSignal.any([signal, late.signal])), over.promise]);
  } finally {
    cancel();
    signal.removeEventListener('abort', stop);
  }
}

/** What a model is told of a failure: only what went wrong, where the rest is for an operator. */
function told({ code, facts }: SaharaError): string {
  const plain = code === 'usage' || code === 'tool-failed';
  return plain ? String(facts.reason) : explainError({ code, facts });
}

function unknownTool(name: string, tools: readonly Tool[]): string {
  const names = tools.map((tool) => tool.name);
  const [near] = nearestNames(name, names);
  return `There is no tool of that name${near === undefined ? '' : `; did you mean ${near}?`} There are: ${names.join(', ')}.`;
}

function clipped(text: string): string {
  const bytes = utf8(text);
  if (bytes.length <= TOOL_RESULT_BYTES_MAX) return text;
  const note = '\n[cut]';
  let end = TOOL_RESULT_BYTES_MAX - note.length;
  // Never half a character.
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return `${fromUtf8(bytes.subarray(0, end))}${note}`;
}
