import { base58btc } from 'multiformats/bases/base58';
import { concat, toHex, utf8 } from '../base/bytes.ts';
import { invariant } from '../base/errors.ts';
import type { Suite } from './suite.ts';

/** An Ed25519 public key, 32 bytes: the name of a person, operator, contributor or agent on the wire. */
export type PublicKey = Uint8Array;

/** A SHA-256 digest, 32 bytes. */
export type Hash = Uint8Array;

/** 16 random bytes that name one call, message or certificate. */
export type Id = Uint8Array;

/** Version that every signed record and every domain carries. */
export const PROTOCOL_VERSION = 1;

const ED25519_PREFIX = Uint8Array.of(0xed, 0x01);
const DID_PREFIX = 'did:key:';

/** The `did:key` text of an Ed25519 public key (W3C CCG did:key, multicodec 0xed). */
export function didOf(publicKey: PublicKey): string {
  return DID_PREFIX + base58btc.encode(concat(ED25519_PREFIX, publicKey));
}

/** The public key that a `did:key` names, or `undefined` when it is not an Ed25519 one in canonical form. */
export function publicKeyOf(did: string): PublicKey | undefined {
  if (!did.startsWith(`${DID_PREFIX}z`) || did.length > 80) return undefined;
  let decoded: Uint8Array;
  try {
    decoded = base58btc.decode(did.slice(DID_PREFIX.length));
  } catch {
    return undefined;
  }
  if (decoded.length !== 34 || decoded[0] !== ED25519_PREFIX[0] || decoded[1] !== ED25519_PREFIX[1]) {
    return undefined;
  }
  const publicKey = decoded.slice(2);
  return didOf(publicKey) === did ? publicKey : undefined;
}

/** `bytes` in multibase, base58btc: what stands in a `did:key` after `did:key:`, and how proofs of documents are written. */
export function multibaseOf(bytes: Uint8Array): string {
  return base58btc.encode(bytes);
}

/** The bytes of a multibase text in base58btc of at most `charactersMax`, or `undefined` when it is not one. */
export function multibaseBytes(text: string, charactersMax = 128): Uint8Array | undefined {
  if (text.length > charactersMax) return undefined;
  try {
    return base58btc.decode(text);
  } catch {
    return undefined;
  }
}

/** What stands before an Ed25519 key in a libp2p peer id: identity multihash of 36 bytes, protobuf key type 1, 32 bytes. */
const PEER_ID_PREFIX = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20);

/** The bytes of the libp2p peer id of an Ed25519 key (libp2p specs, peer-ids). */
export function peerIdOf(publicKey: PublicKey): Uint8Array {
  return concat(PEER_ID_PREFIX, publicKey);
}

/** The bytes of a peer id in its base58 text, or `undefined` when it is not one. */
export function peerIdBytes(text: string): Uint8Array | undefined {
  if (text.length > 128) return undefined;
  try {
    return base58btc.decode(`z${text}`);
  } catch {
    return undefined;
  }
}

const DOMAINS_MAX = 512;
const domains = new Map<string, Map<string, Uint8Array>>();
let domainsKept = 0;

/** The domain of a signed or hashed type: `sahara/1/<network>/<type>`, length-prefixed by one byte. Not to be changed. */
export function domain(network: string, type: string): Uint8Array {
  let types = domains.get(network);
  const known = types?.get(type);
  if (known !== undefined) return known;
  const made = makeDomain(network, type);
  if (domainsKept === DOMAINS_MAX) {
    domains.clear();
    domainsKept = 0;
    types = undefined;
  }
  domainsKept++;
  domains.set(network, (types ?? new Map()).set(type, made));
  return made;
}

function makeDomain(network: string, type: string): Uint8Array {
  const name = utf8(`sahara/${PROTOCOL_VERSION}/${network}/${type}`);
  invariant(
    name.length < 256 && !network.includes('/'),
    'a domain of at most 255 bytes, a network without /',
  );
  return concat(Uint8Array.of(name.length), name);
}

/** SHA-256 of `parts` under the domain of `type`. */
export function domainHash(
  suite: Suite,
  network: string,
  type: string,
  ...parts: readonly Uint8Array[]
): Hash {
  return suite.sha256(domain(network, type), ...parts);
}

/** First characters of a key or hash, for people: enough to tell, never to decide. */
export function shortHex(bytes: Uint8Array): string {
  return toHex(bytes.subarray(0, 6));
}
