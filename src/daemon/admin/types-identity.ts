/** What the admin API says of identities, certificates and credentials. DIDs are texts, heights are those of blocks. */

/** A DID as the ledger has it. */
export interface IdentityReport {
  readonly did: string;
  readonly mine: boolean;
  readonly registered: boolean;
  /** The key that signs now, as the `did:key` that it would be by itself. */
  readonly key: string;
  /** Keys that signed before and whose vouchers and charges still count. */
  readonly retired: readonly { readonly key: string; readonly retiredAt: number; readonly until: number }[];
  readonly guardians: readonly string[];
  /** Votes that a recovery takes. */
  readonly threshold: number;
  readonly delayBlocks: number;
  /** What guardians want, the first to take effect first. */
  readonly recoveries: readonly {
    readonly key: string;
    readonly votes: readonly string[];
    /** Height from which on it can be finished; absent while votes are lacking. */
    readonly effectiveAt?: number;
  }[];
  readonly height: number;
  /** Of one's own: whether the key that signs now, and the one that signs next, are in this home. */
  readonly here?: { readonly signing: boolean; readonly next: boolean };
}

/** What a transaction about an identity gave. */
export interface IdentityReply {
  readonly identity: IdentityReport;
  readonly transaction: string;
  readonly height: number;
}

/** A certificate that was issued. */
export interface CertificateReply {
  readonly serial: string;
  readonly subject: string;
  readonly capabilities: readonly string[];
  readonly notAfterMs: number;
  /** The chain in its wire form, base64. */
  readonly chain: string;
}

/** Certificates that were taken back. */
export interface RevocationReply {
  readonly serials: readonly string[];
  readonly height: number;
}

/** That a home acts for another DID from its next start on. */
export interface AdoptionReply {
  readonly did: string;
  /** The key that signs for it, kept in this home. */
  readonly key: string;
  /** For whom the home acted before; its key stays here. */
  readonly left: string;
  /** What that one has on the ledger, grains. */
  readonly leftBalance: string;
}

/** That the next key was moved out of the home. */
export interface NextKeyReply {
  readonly key: string;
  readonly file: string;
}

/** A request to guardians, as one text. */
export interface RecoveryRequestReply {
  readonly request: string;
  readonly key: string;
}

/** A credential as JSON. */
export interface CredentialReply {
  readonly credential: string;
  readonly serial: string;
}
