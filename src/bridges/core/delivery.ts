/**
 * Brings a reply into a chat, however often it is begun. Each message has a slot in the journal: the intent to
 * send is on disk before it is sent, its id right after. A message whose sending was never confirmed is looked for before
 * another is sent; everything after the first sending is an edit, which can be repeated.
 */
import type { Clock } from '../../base/clock.ts';
import { SaharaError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { SLOTS_MAX } from '../limits.ts';
import type { Journal } from './journal.ts';
import { type Pacer, sleep } from './pacer.ts';
import { faultOf, type MessageContent, type Place, type PlaceRequest, type Platform } from './platform.ts';
import type { Job } from './records.ts';
import { plain } from './rich.ts';

/** What a delivery works with. */
export interface DeliveryParts {
  readonly platform: Platform;
  readonly pacer: Pacer;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly log: Log;
}

/** One job's messages. */
export interface Delivery {
  /**
   * Shows what is there of a reply, once: the last message as a draft where the platform has drafts, else like all others.
   * Throws what the platform says.
   */
  show(contents: readonly MessageContent[], signal: AbortSignal): Promise<void>;
  /** Shows that the bot is at work, unless there is more to say elsewhere. */
  typing(): Promise<void>;
  /** The same until it is done, and removes messages beyond; throws only what trying again cannot mend. */
  finish(contents: readonly MessageContent[], signal: AbortSignal): Promise<void>;
}

const NOTHING: MessageContent = { rich: plain(''), buttons: [] };
/** Age at which a draft is shown anew, milliseconds: the platform drops it after 30 seconds. */
const DRAFT_KEPT_MS = 15_000;
const RETRY_FIRST_MS = 500;
const RETRY_LAST_MS = 30_000;

/** The delivery of the job `key`'s reply. */
export function createDelivery(parts: DeliveryParts, key: string): Delivery {
  const { platform, pacer, journal, clock } = parts;
  const shown: (string | undefined)[] = [];
  const drafted = { digest: '', atMs: Number.NEGATIVE_INFINITY };

  const current = (): Job => {
    const job = journal.find(key);
    if (!job) throw new SaharaError('internal', { reason: `job ${key} is gone` });
    return job;
  };

  function setSlot(index: number, slot: Job['slots'][number] | undefined): Promise<void> {
    return journal.change(key, (job) => ({
      job: { slots: slot ? job.slots.toSpliced(index, 1, slot) : job.slots.slice(0, index) },
      result: undefined,
    }));
  }

  function requestFor(
    index: number,
    content: MessageContent,
    { after, next }: Pick<PlaceRequest, 'after' | 'next'>,
  ): PlaceRequest {
    const job = current();
    const place = placeOf(job);
    return {
      event: job.event,
      place,
      replyTo: job.place === undefined ? job.event.messageId : undefined,
      content,
      key: key.slice(0, 16),
      index,
      after,
      isTaken: (messageId) => journal.isTaken(place, messageId),
      next,
    };
  }

  /** The message that a begun slot without an id left, if any. */
  async function findLost(
    index: number,
    content: MessageContent,
    next: () => Promise<void>,
  ): Promise<string | undefined> {
    const slot = current().slots[index];
    if (!slot?.isBegun) return undefined;
    const found = await platform.find(requestFor(index, content, { after: slot.after, next }));
    await next();
    return found;
  }

  /** Sends a message. What was certainly not carried out leaves nothing to look for. */
  async function sent(index: number, request: PlaceRequest): Promise<string> {
    try {
      return await platform.place(request);
    } catch (error) {
      if (faultOf(error) !== 'uncertain') {
        await setSlot(index, { messageId: undefined, isBegun: false, after: undefined });
      }
      throw error;
    }
  }

  /** Sends a message, or takes the one that an unconfirmed try left. */
  async function begin(index: number, content: MessageContent, signal: AbortSignal): Promise<void> {
    const { event, ...job } = current();
    const place = job.place ?? event.place;
    // The id is journalled before the chat's next request runs: a search that another reply makes must know it.
    const attempt = async (next: () => Promise<void>): Promise<void> => {
      const lost = await findLost(index, content, next);
      if (lost !== undefined) {
        await platform.edit(event, place, lost, content);
        return setSlot(index, { messageId: lost, isBegun: true, after: undefined });
      }
      const after = journal.lastIn(place);
      await setSlot(index, { messageId: undefined, isBegun: true, after });
      const messageId = await sent(index, requestFor(index, content, { after, next }));
      await setSlot(index, { messageId, isBegun: true, after });
    };
    await pacer.run(place, attempt, { signal });
  }

  async function showOne(index: number, content: MessageContent, signal: AbortSignal): Promise<void> {
    const job = current();
    const digest = JSON.stringify(content);
    const slot = job.slots[index];
    if (slot?.messageId === undefined) await begin(index, content, signal);
    else if (shown[index] !== digest) await edit(index, slot.messageId, content, signal);
    shown[index] = digest;
  }

  /** Edits a message; one that someone deleted leaves its slot, so that the next round sends it anew. */
  async function edit(
    index: number,
    messageId: string,
    content: MessageContent,
    signal: AbortSignal,
  ): Promise<void> {
    const { event, ...job } = current();
    const place = job.place ?? event.place;
    try {
      await pacer.run(place, () => platform.edit(event, place, messageId, content), { signal });
    } catch (error) {
      if (faultOf(error) === 'gone') {
        await setSlot(index, { messageId: undefined, isBegun: false, after: undefined });
      }
      throw error;
    }
  }

  /** Shows the end of a reply as a draft; `false` where that cannot be. */
  async function sketch(index: number, content: MessageContent, signal: AbortSignal): Promise<boolean> {
    const place = placeOf(current());
    const { draft } = platform;
    // A message that is there already is edited: a draft beside it would show the same text twice.
    if (draft === undefined || !place.direct || current().slots.length > index) return false;
    const digest = JSON.stringify([index, content.rich]);
    if (drafted.digest === digest && clock.monotonicMs() - drafted.atMs < DRAFT_KEPT_MS) return true;
    const isShown = await pacer.run(place, () => draft({ place, key, content }), { signal });
    if (isShown) Object.assign(drafted, { digest, atMs: clock.monotonicMs() });
    return isShown;
  }

  async function showLive(contents: readonly MessageContent[], signal: AbortSignal): Promise<void> {
    const last = Math.min(contents.length, SLOTS_MAX) - 1;
    await show(contents.slice(0, last), signal);
    const content = contents[last];
    if (content === undefined || (await sketch(last, content, signal))) return;
    await showOne(last, content, signal);
  }

  async function show(contents: readonly MessageContent[], signal: AbortSignal): Promise<void> {
    for (const [index, content] of contents.slice(0, SLOTS_MAX).entries())
      await showOne(index, content, signal);
  }

  /** Removes messages that the reply no longer needs, also one whose sending was never confirmed. */
  async function removeSurplus(from: number, signal: AbortSignal): Promise<void> {
    for (let index = current().slots.length - 1; index >= from; index--) {
      const place = placeOf(current());
      const slot = current().slots[index];
      await pacer.run(
        place,
        async (next) => {
          const messageId = slot?.messageId ?? (await findLost(index, NOTHING, next));
          if (messageId !== undefined) await platform.remove(place, messageId);
        },
        { signal },
      );
      await setSlot(index, undefined);
    }
  }

  return {
    show: showLive,
    typing: () => pacer.spare(() => platform.typing(placeOf(current()))),
    async finish(contents, signal) {
      let form = contents;
      for (let waitMs = RETRY_FIRST_MS; ; waitMs = Math.min(2 * waitMs, RETRY_LAST_MS)) {
        try {
          await show(form, signal);
          return await removeSurplus(form.length, signal);
        } catch (error) {
          signal.throwIfAborted();
          const fault = faultOf(error);
          const isBare = form.every((content) => content.rich.spans.length === 0);
          if (fault === 'refused' && !isBare) form = form.map(bare);
          else if (fault !== 'uncertain' && fault !== 'gone') throw error;
          parts.log.warn('delivery repeated', { job: key, fault });
        }
        await sleep(clock, waitMs, signal);
      }
    },
  };
}

function bare(content: MessageContent): MessageContent {
  return { ...content, rich: { text: content.rich.text, spans: [] } };
}

/** Where a job's reply goes. */
export function placeOf(job: Job): Place {
  return job.place ?? job.event.place;
}
