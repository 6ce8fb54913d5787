/** Reads what daemon and model host say to each other: every field by type, range and length. */
import { type ErrorCode, type ErrorFacts, isErrorCode } from '../../base/errors.ts';
import {
  TOOL_ABOUT_BYTES_MAX,
  TOOL_ARGUMENTS_BYTES_MAX,
  TOOL_CALLS_MAX,
  TOOL_ROUNDS_MAX,
  TOOL_SCHEMA_BYTES_MAX,
  TOOLS_MAX,
} from '../tools/limits.ts';
import {
  ADAPTERS_MAX,
  CANDIDATES_MAX,
  CONTEXT_MAX,
  MESSAGE_LENGTH_MAX,
  REQUESTS_MAX,
  SCALE_MAX,
  SEQUENCES_MAX,
  STOP_LENGTH_MAX,
  STOPS_MAX,
} from './limits.ts';
import {
  fieldsOf,
  malformed,
  readCount,
  readId,
  readList,
  readNumber,
  readOne,
  readText,
} from './message-values.ts';
import type {
  ContextKey,
  FromHost,
  GpuChoice,
  HostFinish,
  HostText,
  MadeCall,
  Prompt,
  PromptMessage,
  TextKind,
  ToHost,
  ToolUse,
} from './messages.ts';
import { readJudged, readJudging } from './messages-judging.ts';
import type { SamplingOptions } from './sampler.ts';

const GPUS: readonly GpuChoice[] = ['auto', 'none', 'cuda', 'vulkan', 'metal'];
const ROLES = ['system', 'user', 'assistant'] as const;
const FINISHES: readonly HostFinish[] = ['stop', 'length', 'cancelled', 'calls'];
const KINDS: readonly TextKind[] = ['answer', 'thought'];
const MESSAGES_MAX = 4_096;
const FACTS_MAX = 32;
const PATH_MAX = 4_096;
const TOOL_NAME_MAX = 64;

/** Reads what the daemon said. Throws `malformed`. */
export function readToHost(value: unknown): ToHost {
  const at = fieldsOf(value);
  const type = at('type');
  if (type === 'ask-stats') return { type };
  if (type === 'cancel') return { type, id: readId(at('id')) };
  if (type === 'pause') return { type, id: readId(at('id')), paused: at('paused') === true };
  if (type === 'tokenize') {
    return { type, id: readId(at('id')), text: readText(at('text'), MESSAGE_LENGTH_MAX) };
  }
  if (type === 'load') {
    return {
      type,
      path: readText(at('path'), PATH_MAX),
      gpu: readOne(at('gpu'), GPUS),
      threads: readNumber(at('threads'), { min: 1, max: 1_024, whole: true }),
      memoryBytesMax: readNumber(at('memoryBytesMax'), { min: 1, max: Number.MAX_SAFE_INTEGER, whole: true }),
    };
  }
  const judging = readJudging(type, at);
  if (judging !== undefined) return judging;
  const common = {
    id: readId(at('id')),
    context: readContext(at('context')),
    prompt: readPrompt(at('prompt')),
  };
  if (type === 'score') return { type, ...common, answer: readText(at('answer'), MESSAGE_LENGTH_MAX) };
  if (type !== 'generate') throw malformed('type');
  const watermark = at('watermark');
  return {
    type,
    ...common,
    sampling: readSampling(at('sampling')),
    tokensMax: readNumber(at('tokensMax'), { min: 1, max: CONTEXT_MAX, whole: true }),
    stops: readList(at('stops'), STOPS_MAX, (stop) => readText(stop, STOP_LENGTH_MAX)),
    ...(watermark !== undefined && { watermark: { key: readText(fieldsOf(watermark)('key'), 64) } }),
  };
}

/** Reads what a host said. Throws `malformed`. */
export function readFromHost(value: unknown): FromHost {
  const at = fieldsOf(value);
  const type = at('type');
  const count = (name: string): number => readCount(at(name));
  switch (type) {
    case 'ready':
      return {
        type,
        gpu: readText(at('gpu'), 64),
        build: readText(at('build'), 256),
        devices: readList(at('devices'), 64, (name) => readText(name, 256)),
        memoryBytes: count('memoryBytes'),
        deviceBytes: count('deviceBytes'),
        wrapper: readText(at('wrapper'), 128),
      };
    case 'unable':
      return { type, ...readFailure(at) };
    case 'started':
      return {
        type,
        id: readId(at('id')),
        promptTokens: count('promptTokens'),
        reusedTokens: count('reusedTokens'),
      };
    case 'texts':
      return { type, texts: readList(at('texts'), REQUESTS_MAX, readPiece) };
    case 'end':
      return {
        type,
        id: readId(at('id')),
        finish: readOne(at('finish'), FINISHES),
        tokens: count('tokens'),
        calls: readList(at('calls'), TOOL_CALLS_MAX, readCall),
      };
    case 'scored':
      return {
        type,
        id: readId(at('id')),
        logProbabilities: readList(at('logProbabilities'), CONTEXT_MAX, (p) =>
          readNumber(p, { min: Number.NEGATIVE_INFINITY, max: 0.001 }),
        ),
      };
    case 'tokens':
      return { type, id: readId(at('id')), tokens: readList(at('tokens'), CONTEXT_MAX, readCount) };
    case 'judged':
      return readJudged(at);
    case 'failed':
      return { type, id: readId(at('id')), ...readFailure(at) };
    case 'stats':
      return {
        type,
        memoryBytes: count('memoryBytes'),
        processorMs: count('processorMs'),
        contexts: count('contexts'),
        steps: readList(at('steps'), SEQUENCES_MAX, readCount),
        tokens: count('tokens'),
        lateSteps: count('lateSteps'),
      };
    default:
      throw malformed('type');
  }
}

function readPiece(value: unknown): HostText {
  if (!Array.isArray(value)) throw malformed('texts');
  const [id, text, tokens, kind] = value;
  return [readId(id), readText(text, MESSAGE_LENGTH_MAX), readCount(tokens), readOne(kind, KINDS)];
}

function readCall(value: unknown): MadeCall {
  const at = fieldsOf(value);
  return {
    name: readText(at('name'), TOOL_NAME_MAX),
    arguments: readText(at('arguments'), TOOL_ARGUMENTS_BYTES_MAX),
  };
}

function readFailure(at: (name: string) => unknown): {
  readonly code: ErrorCode;
  readonly facts: ErrorFacts;
} {
  const code = readText(at('code'), 64);
  if (!isErrorCode(code)) throw malformed('code');
  const facts: Record<string, string | number | boolean> = {};
  for (const [name, fact] of Object.entries(at('facts') ?? {}).slice(0, FACTS_MAX)) {
    if (typeof fact === 'string') facts[name] = fact.slice(0, 1_024);
    else if (typeof fact === 'number' || typeof fact === 'boolean') facts[name] = fact;
  }
  return { code, facts };
}

function readContext(value: unknown): ContextKey {
  const at = fieldsOf(value);
  return {
    adapters: readList(at('adapters'), ADAPTERS_MAX, (adapter) => {
      const of = fieldsOf(adapter);
      return {
        path: readText(of('path'), PATH_MAX),
        scale: readNumber(of('scale'), { min: -SCALE_MAX, max: SCALE_MAX }),
      };
    }),
    tokens: readNumber(at('tokens'), { min: 1, max: CONTEXT_MAX, whole: true }),
    sequences: readNumber(at('sequences'), { min: 1, max: SEQUENCES_MAX, whole: true }),
  };
}

function readPrompt(value: unknown): Prompt {
  const at = fieldsOf(value);
  if (at('kind') === 'text') return { kind: 'text', text: readText(at('text'), MESSAGE_LENGTH_MAX) };
  if (at('kind') !== 'chat') throw malformed('prompt');
  const tools = at('tools');
  return {
    kind: 'chat',
    messages: readList(at('messages'), MESSAGES_MAX, readMessage),
    ...(tools !== undefined && { tools: readList(tools, TOOLS_MAX, readTool) }),
  };
}

function readMessage(value: unknown): PromptMessage {
  const at = fieldsOf(value);
  const calls = at('calls');
  return {
    role: readOne(at('role'), ROLES),
    content: readText(at('content'), MESSAGE_LENGTH_MAX),
    ...(calls !== undefined && {
      calls: readList(calls, TOOL_CALLS_MAX * TOOL_ROUNDS_MAX, (call) => ({
        ...readCall(call),
        result: readText(fieldsOf(call)('result'), MESSAGE_LENGTH_MAX),
      })),
    }),
  };
}

function readTool(value: unknown): ToolUse {
  const at = fieldsOf(value);
  return {
    name: readText(at('name'), TOOL_NAME_MAX),
    description: readText(at('description'), TOOL_ABOUT_BYTES_MAX),
    parameters: readText(at('parameters'), TOOL_SCHEMA_BYTES_MAX),
  };
}

function readSampling(value: unknown): SamplingOptions {
  const at = fieldsOf(value);
  return {
    temperature: readNumber(at('temperature'), { min: 0, max: 5 }),
    topK: readNumber(at('topK'), { min: 1, max: CANDIDATES_MAX, whole: true }),
    topP: readNumber(at('topP'), { min: Number.MIN_VALUE, max: 1 }),
    minP: readNumber(at('minP'), { min: 0, max: 1 }),
    seed: readNumber(at('seed'), { min: 0, max: 2 ** 32 - 1, whole: true }),
  };
}
