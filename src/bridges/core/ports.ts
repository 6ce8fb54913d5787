/**
 * What a bridge needs from the daemon, as an interface of its own: the daemon's caller satisfies it inside the
 * process, the admin API of a remote daemon over HTTP. Money is bigint grains.
 */
import type { Citation, Source, Turn } from '../../protocol/call.ts';
import type { Id } from '../../protocol/ids.ts';
import type { Finish, Receipt } from '../../protocol/payment.ts';
import type { LinkGrant } from './grant.ts';

/** One agent that can be asked now. */
export interface AgentListing {
  /** The agent's `did:key`. */
  readonly did: string;
  readonly name: string;
  readonly description: string;
  /** Price of a call without its units, grains. */
  readonly perCall: bigint;
  /** Most that one answer can cost, grains: what has to be held before the call. */
  readonly amountMax: bigint;
}

/** One question. */
export interface AskRequest {
  /** Names the call. The same id always yields the same answer and receipt, and is charged once. */
  readonly callId: Id;
  /** The agent's `did:key`. */
  readonly agent: string;
  readonly question: string;
  readonly context: readonly Turn[];
  /** Most that the call may cost, grains. */
  readonly priceMax: bigint;
  /** Text that came through a chat never reaches training or merging: there is no other value. */
  readonly training: 'excluded';
}

/** How a call ended. */
export interface AnswerEnding {
  readonly finish: Finish;
  /** What the agent charged, grains; never above `priceMax`. */
  readonly amount: bigint;
}

/** What arrives while an agent answers. Exactly one `ending` comes, last. */
export type AnswerEvent =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'source'; readonly source: Source }
  /** Byte offsets into the whole answer, as in the protocol. */
  | { readonly type: 'citation'; readonly citation: Citation }
  | { readonly type: 'ending'; readonly ending: AnswerEnding };

/** What an offline check of a call's evidence bundle found. */
export type ProofVerdict =
  /** `block`: where the ledger paid for it; absent while it has not. */
  | { readonly valid: true; readonly checks: number; readonly block?: number }
  | { readonly valid: false; readonly reason: string };

/** The agents that a bridge can reach. */
export interface AgentsPort {
  /** Live agents, in a stable order. */
  list(options?: { readonly signal?: AbortSignal }): Promise<readonly AgentListing[]>;
  /**
   * Asks, or joins the call that already runs or ran under this id, from its first event. Breaking off reading
   * does not end the call. Throws `SaharaError`; after `peer-gone`, `peer-unreachable` and
   * `daemon-not-running` it is unknown how far the call came, and it has to be joined again.
   */
  ask(request: AskRequest, options?: { readonly signal?: AbortSignal }): AsyncIterable<AnswerEvent>;
  /**
   * Ends a call early; its events then end with what was delivered and its exact charge. A call that has not begun
   * never does: asking under its id then ends as cancelled, with no charge.
   */
  cancel(callId: Id): Promise<void>;
  /** The receipt of a call that ended with one. */
  receipt(callId: Id, options?: { readonly signal?: AbortSignal }): Promise<Receipt | undefined>;
  /** Checks the call's evidence bundle. Throws `receipt-unknown` when there is none. */
  verify(callId: Id, options?: { readonly signal?: AbortSignal }): Promise<ProofVerdict>;
}

/** Money that arrived. */
export interface Deposit {
  /** Names it for good: hexadecimal. */
  readonly id: string;
  /** Who paid, a DID. */
  readonly from: string;
  /** Grains. */
  readonly amount: bigint;
  readonly memo: string;
}

/** The operator's money, as far as chats reach it: what comes in for users, and what goes out to them. */
export interface MoneyPort {
  /** Whom deposits are paid to, the full name of the network, and what a payment costs there, grains. */
  whoami(): Promise<{ readonly did: string; readonly network: string; readonly fee: bigint }>;
  /**
   * Payments to it in the blocks above `height`, and the block up to which there is no other. Without `height` none, and
   * the last block. Throws `ledger-light` where blocks are not kept.
   */
  deposits(
    height: number | undefined,
    options?: { readonly signal?: AbortSignal },
  ): Promise<{ readonly deposits: readonly Deposit[]; readonly height: number }>;
  /** Whether a deposit is for `book`: it is for the first that asks, and for no other then. */
  claim(deposit: string, book: string): Promise<boolean>;
  /**
   * Pays, once for each reference, and resolves with the block that has it. Throws `tx-refused`, `usage` and
   * `funds-insufficient` when it was not paid and will not be; after anything else the outcome is unknown, and asking
   * again under the same reference tells it.
   */
  pay(order: {
    readonly reference: Id;
    /** A DID. */
    readonly to: string;
    readonly amount: bigint;
    readonly memo: string;
  }): Promise<number>;
  /** The grant in a text whose signature was checked. Throws `malformed`, `signature-invalid`, `network-mismatch`. */
  grant(text: string): Promise<LinkGrant>;
}

/** The agent that people's documents are for. */
export interface LearningAgent {
  readonly name: string;
  /** What is kept of everybody: documents, people who gave them, and bytes. */
  readonly documents: number;
  readonly people: number;
  readonly sizeBytes: number;
}

/** A document that somebody gave and agreed to. */
export interface LearnOrder {
  /** Names it for good: it is kept once under it. 16 bytes. */
  readonly reference: Id;
  /** Who gave it (`telegram:12345`), and whose it is: a DID. */
  readonly giver: string;
  readonly contributor: string;
  /** The agent that was named when it was agreed to. */
  readonly agent: string;
  readonly name: string;
  readonly bytes: Uint8Array;
  /** What was agreed to, by whom and when. */
  readonly consent: string;
}

/** A document that is kept. */
export interface LearnedDocument {
  /** Its reference, hexadecimal. */
  readonly id: string;
  readonly name: string;
  readonly agent: string;
  readonly contributor: string;
  readonly sizeBytes: number;
  readonly atMs: number;
  readonly consent: string;
}

/**
 * Why a document is not kept: nobody's is, for this agent; it was taken back since; it is kept already for the same person,
 * or for another; the person gave as many as may be, or as much; too many people did; there is no room for anybody's.
 */
export type LearnRefusal = 'off' | 'over' | 'mine' | 'taken' | 'documents' | 'bytes' | 'people' | 'full';

/** What became of a document. */
export type LearnOutcome =
  | { readonly type: 'kept'; readonly document: LearnedDocument }
  | { readonly type: 'refused'; readonly why: LearnRefusal };

/** Knowledge that people give. Text of a chat gets here by nothing but this. */
export interface LearnPort {
  /** The agent that learns; `undefined` where none does. Throws `agent-unknown` while it is not hosted. */
  open(): Promise<LearningAgent | undefined>;
  /**
   * Keeps a document, once for each reference. Throws `document-unsupported`, `document-too-large`, `document-unreadable` and
   * others when it is not kept; after what is called unavailable that is unknown, and asking again under the same reference
   * tells it.
   */
  learn(order: LearnOrder): Promise<LearnOutcome>;
  /** What is kept of `owners`, givers and DIDs, oldest first. */
  list(owners: readonly string[]): Promise<readonly LearnedDocument[]>;
  /** Destroys a document of one of `owners` for good; false when there is none of theirs. */
  forget(owners: readonly string[], id: string): Promise<boolean>;
}
