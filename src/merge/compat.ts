/**
 * What mergekit 0.1.4 does otherwise, for those who reproduce an old merge: a recipe that says `compat: mergekit` gets
 * it. Only what hangs on nothing else is repeated; not its random numbers, not arithmetic in 16 bits.
 */
import type { Parameter } from './method.ts';
import type { Settings } from './task.ts';

/** The setting of methods that differ. A recipe says it at its top. */
export const COMPAT: Parameter = {
  name: 'compat',
  perModel: false,
  type: 'choice',
  default: 'none',
  choices: ['none', 'mergekit'],
  meaning: 'whose mistakes to repeat',
};

/** Whether mergekit's ways are wanted. */
export function likeMergekit({ compat }: Settings): boolean {
  return compat === 'mergekit';
}
