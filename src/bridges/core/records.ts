/** What a bridge keeps on disk, in the protocol's canonical encoding: a job, its reply, and the books' records. */

import type { Turn } from '../../protocol/call.ts';
import { SOURCES_MAX } from '../../protocol/limits.ts';
import {
  bool,
  bytes,
  type Field,
  grains,
  list,
  oneOf,
  optional,
  record,
  type Schema,
  text,
  u32,
  uint,
} from '../../protocol/schema.ts';
import { ATTACHMENTS_MAX, CONVERSATION_TURNS_MAX, JOB_BYTES_MAX, SLOTS_MAX } from '../limits.ts';
import {
  type Attachment,
  BUTTON_ACTIONS,
  type ButtonAction,
  type ChatEvent,
  type Place,
} from './platform.ts';
import type { Rich, Span } from './rich.ts';

const id: Field<string> = text(128);
const long: Field<string> = text(JOB_BYTES_MAX);

/** The stored form of a place. */
export const placeSchema: Schema<Place> = record('place', {
  chat: id,
  thread: optional(id),
  direct: bool,
  guild: optional(id),
});

const attachmentSchema: Schema<Attachment> = record('attachment', {
  id: text(2048),
  name: text(1024),
  sizeBytes: uint(),
});

/** The stored form of an event. */
export const eventSchema: Schema<ChatEvent> = record('chat-event', {
  platform: oneOf('telegram', 'discord'),
  id,
  type: oneOf('question', 'command', 'press', 'payment'),
  userId: id,
  userName: text(256),
  language: text(32),
  place: placeSchema,
  messageId: optional(id),
  text: long,
  argument: long,
  quote: long,
  attachments: list(attachmentSchema, ATTACHMENTS_MAX),
  token: text(1024),
  atMs: uint(),
});

const spanRecord: Schema<{
  readonly style: Span['style'];
  readonly offset: number;
  readonly length: number;
  readonly url: string | undefined;
  readonly language: string | undefined;
}> = record('span', {
  style: oneOf('bold', 'italic', 'strike', 'code', 'pre', 'link', 'quote'),
  offset: u32,
  length: u32,
  url: optional(text(8192)),
  language: optional(text(64)),
});

/** A span that has no address or language has no such property either. */
const spanField: Field<Span> = {
  write: (writer, span) => spanRecord.write(writer, { url: undefined, language: undefined, ...span }),
  read(reader) {
    const { url, language, ...span } = spanRecord.read(reader);
    return { ...span, ...(url !== undefined && { url }), ...(language !== undefined && { language }) };
  },
};

/** What a job says in the end. */
export interface Reply {
  readonly rich: Rich;
  readonly buttons: readonly ButtonAction[];
  /** Only the person who asked may read it. */
  readonly isPrivate: boolean;
}

const replySchema: Schema<Reply> = record('reply', {
  rich: record('rich', { text: long, spans: list(spanField, 65_536) }),
  buttons: list(oneOf(...BUTTON_ACTIONS), BUTTON_ACTIONS.length),
  isPrivate: bool,
});

/** One message of a job's reply. */
export interface Slot {
  /** The message, once its id is known. */
  readonly messageId: string | undefined;
  /** It was about to be sent: without an id it may or may not exist. */
  readonly isBegun: boolean;
  /** The last message known in the place's sequence before the first try to send it. */
  readonly after: string | undefined;
}

/** What the reader of an answer may look up behind a source's number. */
export interface ShownSource {
  readonly title: string;
  readonly excerpt: string;
  readonly licence: string;
}

const turnSchema: Schema<Turn> = record('turn', { role: oneOf('user', 'agent'), text: text(65_536) });

/** One event and what it caused, from its arrival to the delivered reply. */
export interface Job {
  readonly version: number;
  /** The call's id, from the event's id. */
  readonly key: Uint8Array;
  readonly event: ChatEvent;
  /** Journalled; asking an agent with money held; reply decided and money settled; reply delivered. */
  readonly phase: 'received' | 'asking' | 'replied' | 'done';
  /** The agent asked: its `did:key` and its name. */
  readonly agent: string;
  readonly agentName: string;
  readonly question: string;
  /** The turns that go along with it: fixed with the call, so that joining it again says the same. */
  readonly context: readonly Turn[];
  /** Most that the call may cost, grains. */
  readonly amountMax: bigint;
  /** Someone pressed stop. */
  readonly isStopped: boolean;
  /** What the user paid, once settled, grains. */
  readonly amount: bigint | undefined;
  readonly sources: readonly ShownSource[];
  readonly reply: Reply | undefined;
  /** Messages that were sent or begun, in order. */
  readonly slots: readonly Slot[];
  /** Where the reply goes when it is not the event's place. */
  readonly place: Place | undefined;
}

/** The stored form of a job. */
export const jobSchema: Schema<Job> = record('job', {
  version: uint(255),
  key: bytes(16),
  event: eventSchema,
  phase: oneOf('received', 'asking', 'replied', 'done'),
  agent: text(128),
  agentName: text(256),
  question: long,
  context: list(turnSchema, CONVERSATION_TURNS_MAX),
  amountMax: grains,
  isStopped: bool,
  amount: optional(grains),
  sources: list(
    record('shown-source', { title: text(8192), excerpt: text(8192), licence: text(512) }),
    SOURCES_MAX,
  ),
  reply: optional(replySchema),
  slots: list(record('slot', { messageId: optional(id), isBegun: bool, after: optional(id) }), SLOTS_MAX),
  place: optional(placeSchema),
});

/** The earlier turns of a conversation, oldest first, and when it last went on. */
export interface Conversation {
  readonly turns: readonly Turn[];
  readonly atMs: number;
}

/** The stored form of a conversation. */
export const conversationSchema: Schema<Conversation> = record('conversation', {
  turns: list(turnSchema, CONVERSATION_TURNS_MAX),
  atMs: uint(),
});

/** An amount that may be negative, in grains. */
export const signedGrains: Field<bigint> = {
  write(writer, value) {
    bool.write(writer, value < 0n);
    grains.write(writer, value < 0n ? -value : value);
  },
  read(reader) {
    const negative = bool.read(reader);
    const size = grains.read(reader);
    return negative ? -size : size;
  },
};

/** One entry of the book: what moved between accounts; the legs sum to 0. */
export interface Entry {
  readonly id: string;
  readonly legs: readonly { readonly account: string; readonly amount: bigint }[];
  readonly atMs: number;
}

/** The stored form of an entry. */
export const entrySchema: Schema<Entry> = record('entry', {
  id: text(256),
  legs: list(record('leg', { account: text(256), amount: signedGrains }), 8),
  atMs: uint(),
});

/** Money held for one call, and where its caps count. */
export interface Hold {
  readonly user: string;
  readonly amount: bigint;
  readonly scopes: readonly string[];
  readonly day: number;
}

/** The stored form of a hold. */
export const holdSchema: Schema<Hold> = record('hold', {
  user: text(256),
  amount: grains,
  scopes: list(text(320), 8),
  day: u32,
});

/** The stored form of one amount. */
export const amountSchema: Schema<{ readonly amount: bigint }> = record('amount', { amount: signedGrains });

/** Credit that someone bought on a platform. */
export interface Purchase {
  /** The platform's name for the payment. */
  readonly payment: string;
  /** Grains. */
  readonly amount: bigint;
  readonly state: 'kept' | 'returning' | 'returned';
  readonly atMs: number;
}

/** The stored form of a purchase. */
export const purchaseSchema: Schema<Purchase> = record('purchase', {
  payment: text(1024),
  amount: grains,
  state: oneOf('kept', 'returning', 'returned'),
  atMs: uint(),
});

/** A withdrawal that the ledger has not decided yet. Amounts in grains. */
export interface Leaving {
  readonly user: string;
  /** A DID. */
  readonly to: string;
  readonly amount: bigint;
  readonly fee: bigint;
}

/** The stored form of a withdrawal. */
export const leavingSchema: Schema<Leaving> = record('leaving', {
  user: text(256),
  to: text(128),
  amount: grains,
  fee: grains,
});

/** Somebody is to write the amount of a budget. */
export interface BudgetForm {
  readonly untilMs: number;
  /** Messages so far. */
  readonly tries: number;
  /** The job that ended it, hexadecimal; empty while it is open. */
  readonly takenBy: string;
}

/** The stored form of it. */
export const budgetFormSchema: Schema<BudgetForm> = record('budget-form', {
  untilMs: uint(),
  tries: u32,
  takenBy: text(64),
});

/** A question that waits for its asker to agree to the price. */
export interface Approval {
  readonly untilMs: number;
  /** The press that decided it, hexadecimal; empty while it waits. */
  readonly takenBy: string;
}

/** The stored form of it. */
export const approvalSchema: Schema<Approval> = record('approval', { untilMs: uint(), takenBy: text(64) });

/** How often an agent took money for nothing, and until when it is not asked. */
export interface AgentPause {
  readonly times: number;
  readonly untilMs: number;
}

/** The stored form of a pause. */
export const agentPauseSchema: Schema<AgentPause> = record('agent-pause', { times: u32, untilMs: uint() });

/** A call of which it is not known what became of its money. */
export interface Unsettled {
  readonly sinceMs: number;
  /** Some of its answer was shown to whoever asked, so it is paid by them as far as a receipt says. */
  readonly isShown: boolean;
  /** The agent whose peer does not say it; empty where the daemon could not be asked. */
  readonly agent: string;
}

/** The stored form of it. */
export const unsettledSchema: Schema<Unsettled> = record('unsettled', {
  sinceMs: uint(),
  isShown: bool,
  agent: text(128),
});

/** A document that somebody was asked about. */
export interface LearnOffer {
  /** Who gave it (`telegram:12345`), and the DID that it would be of. */
  readonly user: string;
  readonly account: string;
  readonly agent: string;
  readonly name: string;
  readonly sizeBytes: number;
  /** SHA-256 of it. */
  readonly hash: Uint8Array;
  /** The text that was shown: its version and language. */
  readonly version: number;
  readonly language: string;
  /** It waits for a yes until then; somebody said yes; it is decided. */
  readonly state: 'open' | 'agreed' | 'over';
  readonly untilMs: number;
  /** The press that agreed, hexadecimal, and when; empty and 0 before. */
  readonly agreedBy: string;
  readonly agreedAtMs: number;
}

/** The stored form of an offer. */
export const learnOfferSchema: Schema<LearnOffer> = record('learn-offer', {
  user: text(256),
  account: text(128),
  agent: text(256),
  name: text(512),
  sizeBytes: uint(),
  hash: bytes(32),
  version: uint(255),
  language: text(32),
  state: oneOf('open', 'agreed', 'over'),
  untilMs: uint(),
  agreedBy: text(64),
  agreedAtMs: uint(),
});

/** How many documents a user offered on a day. */
export const learnDaySchema: Schema<{ readonly day: number; readonly count: number }> = record('learn-day', {
  day: u32,
  count: u32,
});
