/** The methods of the admin API about the rules of a network, with the schemas of their inputs. */
import { z } from 'zod';

/** A version of the rules, and the first block that it holds for. */
export interface UpgradeRow {
  readonly version: number;
  readonly height: number;
}

/** By which rules a network goes. */
export interface RulesReport {
  /** Of the last block. */
  readonly version: number;
  /** The latest that this program knows. */
  readonly known: number;
  /** The ledger's height. */
  readonly height: number;
  /** What is decided. */
  readonly plan?: UpgradeRow;
  /** Who wants what, while it is not decided. */
  readonly approvals: readonly (UpgradeRow & { readonly did: string })[];
}

/** Methods that answer once. */
export interface NetworkMethods {
  'network.rules': { input: Readonly<Record<string, never>>; output: RulesReport };
  /** Votes for a version of the rules from a height on; the version that holds calls off what was decided. */
  'network.approve': { input: UpgradeRow; output: RulesReport };
}

/** The schemas of their inputs. */
export const NETWORK_INPUTS: {
  readonly [K in keyof NetworkMethods]: z.ZodType<NetworkMethods[K]['input']>;
} = {
  'network.rules': z.strictObject({}),
  'network.approve': z.strictObject({
    version: z.int().min(1).max(65_535),
    height: z.int().min(1),
  }),
};
