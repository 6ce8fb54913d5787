/**
 * Answers by a model behind any endpoint that speaks OpenAI's chat completions, hosted or local. What the model says
 * is streamed as it comes; what it cites is checked against the passages; what it was sent as passages is data.
 */
import OpenAI, { APIConnectionError, APIError, APIUserAbortError } from 'openai';
import type { ChatCompletionFunctionTool, ChatCompletionMessageParam } from 'openai/resources';
import { utf8 } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { asSaharaError, SaharaError } from '../../base/errors.ts';
import { inputUnits, UnitCounter } from '../../protocol/units.ts';
import { domainSha256 } from '../../vault/hash.ts';
import { TOOL_ROUNDS_MAX } from '../tools/limits.ts';
import type { ToolSpec } from '../tools/tool.ts';
import type { Toolbox, ToolCall } from '../tools/toolbox.ts';
import type { AnswerFinish, AnswerPart, AnswerRequest, Backend } from './backend.ts';
import { keepUnits } from './kept.ts';
import { ENDPOINT_ANSWER_MAX, ENDPOINT_IDLE_MS, TOKENS_PER_UNIT } from './limits.ts';
import { MarkFilter } from './marks.ts';
import { CallCollector } from './openai-calls.ts';
import { buildPrompt } from './prompt.ts';

/** Options of an endpoint. */
export interface OpenAiOptions {
  /** Base URL, such as `http://127.0.0.1:8080/v1`. */
  readonly endpoint: string;
  /** The model's name there. */
  readonly model: string;
  /** Whether the endpoint repeats itself for a seed. */
  readonly seeded: boolean;
  /** Most units of rules, question, context and passages that it is sent. Default 6,000. */
  readonly contextUnitsMax: number;
  /** Longest wait for the first or the next piece, milliseconds. Default 60,000. */
  readonly idleMs: number;
}

/** What `createOpenAiBackend` uses where nothing is said; endpoint and model have no default. */
const OPENAI_DEFAULTS: Omit<OpenAiOptions, 'endpoint' | 'model'> = {
  seeded: false,
  contextUnitsMax: 6000,
  idleMs: ENDPOINT_IDLE_MS,
};

/** The backend behind an endpoint. `apiKey` never appears in errors or logs. */
export function createOpenAiBackend(
  parts: { readonly clock: Clock; readonly apiKey?: string },
  options: Pick<OpenAiOptions, 'endpoint' | 'model'> & Partial<OpenAiOptions>,
): Backend {
  const chosen: OpenAiOptions = { ...OPENAI_DEFAULTS, ...options };
  const client = new OpenAI({
    baseURL: chosen.endpoint,
    // The client insists on a key; endpoints that want none ignore it.
    apiKey: parts.apiKey ?? 'none',
    organization: null,
    project: null,
    maxRetries: 0,
    timeout: chosen.idleMs,
    logLevel: 'off',
  });
  const closing = new AbortController();
  return {
    kind: 'openai',
    model: {
      name: chosen.model.slice(0, 128),
      digest: domainSha256('sahara/1/model/openai', utf8(`${chosen.endpoint}\n${chosen.model}`)),
      determinism: chosen.seeded ? 'seeded' : 'none',
    },
    answer: (request, { signal }) =>
      answer(
        { client, clock: parts.clock, options: chosen, signal: AbortSignal.any([signal, closing.signal]) },
        request,
      ),
    close: async () => closing.abort(),
  };
}

interface Session {
  readonly client: OpenAI;
  readonly clock: Clock;
  readonly options: OpenAiOptions;
  readonly signal: AbortSignal;
}

async function* answer(session: Session, request: AnswerRequest): AsyncGenerator<AnswerPart> {
  const { signal } = session;
  if (signal.aborted) throw new SaharaError('cancelled');
  const { messages, passages } = buildPrompt(request, session.options.contextUnitsMax);
  const marks = new MarkFilter(passages);
  const output = new UnitCounter();
  const stop = new AbortController();
  const idle = createIdleTimer(session, stop);
  let finish: AnswerFinish | undefined;
  let length = 0;
  const conversation: ChatCompletionMessageParam[] = [...messages];
  try {
    for (let round = 0; round <= TOOL_ROUNDS_MAX; round++) {
      const tools = round < TOOL_ROUNDS_MAX && request.tools?.open === true ? request.tools : undefined;
      const stream = await session.client.chat.completions.create(
        {
          model: session.options.model,
          messages: conversation,
          stream: true,
          max_tokens: request.unitsMax * TOKENS_PER_UNIT,
          ...(request.seed !== undefined && { seed: request.seed }),
          ...(tools && tools.specs.length > 0 && { tools: tools.specs.map(functionOf) }),
        },
        { signal: AbortSignal.any([signal, stop.signal]) },
      );
      const calls = new CallCollector();
      let said = '';
      finish = undefined;
      for await (const chunk of stream) {
        if (signal.aborted) throw new SaharaError('cancelled');
        const choice = chunk.choices[0];
        const text = choice?.delta?.content ?? '';
        said += text;
        length += text.length + calls.push(choice?.delta?.tool_calls);
        finish = finishOf(choice?.finish_reason) ?? finish;
        const limited = keepUnits(marks.push(text), output, request.unitsMax);
        idle.pause();
        yield* limited.parts;
        idle.resume();
        if (limited.full || length > ENDPOINT_ANSWER_MAX) {
          finish = 'length';
          break;
        }
      }
      if (finish !== 'done' || tools === undefined || calls.empty) break;
      idle.pause();
      conversation.push(...(await usedTools({ tools, calls: calls.whole(), said }, signal)));
      idle.resume();
    }
    if (finish === undefined) throw failed('the stream ended before the answer did', session);
    const rest = keepUnits(marks.finish(), output, request.unitsMax);
    yield* rest.parts;
    const units = { input: inputUnits(request), output: output.count };
    yield { type: 'end', finish: rest.full ? 'length' : finish, units };
  } catch (error) {
    if (signal.aborted) throw new SaharaError('cancelled', {}, { cause: error });
    throw idle.expired
      ? failed(`nothing came for ${session.options.idleMs} ms`, session)
      : failureOf(error, session);
  } finally {
    idle.pause();
    stop.abort();
  }
}

/** Runs what a model called, and tells it the results: data, and untrusted like everything that others wrote. */
async function usedTools(
  turn: { readonly tools: Toolbox; readonly calls: readonly ToolCall[]; readonly said: string },
  signal: AbortSignal,
): Promise<readonly ChatCompletionMessageParam[]> {
  const results = await turn.tools.run(turn.calls, { signal });
  const called = turn.calls.map(({ id, name, arguments: json }) => ({
    id,
    type: 'function' as const,
    function: { name, arguments: json },
  }));
  return [
    { role: 'assistant', content: turn.said === '' ? null : turn.said, tool_calls: called },
    ...results.map(({ id, text, failed: wrong }) => ({
      role: 'tool' as const,
      tool_call_id: id,
      content: wrong ? `The call failed: ${text}` : text,
    })),
  ];
}

function functionOf({ name, description, parameters }: ToolSpec): ChatCompletionFunctionTool {
  return { type: 'function', function: { name, description, parameters: { ...parameters } } };
}

function finishOf(reason: string | null | undefined): AnswerFinish | undefined {
  if (reason === null || reason === undefined) return undefined;
  return reason === 'length' ? 'length' : 'done';
}

interface IdleTimer {
  readonly expired: boolean;
  /** Stops the clock while the reader, not the endpoint, takes its time. */
  pause(): void;
  resume(): void;
}

function createIdleTimer(session: Session, stop: AbortController): IdleTimer {
  let expired = false;
  let cancel = (): void => {};
  const timer = {
    get expired() {
      return expired;
    },
    pause: () => cancel(),
    resume: () => {
      cancel();
      cancel = session.clock.after(session.options.idleMs, () => {
        expired = true;
        stop.abort();
      });
    },
  };
  timer.resume();
  return timer;
}

function failureOf(error: unknown, session: Session): SaharaError {
  if (error instanceof SaharaError) return error;
  if (error instanceof APIUserAbortError) return new SaharaError('cancelled', {}, { cause: error });
  if (error instanceof APIConnectionError) return failed('the endpoint cannot be reached', session, error);
  if (!(error instanceof APIError)) return streamFailure(error, session);
  const { status } = error;
  if (status === 429) {
    const after = Number(error.headers?.get('retry-after'));
    const facts = { model: session.options.model, ...(after > 0 && { retryAfterSeconds: after }) };
    return new SaharaError('rate-limited', facts, { cause: error });
  }
  if (error.code === 'context_length_exceeded' || /context (?:length|size|window)/i.test(error.message)) {
    return new SaharaError('context-overflow', { model: session.options.model }, { cause: error });
  }
  if (status === 401 || status === 403) return failed('the endpoint refused the key', session, error);
  if (status === 404) return failed('the endpoint does not know the model', session, error);
  return failed(`the endpoint answered ${status ?? 'with an error'}`, session, error);
}

/** A connection that broke in the middle, or bytes that are no stream. */
function streamFailure(error: unknown, session: Session): SaharaError {
  const known = asSaharaError(error);
  const reason =
    known.code === 'cancelled' ? 'the endpoint broke off' : 'the endpoint sent no readable stream';
  return failed(reason, session, error);
}

function failed(reason: string, session: Session, cause?: unknown): SaharaError {
  return new SaharaError(
    'backend-failed',
    { backend: 'openai', model: session.options.model, reason },
    { cause },
  );
}
