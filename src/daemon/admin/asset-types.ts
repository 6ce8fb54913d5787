/** What the admin API says of assets, licences and what they earn. */

/** An asset in a lineage. */
export interface LineageRow {
  readonly asset: string;
  readonly name: string;
  readonly kind: string;
  /** How the one came from the other; empty where that is not said. */
  readonly relation: string;
  /** Parts per million. */
  readonly ppm: number;
}

/** What an asset is made of, what was made of it, and who keeps how much of what it receives. */
export interface LineageReport {
  readonly asset: string;
  readonly name: string;
  readonly kind: string;
  readonly licence: string;
  /** The terms in words; absent: it binds nobody. */
  readonly terms?: readonly string[];
  /** Grains. */
  readonly received: string;
  readonly owners: readonly { readonly owner: string; readonly ppm: number }[];
  readonly madeOf: readonly LineageRow[];
  readonly madeInto: readonly LineageRow[];
  /** Of everything received, ancestors included; sums to 1,000,000. */
  readonly royalties: readonly LineageRow[];
  readonly registrant: string;
  /** Scheme, root and size of what it consists of. */
  readonly commitment: string;
  /** Part of what the owners are due that goes to who collects, parts per million. */
  readonly bounty: number;
  /** All versions, itself among them, the first before the latest. */
  readonly versions: readonly { readonly asset: string; readonly name: string }[];
}

/** One thing that stands against making something. */
export interface MakingReason {
  /** The parent that it is about; empty when it is about what is made. */
  readonly asset: string;
  readonly name: string;
  /** Name of the ledger's result. */
  readonly reason: string;
  readonly sentence: string;
}

/** Whether something may be made in the next block, and who would keep what it earns. */
export interface MakingPlan {
  readonly allowed: boolean;
  /** Of that block. */
  readonly height: number;
  readonly reasons: readonly MakingReason[];
  /** Sums to 1,000,000; what is made itself is named by zeros. */
  readonly royalties: readonly LineageRow[];
}

/** What came of a registration. */
export interface RegisterReport {
  readonly plan: MakingPlan;
  /** Absent after a dry run. */
  readonly asset?: string;
}

/** The licence of an asset, and what a key has of it. */
export interface LicenceReport {
  readonly asset: string;
  readonly name: string;
  readonly licence: string;
  /** In words; empty: it binds nobody. */
  readonly terms: readonly string[];
  readonly licensee: string;
  /** The licensee registered it and needs nothing. */
  readonly own: boolean;
  readonly approved: boolean;
  /** Of the ledger when this was told. */
  readonly height: number;
  /** Grains and blocks (0: for ever), where a licence has to be bought. */
  readonly price?: { readonly amount: string; readonly blocks: number };
  /** What was bought: until which height (0: for ever), for how many grains in all. */
  readonly grant?: { readonly endsAt: number; readonly paid: string };
}

/** What a collect moved to one party. */
export interface CollectShare {
  readonly as: 'parent' | 'owner' | 'keeper';
  /** Id of an asset, or a DID. */
  readonly who: string;
  /** Of an asset. */
  readonly name: string;
  /** Grains. */
  readonly amount: string;
}

/** What a collect moved on from one asset. */
export interface CollectRow {
  readonly asset: string;
  readonly name: string;
  readonly moved: string;
  readonly to: readonly CollectShare[];
}
