/**
 * The chat bridge without a platform: takes events, journals them, and carries each through to its reply. Every
 * event is one job; jobs run side by side and each can be taken up again at any point after a crash.
 */
import { toHex } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { asSaharaError, SaharaError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { isWaiting } from './approving.ts';
import { type AskingParts, askAndSettle, buttonFor, contentsOf } from './asking.ts';
import { type BudgetView, budgetView } from './budget.ts';
import { createCash } from './cash.ts';
import { type CommandParts, shown } from './commands.ts';
import { openConversation } from './conversing.ts';
import { type DecidingParts, decideReply } from './deciding.ts';
import { createDelivery, type Delivery } from './delivery.ts';
import { createJournal } from './journal.ts';
import type { Language } from './language.ts';
import { languageFor } from './languages.ts';
import { createOffers, isRefusedGift, withoutGift } from './learn-offers.ts';
import { createPacer, type PacerOptions } from './pacer.ts';
import { type ChatEvent, faultOf, type Place, type Platform } from './platform.ts';
import { createPolicy, POLICY_DEFAULTS, type PolicyOptions } from './policy.ts';
import type { AgentsPort, LearnPort, MoneyPort } from './ports.ts';
import { staleForms } from './pruning.ts';
import { eventSchema, type Job, type Reply } from './records.ts';
import { plain } from './rich.ts';
import { failureReply } from './settling.ts';
import { createSpending, SPENDING_DEFAULTS, type SpendingOptions, userOf } from './spending.ts';
import type { State } from './state.ts';
import { createUnsettledCalls } from './unsettled.ts';

/** What a bridge works with. */
export interface BridgeParts {
  readonly agents: AgentsPort;
  /** The state of all bridges of one operator, whose books are one; nothing else writes to its store. */
  readonly state: State;
  readonly platform: Platform;
  /** Absent: money does not come in or go out here. */
  readonly money?: MoneyPort | undefined;
  /** Absent: no documents are taken here. */
  readonly learn?: LearnPort | undefined;
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
  /** An answer that can cost more than this is made only after its asker has agreed, grains. Default: nobody is asked. */
  readonly askAbove: bigint | undefined;
  /** How to reach the operator about payments, in the operator's words. Default: nothing is said. */
  readonly support: string;
}

/** Closed to groups, and only free agents. */
export const BRIDGE_DEFAULTS: BridgeOptions = {
  spending: SPENDING_DEFAULTS,
  policy: POLICY_DEFAULTS,
  agentDefault: undefined,
  askAbove: undefined,
  support: '',
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
  /** Where people asked last, and where their conversations went on. */
  recentPlaces(limit: number): Promise<readonly Place[]>;
  /** The key of a job that is not done. */
  findOpen(match: (key: string, job: Job) => boolean): Promise<string | undefined>;
  /** Resolves when no job runs. */
  idle(): Promise<void>;
  /** Breaks off; what is unfinished is taken up by the next `resume`. */
  stop(): Promise<void>;
  /** Gives a user (`telegram:123`) credit, once for each id. */
  credit(user: string, amount: bigint, id: string): Promise<void>;
  /** What a form for the budget of an event's user shows. */
  budget(event: ChatEvent): BudgetView;
  /** Most that a user (`telegram:123`) wants to spend in a day, grains. */
  budgetOf(user: string): bigint | undefined;
  /** A balance of the books, grains. */
  balanceOf(account: string): bigint;
  health(): BridgeHealth;
}

const PRUNE_EVERY_MS = 86_400_000;

/** A bridge between one platform and the agents. */
export function createBridge(parts: BridgeParts, options: BridgeOptions = BRIDGE_DEFAULTS): Bridge {
  const { agents, state, platform, clock, log } = parts;
  const journal = createJournal(state, platform);
  const spending = createSpending({ state }, options.spending);
  const policy = createPolicy({ clock }, options.policy);
  const pacer = createPacer({ clock }, parts.pace);
  const { money } = parts;
  const cash = money && createCash({ money, spending, state, clock, log });
  const tools: AskingParts & CommandParts = {
    agents,
    journal,
    spending,
    state,
    platform,
    clock,
    log,
    money,
    cash,
    agentDefault: options.agentDefault,
  };
  const asking = new Map<string, string>();
  const stopping = new AbortController();
  const offers = createOffers({ state, journal, clock, log });
  const learning = { learn: parts.learn, offers, stopping: stopping.signal };
  const running = new Map<string, Promise<void>>();
  const unsettled = createUnsettledCalls(tools);
  const settling = unsettled.keepUp(stopping.signal);
  const approving: Pick<DecidingParts, 'askAbove' | 'rests' | 'goOn' | 'lookSoon'> = {
    askAbove: options.askAbove,
    rests: (key) => running.get(key) ?? Promise.resolve(),
    goOn: (key) => start(jobAt(key), false),
    lookSoon: () => unsettled.lookSoon(),
  };
  const { support } = options;
  const deciding: DecidingParts = { ...tools, ...learning, ...approving, policy, asking, support };
  const cashing = cash?.keepUp(stopping.signal);

  let prunedAtMs = clock.nowMs();

  /** Drops what is old. Restarts are rare, so it happens while the bridge runs too. */
  async function prune(): Promise<void> {
    prunedAtMs = clock.nowMs();
    const counters = await spending.staleCounters(prunedAtMs);
    await journal.prune(prunedAtMs, [...counters, ...(await staleForms(state, prunedAtMs))]);
  }

  /** One that is beyond what is kept must not hold up all that come behind it: it is logged and left. */
  function canBeKept(event: ChatEvent): boolean {
    try {
      eventSchema.encode(event);
      return true;
    } catch (error) {
      log.error('an event cannot be kept', { event: event.id, error: asSaharaError(error).message });
      return false;
    }
  }

  /** `isResumed`: an earlier process may have begun the job's call. */
  function start(job: Job, isResumed: boolean = job.phase === 'asking'): void {
    const key = toHex(job.key);
    if (running.has(key) || stopping.signal.aborted) return;
    const run = carry(key, isResumed).catch((error) => {
      if (stopping.signal.aborted) return;
      log.error('job failed', { job: key, error: asSaharaError(error).message });
    });
    running.set(
      key,
      run.finally(() => running.delete(key)),
    );
  }

  /** Carries a job from wherever it stands to its end. */
  async function carry(key: string, isResumed: boolean): Promise<void> {
    const job = jobAt(key);
    const language = languageFor(job.event.language);
    const delivery = newDelivery(key);
    await platform
      .ack(job.event)
      .catch((error) => log.warn('not acknowledged', { job: key, code: asSaharaError(error).code }));
    if (job.phase === 'received') await decide(job, language);
    if (jobAt(key).phase === 'asking') {
      asking.set(key, userOf(job.event));
      try {
        await openConversation({ platform, pacer, journal, clock, log }, key, stopping.signal);
        const asked = { job: jobAt(key), delivery, language, isResumed, signal: stopping.signal };
        await askAndSettle(tools, asked);
        unsettled.ended(jobAt(key).amount === undefined ? 'unsettled' : 'answered');
      } finally {
        asking.delete(key);
      }
    }
    if (jobAt(key).phase === 'replied') await deliver(key, delivery, language);
  }

  function newDelivery(key: string): Delivery {
    return createDelivery({ platform, pacer, journal, clock, log }, key);
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
      const reply = await decideReply(deciding, job, language);
      if (reply === 'asking') return;
      if (isWaiting(state, key))
        await openConversation({ platform, pacer, journal, clock, log }, key, stopping.signal);
      await settleReply(job, reply);
    } catch (error) {
      stopping.signal.throwIfAborted();
      const reply = failureReply(asSaharaError(error), key, language);
      const isRepeatable = jobAt(key).question !== '';
      await settleReply(job, isRepeatable ? reply : { ...reply, buttons: [] });
    }
  }

  function settleReply(job: Job, reply: Reply | undefined): Promise<void> {
    const place = reply?.isPrivate ? platform.privatePlace(job.event) : jobAt(toHex(job.key)).place;
    return journal.change(toHex(job.key), ({ event }) => ({
      job: {
        ...(isRefusedGift(event, reply) && { event: withoutGift(event) }),
        ...(reply === undefined ? { phase: 'done' } : { phase: 'replied', reply, place }),
      },
      result: undefined,
    }));
  }

  async function deliver(key: string, delivery: Delivery, language: Language): Promise<void> {
    const { reply } = jobAt(key);
    if (reply) {
      const buttons = reply.buttons.map((action) => buttonFor(action, key, language));
      try {
        await delivery.finish(contentsOf(platform, { rich: reply.rich, buttons }), stopping.signal);
      } catch (error) {
        stopping.signal.throwIfAborted();
        const fault = faultOf(error);
        if (fault === undefined) throw error;
        if (jobAt(key).place !== undefined && fault === 'forbidden')
          return reply.isPrivate ? openDirect(key, language) : backToThePlace(key, language);
        log.warn('reply not delivered', { job: key, fault });
      }
    }
    await journal.change(key, () => ({ job: { phase: 'done' }, result: undefined }));
  }

  /** A private reply cannot reach its reader: says so where the question was. */
  async function openDirect(key: string, language: Language): Promise<void> {
    await journal.change(key, () => ({
      job: { place: undefined, slots: [], reply: shown(plain(language.openDirect)) },
      result: undefined,
    }));
    await deliver(key, newDelivery(key), language);
  }

  /** The place of its own takes no message of the bot's: the reply goes where the question was. */
  async function backToThePlace(key: string, language: Language): Promise<void> {
    await journal.change(key, () => ({ job: { place: undefined, slots: [] }, result: undefined }));
    await deliver(key, newDelivery(key), language);
  }

  return {
    async receive(events, marks) {
      for (const job of await journal.record(events.filter(canBeKept), marks)) start(job);
      if (clock.nowMs() - prunedAtMs > PRUNE_EVERY_MS) await prune();
    },
    mark: (name) => journal.mark(name),
    async resume() {
      await prune();
      await offers.sweep();
      for (const job of await journal.unfinished()) start(job);
    },
    recentPlaces: (limit) => journal.recentPlaces(limit),
    async findOpen(match) {
      const open = await journal.unfinished();
      const found = open.find((job) => match(toHex(job.key), job));
      return found && toHex(found.key);
    },
    async idle() {
      while (running.size > 0) await Promise.all(running.values());
    },
    async stop() {
      stopping.abort();
      offers.stop();
      await Promise.all([...running.values(), cashing, settling]);
    },
    credit: (user, amount, id) =>
      state.update(() => ({
        operations: spending.credit(user, amount, { id, atMs: clock.nowMs() }),
        result: undefined,
      })),
    budget: (event) => budgetView(spending, event, languageFor(event.language)),
    budgetOf: (user) => spending.budgetOf(user),
    balanceOf: (account) => spending.accountBalance(account),
    health: () => ({ running: running.size, refusals: pacer.refusals() }),
  };
}
