/**
 * The durable journal: every event is on disk before its platform hears that it arrived, and every step after it
 * before the next begins. A job's key comes from the event's id, so an event delivered twice is one job, and the
 * call that it makes has one id, whatever crashes in between.
 */
import { createHash } from 'node:crypto';
import { toHex } from '../../base/bytes.ts';
import { invariant } from '../../base/errors.ts';
import type { StoreOperation } from '../../base/store.ts';
import { KEPT_MS } from '../limits.ts';
import type { ChatEvent, Place, Platform } from './platform.ts';
import { conversationSchema, holdSchema, type Job, jobSchema, type Slot } from './records.ts';
import { type Change, del, put, putText, type State } from './state.ts';

/** The bridge's memory of events and what they caused. */
export interface Journal {
  /** Puts new events and `marks` on disk together; returns the jobs of those not seen before. */
  record(events: readonly ChatEvent[], marks?: ReadonlyMap<string, string>): Promise<readonly Job[]>;
  mark(name: string): string | undefined;
  find(key: string): Job | undefined;
  /** Whether a job is of this journal's platform; several share a store. */
  isOwn(job: Job): boolean;
  /** Jobs that are not done, oldest first. */
  unfinished(): Promise<readonly Job[]>;
  /** Changes a job, together with other writes. `step` sees the job as it is on disk. */
  change<T = void>(key: string, step: (job: Job) => JobChange<T>): Promise<T>;
  isTaken(place: Place, messageId: string): boolean;
  /** Where people asked, and where their conversations went on, the last ones first. */
  recentPlaces(limit: number): Promise<readonly Place[]>;
  /** Greatest message id known in a place's sequence. */
  lastIn(place: Place): string | undefined;
  /** Keys of the questions of users, newest first. */
  questionsOf(users: readonly string[], limit: number): Promise<readonly string[]>;
  /** Deletes what users wrote and got; amounts and ids stay. */
  forget(users: readonly string[]): Promise<void>;
  /** Deletes jobs and conversations older than `KEPT_MS`, together with `more`. */
  prune(nowMs: number, more: readonly StoreOperation[]): Promise<void>;
}

/** A job's next state and what is written with it. */
export interface JobChange<T> {
  readonly job: Partial<Job>;
  readonly operations?: readonly StoreOperation[];
  readonly result: T;
}

/** Version of the stored jobs. */
export const JOB_VERSION = 1;

/** The key of an event's job, which is also its call's id: 16 bytes. */
export function jobKey(eventId: string): Uint8Array {
  return Uint8Array.from(
    createHash('sha256').update('sahara/bridge/job').update(eventId).digest().subarray(0, 16),
  );
}

/** The journal over `state`. */
export function createJournal(state: State, platform: Pick<Platform, 'name' | 'sequenceOf'>): Journal {
  const find = (key: string): Job | undefined => state.get(`job/${key}`, jobSchema);
  const isOwn = (job: Job): boolean => job.event.platform === platform.name;

  function save(job: Job, before: Job | undefined): readonly StoreOperation[] {
    const key = toHex(job.key);
    const order = `open/${String(job.event.atMs).padStart(16, '0')}/${key}`;
    return [
      put(`job/${key}`, jobSchema, job),
      job.phase === 'done' ? del(order) : putText(order, key),
      ...job.slots.flatMap((slot, i) => slotOperations(job, slot, before?.slots[i])),
    ];
  }

  function slotOperations(job: Job, slot: Slot, before: Slot | undefined): readonly StoreOperation[] {
    if (slot.messageId === undefined || slot.messageId === before?.messageId) return [];
    const place = job.place ?? job.event.place;
    return [
      putText(messageKey(place, job.event.platform, slot.messageId), toHex(job.key)),
      ...seen(place, slot.messageId),
    ];
  }

  const seenKey = (place: Place): string => `seen/${platform.name}:${platform.sequenceOf(place)}`;

  function seen(place: Place, messageId: string): readonly StoreOperation[] {
    const last = lastIn(place);
    const isNewer = last === undefined || BigInt(messageId) > BigInt(last);
    return isNewer ? [putText(seenKey(place), messageId)] : [];
  }

  function lastIn(place: Place): string | undefined {
    return state.getText(seenKey(place));
  }

  function recorded(
    events: readonly ChatEvent[],
    marks: ReadonlyMap<string, string>,
  ): Change<readonly Job[]> {
    const jobs = new Map<string, Job>();
    const operations: StoreOperation[] = [...marks].map(([name, value]) => putText(`mark/${name}`, value));
    for (const event of events) {
      const job = newJob(event);
      const key = toHex(job.key);
      if (jobs.has(key) || find(key) !== undefined) continue;
      jobs.set(key, job);
      operations.push(...save(job, undefined), putText(ownKey(job), key));
      if (event.messageId !== undefined) operations.push(...seen(event.place, event.messageId));
    }
    return { operations, result: [...jobs.values()] };
  }

  return {
    find,
    isOwn,
    lastIn,
    record: (events, marks = new Map()) => state.update(() => recorded(events, marks)),
    mark: (name) => state.getText(`mark/${name}`),
    async unfinished() {
      const jobs: Job[] = [];
      for await (const [order] of state.entries('open/')) {
        const job = find(order.slice(order.lastIndexOf('/') + 1));
        if (job !== undefined && isOwn(job)) jobs.push(job);
      }
      return jobs;
    },
    async recentPlaces(limit) {
      const found = new Map<string, { readonly place: Place; readonly atMs: number }>();
      for await (const [, value] of state.entries('job/')) {
        const { event, place = event.place } = jobSchema.decode(value);
        if (event.platform !== platform.name || event.type !== 'question') continue;
        for (const one of [event.place, place]) {
          const name = `${one.chat}/${one.thread ?? ''}`;
          if ((found.get(name)?.atMs ?? 0) <= event.atMs) found.set(name, { place: one, atMs: event.atMs });
        }
      }
      const newest = [...found.values()].sort((a, b) => b.atMs - a.atMs);
      return newest.slice(0, limit).map(({ place }) => place);
    },
    change: (key, step) =>
      state.update(() => {
        const before = find(key);
        invariant(before, `job ${key} exists`);
        const { job, operations = [], result } = step(before);
        return { operations: [...save({ ...before, ...job }, before), ...operations], result };
      }),
    isTaken: (place, messageId) => state.getText(messageKey(place, platform.name, messageId)) !== undefined,
    async questionsOf(users, limit) {
      const asked: string[] = [];
      for (const user of users) {
        const prefix = `history/${user}/`;
        for await (const [entry] of state.entries(prefix, { reverse: true, limit })) {
          asked.push(entry.slice(prefix.length));
        }
      }
      const newest = asked.sort().reverse().slice(0, limit);
      return newest.map((entry) => entry.slice(entry.lastIndexOf('/') + 1));
    },
    async forget(users) {
      const entries: string[] = [];
      for (const user of users) {
        for await (const [entry] of state.entries(`talk/${user}/`)) entries.push(entry);
      }
      const keys: string[] = [];
      for (const prefix of users.flatMap((user) => [`own/${user}/`, `history/${user}/`])) {
        for await (const [entry] of state.entries(prefix)) {
          keys.push(entry.slice(entry.lastIndexOf('/') + 1));
        }
      }
      await state.update(() => {
        // What is not over yet stays among the user's own, so that it can be forgotten once it is.
        const ended = [...new Set(keys)].map(find).filter((job) => job?.phase === 'done');
        const forgotten = ended.flatMap((job) => (job === undefined ? [] : forgetting(job)));
        return { operations: [...entries.map(del), ...forgotten], result: undefined };
      });
    },
    async prune(nowMs, more) {
      const operations: StoreOperation[] = [...more];
      for await (const [, value] of state.entries('job/')) {
        const job = jobSchema.decode(value);
        // What is still held for one ends with it.
        const isHeld = state.get(`hold/${toHex(job.key)}`, holdSchema) !== undefined;
        const isOld = job.phase === 'done' && job.event.atMs < nowMs - KEPT_MS;
        if (isOld && !isHeld) operations.push(...removed(job));
      }
      for await (const [key, value] of state.entries('talk/')) {
        if (conversationSchema.decode(value).atMs < nowMs - KEPT_MS) operations.push(del(key));
      }
      await state.update(() => ({ operations, result: undefined }));
    },
  };
}

function newJob(event: ChatEvent): Job {
  return {
    version: JOB_VERSION,
    key: jobKey(event.id),
    event,
    phase: 'received',
    agent: '',
    agentName: '',
    question: '',
    context: [],
    amountMax: 0n,
    isStopped: false,
    amount: undefined,
    sources: [],
    reply: undefined,
    slots: [],
    place: undefined,
  };
}

function emptied(job: Job): Job {
  const event = { ...job.event, text: '', argument: '', quote: '', attachments: [], userName: '', token: '' };
  return { ...job, event, question: '', context: [], sources: [], reply: undefined };
}

function forgetting(job: Job): readonly StoreOperation[] {
  const stripped = put(`job/${toHex(job.key)}`, jobSchema, emptied(job));
  return [stripped, del(historyKey(job)), del(ownKey(job))];
}

function removed(job: Job): readonly StoreOperation[] {
  const place = job.place ?? job.event.place;
  const key = toHex(job.key);
  return [
    del(`job/${key}`),
    del(historyKey(job)),
    del(ownKey(job)),
    ...job.slots.flatMap(({ messageId }) =>
      messageId === undefined ? [] : [del(messageKey(place, job.event.platform, messageId))],
    ),
  ];
}

/** Where a question stands among its user's questions. */
export function historyKey(job: Job): string {
  return `history/${ofUser(job)}`;
}

/** Where any job stands among what its user wrote, whether it became a call or not. */
function ownKey(job: Job): string {
  return `own/${ofUser(job)}`;
}

function ofUser({ event, key }: Job): string {
  return `${event.platform}:${event.userId}/${String(event.atMs).padStart(16, '0')}/${toHex(key)}`;
}

function messageKey(place: Place, platform: string, messageId: string): string {
  return `message/${platform}:${place.chat}/${messageId}`;
}
