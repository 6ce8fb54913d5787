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
const purposes = z.array(z.enum(['answer', 'train', 'label', 'export'])).max(4);
const expiresAtMs = z.int().min(1).optional();

/** The schemas of their inputs. */
export const VAULT_INPUTS: {
  readonly [K in keyof VaultUnaryMethods]: z.ZodType<VaultUnaryMethods[K]['input']>;
} & { readonly [K in keyof VaultStreamMethods]: z.ZodType<VaultStreamMethods[K]['input']> } = {
  'vault.grant': z.strictObject({ vault, reader: did, purposes: purposes.min(1), expiresAtMs, out: path }),
  'vault.grants': z.strictObject({ vault }),
  'vault.revoke': z.strictObject({ vault, reader: did }),
  'vault.log': z.strictObject({ vault, limit: z.int().min(1).max(10_000).optional() }),
  'vault.forget': z.strictObject({ vault, document: z.string().min(1).max(512) }),
  'vault.verify': z.strictObject({
    vault,
    asset: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .optional(),
  }),
  'vault.watch': z.strictObject({
    vault,
    path,
    contributor: did.optional(),
    licence: z.string().max(128).optional(),
    consent: z.string().max(1024).optional(),
  }),
  'vault.unwatch': z.strictObject({ vault, path }),
  'vault.watches': z.strictObject({}),
  'vault.export': z.strictObject({
    vault,
    path,
    sealed: z.boolean().optional(),
    to: did.optional(),
    purposes: purposes.min(1).optional(),
    expiresAtMs,
  }),
  'vault.import': z.strictObject({ vault, path, grant: path.optional() }),
};
