/** The methods of the admin API about sharing, checking and watching vaults, with the schemas of their inputs. */
import { z } from 'zod';

/** A grant of a vault. */
export interface GrantRow {
  /** Its id and its reader's DID. */
  readonly id: string;
  readonly reader: string;
  readonly purposes: readonly string[];
  readonly epoch: number;
  readonly grantedAtMs: number;
  readonly expiresAtMs?: number;
  readonly state: 'active' | 'expired' | 'revoked';
}

/** A label of a vault, and how many documents it counts for. */
export interface LabelRow {
  readonly place: string;
  readonly granted: boolean;
  /** DIDs. */
  readonly readers: readonly string[];
  /** Ids of assets. */
  readonly licences: readonly string[];
  readonly untilMs?: number;
  readonly documents: number;
}

/** An access to a vault. */
export interface AccessRow {
  readonly atMs: number;
  readonly who: string;
  readonly action: string;
  readonly purpose: string;
  readonly count: number;
  readonly about: string;
}

/** What was forgotten. */
export interface ForgottenRow {
  readonly names: readonly string[];
  readonly chunks: number;
  /** Remembered commitments in which the document stands. */
  readonly commitments: number;
}

/** How a vault stands to a commitment. */
export interface VaultVerification {
  readonly vault: string;
  readonly asset?: string;
  readonly matches: boolean;
  /** Commitments as `scheme:root:size`. */
  readonly committed?: string;
  readonly now: string;
  readonly damaged: readonly string[];
  readonly since?: {
    readonly atMs: number;
    readonly added: readonly string[];
    readonly changed: readonly string[];
    readonly removed: readonly string[];
  };
}

/** How far an export or import of a whole vault is. */
export interface TransferEvent {
  /** `later`: documents that the grant does not open. `total` comes last. */
  readonly type: 'document' | 'later' | 'total';
  readonly document?: string;
  readonly outcome?: string;
  readonly chunks?: number;
  readonly documents?: number;
  /** All that there are to do, where that is known. */
  readonly of?: number;
  readonly path?: string;
}

/** A watched folder. */
export interface WatchRow {
  readonly vault: string;
  readonly path: string;
  /** Files that are known in it, those that cannot be read included. */
  readonly files: number;
  /** Why it was not looked at the last time; absent when all is well. */
  readonly fault?: string;
}

/** Methods that answer once. */
export interface VaultUnaryMethods {
  'vault.grant': {
    input: {
      readonly vault: string;
      readonly reader: string;
      readonly purposes: readonly ('answer' | 'train' | 'label' | 'export')[];
      readonly expiresAtMs?: number | undefined;
      /** File that the grant is written into. */
      readonly out: string;
    };
    output: GrantRow;
  };
  'vault.grants': { input: { readonly vault: string }; output: readonly GrantRow[] };
  /** Says who may have passages of what stands there in answers. */
  'vault.label': {
    input: {
      readonly vault: string;
      readonly place: string;
      readonly granted: boolean;
      readonly readers: readonly string[];
      readonly licences: readonly string[];
      readonly untilMs?: number | undefined;
    };
    output: LabelRow;
  };
  'vault.unlabel': {
    input: { readonly vault: string; readonly place: string };
    output: { readonly dropped: boolean };
  };
  'vault.labels': { input: { readonly vault: string }; output: readonly LabelRow[] };
  /** How many grants ended, and the epoch that began. */
  'vault.revoke': {
    input: { readonly vault: string; readonly reader: string };
    output: { readonly revoked: number };
  };
  'vault.log': {
    input: { readonly vault: string; readonly limit?: number | undefined };
    output: readonly AccessRow[];
  };
  'vault.forget': { input: { readonly vault: string; readonly document: string }; output: ForgottenRow };
  'vault.verify': {
    input: { readonly vault: string; readonly asset?: string | undefined };
    output: VaultVerification;
  };
  'vault.watch': {
    input: {
      readonly vault: string;
      readonly path: string;
      readonly contributor?: string | undefined;
      readonly licence?: string | undefined;
      readonly consent?: string | undefined;
    };
    output: WatchRow;
  };
  'vault.unwatch': { input: { readonly vault: string; readonly path: string }; output: WatchRow };
  'vault.watches': { input: Readonly<Record<string, never>>; output: readonly WatchRow[] };
}

/** Methods that answer piece by piece. */
export interface VaultStreamMethods {
  'vault.export': {
    input: {
      readonly vault: string;
      readonly path: string;
      /** Sealed under the vault's keys, with or without a grant for somebody. */
      readonly sealed?: boolean | undefined;
      readonly to?: string | undefined;
      readonly purposes?: readonly ('answer' | 'train' | 'label' | 'export')[] | undefined;
      readonly expiresAtMs?: number | undefined;
    };
    output: TransferEvent;
  };
  'vault.import': {
    input: { readonly vault: string; readonly path: string; readonly grant?: string | undefined };
    output: TransferEvent;
  };
}

const vault = z.string().min(1).max(256);
const path = z.string().min(1).max(4096);
const did = z.string().min(1).max(256);
const asset = z.string().regex(/^[0-9a-f]{64}$/);
const purposes = z.array(z.enum(['answer', 'train', 'label', 'export'])).max(4);
const expiresAtMs = z.int().min(1).optional();

/** Their part of the table of methods. */
export const VAULT_METHODS: {
  readonly [K in keyof VaultUnaryMethods]: {
    readonly input: z.ZodType<VaultUnaryMethods[K]['input']>;
    readonly stream: false;
  };
} & {
  readonly [K in keyof VaultStreamMethods]: {
    readonly input: z.ZodType<VaultStreamMethods[K]['input']>;
    readonly stream: true;
  };
} = {
  'vault.grant': {
    input: z.strictObject({ vault, reader: did, purposes: purposes.min(1), expiresAtMs, out: path }),
    stream: false,
  },
  'vault.grants': { input: z.strictObject({ vault }), stream: false },
  'vault.label': {
    input: z.strictObject({
      vault,
      place: z.string().min(1).max(512),
      granted: z.boolean(),
      readers: z.array(did).max(1024),
      licences: z.array(asset).max(1024),
      untilMs: expiresAtMs,
    }),
    stream: false,
  },
  'vault.unlabel': { input: z.strictObject({ vault, place: z.string().min(1).max(512) }), stream: false },
  'vault.labels': { input: z.strictObject({ vault }), stream: false },
  'vault.revoke': { input: z.strictObject({ vault, reader: did }), stream: false },
  'vault.log': {
    input: z.strictObject({ vault, limit: z.int().min(1).max(10_000).optional() }),
    stream: false,
  },
  'vault.forget': { input: z.strictObject({ vault, document: z.string().min(1).max(512) }), stream: false },
  'vault.verify': {
    input: z.strictObject({
      vault,
      asset: asset.optional(),
    }),
    stream: false,
  },
  'vault.watch': {
    input: z.strictObject({
      vault,
      path,
      contributor: did.optional(),
      licence: z.string().max(128).optional(),
      consent: z.string().max(1024).optional(),
    }),
    stream: false,
  },
  'vault.unwatch': { input: z.strictObject({ vault, path }), stream: false },
  'vault.watches': { input: z.strictObject({}), stream: false },
  'vault.export': {
    input: z.strictObject({
      vault,
      path,
      sealed: z.boolean().optional(),
      to: did.optional(),
      purposes: purposes.min(1).optional(),
      expiresAtMs,
    }),
    stream: true,
  },
  'vault.import': { input: z.strictObject({ vault, path, grant: path.optional() }), stream: true },
};
