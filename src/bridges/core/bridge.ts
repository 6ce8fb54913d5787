/**
 * The chat bridge without a platform: takes events, journals them, and carries each through to its reply. Every
 * event is one job; jobs run side by side and each can be taken up again at any point after a crash.
 */
import { toHex, utf8 } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { asSaharaError, SaharaError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Store } from '../../base/store.ts';
import { QUESTION_BYTES_MAX } from '../../protocol/limits.ts';
import { JOBS_RUNNING_MAX, QUESTIONS_PER_USER_MAX } from '../limits.ts';
import { type AskingParts, askAndSettle, buttonFor, contentsOf, failureReply } from './asking.ts';
import { attachmentText } from './attachments.ts';
import {
  type CommandParts,
  chosenAgent,
  receiptReply,
  runCommand,
  secret,
  shown,
  sourcesReply,
} from './commands.ts';
import { createDelivery, type Delivery } from './delivery.ts';
import { createJournal, historyKey } from './journal.ts';
import type { Language } from './language.ts';
import { languageFor } from './languages.ts';
import { createPacer, type PacerOptions } from './pacer.ts';
import { type ChatEvent, faultOf, type Platform } from './platform.ts';
import { createPolicy, POLICY_DEFAULTS, type PolicyOptions } from './policy.ts';
import type { AgentsPort } from './ports.ts';
import type { Job, Reply } from './records.ts';
import { plain } from './rich.ts';
import { createSpending, SPENDING_DEFAULTS, type SpendingOptions, userOf } from './spending.ts';
import { createState, putText } from './state.ts';

/** What a bridge works with. */
export interface BridgeParts {
  readonly agents: AgentsPort;
  /** The bridge's own store; nothing else writes to it. */
  readonly store: Store;
  readonly platform: Platform;
  readonly pace: PacerOptions;
  readonly clock: Clock;
  readonly log: Log;
}

/** How a bridge behaves. */
export interface BridgeOptions {
  readonly spending: SpendingOptions;
  readonly policy: PolicyOptions;
  /** The agent of users who chose none: its name or DID. Default: the only one online. */
  readonly agentDefault: string | undefined;
}

/** Closed to groups, and only free agents. */
export const BRIDGE_DEFAULTS: BridgeOptions = {
  spending: SPENDING_DEFAULTS,
  policy: POLICY_DEFAULTS,
  agentDefault: undefined,
};

/** How a bridge is doing. */
export interface BridgeHealth {
  readonly running: number;
  /** 429s since the start. */
  readonly refusals: number;
}

/** A bridge. */
export interface Bridge {
  /** Journals events, with marks of the platform's; resolves when they are on disk, and answers them then. */
  receive(events: readonly ChatEvent[], marks?: ReadonlyMap<string, string>): Promise<void>;
  mark(name: string): string | undefined;
  /** Takes up what an earlier process left. */
  resume(): Promise<void>;
  /** Resolves when no job runs. */
  idle(): Promise<void>;
  /** Breaks off; what is unfinished is taken up by the next `resume`. */
  stop(): Promise<void>;
  /** Gives a user (`telegram:123`) credit, once for each id. */
  credit(user: string, amount: bigint, id: string): Promise<void>;
  /** A balance of the books, grains. */
  balanceOf(account: string): bigint;
  health(): BridgeHealth;
}

/** A bridge between one platform and the agents. */
export function createBridge(parts: BridgeParts, options: BridgeOptions = BRIDGE_DEFAULTS): Bridge {
  const { agents, platform, clock, log } = parts;
  const state = createState(parts.store);
  const journal = createJournal(state, platform);
  const spending = createSpending({ state }, options.spending);
  const policy = createPolicy({ clock }, options.policy);
  const pacer = createPacer({ clock }, parts.pace);
  const tools: AskingParts & CommandParts = {
    agents,
    journal,
    spending,
    state,
    platform,
    clock,
    log,
    agentDefault: options.agentDefault,
  };
  const stopping = new AbortController();
  const running = new Map<string, Promise<void>>();
  const asking = new Map<string, string>();

  function start(job: Job): void {
    const key = toHex(job.key);
    if (running.has(key) || stopping.signal.aborted) return;
    const run = carry(key).catch((error) => {
      if (!stopping.signal.aborted)
        log.error('job failed', { job: key, error: asSaharaError(error).message });
    });
    running.set(
      key,
      run.finally(() => running.delete(key)),
    );
  }

  /** Carries a job from wherever it stands to its end. */
  async function carry(key: string): Promise<void> {
    const job = jobAt(key);
    const language = languageFor(job.event.language);
    const delivery = createDelivery({ platform, pacer, journal, clock, log }, key);
    await platform
      .ack(job.event)
      .catch((error) => log.warn('not acknowledged', { job: key, code: asSaharaError(error).code }));
    if (job.phase === 'received') await decide(job, language);
    if (jobAt(key).phase === 'asking') {
      asking.set(key, userOf(job.event));
      try {
        await askAndSettle(tools, { job: jobAt(key), delivery, language, signal: stopping.signal });
      } finally {
        asking.delete(key);
      }
    }
    if (jobAt(key).phase === 'replied') await deliver(key, delivery, language);
  }

  function jobAt(key: string): Job {
    const job = journal.find(key);
    if (!job) throw new SaharaError('internal', { reason: `job ${key} is gone` });
    return job;
  }

  /** Answers at once, or holds the money for a call. */
  async function decide(job: Job, language: Language): Promise<void> {
    const key = toHex(job.key);
    try {
      const reply = await judge(job, language);
      if (reply === 'asking') return;
      await settleReply(job, reply);
    } catch (error) {
      stopping.signal.throwIfAborted();
      await settleReply(job, failureReply(asSaharaError(error), key, language));
    }
  }

  function settleReply(job: Job, reply: Reply | undefined): Promise<void> {
    const place = reply?.isPrivate ? platform.privatePlace(job.event) : undefined;
    return journal.change(toHex(job.key), () => ({
      job: reply === undefined ? { phase: 'done' } : { phase: 'replied', reply, place },
      result: undefined,
    }));
  }

  async function judge(job: Job, language: Language): Promise<Reply | 'asking' | undefined> {
    const { event } = job;
    const verdict = policy.judge(event);
    if (verdict.type === 'ignore') return undefined;
    if (verdict.type === 'refuse') {
      if (verdict.why === 'too-fast') return shown(plain(language.tooFast(Math.ceil(verdict.waitMs / 1000))));
      return shown(plain(verdict.why === 'group-closed' ? language.groupClosed : language.notListed));
    }
    if (event.type === 'press') return press(job, language);
    if (event.type === 'question') return question(job, event.text, language);
    if (event.text === 'ask') return question(job, event.argument, language);
    return runCommand(tools, { event, argument: event.argument.trim(), language });
  }

  async function press(job: Job, language: Language): Promise<Reply | 'asking' | undefined> {
    const { event } = job;
    const target = journal.find(event.argument);
    if (target === undefined || target.event.place.chat !== event.place.chat)
      return shown(plain(language.receiptNone));
    if (userOf(target.event) !== userOf(event) && !policy.isAdmin(event))
      return secret(plain(language.notYours));
    switch (event.text) {
      case 'stop':
        return stopAnswer(target, language);
      case 'retry':
        return target.question === ''
          ? shown(plain(language.askWhat))
          : question(job, target.question, language);
      case 'sources':
        return sourcesReply(target, language);
      case 'receipt':
        return receiptReply(tools, target, language);
      default:
        return shown(plain(language.commandUnknown));
    }
  }

  async function stopAnswer(target: Job, language: Language): Promise<Reply | undefined> {
    const key = toHex(target.key);
    const isRunning = await journal.change(key, (job) => ({
      job: { isStopped: true },
      result: job.phase === 'asking' || job.phase === 'received',
    }));
    if (!isRunning) return shown(plain(language.alreadyDone));
    await agents.cancel(target.key);
    return undefined;
  }

  async function question(job: Job, text: string, language: Language): Promise<Reply | 'asking'> {
    const { event } = job;
    const key = toHex(job.key);
    const asked = await wholeQuestion(job, text);
    if (asked.trim() === '') return shown(plain(language.askWhat));
    if (utf8(asked).length > QUESTION_BYTES_MAX)
      throw new SaharaError('too-large', { max: QUESTION_BYTES_MAX });
    const mine = [...asking.values()].filter((user) => user === userOf(event)).length;
    if (mine >= QUESTIONS_PER_USER_MAX) return shown(plain(language.tooMany));
    if (asking.size >= JOBS_RUNNING_MAX) throw new SaharaError('overloaded');
    asking.set(key, userOf(event));
    try {
      const agent = await chosenAgent(tools, event);
      if (agent === undefined) {
        asking.delete(key);
        return shown(plain(language.agentUnset));
      }
      await journal.change(key, (now) => ({
        job: {
          phase: 'asking',
          agent: agent.did,
          agentName: agent.name,
          question: asked,
          amountMax: agent.amountMax,
        },
        operations: [
          ...spending.reserve({ key, event, amountMax: agent.amountMax, atMs: clock.nowMs() }),
          putText(historyKey(now), key),
        ],
        result: undefined,
      }));
      return 'asking';
    } catch (error) {
      asking.delete(key);
      await journal.change(key, () => ({ job: { question: asked }, result: undefined }));
      throw error;
    }
  }

  async function wholeQuestion({ event }: Job, text: string): Promise<string> {
    const quoted =
      event.quote === ''
        ? ''
        : `${event.quote
            .split('\n')
            .map((line) => `> ${line}`)
            .join('\n')}\n\n`;
    const files = event.type === 'press' ? [] : event.attachments;
    const contents: string[] = [];
    for (const file of files) contents.push(await attachmentText(platform, file));
    return [quoted + text, ...contents].filter((part) => part !== '').join('\n\n');
  }

  async function deliver(key: string, delivery: Delivery, language: Language): Promise<void> {
    const { reply } = jobAt(key);
    if (reply) {
      const buttons = reply.buttons.map((action) => buttonFor(action, key, language));
      try {
        await delivery.finish(contentsOf(platform, { rich: reply.rich, buttons }), stopping.signal);
      } catch (error) {
        stopping.signal.throwIfAborted();
        if (jobAt(key).place !== undefined && faultOf(error) === 'forbidden')
          return openDirect(key, delivery, language);
        log.warn('reply not delivered', { job: key, error: asSaharaError(error).message });
      }
    }
    await journal.change(key, () => ({ job: { phase: 'done' }, result: undefined }));
  }

  /** A private reply cannot reach its reader: says so where the question was. */
  async function openDirect(key: string, delivery: Delivery, language: Language): Promise<void> {
    await journal.change(key, () => ({
      job: { place: undefined, slots: [], reply: shown(plain(language.openDirect)) },
      result: undefined,
    }));
    await deliver(key, delivery, language);
  }

  return {
    async receive(events, marks) {
      for (const job of await journal.record(events, marks)) start(job);
    },
    mark: (name) => journal.mark(name),
    async resume() {
      await journal.prune(clock.nowMs());
      for (const job of await journal.unfinished()) start(job);
    },
    async idle() {
      while (running.size > 0) await Promise.all(running.values());
    },
    async stop() {
      stopping.abort();
      await Promise.all(running.values());
    },
    credit: (user, amount, id) =>
      state.update(() => ({
        operations: spending.credit(user, amount, { id, atMs: clock.nowMs() }),
        result: undefined,
      })),
    balanceOf: (account) => spending.accountBalance(account),
    health: () => ({ running: running.size, refusals: pacer.refusals() }),
  };
}
