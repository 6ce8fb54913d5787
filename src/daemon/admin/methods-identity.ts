/** The methods of the admin API about identities, with the schemas of their inputs. */
import { z } from 'zod';
import type {
  AdoptionReply,
  CertificateReply,
  CredentialReply,
  IdentityReply,
  IdentityReport,
  NextKeyReply,
  RecoveryRequestReply,
  RevocationReply,
} from './types-identity.ts';

/** Who may recover an identity. What is absent stays, or has its default. */
export interface PolicyInput {
  /** DIDs. */
  readonly guardians?: readonly string[] | undefined;
  /** Default: a majority. */
  readonly threshold?: number | undefined;
  /** Default: the network's delay of closing channels. */
  readonly delayBlocks?: number | undefined;
}

/** How a key is rotated. */
export interface RotateInput extends PolicyInput {
  /** The file of the next key, as text, when it was kept elsewhere. */
  readonly nextKey?: string | undefined;
}

/** What a certificate says. */
export interface CertifyInput {
  /** A DID or a peer id. */
  readonly subject: string;
  readonly capabilities: readonly string[];
  readonly roles?: readonly string[] | undefined;
  readonly days: number;
}

/** Methods that answer once. */
export interface IdentityMethods {
  'identity.show': { input: { readonly did?: string | undefined }; output: IdentityReport };
  'identity.init': { input: PolicyInput; output: IdentityReply };
  'identity.rotate': { input: RotateInput; output: IdentityReply };
  'identity.request': { input: { readonly did?: string | undefined }; output: RecoveryRequestReply };
  'identity.recover': { input: { readonly did: string; readonly request: string }; output: IdentityReply };
  'identity.cancel': { input: Readonly<Record<string, never>>; output: IdentityReply };
  'identity.finish': { input: { readonly did: string }; output: IdentityReply };
  'identity.adopt': { input: { readonly did: string }; output: AdoptionReply };
  /** `file`: where to, an absolute path on the daemon's machine. */
  'identity.exportNext': { input: { readonly file: string }; output: NextKeyReply };
  'identity.revoke': { input: { readonly what: string }; output: RevocationReply };
  'identity.certify': { input: CertifyInput; output: CertificateReply };
  'credential.issue': {
    input: { readonly asset: string; readonly subject?: string | undefined; readonly days: number };
    output: CredentialReply;
  };
}

const name = z.string().min(1).max(256);
const days = z.int().min(1).max(3650);
const policy = z.strictObject({
  guardians: z.array(name).max(32).optional(),
  threshold: z.int().min(0).max(32).optional(),
  delayBlocks: z.int().min(1).max(100_000_000).optional(),
});

/** The schemas of their inputs. */
export const IDENTITY_INPUTS: {
  readonly [K in keyof IdentityMethods]: z.ZodType<IdentityMethods[K]['input']>;
} = {
  'identity.show': z.strictObject({ did: name.optional() }),
  'identity.init': policy,
  'identity.rotate': policy.extend({ nextKey: z.string().max(4096).optional() }),
  'identity.request': z.strictObject({ did: name.optional() }),
  'identity.recover': z.strictObject({ did: name, request: z.string().max(4096) }),
  'identity.cancel': z.strictObject({}),
  'identity.finish': z.strictObject({ did: name }),
  'identity.adopt': z.strictObject({ did: name }),
  'identity.exportNext': z.strictObject({ file: z.string().min(1).max(4096) }),
  'identity.revoke': z.strictObject({ what: name }),
  'identity.certify': z.strictObject({
    subject: name,
    capabilities: z.array(z.string().min(1).max(128)).min(1).max(16),
    roles: z.array(z.string().min(1).max(32)).max(8).optional(),
    days,
  }),
  'credential.issue': z.strictObject({ asset: name, subject: name.optional(), days }),
};
