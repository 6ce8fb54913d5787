/**
 * The texts that a model judges: vectors of them, and how well passages answer. One text after the other: pooling is
 * over a whole text, and the library reads one at a time. Between two of them a cancelled request ends.
 */
import type { LlamaEmbeddingContext, LlamaModel, LlamaRankingContext, Token } from 'node-llama-cpp';
import { asSaharaError, SaharaError } from '../../../base/errors.ts';
import { REQUESTS_MAX } from '../limits.ts';
import type { EmbedMessage, JudgedMessage, RankMessage } from '../messages-judging.ts';

/** What a judge of texts works with. */
export interface JudgesParts {
  readonly model: LlamaModel;
  readonly threads: number;
  send(message: JudgedMessage): void;
  failed(id: number, error: SaharaError): void;
}

type Asked = EmbedMessage | RankMessage;
/** What judges the text at `index`. */
type Judging = (index: number) => Promise<readonly number[]>;

/** Tokens that a model may put around a text, and one that stays free. */
const AROUND_TOKENS = 3;

/** Judges texts with one model. */
export class Judges {
  readonly #parts: JudgesParts;
  readonly #embedding = new Map<number, Promise<LlamaEmbeddingContext>>();
  readonly #ranking = new Map<number, Promise<LlamaRankingContext>>();
  /** Requests by their ids. */
  readonly #asked = new Map<number, { cancelled: boolean }>();
  #queue: Promise<void> = Promise.resolve();

  constructor(parts: JudgesParts) {
    this.#parts = parts;
  }

  /** Takes a request behind those before it. */
  take(message: Asked): void {
    const { id } = message;
    const fault = this.#asked.has(id)
      ? new SaharaError('malformed', { what: 'request id' })
      : this.#asked.size >= REQUESTS_MAX
        ? new SaharaError('overloaded', { what: 'requests of a model' })
        : undefined;
    if (fault !== undefined) {
      this.#parts.failed(id, fault);
      return;
    }
    const state = { cancelled: false };
    this.#asked.set(id, state);
    this.#queue = this.#queue.then(() => this.#judge(message, state));
  }

  /** Ends a request at its next text, if it is one of these. */
  cancel(id: number): void {
    const state = this.#asked.get(id);
    if (state !== undefined) state.cancelled = true;
  }

  async #judge(message: Asked, state: { readonly cancelled: boolean }): Promise<void> {
    const { id } = message;
    const count = message.type === 'embed' ? message.texts.length : message.passages.length;
    try {
      if (count === 0) throw new SaharaError('malformed', { what: 'no text' });
      const judging = message.type === 'embed' ? await this.#embeds(message) : await this.#ranks(message);
      for (let index = 0; index < count; index++) {
        if (state.cancelled) throw new SaharaError('cancelled');
        this.#parts.send({ type: 'judged', id, numbers: await judging(index), last: index === count - 1 });
      }
    } catch (error) {
      this.#parts.failed(id, asSaharaError(error));
    } finally {
      this.#asked.delete(id);
    }
  }

  async #embeds({ texts, tokens }: EmbedMessage): Promise<Judging> {
    const { model, threads } = this.#parts;
    // Pooled is what one step has read: all of a text has to fit into it.
    const sizes = { contextSize: tokens, batchSize: tokens, threads };
    const context = await held(this.#embedding, tokens, () => model.createEmbeddingContext(sizes));
    return async (index) => {
      const read = this.#tokens(texts[index] ?? '', tokens - AROUND_TOKENS);
      const { vector } = await context.getEmbeddingFor(read);
      return vector;
    };
  }

  async #ranks({ question, passages, tokens }: RankMessage): Promise<Judging> {
    const { model, threads } = this.#parts;
    const sizes = { contextSize: tokens, batchSize: tokens, threads };
    const context = await held(this.#ranking, tokens, () => model.createRankingContext(sizes));
    const asked = this.#tokens(question, Math.floor(tokens / 2));
    return async (index) => {
      const passage = model.tokenize(passages[index] ?? '', false);
      return [await context.rank(asked, passage, { onOverflow: 'maxChunk' })];
    };
  }

  /** Nothing in a text is a mark of a conversation. */
  #tokens(text: string, max: number): Token[] {
    const tokens = this.#parts.model.tokenize(text, false).slice(0, Math.max(1, max));
    if (tokens.length === 0) throw new SaharaError('malformed', { what: 'an empty text' });
    return tokens;
  }
}

async function held<T>(known: Map<number, Promise<T>>, tokens: number, make: () => Promise<T>): Promise<T> {
  const made = known.get(tokens) ?? make();
  known.set(tokens, made);
  try {
    return await made;
  } catch (error) {
    known.delete(tokens);
    throw contextFault(error);
  }
}

/** Why there is no context: memory, or that the model is not made for this. */
function contextFault(error: unknown): SaharaError {
  const small = error instanceof Error && error.name.includes('InsufficientMemory');
  const { message } = asSaharaError(error);
  if (small) {
    const reason = 'The context does not fit into memory';
    return new SaharaError('memory-insufficient', { reason }, { cause: error });
  }
  if (/not supported|template/.test(message)) {
    return new SaharaError('model-invalid', { reason: message }, { cause: error });
  }
  return new SaharaError('backend-failed', { backend: 'llama', reason: message }, { cause: error });
}
