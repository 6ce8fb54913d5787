/** What a kind of transaction is given, and what it answers. */
import type { Genesis } from '../../protocol/block.ts';
import type { PublicKey } from '../../protocol/ids.ts';
import type { Suite } from '../../protocol/suite.ts';
import type { Action } from '../../protocol/transaction.ts';
import type { OpenedRecords } from '../prepare.ts';
import type { ResultName } from '../result-codes.ts';
import type { RuleSet } from '../rules.ts';
import type { SignatureBook } from '../signatures.ts';
import type { State } from '../state.ts';

/** Somebody who has a say in which rules hold, and how much. */
export interface Voter {
  readonly did: PublicKey;
  readonly power: number;
}

/** What stays the same for the whole ledger. */
export interface Rules {
  readonly suite: Suite;
  readonly network: string;
  readonly genesis: Genesis;
  /** Who decides about the rules, as the state before the block has it. Default: the genesis' sequencer alone. */
  readonly voters?: (() => readonly Voter[]) | undefined;
}

/** One transaction's surroundings. */
export interface TransactionContext extends Rules, OpenedRecords {
  readonly rules: RuleSet;
  readonly voters: () => readonly Voter[];
  readonly state: State;
  readonly signatures: SignatureBook;
  readonly height: number;
  readonly sender: PublicKey;
  readonly nonce: number;
  /** What its fee put into the reward pool and no claim of it has counted yet, grains. */
  readonly pooled: { left: bigint };
}

/** What a transaction gave: `ok` and what it moved, or why it was refused. */
export interface Outcome {
  readonly result: ResultName;
  /** Grains. */
  readonly moved: bigint;
}

/** Each kind's action. */
export type ActionOf = { readonly [A in Action as A['type']]: A };

/** How one kind is executed. It may change the state before it refuses: refusals are undone. */
export type Handler<K extends Action['type']> = (context: TransactionContext, action: ActionOf[K]) => Outcome;

/** Success. */
export function done(moved = 0n): Outcome {
  return { result: 'ok', moved };
}

/** Refusal. */
export function refuse(result: Exclude<ResultName, 'ok'>): Outcome {
  return { result, moved: 0n };
}
