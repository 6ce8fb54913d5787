/** One loaded model that answers the daemon's messages. */
import type { LlamaModel, Token } from 'node-llama-cpp';
import { asSaharaError, SaharaError } from '../../../base/errors.ts';
import { ARCHITECTURES } from '../architectures.ts';
import type { Rule } from '../grammar.ts';
import { REQUESTS_MAX } from '../limits.ts';
import type {
  ContextKey,
  FromHost,
  GenerateMessage,
  HostText,
  Prompt,
  ScoreMessage,
  ToHost,
  TokenizeMessage,
} from '../messages.ts';
import { ruleOfArguments } from '../schema-grammar.ts';
import { CallWriter } from './calling.ts';
import { Chat, type Read } from './chat.ts';
import { Contexts } from './contexts.ts';
import { Generation } from './generation.ts';
import { type JobEvents, Scoring } from './jobs.ts';
import { Judges } from './judges.ts';
import type { Lockstep } from './lockstep.ts';
import { type Mark, TokenStream } from './stream.ts';

type Library = typeof import('node-llama-cpp');

/** Parts of a service. */
export interface ServiceParts {
  readonly library: Library;
  readonly model: LlamaModel;
  readonly threads: number;
  send(message: FromHost): void;
}

/** Answers for one model. */
export class ModelService {
  /** How conversations are written. */
  readonly wrapper: string;
  readonly #parts: ServiceParts;
  readonly #chat: Chat;
  readonly #contexts: Contexts;
  readonly #judges: Judges;
  readonly #jobs = new Map<number, Asked>();
  #texts: HostText[] = [];
  #ends: FromHost[] = [];
  #tokens = 0;

  constructor(parts: ServiceParts) {
    this.#parts = parts;
    this.#chat = new Chat(parts.library, parts.model);
    this.wrapper = this.#chat.name;
    this.#contexts = new Contexts(parts.model, parts.threads, () => this.#flush());
    this.#judges = new Judges({ ...parts, failed: (id, error) => this.#fail(id, error) });
  }

  /** Takes a message. */
  take(message: Exclude<ToHost, { type: 'load' }>): void {
    if (message.type === 'cancel') {
      this.#change(message.id, ({ job }) => {
        job.cancelled = true;
      });
      this.#judges.cancel(message.id);
    } else if (message.type === 'pause') {
      this.#change(message.id, ({ job }) => {
        job.paused = message.paused;
      });
    } else if (message.type === 'ask-stats') {
      const memoryBytes = process.memoryUsage.rss();
      const { user, system } = process.cpuUsage();
      const processorMs = Math.round((user + system) / 1_000);
      this.#parts.send({
        type: 'stats',
        memoryBytes,
        processorMs,
        tokens: this.#tokens,
        ...this.#contexts.count,
      });
    } else if (message.type === 'tokenize') this.#tokenize(message);
    else if (message.type === 'embed' || message.type === 'rank') this.#judges.take(message);
    else void this.#begin(message);
  }

  #change(id: number, change: (asked: Asked) => void): void {
    const asked = this.#jobs.get(id);
    if (asked === undefined) return;
    change(asked);
    asked.lockstep?.wake();
  }

  async #begin(message: GenerateMessage | ScoreMessage): Promise<void> {
    const { id } = message;
    const early: Asked = { job: { cancelled: false, paused: false }, lockstep: undefined };
    try {
      if (this.#jobs.has(id)) throw new SaharaError('malformed', { what: 'request id' });
      if (this.#jobs.size >= REQUESTS_MAX)
        throw new SaharaError('overloaded', { what: 'requests of a model' });
      this.#jobs.set(id, early);
      this.#mayAnswer();
      const read = this.#read(message.prompt);
      const room = message.context.tokens - read.tokens.length;
      if (room < 1) throw overflow(read.tokens.length, message.context);
      const lockstep = await this.#contexts.of(message.context);
      const job =
        message.type === 'score'
          ? this.#scoring(message, read.tokens, room)
          : this.#generation(message, read, room);
      job.cancelled = early.job.cancelled;
      job.paused = early.job.paused;
      this.#jobs.set(id, { job, lockstep });
      lockstep.submit(job);
    } catch (error) {
      this.#fail(id, asSaharaError(error));
    }
  }

  /** Models that only read texts would stop the process where it asks them for the next token. */
  #mayAnswer(): void {
    const { architecture } = this.#parts.model.fileInfo.metadata.general;
    if (!ARCHITECTURES.get(architecture)?.demands.includes('sentences')) return;
    const reason = `Models of the family ${architecture} make vectors of texts, and no answers`;
    throw new SaharaError('model-invalid', { reason });
  }

  #tokenize({ id, text }: TokenizeMessage): void {
    try {
      this.#parts.send({ type: 'tokens', id, tokens: this.#parts.model.tokenize(text, false) });
    } catch (error) {
      this.#fail(id, asSaharaError(error));
    }
  }

  #generation(message: GenerateMessage, read: Read, room: number): Generation {
    const { model } = this.#parts;
    const { id } = message;
    const marks = [...read.marks, ...message.stops.map((text): Mark => ({ text, kind: 'stop' }))];
    const shown = this.#chat.shownFor(marks);
    const textOf = (tokens: readonly Token[], before: readonly Token[]): string => {
      const [only] = tokens;
      const special = tokens.length === 1 && only !== undefined ? shown.get(only) : undefined;
      return special ?? model.detokenize(tokens, false, before);
    };
    const tokenize = (text: string): readonly Token[] =>
      text === '' ? [] : model.tokenize(text, false, 'trimLeadingSpace');
    // Tokens are numbers with a brand that this project does not carry around.
    const stream = new TokenStream((tokens, before) => textOf(tokens as Token[], before as Token[]), marks);
    const tools = message.prompt.kind === 'chat' ? (message.prompt.tools ?? []) : [];
    const rules = tools.map(({ name, parameters }) => [name, rulesOf(parameters)] as const);
    const { form } = read;
    return new Generation(
      {
        prompt: read.tokens,
        room,
        stream,
        thinking: read.thinking,
        thoughtEnd: read.thoughtEnd,
        writer: form && new CallWriter({ form, tools: new Map(rules), tokenize, textOf }),
        isEnd: (token) => read.ends.has(token) || model.isEogToken(token),
        without: (token, before, behind) =>
          behind === '' ? [token] : tokenize(textOf([token], before).slice(0, -behind.length)),
        events: {
          ...this.#events(id),
          text: (text, count, kind) => this.#texts.push([id, text, count, kind]),
          ended: (finish, count, calls) => {
            this.#tokens += count;
            this.#jobs.delete(id);
            this.#ends.push({ type: 'end', id, finish, tokens: count, calls });
          },
        },
      },
      message,
    );
  }

  #scoring({ id, answer, context }: ScoreMessage, prompt: readonly Token[], room: number): Scoring {
    const tokens = this.#parts.model.tokenize(answer, false);
    if (tokens.length === 0) throw new SaharaError('malformed', { what: 'an empty answer' });
    if (tokens.length > room) throw overflow(prompt.length + tokens.length, context);
    const scored = (logProbabilities: readonly number[]): void => {
      this.#jobs.delete(id);
      this.#ends.push({ type: 'scored', id, logProbabilities });
    };
    return new Scoring({ prompt, answer: tokens, events: { ...this.#events(id), scored } });
  }

  #events(id: number): JobEvents {
    return {
      started: (promptTokens, reusedTokens) =>
        this.#parts.send({ type: 'started', id, promptTokens, reusedTokens }),
      failed: (error) => this.#fail(id, error),
    };
  }

  #fail(id: number, { code, facts, message }: SaharaError): void {
    this.#jobs.delete(id);
    const known = code === 'internal' ? { backend: 'llama', reason: message } : facts;
    this.#parts.send({
      type: 'failed',
      id,
      code: code === 'internal' ? 'backend-failed' : code,
      facts: known,
    });
  }

  /** What a step brought leaves in one message, before the ends. */
  #flush(): void {
    if (this.#texts.length > 0) this.#parts.send({ type: 'texts', texts: this.#texts });
    for (const end of this.#ends) this.#parts.send(end);
    this.#texts = [];
    this.#ends = [];
  }

  #read(prompt: Prompt): Read {
    if (prompt.kind === 'chat') return this.#chat.read(prompt);
    const { model } = this.#parts;
    const tokens = model.tokenize(prompt.text, false);
    const { bos, shouldPrependBosToken } = model.tokens;
    const whole = shouldPrependBosToken && bos !== null ? [bos, ...tokens] : tokens;
    if (whole.length === 0) throw new SaharaError('malformed', { what: 'an empty prompt' });
    return { tokens: whole, marks: [], ends: new Set(), thinking: false, thoughtEnd: [], form: undefined };
  }
}

/** What was asked: a job, and where it runs once it does. */
interface Asked {
  readonly job: { cancelled: boolean; paused: boolean };
  readonly lockstep: Lockstep | undefined;
}

/** The grammar of a tool's arguments. Throws `malformed`. */
function rulesOf(parameters: string): Rule {
  try {
    return ruleOfArguments(JSON.parse(parameters));
  } catch (error) {
    throw new SaharaError('malformed', { what: 'the parameters of a tool' }, { cause: error });
  }
}

function overflow(found: number, { tokens }: ContextKey): SaharaError {
  return new SaharaError('context-overflow', { found, limit: tokens - 1, what: 'tokens' });
}
