/**
 * The cryptography that the protocol rests on, as an argument: `suite-native.ts` (node:crypto) on a server,
 * `suite-portable.ts` (noble) in a browser and in the standalone verifier. Both give the same verdict on the
 * published edge-case signatures; only the native one decides consensus.
 */
export interface Suite {
  /** SHA-256 over the concatenation of `parts`: 32 bytes. */
  sha256(...parts: readonly Uint8Array[]): Uint8Array;
  /** Strict Ed25519: canonical A, R and S, no small-order A or R. False for anything malformed. */
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /** The same verdict, off the event loop where the platform can. */
  verifyAsync(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean>;
}

/** Signs with one Ed25519 key that it does not reveal. */
export interface Signer {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** 64 bytes over `message` itself (RFC 8032, no prehash). */
  sign(message: Uint8Array): Uint8Array;
}
