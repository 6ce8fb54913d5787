/**
 * The entrance of a host: limits, work of strangers and standing around each call. `host-call.ts` tells it of a call
 * as it begins, once its signature holds, and how it ended; what a host thinks of whom comes from nothing else.
 */

import { toHex } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import type { SaharaError } from '../base/errors.ts';
import type { Hash, PublicKey } from '../protocol/ids.ts';
import { voucher as voucherSchema } from '../protocol/payment.ts';
import type { Suite } from '../protocol/suite.ts';
import type { ReadOpening } from './admission.ts';
import type { Gate } from './gate.ts';
import type { QuotaBook } from './quota.ts';
import { callerName, peerName } from './standing-names.ts';
import type { CallerLimits } from './standing-service.ts';
import { StrangerWork, type WorkOptions } from './stranger-work.ts';
import { type Place, Throttle, type ThrottleOptions } from './throttle.ts';

/** What is thought of peers and callers; `standing.ts` has it. */
export interface StandingNotes {
  /** Counts a fact, once or `amount` times. */
  note(name: string, fact: string, amount?: number): void;
  /** What share of the usual limits there is for a peer or caller: above 0, at most 1. */
  shareOf(name: string): number;
  /** How many steps it has fallen. */
  stepsOf(name: string): number;
  /** Whether a call of this caller has ended here before. */
  knows(caller: PublicKey): boolean;
}

/** Parts of an entrance. */
export interface EntranceParts {
  readonly suite: Suite;
  readonly network: string;
  readonly clock: Clock;
  readonly quota: QuotaBook;
  /** Without it nobody is a stranger and everybody has the whole of the limits. */
  readonly standing?: StandingNotes;
  /** Whether a caller has an open channel to this operator. Default: none has. */
  readonly hasChannel?: (caller: PublicKey) => boolean;
}

/** Options of an entrance. */
export interface EntranceOptions {
  readonly limits: Partial<ThrottleOptions>;
  readonly work: Partial<WorkOptions>;
}

/** How a call ended that was answered. */
export interface AnsweredCall {
  readonly amount: bigint;
  /** Its stream broke before the ending was out. */
  readonly cut: boolean;
}

/** One call at the entrance. */
export interface Ticket extends Place {
  /** Id of the call, in hexadecimal. */
  readonly callId: string;
  /** The caller's key, once `count` has said that it is proven. */
  readonly caller: PublicKey | undefined;
  /** The call was answered. */
  answered(call: AnsweredCall): void;
}

/** Limits, work and standing around the calls of one host. */
export class Entrance {
  readonly #parts: EntranceParts;
  readonly #throttle: Throttle;
  readonly #work: StrangerWork;

  constructor(parts: EntranceParts, options: EntranceOptions) {
    const { clock, standing } = parts;
    this.#parts = parts;
    this.#throttle = new Throttle(
      { clock, ...(standing && { shareOf: (name: string) => standing.shareOf(name) }) },
      options.limits,
    );
    this.#work = new StrangerWork(clock, options.work);
  }

  /** What a peer and a key get of this host now, and whether the key is a stranger. */
  limitsOf(peerId: string, caller: PublicKey): CallerLimits {
    const stranger = this.#isStranger(caller);
    const { peer, caller: key } = this.#throttle.limitsOf({ peerId, caller, channel: undefined, stranger });
    return { stranger, peer: [peer], caller: [key] };
  }

  /** Counts a message of a peer that is no new call. Throws `rate-limited`. */
  message(peerId: string): void {
    this.#throttle.message(peerId);
  }

  /** Before the signature: the limits, then the work of a stranger. Throws `rate-limited`, `overloaded`, `work-required`. */
  begin(read: ReadOpening, peerId: string, gate: Gate): Ticket {
    const caller = read.envelope.from;
    const channel = channelOf(read);
    const pays = read.opening.voucher !== undefined || read.once?.payment !== undefined;
    const stranger = !pays && this.#isStranger(caller);
    const place = this.#throttle.begin({ peerId, caller, channel, stranger });
    try {
      if (stranger) this.#checkWork(read, peerId, gate);
    } catch (error) {
      place.leave();
      throw error;
    }
    let proven: PublicKey | undefined;
    return {
      callId: toHex(read.envelope.id),
      turn: place.turn,
      get caller() {
        return proven;
      },
      count: () => {
        proven = caller;
        place.count();
      },
      answered: (call) => this.#answered(call, peerId, caller),
      leave: place.leave,
    };
  }

  /**
   * A call or message was refused: the peer's fact before the key was proven, the caller's after it. A stranger's key
   * costs nothing, so what strangers do is the fact of the peer they come by as well.
   */
  refused(error: SaharaError, peerId: string, caller: PublicKey | undefined): void {
    const { standing } = this.#parts;
    const fact = `refused:${error.code}`;
    if (caller === undefined || this.#isStranger(caller)) standing?.note(peerName(peerId), fact);
    if (caller !== undefined) standing?.note(callerName(caller), fact);
  }

  #answered(call: AnsweredCall, peerId: string, caller: PublicKey): void {
    const { standing } = this.#parts;
    if (standing === undefined) return;
    if (call.cut) standing.note(peerName(peerId), 'cut');
    for (const name of [peerName(peerId), callerName(caller)]) {
      standing.note(name, 'answered');
      if (call.amount > 0n) standing.note(name, 'paid', Number(call.amount));
    }
  }

  #isStranger(caller: PublicKey): boolean {
    const { standing, hasChannel } = this.#parts;
    return standing !== undefined && !standing.knows(caller) && hasChannel?.(caller) !== true;
  }

  #checkWork(read: ReadOpening, peerId: string, gate: Gate): void {
    const { suite, network, quota, standing } = this.#parts;
    const { card } = read.hosted;
    const caller = read.envelope.from;
    const free = card.free.calls === 0 ? 0 : quota.used({ agent: card.agent, caller, peerId }, card.free);
    const steps = standing?.stepsOf(peerName(peerId)) ?? 0;
    const subject = { network, agent: card.agent, envelope: read.opening.envelope.payload };
    this.#work.check(suite, subject, read.opening.work, { load: gate.pressure, free, steps });
  }
}

/** What the voucher says it is for; a voucher that cannot be read is the payee's book's to refuse. */
function channelOf({ opening }: ReadOpening): Hash | undefined {
  if (opening.voucher === undefined) return undefined;
  try {
    return voucherSchema.decode(opening.voucher.payload).channel;
  } catch {
    return undefined;
  }
}
