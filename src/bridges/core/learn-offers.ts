/**
 * Documents that people were asked about, before anything of them is kept. An offer holds a document's hash and never its
 * bytes: those are fetched again once somebody agreed, and lie sealed in the store only from then until the daemon has them.
 * An offer ends by a no, by another one, by time, or when it is decided what became of the document.
 */
import { createHash } from 'node:crypto';
import { fromHex, utf8 } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { asSaharaError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { StoreOperation } from '../../base/store.ts';
import { KEPT_MS, LEARN_OFFER_MS, LEARN_OFFERS_DAY_MAX, LEARNED_NAME_CHARACTERS_MAX } from '../limits.ts';
import type { Journal } from './journal.ts';
import type { ChatEvent } from './platform.ts';
import { type LearnOffer, learnDaySchema, learnOfferSchema, type Reply } from './records.ts';
import { type Change, del, put, putText, type State } from './state.ts';

/** What offers work with. */
export interface OfferParts {
  readonly state: State;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly log: Log;
}

/** Who agrees: the press, the user, and whose account that is now. */
export interface Agreeing {
  readonly by: string;
  readonly user: string;
  readonly account: string;
}

/** What came of a press: `again` is the same press after a crash. */
export type Agreed =
  | { readonly type: 'agreed' | 'again' | 'decided'; readonly offer: LearnOffer }
  | { readonly type: 'not-yours' | 'under-way' | 'over' | 'lapsed' | 'relinked' };

/** The offers of all bridges over one state. Keys are those of the jobs that made them. */
export interface Offers {
  find(key: string): LearnOffer | undefined;
  /** Keeps an offer in place of the user's one before; false beyond the day's number. */
  make(
    key: string,
    offer: Omit<LearnOffer, 'state' | 'untilMs' | 'agreedBy' | 'agreedAtMs'>,
  ): Promise<boolean>;
  /** Puts a yes on disk. */
  agree(key: string, agreeing: Agreeing): Promise<Agreed>;
  /** Keeps what was agreed to until the offer ends. */
  hold(key: string, bytes: Uint8Array): Promise<void>;
  held(key: string): Uint8Array | undefined;
  /** Ends an offer, and with it what its job has of the document. */
  end(key: string): Promise<void>;
  /** The same while nobody has agreed to it; false after that. */
  close(key: string): Promise<boolean>;
  /** Ends the open offers of users. */
  endOf(users: readonly string[]): Promise<void>;
  /** Ends what nobody agreed to in time, now and whenever it becomes so. */
  sweep(): Promise<void>;
  stop(): void;
}

const DAY_MS = 86_400_000;
/** What is left of the document in an offer that is over. */
const NOTHING = { name: '', sizeBytes: 0, hash: new Uint8Array(32) } as const;

/** The digest that an offer is bound to. */
export function digestOf(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(createHash('sha256').update(bytes).digest());
}

/**
 * A name that can stand in lists, files and citations: one line, no path, nothing invisible, at most
 * `LEARNED_NAME_CHARACTERS_MAX` characters, its ending kept.
 */
export function documentName(given: string): string {
  const line = given
    .normalize('NFC')
    .replace(/[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/gu, '')
    .replace(/[/\\:*?"<>|`\s]+/gu, ' ')
    .replace(/^[. ]+/, '')
    .trim();
  const characters = [...line];
  if (characters.length <= LEARNED_NAME_CHARACTERS_MAX) return line === '' ? 'document' : line;
  const ending = [...(/\.[\p{L}\p{N}]{1,8}$/u.exec(line)?.[0] ?? '')];
  return [...characters.slice(0, LEARNED_NAME_CHARACTERS_MAX - ending.length), ...ending].join('');
}

/** An event without the document that came with it. */
export function withoutGift(event: ChatEvent): ChatEvent {
  return { ...event, argument: '', attachments: [] };
}

/** Whether `reply` to an event asks about no document although one came: of what is refused nothing is kept. */
export function isRefusedGift({ type, text }: ChatEvent, reply: Reply | undefined): boolean {
  return type === 'command' && text === 'learn' && reply?.buttons.includes('agree') !== true;
}

/** The offers in `parts.state`. */
export function createOffers(parts: OfferParts): Offers {
  const { state, journal, clock, log } = parts;
  let cancel: () => void = () => undefined;
  let isStopped = false;
  const find = (key: string): LearnOffer | undefined => state.get(offerKey(key), learnOfferSchema);

  function ended(key: string): readonly StoreOperation[] {
    const offer = find(key);
    if (offer === undefined || offer.state === 'over') return [];
    const isOpen = state.getText(openKey(offer.user)) === key;
    return [
      put(offerKey(key), learnOfferSchema, { ...offer, ...NOTHING, state: 'over' }),
      del(bytesKey(key)),
      ...(isOpen ? [del(openKey(offer.user))] : []),
    ];
  }

  /** What was agreed to ends only with `agreed`: it is on its way, and after a crash still is. */
  function endIf(key: string, { agreed }: { readonly agreed: boolean }): Promise<boolean> {
    const isEnding = (): boolean => agreed || find(key)?.state === 'open';
    if (journal.find(key) === undefined) {
      return state.update(() => ({ operations: isEnding() ? ended(key) : [], result: isEnding() }));
    }
    return journal.change(key, ({ event }) =>
      isEnding()
        ? {
            job: { event: withoutGift(event) },
            operations: ended(key),
            result: true,
          }
        : { job: {}, result: false },
    );
  }

  const close = (key: string): Promise<boolean> => endIf(key, { agreed: false });

  function counted(user: string): readonly StoreOperation[] | undefined {
    const day = Math.floor(clock.nowMs() / DAY_MS);
    const known = state.get(dayKey(user), learnDaySchema);
    const count = known?.day === day ? known.count : 0;
    if (count >= LEARN_OFFERS_DAY_MAX) return undefined;
    return [put(dayKey(user), learnDaySchema, { day, count: count + 1 })];
  }

  function isUnderWay({ agreedBy }: LearnOffer): boolean {
    const press = journal.find(agreedBy);
    return press?.phase === 'received';
  }

  async function sweep(): Promise<void> {
    cancel();
    const nowMs = clock.nowMs();
    let nextMs: number | undefined;
    for await (const [entry, value] of state.entries('learn/offer/')) {
      const offer = learnOfferSchema.decode(value);
      const key = entry.slice('learn/offer/'.length);
      if (offer.state === 'open' && offer.untilMs <= nowMs) await close(key);
      else if (offer.state === 'open') nextMs = Math.min(nextMs ?? offer.untilMs, offer.untilMs);
      // Nobody hands it over any more: what becomes of it was told, or its press is gone.
      else if (offer.state === 'agreed' && !isUnderWay(offer)) await endIf(key, { agreed: true });
      else if (offer.state === 'over' && offer.untilMs < nowMs - KEPT_MS)
        await state.update(() => ({ operations: [del(entry)], result: undefined }));
    }
    if (nextMs === undefined || isStopped) return;
    cancel = clock.after(nextMs - nowMs, () => {
      sweep().catch((error) => log.error('offers not swept', { code: asSaharaError(error).code }));
    });
  }

  return {
    find,
    async make(key, offer) {
      const before = state.getText(openKey(offer.user));
      // What is refused takes nobody's place.
      if (find(key) === undefined && counted(offer.user) === undefined) return false;
      if (before !== undefined && before !== key) await close(before);
      const untilMs = clock.nowMs() + LEARN_OFFER_MS;
      const made = await state.update(() => {
        // After a crash the same job makes the same offer.
        if (find(key) !== undefined) return { operations: [], result: true };
        const count = counted(offer.user);
        if (count === undefined) return { operations: [], result: false };
        const open = { ...offer, state: 'open', untilMs, agreedBy: '', agreedAtMs: 0 } as const;
        const operations = [
          put(offerKey(key), learnOfferSchema, open),
          putText(openKey(offer.user), key),
          ...count,
        ];
        return { operations, result: true };
      });
      if (made) await sweep();
      return made;
    },
    agree: (key, agreeing) =>
      state.update((): Change<Agreed> => {
        const offer = find(key);
        const told = (type: Exclude<Agreed['type'], 'agreed' | 'again' | 'decided'>): Change<Agreed> => ({
          operations: [],
          result: { type },
        });
        if (offer === undefined) return told('over');
        if (offer.user !== agreeing.user) return told('not-yours');
        const isMine = offer.agreedBy === agreeing.by;
        if (offer.state === 'over')
          return isMine ? { operations: [], result: { type: 'decided', offer } } : told('over');
        if (offer.state === 'agreed')
          return isMine ? { operations: [], result: { type: 'again', offer } } : told('under-way');
        const nowMs = clock.nowMs();
        if (offer.untilMs <= nowMs) return told('lapsed');
        if (offer.account !== agreeing.account) return told('relinked');
        const agreed = { ...offer, state: 'agreed', agreedBy: agreeing.by, agreedAtMs: nowMs } as const;
        const operations = [put(offerKey(key), learnOfferSchema, agreed)];
        return { operations, result: { type: 'agreed', offer: agreed } };
      }),
    hold: (key, bytes) =>
      state.update(() => ({
        operations: [{ type: 'put', key: utf8(bytesKey(key)), value: bytes }],
        result: undefined,
      })),
    held: (key) => state.getBytes(bytesKey(key)),
    async end(key) {
      await endIf(key, { agreed: true });
    },
    close,
    async endOf(users) {
      for (const user of users) {
        const open = state.getText(openKey(user));
        if (open !== undefined) await close(open);
      }
    },
    sweep,
    stop() {
      isStopped = true;
      cancel();
    },
  };
}

/** An offer's reference: what its document is kept under. */
export function referenceOf(key: string): Uint8Array {
  return fromHex(key) ?? new Uint8Array(16);
}

function offerKey(key: string): string {
  return `learn/offer/${key}`;
}

function openKey(user: string): string {
  return `learn/open/${user}`;
}

function bytesKey(key: string): string {
  return `learn/bytes/${key}`;
}

function dayKey(user: string): string {
  return `learn/day/${user}`;
}
