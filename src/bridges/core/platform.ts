/**
 * One chat platform, as the bridge's core sees it. An adapter turns what happens there into `ChatEvent`s and
 * carries out these few verbs. Failures are `SaharaError`s: `rate-limited` with `retryAfterMs` for a request that was
 * not carried out, `token-refused`, or `platform-failed` whose fact `fault` is one of `PLATFORM_FAULTS`.
 */
import { SaharaError } from '../../base/errors.ts';
import type { Language } from './language.ts';
import type { Rich } from './rich.ts';
import type { SplitLimit } from './split.ts';

/** The platforms there are. */
export type PlatformName = 'telegram' | 'discord';

/** Where messages stand: one chat or channel, perhaps a thread in it. */
export interface Place {
  readonly chat: string;
  readonly thread: string | undefined;
  /** Between one person and the bot. */
  readonly direct: boolean;
  /** Discord's guild; absent elsewhere. */
  readonly guild: string | undefined;
}

/** A file that came with a message. Its name and type are whatever the sender says. */
export interface Attachment {
  readonly id: string;
  readonly name: string;
  readonly sizeBytes: number;
}

/** What a button does. */
export const BUTTON_ACTIONS = [
  'stop',
  'retry',
  'sources',
  'receipt',
  'good',
  'bad',
  // Of a budget: parts of the limit, an amount that is written, or none any more.
  'quarter',
  'half',
  'whole',
  'other',
  'unset',
  // Of a price: agreed to, or not.
  'approve',
  'dismiss',
  // Of documents: whether one may be kept, and the end of all that were.
  'agree',
  'decline',
  'unlearn',
] as const;

/** What a button does. */
export type ButtonAction = (typeof BUTTON_ACTIONS)[number];

/** A button and the job it acts on. */
export interface Button {
  readonly action: ButtonAction;
  /** The job's key, hexadecimal. */
  readonly job: string;
  readonly label: string;
}

/** Something a person did. */
export interface ChatEvent {
  readonly platform: PlatformName;
  /** Names the event for good: the same update delivered again has the same. */
  readonly id: string;
  readonly type: 'question' | 'command' | 'press' | 'payment';
  readonly userId: string;
  readonly userName: string;
  /** The user's language as an IETF tag, where the platform says it. */
  readonly language: string;
  readonly place: Place;
  /** The message to answer to; absent for a slash command. */
  readonly messageId: string | undefined;
  /** The question; for a command its name, for a press the action, for a payment the platform's name for it. */
  readonly text: string;
  /** For a command what follows its name; for a press the job's key; for a payment the credit, grains. */
  readonly argument: string;
  /** Text of the message that was replied to. */
  readonly quote: string;
  readonly attachments: readonly Attachment[];
  /** What the platform wants back in its acknowledgement: a callback's id, an interaction's id and token. */
  readonly token: string;
  readonly atMs: number;
}

/** What a message shows. */
export interface MessageContent {
  readonly rich: Rich;
  readonly buttons: readonly Button[];
}

/** A new message. */
export interface PlaceRequest {
  readonly event: ChatEvent;
  readonly place: Place;
  /** The message to answer to, when it stands in the same place. */
  readonly replyTo: string | undefined;
  readonly content: MessageContent;
  /** Names this message among all: 16 hexadecimal characters. */
  readonly key: string;
  /** Which of the reply's messages it is, from 0. */
  readonly index: number;
  /** The last message known in this place's sequence before the try. */
  readonly after: string | undefined;
  /** Whether a message of this place is known to belong to a reply. */
  readonly isTaken: (messageId: string) => boolean;
  /** Resolves when the platform's pace has room for one more request than the first. */
  readonly next: () => Promise<void>;
}

/** A text that is still being written. */
export interface DraftRequest {
  readonly place: Place;
  /** The job's key, hexadecimal. */
  readonly key: string;
  readonly content: MessageContent;
}

/** Something that can be bought. */
export interface ShopOffer {
  readonly label: string;
  /** Where it is bought. */
  readonly url: string;
}

/** A platform's side of selling credit. */
export interface Shop {
  offers(event: ChatEvent, language: Language): Promise<readonly ShopOffer[]>;
  /** Gives a payment back; one that was given back already is. Absent where the platform does that by itself. */
  refund?(userId: string, payment: string): Promise<void>;
  /** Told that a payment is booked. Harmless when repeated. */
  booked?(payment: string): Promise<void>;
}

/** The verbs. */
export interface Platform {
  readonly name: PlatformName;
  readonly limit: SplitLimit;
  /** Absent where nothing is sold. */
  readonly shop?: Shop | undefined;
  /** Whether it shows forms, so that nothing needs to be asked by messages. */
  readonly hasForms: boolean;
  /** Names the sequence that a place's message ids rise in: places with the same name share one. */
  sequenceOf(place: Place): string;
  /** Tells the platform that the event was received. Harmless when repeated. */
  ack(event: ChatEvent): Promise<void>;
  /**
   * Where the conversation that a question begins goes on, made if need be; `undefined` where it was asked. Harmless when
   * repeated. Platforms without such places have no such verb.
   */
  converse?(event: ChatEvent): Promise<Place | undefined>;
  /**
   * Shows for half a minute a text that is still being written, with a stop button of the platform's own in place of ours; no
   * message comes of it. `false` where there are no drafts. Harmless when repeated.
   */
  draft?(request: DraftRequest): Promise<boolean>;
  /** Sends one message and returns its id. */
  place(request: PlaceRequest): Promise<string>;
  /** The message that an earlier, unconfirmed try of the same request left after `after`; it shows what `edit` makes it show. */
  find(request: PlaceRequest): Promise<string | undefined>;
  /** Makes a message show `content`; nothing happens when it already does. */
  edit(event: ChatEvent, place: Place, messageId: string, content: MessageContent): Promise<void>;
  /** Removes a message of the bot's own; nothing happens when it is gone. */
  remove(place: Place, messageId: string): Promise<void>;
  /** Where a reply that only the person may read is sent; `undefined` when it is the event's own place. */
  privatePlace(event: ChatEvent): Place | undefined;
  /** Shows for some seconds that the bot is at work. */
  typing(place: Place): Promise<void>;
  /** The file's bytes, at most `sizeBytesMax`. Throws `document-too-large`. */
  fetchAttachment(attachment: Attachment, sizeBytesMax: number): Promise<Uint8Array>;
}

/** How a request to a platform failed. */
export const PLATFORM_FAULTS = {
  /** No answer came, or the server failed: it may have been carried out. */
  uncertain: 'uncertain',
  /** The message is not there any more. */
  gone: 'gone',
  /** The bot may not write there. */
  forbidden: 'forbidden',
  /** The platform calls the request wrong. */
  refused: 'refused',
} as const;

/** How a request to a platform failed. */
export type PlatformFault = keyof typeof PLATFORM_FAULTS;

/** The error for a failed request. `reason` must hold no token. */
export function platformFailure(platform: PlatformName, fault: PlatformFault, reason: string): SaharaError {
  return new SaharaError('platform-failed', { platform, fault, reason: reason.slice(0, 200) });
}

/** The fault of an error, when it is a platform's. */
export function faultOf(error: unknown): PlatformFault | undefined {
  if (!(error instanceof SaharaError) || error.code !== 'platform-failed') return undefined;
  return Object.values(PLATFORM_FAULTS).find((fault) => fault === error.facts.fault);
}
