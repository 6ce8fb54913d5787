/** For each labelled point: whose it is, and what brings that process there. */
import type { Point } from '../../src/base/points.ts';
import type { Role } from './town.ts';

/** What has the victim come to its point. */
export type Work =
  /** Questions at a flat price. */
  | 'ask'
  /** Questions whose answers are paid for as they come. */
  | 'tell'
  /** Questions that one transaction pays each. */
  | 'once'
  /** An answer that is left in the middle. */
  | 'leave'
  /** A claim of what was earned. */
  | 'claim'
  /** The first question on a channel that is new. */
  | 'renew'
  /** An answer whose host is killed in the middle and comes back: its caller goes on with it. */
  | 'cut'
  /** A new key for its operator. */
  | 'rotate'
  /** A key for the vouchers of the channel that it pays on. */
  | 'voucher-key'
  /** Another channel. */
  | 'open'
  /** Its own start, after it was killed while it answered. */
  | 'start'
  /** Its own start, after it was killed behind a checkpoint. */
  | 'recover'
  /** What its caller does once it is back, after it was killed in the middle of an answer. */
  | 'back'
  /** Questions, right after its own start. */
  | 'again';

/** How a point is reached. */
export interface Scenario {
  readonly victim: Role;
  readonly work: Work;
  /** Which passing of the point counts, from 1. Default 1. */
  readonly hit?: number;
  /** Whether only calls that are paid piece by piece come there: those with a payee that is not known well. */
  readonly metered?: boolean;
  /** Whether the caller reaches its hosts by way of a gateway only, which is the ledger's peer. */
  readonly relayed?: boolean;
}

/** Every point; a label that is not here does not compile. */
export const SCENARIOS: Readonly<Record<Point, Scenario>> = {
  'caller:opening': { victim: 'caller', work: 'ask' },
  'caller:sent': { victim: 'caller', work: 'ask' },
  'caller:kept': { victim: 'caller', work: 'tell' },
  'caller:delivered': { victim: 'caller', work: 'tell', hit: 3 },
  'caller:checkpoint': { victim: 'caller', work: 'tell', metered: true },
  'caller:raised': { victim: 'caller', work: 'tell', metered: true },
  'caller:covered': { victim: 'caller', work: 'tell', hit: 2, metered: true },
  'caller:stopped': { victim: 'caller', work: 'leave' },
  'caller:resuming': { victim: 'caller', work: 'cut' },
  'caller:resumed': { victim: 'caller', work: 'cut' },
  'caller:ending': { victim: 'caller', work: 'tell' },
  'caller:settled': { victim: 'caller', work: 'ask' },
  'caller:bundle': { victim: 'caller', work: 'ask' },
  'caller:bundled': { victim: 'caller', work: 'ask' },
  'host:opening': { victim: 'host', work: 'ask' },
  'host:leased': { victim: 'host', work: 'ask' },
  'host:admitted': { victim: 'host', work: 'ask' },
  'host:delivered': { victim: 'host', work: 'tell', hit: 3 },
  'host:checkpoint': { victim: 'host', work: 'tell', metered: true },
  'host:kept': { victim: 'host', work: 'tell', metered: true },
  'host:checkpointed': { victim: 'host', work: 'tell', hit: 2, metered: true },
  'host:topped-up': { victim: 'host', work: 'tell', metered: true },
  'host:covered': { victim: 'host', work: 'tell', hit: 2, metered: true },
  'host:resuming': { victim: 'host', work: 'back', metered: true },
  'host:resumed': { victim: 'host', work: 'back', metered: true },
  'host:recovered': { victim: 'host', work: 'recover', metered: true },
  'host:answered': { victim: 'host', work: 'tell' },
  'host:charged': { victim: 'host', work: 'tell' },
  'host:ended': { victim: 'host', work: 'ask' },
  'once:paid': { victim: 'caller', work: 'once' },
  'once:used': { victim: 'host', work: 'once' },
  'relay:opened': { victim: 'ledger', work: 'tell', relayed: true },
  'relay:passed': { victim: 'ledger', work: 'tell', hit: 20, relayed: true },
  'relay:ended': { victim: 'ledger', work: 'tell', relayed: true },
  'payee:counted': { victim: 'host', work: 'ask' },
  'payee:signed': { victim: 'host', work: 'leave' },
  'payee:secured': { victim: 'host', work: 'ask' },
  'payer:marked': { victim: 'caller', work: 'renew' },
  'payer:asked': { victim: 'caller', work: 'again' },
  'tail:appended': { victim: 'host', work: 'ask' },
  'tail:recovered': { victim: 'host', work: 'start' },
  'journal:batch': { victim: 'host', work: 'ask' },
  'journal:written': { victim: 'host', work: 'ask' },
  'claim:submitting': { victim: 'host', work: 'claim' },
  'claim:submitted': { victim: 'host', work: 'claim' },
  'claim:settled': { victim: 'host', work: 'claim' },
  'identity:prepared': { victim: 'caller', work: 'rotate' },
  'identity:rotated': { victim: 'host', work: 'rotate' },
  'voucher:key-made': { victim: 'caller', work: 'voucher-key' },
  'voucher:key-kept': { victim: 'caller', work: 'voucher-key' },
  'voucher:key-counts': { victim: 'caller', work: 'voucher-key' },
  'wallet:kept': { victim: 'caller', work: 'open' },
  'ledger:built': { victim: 'ledger', work: 'open' },
  'ledger:committed': { victim: 'ledger', work: 'open' },
  'ledger:published': { victim: 'ledger', work: 'open' },
  'ledger:marked': { victim: 'ledger', work: 'open' },
  'follower:executed': { victim: 'host', work: 'open' },
  'follower:committed': { victim: 'host', work: 'open' },
  'light:headed': { victim: 'caller', work: 'open' },
  'light:viewed': { victim: 'caller', work: 'open' },
  'light:proved': { victim: 'caller', work: 'open' },
};
