/**
 * What daemon and model host say to each other, as JSON over the channel that a forked process has. Both sides check
 * every message: the host reads files of strangers, and what comes out of it is believed no more than they are.
 */
import { type ErrorCode, type ErrorFacts, isErrorCode, SaharaError } from '../../base/errors.ts';
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
import type { SamplingOptions } from './sampler.ts';

/** Where a model may run. */
export type GpuChoice = 'auto' | 'none' | 'cuda' | 'vulkan' | 'metal';

/** What a host is started with. */
export interface LoadMessage {
  readonly type: 'load';
  readonly path: string;
  readonly gpu: GpuChoice;
  /** Threads that decode. */
  readonly threads: number;
  /** Most memory of the whole process, bytes; above it the host ends itself. */
  readonly memoryBytesMax: number;
}

/** An adapter and how much of it. */
export interface AdapterUse {
  readonly path: string;
  /** 0 leaves the model as it is; from -8 to 8. */
  readonly scale: number;
}

/** The context that a request runs in: requests of the same one are decoded together. */
export interface ContextKey {
  readonly adapters: readonly AdapterUse[];
  /** Tokens of each sequence. */
  readonly tokens: number;
  readonly sequences: number;
}

/** What a model reads. */
export type Prompt =
  | {
      readonly kind: 'chat';
      readonly messages: readonly {
        readonly role: 'system' | 'user' | 'assistant';
        readonly content: string;
      }[];
    }
  /** Text as it is, in which nothing is a mark of a conversation. */
  | { readonly kind: 'text'; readonly text: string };

/** A keyed mark in what is said; see MODEL-60 and following. */
export interface WatermarkUse {
  /** 32 bytes in hexadecimal. */
  readonly key: string;
}

/** Asks for an answer. */
export interface GenerateMessage {
  readonly type: 'generate';
  readonly id: number;
  readonly context: ContextKey;
  readonly prompt: Prompt;
  readonly sampling: SamplingOptions;
  readonly tokensMax: number;
  /** Texts at which it stops, besides the model's own. */
  readonly stops: readonly string[];
  readonly watermark?: WatermarkUse;
}

/** Asks how probable a given answer is, token by token. */
export interface ScoreMessage {
  readonly type: 'score';
  readonly id: number;
  readonly context: ContextKey;
  readonly prompt: Prompt;
  readonly answer: string;
}

/** Asks how the model divides a text into tokens. */
export interface TokenizeMessage {
  readonly type: 'tokenize';
  readonly id: number;
  readonly text: string;
}

/** What the daemon says. */
export type ToHost =
  | LoadMessage
  | GenerateMessage
  | ScoreMessage
  | TokenizeMessage
  | { readonly type: 'cancel'; readonly id: number }
  | { readonly type: 'ask-stats' };

/** How a host decodes. */
export interface HostStats {
  readonly memoryBytes: number;
  /** Processor time of the host so far, milliseconds. */
  readonly processorMs: number;
  readonly contexts: number;
  /** Steps by the number of sequences that each decoded: the first is those of one sequence. */
  readonly steps: readonly number[];
  /** Tokens generated. */
  readonly tokens: number;
  /** Steps that were made for requests after they were cancelled; at most one for each. */
  readonly lateSteps: number;
}

/** What a loaded host is. */
export interface ReadyMessage {
  readonly type: 'ready';
  /** What computes: `none`, `cuda`, `vulkan` or `metal`. */
  readonly gpu: string;
  /** The release of llama.cpp. */
  readonly build: string;
  /** Names of graphics processors in use. */
  readonly devices: readonly string[];
  readonly memoryBytes: number;
  /** Memory of the graphics processors, bytes; 0 without. */
  readonly deviceBytes: number;
  /** How conversations are written. */
  readonly wrapper: string;
}

/** What the host says. */
export type FromHost =
  | ReadyMessage
  /** A host that cannot serve, and ends. */
  | { readonly type: 'unable'; readonly code: ErrorCode; readonly facts: ErrorFacts }
  | {
      readonly type: 'started';
      readonly id: number;
      readonly promptTokens: number;
      readonly reusedTokens: number;
    }
  /** What one step brought: request, text, tokens generated so far. */
  | {
      readonly type: 'texts';
      readonly texts: readonly (readonly [id: number, text: string, tokens: number])[];
    }
  | { readonly type: 'end'; readonly id: number; readonly finish: HostFinish; readonly tokens: number }
  | { readonly type: 'scored'; readonly id: number; readonly logProbabilities: readonly number[] }
  | { readonly type: 'tokens'; readonly id: number; readonly tokens: readonly number[] }
  | { readonly type: 'failed'; readonly id: number; readonly code: ErrorCode; readonly facts: ErrorFacts }
  | ({ readonly type: 'stats' } & HostStats);

/** How a generation ended: by the model, at its limit, or because it was cancelled. */
export type HostFinish = 'stop' | 'length' | 'cancelled';

const GPUS: readonly GpuChoice[] = ['auto', 'none', 'cuda', 'vulkan', 'metal'];
const ROLES = ['system', 'user', 'assistant'] as const;
const FINISHES: readonly HostFinish[] = ['stop', 'length', 'cancelled'];
const MESSAGES_MAX = 4_096;
const FACTS_MAX = 32;
const PATH_MAX = 4_096;

/** Reads what the daemon said. Throws `malformed`. */
export function readToHost(value: unknown): ToHost {
  const at = fieldsOf(value);
  const type = at('type');
  if (type === 'ask-stats') return { type };
  if (type === 'cancel') return { type, id: readId(at('id')) };
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
      return { type, id: readId(at('id')), finish: readOne(at('finish'), FINISHES), tokens: count('tokens') };
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

function readPiece(value: unknown): readonly [number, string, number] {
  if (!Array.isArray(value)) throw malformed('texts');
  return [readId(value[0]), readText(value[1], MESSAGE_LENGTH_MAX), readCount(value[2])];
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
  const messages = readList(at('messages'), MESSAGES_MAX, (message) => {
    const of = fieldsOf(message);
    return { role: readOne(of('role'), ROLES), content: readText(of('content'), MESSAGE_LENGTH_MAX) };
  });
  return { kind: 'chat', messages };
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

function fieldsOf(value: unknown): (name: string) => unknown {
  if (typeof value !== 'object' || value === null) throw malformed('message');
  const record = new Map<string, unknown>(Object.entries(value));
  return (name) => record.get(name);
}

function readId(value: unknown): number {
  return readNumber(value, { min: 1, max: Number.MAX_SAFE_INTEGER, whole: true });
}

function readCount(value: unknown): number {
  return readNumber(value, { min: 0, max: Number.MAX_SAFE_INTEGER, whole: true });
}

function readNumber(
  value: unknown,
  { min, max, whole = false }: { readonly min: number; readonly max: number; readonly whole?: boolean },
): number {
  const sound = typeof value === 'number' && value >= min && value <= max;
  if (!sound || (whole && !Number.isSafeInteger(value))) throw malformed('number');
  return value;
}

function readText(value: unknown, lengthMax: number): string {
  if (typeof value !== 'string' || value.length > lengthMax) throw malformed('text');
  return value;
}

function readOne<T extends string>(value: unknown, among: readonly T[]): T {
  const found = among.find((one) => one === value);
  if (found === undefined) throw malformed('word');
  return found;
}

function readList<T>(value: unknown, lengthMax: number, read: (item: unknown) => T): readonly T[] {
  if (!Array.isArray(value) || value.length > lengthMax) throw malformed('list');
  return value.map(read);
}

function malformed(what: string): SaharaError {
  return new SaharaError('malformed', { what: `model host message: ${what}` });
}
