/**
 * Decodes many sequences of one context in step: one pass over the weights gives each of them its next token. The
 * generators of node-llama-cpp start a pass before the last of them has taken its token, so that every pass misses
 * one; and llama.cpp cuts a batch at every hole in the numbers of the sequences. Hence the loop here: a step waits
 * for all, and a request takes the lowest free sequence. Prompts, and what is written for a model where it has no
 * choice, are read in pieces beside the others' tokens. Results
 * depend on how many tokens are read at once, so pieces are the same whatever was known before: they begin at
 * multiples of one length, and only whole ones are kept.
 */
import type {
  ControlledEvaluateIndexOutput,
  ControlledEvaluateInputItem,
  LlamaContextSequence,
  Token,
} from 'node-llama-cpp';
import { asSaharaError, type SaharaError } from '../../../base/errors.ts';
import { PIECE_TOKENS, PROMPT_TOKENS_ALONE, PROMPT_TOKENS_PER_STEP } from '../limits.ts';
import { NextScores, type Scores } from './next-scores.ts';

/** What is asked of the model behind a token. */
export type NextOptions = Extract<ControlledEvaluateInputItem, readonly unknown[]>[1];

/** Something that runs on a sequence: it looks at its prompt, or goes on behind it. All calls come in step order. */
export type Job = LookingJob | GoingOnJob;

/** A job that looks at what the model makes of a text. */
export interface LookingJob extends AnyJob {
  /** What is wanted behind the token at `index`. */
  wanted(index: number): NextOptions | undefined;
  /** What came behind the token at `index`. */
  take(index: number, output: ControlledEvaluateIndexOutput): void;
}

/** A job that goes on behind its prompt. */
export interface GoingOnJob extends AnyJob {
  /** How many of the best scores are wanted behind what is read next. */
  readonly best: number;
  /** What came behind all that was read: what is read next, at least one token, or `undefined` at the end. */
  next(scores: Scores): readonly Token[] | undefined;
}

interface AnyJob {
  /** What is read first; not empty. */
  readonly prompt: readonly Token[];
  /** How many tokens of it need not be read again where a sequence knows them; less than all. */
  readonly reusable: number;
  /** The job begins, with this much of its prompt still known from before. */
  begin(reused: number): void;
  /** Nothing more is wanted; set by whoever cancels. */
  readonly cancelled: boolean;
  /** Nothing more is wanted just now: its reader is behind. Whoever changes it calls `wake`. */
  readonly paused: boolean;
  /** It ended by itself or was cancelled. */
  end(): void;
  fail(error: SaharaError): void;
}

/** What a lockstep counts. */
export interface LockstepCount {
  /** By sequences in a step, less one. */
  readonly steps: number[];
  lateSteps: number;
}

interface Slot {
  readonly sequence: LlamaContextSequence;
  readonly scores: NextScores;
  job: Job | undefined;
  /** Tokens of the job that were read. */
  read: number;
  /** What to read next when the prompt is through. */
  next: readonly Token[];
  /** Tokens that are known from whole pieces of a prompt. */
  known: number;
  /** The step in which it read a piece last. */
  readAt: number;
}

/** Sequences of one context, decoded in step. */
export class Lockstep {
  readonly #slots: readonly Slot[];
  readonly #count: LockstepCount;
  readonly #stepped: () => void;
  readonly #waiting: Job[] = [];
  #running = false;
  #steps = 0;
  /** Something changed since the loop looked last: it may be while it looks. */
  #changed = false;
  #wake: () => void = () => {};

  /** `stepped` is called after every step, when its jobs have taken what came. */
  constructor(sequences: readonly LlamaContextSequence[], count: LockstepCount, stepped: () => void) {
    this.#slots = sequences.map((sequence) => ({
      sequence,
      scores: new NextScores(sequence),
      job: undefined,
      read: 0,
      next: [],
      known: 0,
      readAt: 0,
    }));
    this.#count = count;
    this.#stepped = stepped;
  }

  /** Whether nothing runs or waits. */
  get idle(): boolean {
    return this.#waiting.length === 0 && this.#slots.every(({ job }) => job === undefined);
  }

  /** Runs `job` as soon as a sequence is free. */
  submit(job: Job): void {
    this.#waiting.push(job);
    this.wake();
    void this.#run();
  }

  /** Looks again at jobs that were paused, go on or are cancelled. */
  wake(): void {
    this.#changed = true;
    this.#wake();
  }

  async #run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    while (!this.idle) {
      this.#changed = false;
      // While others go on too: its sequence is somebody's who waits.
      this.#dropPaused();
      await this.#admit();
      const active = this.#slots.filter(({ job }) => job !== undefined && !job.paused);
      if (active.length > 0) await this.#step(active);
      else if (!this.#dropPaused()) await this.#woken();
      this.#stepped();
    }
    this.#running = false;
  }

  /** Ends paused jobs that were cancelled; whether there was one. */
  #dropPaused(): boolean {
    const dropped = this.#slots.filter(({ job }) => job?.paused === true && job.cancelled);
    for (const slot of dropped) this.#leave(slot, (job) => job.end());
    return dropped.length > 0;
  }

  /** Until something may go on: while all are paused nothing is decoded. */
  async #woken(): Promise<void> {
    if (this.#changed || this.idle) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = () => {};
  }

  async #admit(): Promise<void> {
    for (;;) {
      const [job] = this.#waiting;
      if (job === undefined) return;
      if (job.cancelled) {
        this.#waiting.shift();
        job.end();
        this.#stepped();
        continue;
      }
      const slot = this.#slotFor(job);
      if (slot === undefined) return;
      this.#waiting.shift();
      try {
        await slot.sequence.adaptStateToTokens(job.prompt.slice(0, knownOf(slot, job)), false);
        slot.job = job;
        slot.read = slot.sequence.nextTokenIndex;
        slot.known = slot.read;
        slot.next = [];
        job.begin(slot.read);
      } catch (error) {
        slot.known = 0;
        job.fail(asSaharaError(error));
      }
    }
  }

  /** The lowest free sequence, unless another one knows more of the prompt. */
  #slotFor(job: Job): Slot | undefined {
    let best: Slot | undefined;
    let bestKnown = 0;
    for (const slot of this.#slots) {
      if (slot.job !== undefined) continue;
      const known = knownOf(slot, job);
      if (best === undefined || known > bestKnown) [best, bestKnown] = [slot, known];
    }
    return best;
  }

  async #step(active: readonly Slot[]): Promise<void> {
    this.#steps++;
    const streaming = active.filter(({ next }) => next.length === 1);
    let left = streaming.length > 0 ? PROMPT_TOKENS_PER_STEP : PROMPT_TOKENS_ALONE;
    const reading = active
      .filter(({ next }) => next.length !== 1)
      // Who waited longest for a piece, so that a long prompt does not hold up a short one.
      .sort((a, b) => a.readAt - b.readAt)
      .filter((slot) => {
        left -= pieceOf(slot);
        return left >= 0;
      });
    const size = streaming.length + reading.length;
    this.#count.steps[size - 1] = (this.#count.steps[size - 1] ?? 0) + 1;
    const work = [
      ...streaming.map((slot) => this.#read(slot)),
      ...reading.map((slot) => {
        slot.readAt = this.#steps;
        return this.#read(slot);
      }),
    ];
    await Promise.all(work);
    for (const slot of active) {
      if (slot.job?.cancelled) this.#count.lateSteps++;
      if (slot.job?.cancelled) this.#leave(slot, (job) => job.end());
    }
  }

  /** Reads the next piece, and has its job look at what comes behind it. */
  async #read(slot: Slot): Promise<void> {
    const { job } = slot;
    if (job === undefined) return;
    const rest = slot.next.length > 0 ? slot.next : job.prompt.slice(slot.read);
    const piece = rest.slice(0, pieceOf(slot));
    try {
      if ('next' in job && piece.length === rest.length) {
        const scores = await slot.scores.behind(piece, job.best);
        behind(slot, piece.length);
        slot.next = (job.cancelled ? undefined : job.next(scores)) ?? [];
      } else {
        const first = slot.read;
        const outputs = await this.#look(slot, piece);
        behind(slot, piece.length);
        for (let i = 0; i < piece.length && 'take' in job && !job.cancelled; i++) {
          const output = outputs[i];
          if (output !== undefined) job.take(first + i, output);
        }
      }
      const through = slot.read >= job.prompt.length && slot.next.length === 0;
      if (through && !job.cancelled) this.#leave(slot, () => job.end());
    } catch (error) {
      slot.known = 0;
      this.#leave(slot, () => job.fail(asSaharaError(error)));
    }
  }

  #look(
    { job, sequence, read }: Slot,
    piece: readonly Token[],
  ): Promise<readonly (ControlledEvaluateIndexOutput | undefined)[]> {
    const items = piece.map((token, i): ControlledEvaluateInputItem => {
      const wanted = job !== undefined && 'take' in job ? job.wanted(read + i) : undefined;
      return wanted === undefined ? token : [token, wanted];
    });
    return sequence.controlledEvaluate(items);
  }

  #leave(slot: Slot, last: (job: Job) => void): void {
    const { job } = slot;
    slot.job = undefined;
    slot.next = [];
    slot.scores.end();
    if (job) last(job);
  }
}

/** So many more tokens are read. */
function behind(slot: Slot, count: number): void {
  slot.read += count;
  slot.next = slot.next.slice(count);
  if (slot.read <= (slot.job?.prompt.length ?? 0)) slot.known = slot.read - (slot.read % PIECE_TOKENS);
}

/** Tokens of a job's prompt that a sequence need not read: those of whole pieces, as it would read them. */
function knownOf({ sequence, known }: Slot, job: Job): number {
  const { firstDifferentIndex } = sequence.compareContextTokens(job.prompt.slice(0, job.reusable));
  const common = Math.min(known, job.reusable, firstDifferentIndex);
  return common - (common % PIECE_TOKENS);
}

/** Tokens of the next piece: of a prompt up to the next multiple, or to its end; of what is written at most as many. */
function pieceOf({ job, next, read }: Slot): number {
  if (next.length > 0) return Math.min(PIECE_TOKENS, next.length);
  return Math.min(PIECE_TOKENS - (read % PIECE_TOKENS), (job?.prompt.length ?? 0) - read);
}
