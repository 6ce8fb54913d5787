/**
 * The versions of the rules by which blocks are executed, and which one holds at a height. A network begins with the
 * first. What a later one does differently stands here, in one place: execution asks for it by name, so a program
 * executes old blocks by old rules and new ones by new rules, and knows by the state alone where one ends.
 */
import { SaharaError } from '../base/errors.ts';
import { acceptablePoint } from '../protocol/ed25519.ts';
import type { PublicKey } from '../protocol/ids.ts';
import { ONLY, stateKey } from './records.ts';
import { RULES, type RulesRecord } from './records-rules.ts';
import type { State, StateReader } from './state.ts';

/** One version of the rules. */
export interface RuleSet {
  readonly version: number;
  /**
   * Whether money may be sent to a key with which nobody can ever sign (LEDGER-170), such as 32 zeros: there it is lost.
   * Version 1: yes. Version 2: no.
   */
  readonly paysUnusableKeys: boolean;
}

const FIRST: RuleSet = { version: 1, paysUnusableKeys: true };
const SECOND: RuleSet = { version: 2, paysUnusableKeys: false };

/** All versions that this program knows, the first before the latest. Their numbers have no gaps. */
export const RULE_SETS: readonly [RuleSet, ...RuleSet[]] = [FIRST, SECOND];

/** The latest version that this program knows. */
export const RULES_KNOWN: number = RULE_SETS.length;

/** How a state stands that never had another version than the first. */
const BEGINNING: RulesRecord = { version: FIRST.version, plan: undefined, approvals: [] };

/** What the state says of its rules. */
export function rulesIn(state: State): RulesRecord {
  return state.rules.get(ONLY) ?? BEGINNING;
}

/** The same of a committed state. */
export function readRules(read: StateReader): RulesRecord {
  return rulesFrom(read(stateKey(RULES, ONLY)));
}

/** The same of the stored record, or of none. */
export function rulesFrom(stored: Uint8Array | undefined): RulesRecord {
  return stored === undefined ? BEGINNING : RULES.schema.decode(stored);
}

/** The version by which the block of `height` is executed, by what the state before it says. */
export function versionAt({ version, plan }: RulesRecord, height: number): number {
  return plan !== undefined && plan.height <= height ? plan.version : version;
}

/** Begins the block of `height`: takes over what was decided for it. Throws `upgrade-needed` for rules that nobody wrote here. */
export function beginRules(state: State, height: number): RuleSet {
  const before = rulesIn(state);
  const version = versionAt(before, height);
  const rules = RULE_SETS[version - 1];
  if (rules === undefined) throw upgradeNeeded(version, height);
  if (version !== before.version) state.rules.set(ONLY, { version, plan: undefined, approvals: [] });
  return rules;
}

/** Why the block of `height` cannot be executed by this program, if so. */
export function unknownRules(read: StateReader, height: number): SaharaError | undefined {
  const version = versionAt(readRules(read), height);
  return version > RULES_KNOWN ? upgradeNeeded(version, height) : undefined;
}

/** Whether money may go to a key by these rules. */
export function canReceive({ paysUnusableKeys }: RuleSet, key: PublicKey): boolean {
  return paysUnusableKeys || acceptablePoint(key);
}

function upgradeNeeded(version: number, height: number): SaharaError {
  return new SaharaError('upgrade-needed', { height, version, known: RULES_KNOWN });
}
