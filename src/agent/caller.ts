/**
 * Asks agents. One `ask` is one call: the price is bounded before anything is sent, a paid call costs one round
 * trip, every frame is checked as it comes, and the result holds all that an evidence bundle needs. The interface
 * knows no transport, so the command line, bridges and gateways share it.
 */
import type { Clock } from '../base/clock.ts';
import { SaharaError } from '../base/errors.ts';
import type { Dice } from '../base/random.ts';
import type { CallEnding, CallOpening, Citation, Source, Turn } from '../protocol/call.ts';
import { type Card, card as cardSchema } from '../protocol/card.ts';
import type { Hash, Id } from '../protocol/ids.ts';
import type { Finish, Receipt } from '../protocol/payment.ts';
import { type Signed, signed as signedSchema, type TickSigner, type Verifier } from '../protocol/signing.ts';
import type { Suite } from '../protocol/suite.ts';
import type { CallRecords } from './call-records.ts';
import { CallerCall } from './caller-call.ts';
import type { CallFrame, CallTransport, PayerPort } from './ports.ts';
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
  /** Without it only free calls can be made. */
  readonly payer?: PayerPort;
  readonly records: CallRecords;
}

/** Options of a caller. */
export interface CallerOptions {
  /** How long an answer may take when the request does not say, milliseconds. Default 120,000. */
  readonly deadlineMs: number;
  /** How long to wait for the ending of a call that was stopped, milliseconds. Default 5,000. */
  readonly stopTimeoutMs: number;
}

/** Values for every option. */
export const CALLER_DEFAULTS: CallerOptions = { deadlineMs: 120_000, stopTimeoutMs: 5_000 };

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
  /** Names the call; the same id is never charged twice. Default: random. */
  readonly callId?: Id;
  /** `auto` pays where a channel is there and else uses the free quota. Default `auto`. */
  readonly payment?: 'auto' | 'free' | 'paid';
}

/** What happens while an answer comes. */
export type CallEvent =
  | { readonly type: 'progress'; readonly stage: 'queued' | 'answering' | 'paused'; readonly ahead: number }
  | { readonly type: 'source'; readonly index: number; readonly source: Source }
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'citation'; readonly citation: Citation }
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
}

/** A call under way. */
export interface CallHandle {
  readonly callId: Id;
  readonly state: CallerState;
  /**
   * The answer as it comes, for one reader; a reader that does not read holds the agent back. Throws what `result`
   * rejects with.
   */
  events(): AsyncIterable<CallEvent>;
  /**
   * Resolves with the checked result, also of a call that was stopped after something was delivered. Rejects with
   * the agent's refusal, `answer-invalid`, `receipt-invalid`, `cancelled`, `deadline-exceeded` or `peer-gone`; the
   * fact `outcome: 'unknown'` says that the payee may have charged something, which the payer's book looks up.
   */
  readonly result: Promise<CallResult>;
  /** Stops the answer: what was delivered is charged, nothing else. */
  stop(): void;
}

/** Asks agents. */
export interface Caller {
  /** Begins a call. What is wrong with the request is told by the handle's `result`. */
  ask(request: AskRequest, options?: { readonly signal?: AbortSignal }): CallHandle;
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
  return {
    ask(request, { signal } = {}) {
      const call = new CallerCall(shared, request);
      call.start(signal);
      return call;
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
