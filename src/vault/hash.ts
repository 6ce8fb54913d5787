import { concat, utf8 } from '../base/bytes.ts';
import { nativeSuite } from '../protocol/suite-native.ts';

/** SHA-256 of the concatenation of `parts`: 32 bytes. */
export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  return nativeSuite.sha256(...parts);
}

/** SHA-256 of `parts` under `domain` (a short ASCII name such as `sahara/1/chunk`), length-prefixed by one byte. */
export function domainSha256(domain: string, ...parts: readonly Uint8Array[]): Uint8Array {
  let prefix = prefixes.get(domain);
  if (prefix === undefined) {
    const name = utf8(domain);
    prefix = concat(Uint8Array.of(name.length), name);
    prefixes.set(domain, prefix);
  }
  return sha256(prefix, ...parts);
}

/** Domains are few and fixed. */
const prefixes = new Map<string, Uint8Array>();
