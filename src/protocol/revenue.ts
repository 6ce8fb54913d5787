/**
 * What an asset owes its parents, its owners and those who collect, out of all that it ever received. It is cumulative:
 * what is due follows from that sum, not from the history of payments, and every grain goes somewhere.
 */
import { PPM } from './limits.ts';
import type { OwnerShare, ParentShare } from './transaction.ts';

const WHOLE = BigInt(PPM);

/** What an asset that has received `received` grains in all owes each parent: `floor(received * ppm / 10^6)`. */
export function dueToParents(received: bigint, parents: readonly ParentShare[]): readonly bigint[] {
  return parents.map(({ ppm }) => (received * BigInt(ppm)) / WHOLE);
}

/** How an asset shares out what it receives. */
export interface Shares {
  readonly parents: readonly ParentShare[];
  readonly owners: readonly OwnerShare[];
  /** Part of what the owners are due that goes to who collects, parts per million. */
  readonly bounty: number;
}

/**
 * What it owes each owner: with `k` the sum of the parents' parts and `b` the bounty,
 * `floor(received * (10^6 - k) * (10^6 - b) * ppm / 10^18)`. All dues, the bounty's among them, only rise with
 * `received` and never exceed it together; fewer grains than there are parties stay with the asset until more arrive.
 */
export function dueToOwners(received: bigint, shares: Shares): readonly bigint[] {
  const kept = received * partKept(shares) * (WHOLE - BigInt(shares.bounty));
  return shares.owners.map(({ ppm }) => (kept * BigInt(ppm)) / WHOLE ** 3n);
}

/** What it owes those who collect, all together: `floor(received * (10^6 - k) * b / 10^12)`. */
export function dueToKeepers(received: bigint, shares: Shares): bigint {
  return (received * partKept(shares) * BigInt(shares.bounty)) / WHOLE ** 2n;
}

function partKept({ parents }: Shares): bigint {
  return WHOLE - parents.reduce((sum, { ppm }) => sum + BigInt(ppm), 0n);
}
