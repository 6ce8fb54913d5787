/**
 * The state machine: pure, synchronous, the same everywhere. Same state and same bytes give the same results and
 * the same changes, whatever engine drives it.
 */
import { invariant } from '../base/errors.ts';
import type { TransactionResult } from '../protocol/block.ts';
import type { PublicKey } from '../protocol/ids.ts';
import type { Action, Transaction } from '../protocol/transaction.ts';
import { workOffAgenda } from './agenda.ts';
import { AGENDA_HANDLERS } from './agenda-kinds.ts';
import { signerOf } from './identities.ts';
import type { Prepared } from './prepare.ts';
import { RESULT_CODES, type ResultName, tookEffect } from './result-codes.ts';
import { addToPool, pooledFee } from './rewards.ts';
import { beginRules, type RuleSet } from './rules.ts';
import type { SignatureBook } from './signatures.ts';
import { accountOf, credit, type State } from './state.ts';
import type { Outcome, Rules } from './transactions/context.ts';
import { executeAction } from './transactions.ts';

/** What a block is executed with. */
export interface BlockContext extends Rules {
  readonly signatures: SignatureBook;
  readonly height: number;
  /** Who gets what of the fees does not go into the reward pool; without one, all of them go there. */
  readonly proposer: PublicKey | undefined;
}

/** A block that has begun. */
export interface BegunBlock extends BlockContext {
  readonly rules: RuleSet;
}

/** Executes a whole block on `state`. Results are in the order of the transactions. */
export function executeBlock(
  context: BlockContext,
  state: State,
  transactions: readonly Prepared[],
): readonly TransactionResult[] {
  const begun = beginBlock(context, state);
  const results = transactions.map((prepared) => executeTransaction(begun, state, prepared));
  endBlock(begun, state);
  return results;
}

/** What precedes a block's transactions: which rules hold. Throws `upgrade-needed` where this program does not know them. */
export function beginBlock(context: BlockContext, state: State): BegunBlock {
  return { ...context, rules: beginRules(state, context.height) };
}

/** What follows a block's transactions: what the agenda has for its height, and the supply is checked. */
export function endBlock(context: BegunBlock, state: State): void {
  workOffAgenda({ state, genesis: context.genesis, height: context.height }, AGENDA_HANDLERS);
  invariant(state.heldChange() === 0n, `block ${context.height} conserves the supply`);
}

/**
 * Executes one transaction on `state`. A refusal before the fee changes nothing (codes 1 to 15); a later one
 * takes the fee and the nonce and changes nothing else.
 */
export function executeTransaction(context: BegunBlock, state: State, prepared: Prepared): TransactionResult {
  const { content } = prepared;
  if (content.fault !== undefined) return resultOf({ result: content.fault, moved: 0n });
  const { transaction } = content;
  const { sender } = transaction;
  const publicKey = signerOf(context.suite, state.identities.get(sender), transaction);
  const message = prepared.signed;
  if (publicKey === undefined || !context.signatures.check({ type: 'transaction', publicKey, message })) {
    return resultOf({ result: 'signature-invalid', moved: 0n });
  }
  const fault = takeFee(context, state, transaction);
  if (fault !== undefined) return resultOf({ result: fault, moved: 0n });
  const { suite, network, genesis, signatures, height, rules } = context;
  const { voters = () => [{ did: genesis.sequencer, power: 1 }] } = context;
  const surroundings = { suite, network, genesis, signatures, height, rules, voters, state };
  const pooled = { left: pooledFee(context) };
  const own = { sender, nonce: transaction.nonce, pooled, ...content.opened };
  const outcome = state.attempt(
    () => executeAction<Action['type']>({ ...surroundings, ...own }, transaction.action),
    ({ result }) => tookEffect(RESULT_CODES[result].code),
  );
  return resultOf(outcome);
}

/** The first reason, in documented order, why a transaction cannot even pay its fee; otherwise nonce and fee are taken. */
function takeFee(
  context: BlockContext,
  state: State,
  { sender, nonce, feeMax }: Transaction,
): ResultName | undefined {
  const fee = context.genesis.parameters.transactionFee;
  const account = accountOf(state, sender);
  if (nonce < account.nonce) return 'nonce-used';
  if (nonce > account.nonce) return 'nonce-ahead';
  if (feeMax < fee) return 'fee-too-low';
  if (account.balance < fee) return 'fee-unpaid';
  state.accounts.set(sender, { ...account, nonce: nonce + 1, balance: account.balance - fee });
  const pooled = context.proposer === undefined ? fee : pooledFee(context);
  if (context.proposer !== undefined) credit(state, context.proposer, fee - pooled);
  addToPool(state, context, pooled);
  return undefined;
}

function resultOf({ result, moved }: Outcome): TransactionResult {
  return { code: RESULT_CODES[result].code, moved };
}
