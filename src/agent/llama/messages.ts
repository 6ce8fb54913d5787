/**
 * What daemon and model host say to each other, as JSON over the channel that a forked process has. Both sides check
 * every message (`read-messages.ts`): the host reads files of strangers, and what comes out of it is believed no more
 * than they are.
 */
import type { ErrorCode, ErrorFacts } from '../../base/errors.ts';
import type { EmbedMessage, JudgedMessage, RankMessage } from './messages-judging.ts';
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

/** A call of a tool that a model made. */
export interface MadeCall {
  readonly name: string;
  /** JSON that fits the tool's schema as far as a grammar can say. */
  readonly arguments: string;
}

/** A call with what came of it. */
export interface ToldCall extends MadeCall {
  /** Data, untrusted: nothing in it is a mark of a conversation. */
  readonly result: string;
}

/** A message of a conversation. */
export interface PromptMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
  /** What an assistant called behind its words. Where such a message is the last one, the answer goes on behind it. */
  readonly calls?: readonly ToldCall[];
}

/** A tool that a model may call. */
export interface ToolUse {
  readonly name: string;
  readonly description: string;
  /** The JSON schema of its parameters, as JSON. */
  readonly parameters: string;
}

/** What a model reads. */
export type Prompt =
  | {
      readonly kind: 'chat';
      readonly messages: readonly PromptMessage[];
      /** What it is told that it may call. Default none. */
      readonly tools?: readonly ToolUse[];
    }
  /** Text as it is, in which nothing is a mark of a conversation. */
  | { readonly kind: 'text'; readonly text: string };

/** A keyed mark in what is said; see MODEL-70 and following. */
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
  | EmbedMessage
  | RankMessage
  | { readonly type: 'cancel'; readonly id: number }
  /** Decodes no more for a request until told otherwise: its reader is behind. */
  | { readonly type: 'pause'; readonly id: number; readonly paused: boolean }
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
  /** What one step brought. */
  | { readonly type: 'texts'; readonly texts: readonly HostText[] }
  | {
      readonly type: 'end';
      readonly id: number;
      readonly finish: HostFinish;
      readonly tokens: number;
      /** What is called, where it ended with that. */
      readonly calls: readonly MadeCall[];
    }
  | { readonly type: 'scored'; readonly id: number; readonly logProbabilities: readonly number[] }
  | JudgedMessage
  | { readonly type: 'tokens'; readonly id: number; readonly tokens: readonly number[] }
  | { readonly type: 'failed'; readonly id: number; readonly code: ErrorCode; readonly facts: ErrorFacts }
  | ({ readonly type: 'stats' } & HostStats);

/** Request, text, tokens generated so far, and whether the text is of the answer or of the thoughts before it. */
export type HostText = readonly [id: number, text: string, tokens: number, kind: TextKind];

/** What a text belongs to. */
export type TextKind = 'answer' | 'thought';

/** How a generation ended: by the model, at its limit, because it was cancelled, or with calls of tools. */
export type HostFinish = 'stop' | 'length' | 'cancelled' | 'calls';
