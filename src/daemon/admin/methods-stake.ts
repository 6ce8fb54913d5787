/** The methods of the admin API about stakes and rewards, with the schemas of their inputs. */
import { z } from 'zod';
import { BOND_ROLES, type BondRole } from '../../protocol/actions-stake.ts';
import type { FeesReport, RewardsReply, RewardsReport, StakeReply, StakeReport } from './types-stake.ts';

/** Own money behind an own role. */
export interface BondInput {
  readonly role: BondRole;
  /** Grains. */
  readonly amount: string;
}

/** Own money behind somebody else's role. */
export interface DelegateInput extends BondInput {
  /** DID of an operator, or the name of an agent of theirs. */
  readonly to: string;
}

/** Methods that answer once. */
export interface StakeMethods {
  fees: { input: Readonly<Record<string, never>>; output: FeesReport };
  'stake.show': { input: { readonly did?: string | undefined }; output: StakeReport };
  'stake.bond': {
    input: BondInput & { readonly commissionPpm?: number | undefined };
    output: StakeReply;
  };
  'stake.unbond': { input: BondInput; output: StakeReply };
  'stake.delegate': { input: DelegateInput; output: StakeReply };
  'stake.undelegate': { input: DelegateInput; output: StakeReply };
  /** Whatever is due of this operator's own money, or what is due to `did` of its own bonds and delegations. */
  'stake.release': { input: { readonly did?: string | undefined }; output: StakeReply };
  /** `evidence`: the record of two headers of one height that one proposer signed, in base64. */
  'stake.report': { input: { readonly evidence: string }; output: StakeReply };
  rewards: { input: { readonly did?: string | undefined }; output: RewardsReport };
  'rewards.collect': { input: { readonly did?: string | undefined }; output: RewardsReply };
}

const name = z.string().min(1).max(256);
const amount = z.string().regex(/^\d{1,19}$/);
const role = z.enum(BOND_ROLES);
/** Longest record of two headers in base64. */
const EVIDENCE_TEXT_MAX = 16_384;
const whose = z.strictObject({ did: name.optional() });

/** The schemas of their inputs. */
export const STAKE_INPUTS: {
  readonly [K in keyof StakeMethods]: z.ZodType<StakeMethods[K]['input']>;
} = {
  fees: z.strictObject({}),
  'stake.show': whose,
  'stake.bond': z.strictObject({ role, amount, commissionPpm: z.int().min(0).max(1_000_000).optional() }),
  'stake.unbond': z.strictObject({ role, amount }),
  'stake.delegate': z.strictObject({ to: name, role, amount }),
  'stake.undelegate': z.strictObject({ to: name, role, amount }),
  'stake.release': whose,
  'stake.report': z.strictObject({ evidence: z.base64().max(EVIDENCE_TEXT_MAX) }),
  rewards: whose,
  'rewards.collect': whose,
};
