/** The admin API's methods about what stands in the ledger, and about files that prove it. */
import { z } from 'zod';
import { BUNDLE_BYTES_MAX } from '../../protocol/limits.ts';
import type { TransactionRow } from './types.ts';

/** What is looked for among transactions. DIDs, kinds of actions, ids in hexadecimal. */
export interface ExploreInput {
  readonly sender?: string | undefined;
  readonly kind?: string | undefined;
  readonly asset?: string | undefined;
  readonly channel?: string | undefined;
  /** `next` of the answer before. */
  readonly before?: string | undefined;
  /** Default 20. */
  readonly limit?: number | undefined;
}

/** Some transactions, the latest first. */
export interface ExploreReport {
  readonly rows: readonly TransactionRow[];
  /** Present where older ones may follow. */
  readonly next?: string;
}

/** A block, with its first transactions. */
export interface BlockReport {
  readonly height: number;
  readonly previous: string;
  readonly stateRoot: string;
  readonly proposer: string;
  readonly timeMs: number;
  readonly count: number;
  readonly rows: readonly TransactionRow[];
}

/** One transaction. */
export interface TransactionReport extends TransactionRow {
  readonly index: number;
  readonly nonce: number;
  readonly timeMs: number;
  /** Grains. */
  readonly moved: string;
  readonly feeMax: string;
}

/** An account with what is known of its DID. Amounts in grains. */
export interface AccountReport {
  readonly did: string;
  readonly balance: string;
  readonly nonce: number;
  /** The key that signs for it, in hexadecimal, and when former ones were retired. */
  readonly key: string;
  readonly retired: readonly { readonly key: string; readonly retiredAt: number; readonly until: number }[];
  readonly guardians: readonly string[];
  readonly channels: readonly string[];
  readonly assets: readonly { readonly asset: string; readonly kind: string; readonly name: string }[];
  readonly stakes: readonly { readonly role: string; readonly own: string; readonly delegated: string }[];
}

/** A channel. Amounts in grains. */
export interface ChannelReport {
  readonly id: string;
  readonly payer: string;
  readonly payee: string;
  readonly state: 'open' | 'closing' | 'ended';
  readonly deposit: string;
  readonly claimed: string;
  /** Height at whose end it ends, or up to which it can be challenged once it has. */
  readonly until?: number;
  readonly withdrawal?: { readonly amount: string; readonly at: number };
  readonly lanes: readonly { readonly lane: number; readonly paid: string; readonly frozenAt?: string }[];
}

/** Something that a text may mean. */
export interface SearchHit {
  readonly kind: 'block' | 'transaction' | 'account' | 'channel' | 'asset';
  readonly id: string;
  readonly words: string;
}

/** An audit file, in base64. */
export interface AuditReply {
  readonly about: 'receipt' | 'asset' | 'did';
  readonly height: number;
  readonly audit: string;
}

/** What came of repeating an answer with the vaults of this home. */
export interface RecomputeReply {
  readonly steps: readonly { readonly check: string; readonly ok: boolean; readonly detail: string }[];
  readonly notRepeated?: string;
}

/** The methods; all answer once. */
export interface ExplorerMethods {
  'ledger.explore': { input: ExploreInput; output: ExploreReport };
  'ledger.block': { input: { readonly height: number }; output: BlockReport };
  'ledger.transaction': { input: { readonly id: string }; output: TransactionReport };
  'ledger.account': { input: { readonly did: string }; output: AccountReport };
  'ledger.channel': { input: { readonly id: string }; output: ChannelReport };
  'ledger.search': { input: { readonly text: string }; output: readonly SearchHit[] };
  /** Hands in a transaction that somebody signed, in base64; answers once it took effect. */
  'ledger.submit': {
    input: { readonly transaction: string };
    output: { readonly id: string; readonly height: number };
  };
  /** Two headers of one height that the sequencer signed, as `stake.report` takes them, in base64; absent: none are known here. */
  'ledger.evidence': { input: Readonly<Record<string, never>>; output: { readonly evidence?: string } };
  /** `of`: a DID, the first characters of a receipt of one's own, or an asset. */
  audit: { input: { readonly of: string }; output: AuditReply };
  /** Repeats the answer of an evidence bundle, in base64; `manifest`: the agent's, where it is not hosted here. */
  'receipts.recompute': {
    input: { readonly bundle: string; readonly manifest?: string | undefined };
    output: RecomputeReply;
  };
}

const did = z.string().min(1).max(128);
const id = z.string().regex(/^[0-9a-f]{64}$/);
/** Longest transaction in base64. */
const TRANSACTION_TEXT_MAX = 90_000;
/** Longest bundle in base64. */
const BUNDLE_TEXT_MAX: number = 4 * Math.ceil(BUNDLE_BYTES_MAX / 3);
/** Longest manifest, characters. */
const MANIFEST_TEXT_MAX = 262_144;
/** Largest input of `receipts.recompute`, bytes: a character of a manifest takes at most six in JSON. */
export const RECOMPUTE_BODY_BYTES_MAX: number = BUNDLE_TEXT_MAX + 6 * MANIFEST_TEXT_MAX + 1024;

const unary = <I>(input: z.ZodType<I>): { input: z.ZodType<I>; stream: false } => ({ input, stream: false });

/** Their inputs, checked before a handler sees them. */
export const EXPLORER_INPUTS: {
  readonly [K in keyof ExplorerMethods]: {
    readonly input: z.ZodType<ExplorerMethods[K]['input']>;
    readonly stream: false;
  };
} = {
  'ledger.explore': unary(
    z.strictObject({
      sender: did.optional(),
      kind: z.string().max(64).optional(),
      asset: id.optional(),
      channel: id.optional(),
      before: z
        .string()
        .regex(/^\d{1,16}\.\d{1,16}$/)
        .optional(),
      limit: z.int().min(1).max(256).optional(),
    }),
  ),
  'ledger.block': unary(z.strictObject({ height: z.int().min(1) })),
  'ledger.transaction': unary(z.strictObject({ id: z.string().regex(/^[0-9a-f]{4,64}$/) })),
  'ledger.account': unary(z.strictObject({ did })),
  'ledger.channel': unary(z.strictObject({ id })),
  'ledger.search': unary(z.strictObject({ text: z.string().min(1).max(256) })),
  'ledger.submit': unary(z.strictObject({ transaction: z.base64().max(TRANSACTION_TEXT_MAX) })),
  'ledger.evidence': unary(z.strictObject({})),
  'receipts.recompute': unary(
    z.strictObject({
      bundle: z.base64().max(BUNDLE_TEXT_MAX),
      manifest: z.string().max(MANIFEST_TEXT_MAX).optional(),
    }),
  ),
  audit: unary(z.strictObject({ of: z.string().min(1).max(256) })),
};
