/** Actions on the rules themselves: from which height on a network goes by which version of them. */
import { record, type Schema, uint } from './schema.ts';

/** Most that a version of the rules can be. */
const RULES_VERSION_MAX = 65_535;

/** Says for the sender's vote that the rules of `version` are to hold from the block at `height` on. */
export interface ApproveUpgradeAction {
  readonly type: 'approve-upgrade';
  /** The next version; the one in force to call off what was decided. */
  readonly version: number;
  /** First block of the ledger that is executed by it; of the decided upgrade where that is called off. */
  readonly height: number;
}

/** The wire forms of these actions with their numbers. */
export const RULES_ACTIONS: {
  readonly 'approve-upgrade': readonly [50, Schema<Omit<ApproveUpgradeAction, 'type'>>];
} = {
  'approve-upgrade': [50, record('approve-upgrade', { version: uint(RULES_VERSION_MAX), height: uint() })],
};
