/**
 * Asks agents. One `ask` is one call: the price is bounded before anything is sent, a paid call costs one round
 * trip, every frame is checked as it comes, and the result holds all that an evidence bundle needs. The interface
 * knows no transport, so the command line, bridges and gateways share it.
 */
import type { Clock } from '../base/clock.ts';
import { SaharaError } from '../base/errors.ts';
import type { Dice } from '../base/random.ts';
import type { CallEnding, CallOpening, CallParent, Citation, Source, Turn } from '../protocol/call.ts';
import { type Card, card as cardSchema } from '../protocol/card.ts';
import type { CallChild } from '../protocol/checkpoint.ts';
import type { CallBudget, Envelope } from '../protocol/envelope.ts';
import type { Hash, Id } from '../protocol/ids.ts';
import type { CallPayment } from '../protocol/once.ts';
import type { Finish, Receipt } from '../protocol/payment.ts';
import { type Signed, signed as signedSchema, type TickSigner, type Verifier } from '../protocol/signing.ts';
import type { Suite } from '../protocol/suite.ts';
import type { CallRecords } from './call-records.ts';
import { CallerCall } from './caller-call.ts';
import { isOnceTicket, OnceCall } from './caller-once.ts';
import type { CallTicket, OpenCalls } from './open-calls.ts';
import type { CallFrame, CallTransport, OncePayer, PayerPort } from './ports.ts';
import type { CallerState } from './session.ts';

/** Parts of a caller. */
export interface CallerParts {
  readonly suite: Suite;
  readonly verifier: Verifier;
  readonly clock: Clock;
  readonly dice: Dice;
  readonly network: string;
  /** The caller's key, which signs requests; the payer's too. */
  readonly operator: TickSigner;
  readonly transport: CallTransport;
  /** Without it only free calls can be made, and such as one transaction pays. */
  readonly payer?: PayerPort;
  /** Pays calls by one transaction each. Without it none is. */
  readonly once?: OncePayer;
  /** The same host of an agent with its newest card; `undefined` when that is not known. Default: it is not. */
  readonly renewed?: (target: CallTarget) => Promise<CallTarget | undefined>;
  readonly records: CallRecords;
  /** Keeps what it takes to go on with calls after a restart. Without it none is kept. */
  readonly openCalls?: OpenCalls;
  /** Told of each call that was settled, such as to save its evidence: the call is forgotten only afterwards. */
  readonly ended?: (result: CallResult) => Promise<void>;
}

/** Options of a caller. */
export interface CallerOptions {
  /** How long an answer may take when the request does not say, milliseconds. Default 120,000. */
  readonly deadlineMs: number;
  /** How long to wait for the ending of a call that was stopped, milliseconds. Default 5,000. */
  readonly stopTimeoutMs: number;
  /**
   * How long a call whose stream broke is tried to be gone on with, milliseconds since something last came. 0: not
   * at all. Default 60,000.
   */
  readonly resumeForMs: number;
  /** What is put at stake at once with a payee that is not known, beside what the first word costs: grains. Default 10,000,000. */
  readonly stepAmount: bigint;
  /** At least so many units of answer are covered at a time, so that a dear agent needs no top-up for each word. Default 64, minimum 32. */
  readonly stepUnits: number;
  /** After so many receipts a payee is put as much at stake as all calls with it have cost. Default 16. */
  readonly trustReceipts: number;
  /** Most zero bits of work that are done for an agent that asks it of strangers. Default 20. */
  readonly workBitsMax: number;
}

/** Values for every option. */
export const CALLER_DEFAULTS: CallerOptions = {
  deadlineMs: 120_000,
  stopTimeoutMs: 5_000,
  resumeForMs: 60_000,
  stepAmount: 10_000_000n,
  stepUnits: 64,
  trustReceipts: 16,
  workBitsMax: 20,
};

/** An agent to ask: its signed card and a peer that hosts it. */
export interface CallTarget {
  readonly peerId: string;
  readonly card: Signed;
}

/** One question. */
export interface AskRequest {
  readonly target: CallTarget;
  readonly question: string;
  /** Earlier turns, oldest first. Default none. */
  readonly context?: readonly Turn[];
  readonly skill?: string;
  readonly seed?: number;
  /** Most that the call may cost, grains. */
  readonly priceMax: bigint;
  /** Most units of answer. Default: what the card allows. */
  readonly outputUnitsMax?: number;
  readonly deadlineMs?: number;
  /** The agent's offer that prices the call in place of its card. */
  readonly offer?: Signed;
  /** What the agent may spend on calls of its own; `priceMax` pays for it too. Default: nothing, and it makes none. */
  readonly budget?: CallBudget;
  /** The call during which this one is made, and what shows those above. Default: it stands alone. */
  readonly below?: { readonly parent: Envelope; readonly parents: readonly CallParent[] };
  /** Names the call; the same id is never charged twice. Default: random. */
  readonly callId?: Id;
  /**
   * Sends the call only once what it takes to go on with it is written, so that whoever asks again under its id after a
   * crash finds it; a store that cannot write holds no call up. Default: that is written behind, and a crash in the first
   * moments leaves a call that ends without its asker.
   */
  readonly kept?: boolean;
  /**
   * `auto` pays where a channel is there and else uses the free quota; `once` pays by one transaction of the ledger and
   * needs no channel. Default `auto`.
   */
  readonly payment?: 'auto' | 'free' | 'paid' | 'once';
  /** With `once`: the payment, which is in a block. Default: it is made once everything else is known to be in order. */
  readonly paid?: CallPayment;
}

/** What happens while an answer comes. */
export type CallEvent =
  | { readonly type: 'progress'; readonly stage: 'queued' | 'answering' | 'paused'; readonly ahead: number }
  | { readonly type: 'source'; readonly index: number; readonly source: Source }
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'citation'; readonly citation: Citation }
  /** A call that the agent made below this one has ended. */
  | { readonly type: 'child'; readonly child: CallChild }
  /** The agent stated what the call costs so far, which was checked; `cover` is paid for from now on. Grains. */
  | {
      readonly type: 'checkpoint';
      readonly amount: bigint;
      readonly outputUnits: number;
      readonly cover: bigint;
    }
  /** Everything else is in order: the call is being paid by one transaction; or that is in a block. Grains. */
  | { readonly type: 'payment'; readonly state: 'paying' | 'paid'; readonly amount: bigint }
  /** The stream broke; or the call goes on over another one, right where it was. */
  | { readonly type: 'stream'; readonly state: 'cut' | 'resumed' }
  /** Last: checked and kept. */
  | { readonly type: 'ending'; readonly receipt: Receipt };

/** Everything about one call that proves it; a bundle is this with the network's genesis and the settlement. */
export interface CallEvidence {
  readonly card: Signed;
  readonly opening: CallOpening;
  readonly deliveries: readonly CallFrame[];
  readonly ending: CallEnding;
  /** The agent's checkpoints, in order. */
  readonly checkpoints: readonly Signed[];
  /** The last voucher of a call that was topped up. */
  readonly voucher: Signed | undefined;
  /** The transaction that paid a call without a channel. */
  readonly payment?: CallPayment;
}

/** How a call went. */
export interface CallResult {
  readonly callId: Id;
  readonly text: string;
  readonly sources: readonly Source[];
  readonly citations: readonly Citation[];
  readonly finish: Finish;
  /** What it cost, grains. */
  readonly amount: bigint;
  readonly receipt: Receipt;
  readonly evidence: CallEvidence;
  /** Why the caller stopped it, if it did: a wish, the deadline, or no money for more. */
  readonly stopped?: SaharaError;
}

/** A call under way. */
export interface CallHandle {
  readonly callId: Id;
  readonly state: CallerState;
  /** What the vouchers sent so far cover of this call, grains: most that it can have cost until now. */
  readonly cover: bigint;
  /** What it takes to go on with the call elsewhere; absent before it was sent. */
  readonly ticket: CallTicket | undefined;
  /**
   * The answer as it comes, for one reader; a reader that does not read holds the agent back. Throws what `result`
   * rejects with.
   */
  events(): AsyncIterable<CallEvent>;
  /**
   * Resolves with the checked result, also of a call that was stopped after something was delivered. Rejects with
   * the agent's refusal, `answer-invalid`, `receipt-invalid`, `cancelled`, `deadline-exceeded`, `call-unknown` or
   * `peer-gone`. Of a paid call the fact `outcome` says what became of the money: `unknown` (the payee may have
   * charged something, which the payer's book looks up), `charged` (the fact `amount`, in grains; the answer can
   * still be had by `resume`), `paid` (by one transaction, the same), or `uncharged` (it may be asked again).
   */
  readonly result: Promise<CallResult>;
  /** Stops the answer: what was delivered is charged, nothing else. */
  stop(): void;
}

/** Asks agents. */
export interface Caller {
  /** Begins a call. What is wrong with the request is told by the handle's `result`. */
  ask(request: AskRequest, options?: { readonly signal?: AbortSignal }): CallHandle;
  /**
   * Goes on with a call that was left over from before a restart, by its id, or with one of another peer of the same
   * caller, by its ticket. Everything that was delivered comes again, then the rest; it ends with the same receipt.
   */
  resume(call: Id | CallTicket, options?: { readonly signal?: AbortSignal }): CallHandle;
}

/** A card whose signature was checked. */
export interface KnownCard {
  readonly card: Card;
  readonly hash: Hash;
}

/** What calls share. */
export interface CallerShared {
  readonly parts: CallerParts;
  readonly options: CallerOptions;
  /** Correction of this peer's clock, learnt from a refusal, milliseconds. */
  skewMs: number;
  cardOf(signed: Signed): KnownCard | Promise<KnownCard>;
  nextSequence(): number;
}

/** A caller. */
export function createCaller(parts: CallerParts, options: Partial<CallerOptions> = {}): Caller {
  const known = new WeakMap<Signed, KnownCard>();
  let sequence = 0;
  const shared: CallerShared = {
    parts,
    options: { ...CALLER_DEFAULTS, ...options },
    skewMs: 0,
    cardOf: (signed) => {
      const found = known.get(signed);
      if (found) return found;
      return checkCard(parts, signed).then((checked) => {
        known.set(signed, checked);
        return checked;
      });
    },
    nextSequence: () => sequence++,
  };
  const begin = (call: CallerCall | OnceCall, signal: AbortSignal | undefined): CallHandle => {
    call.start(signal);
    return call;
  };
  return {
    ask(request, { signal } = {}) {
      const callId = request.callId ?? parts.dice.bytes(16);
      const Call = request.payment === 'once' ? OnceCall : CallerCall;
      return begin(new Call(shared, { callId, request }), signal);
    },
    resume(call, { signal } = {}) {
      const callId = call instanceof Uint8Array ? call : call.callId;
      const ticket = call instanceof Uint8Array ? parts.openCalls?.find(call)?.ticket : call;
      const Call = ticket !== undefined && isOnceTicket(ticket) ? OnceCall : CallerCall;
      return begin(new Call(shared, { callId, ticket }), signal);
    },
  };
}

/** The card with its hash. Throws `malformed`, `network-mismatch`, `signature-missing`, `signature-invalid`. */
async function checkCard(parts: CallerParts, message: Signed): Promise<KnownCard> {
  const card = cardSchema.decode(message.payload);
  if (card.network !== parts.network) throw new SaharaError('network-mismatch', { found: card.network });
  const fault = await parts.verifier.check(parts.network, 'card', card.agent, message);
  if (fault) throw new SaharaError(fault, { what: 'card' });
  return { card, hash: parts.suite.sha256(signedSchema.encode(message)) };
}
