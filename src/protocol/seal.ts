/**
 * Sealed calls: a call's frames under a key that only the caller and the agent share, for when another peer carries
 * them. HPKE (RFC 9180, base mode) to the agent's key gives both sides one secret; every frame is then a message of
 * AES-128-GCM with a counter for its nonce, so a frame that is changed, left out, repeated or moved does not open.
 * Messages are padded to a few sizes, carry their kinds inside, and the last one says that it is the last.
 *
 * What it does not do: hide when frames pass and how many, or protect past calls from who later gets the agent's key.
 */
import { ed25519 } from '@noble/curves/ed25519.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { sha256 } from '@noble/hashes/sha2.js';
import {
  AEAD_AES_128_GCM,
  CipherSuite,
  KDF_HKDF_SHA256,
  KEM_DHKEM_X25519_HKDF_SHA256,
  type Key,
  type KeyPair,
} from 'hpke';
import { concat, utf8 } from '../base/bytes.ts';
import { invariant, SaharaError } from '../base/errors.ts';
import type { Dice } from '../base/random.ts';
import { acceptablePoint } from './ed25519.ts';
import { domain, type PublicKey } from './ids.ts';
import { bytes, bytesUpTo, record, type Schema, text } from './schema.ts';

/** Largest padded message, bytes: sealed and with its head it fits into the largest body of a frame. */
export const SEALED_MESSAGE_BYTES_MAX = 1_047_552;

/** Smallest padded message, bytes. */
export const SEALED_MESSAGE_BYTES_MIN = 256;

/** Bytes of a message besides its body: its type, the frame's kind and the body's length. */
const HEAD_BYTES = 6;

/** Largest body of a frame that can be sealed, bytes. */
export const SEALED_BODY_BYTES_MAX: number = SEALED_MESSAGE_BYTES_MAX - HEAD_BYTES;

const KEY_BYTES = 16;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const SECRET_BYTES = 32;

/** Random bytes that an agent adds to its keys, so that a repeated opening never meets the same ones. */
export const SEAL_SALT_BYTES = 32;

/** Most messages one way under one key. */
const MESSAGES_MAX = 2 ** 32;

/** First frame of a sealed call: for whom it is, the encapsulated key, and the sealed opening or resumption. */
export interface CallSealed {
  readonly agent: PublicKey;
  /** The caller's ephemeral X25519 key. */
  readonly encapsulated: Uint8Array;
  readonly sealed: Uint8Array;
}

/** The wire form of a sealed call's first frame. */
export const callSealed: Schema<CallSealed> = record('call-sealed', {
  agent: bytes(32),
  encapsulated: bytes(32),
  sealed: bytesUpTo(SEALED_MESSAGE_BYTES_MAX + TAG_BYTES, SEALED_MESSAGE_BYTES_MIN + TAG_BYTES),
});

/** Asks a gateway peer to carry a sealed call to another peer. */
export interface CallVia {
  /** Peer id in its base58 text. */
  readonly peerId: string;
}

/** The wire form of the request to carry a call. */
export const callVia: Schema<CallVia> = record('call-via', { peerId: text(128) });

/** A question to the peer that hosts the agent, in place of a call. */
export interface CallQuestion {
  /** The protocol id under which it could be asked directly. */
  readonly protocol: string;
  readonly body: Uint8Array;
}

/** The wire form of a sealed question. */
export const callQuestion: Schema<CallQuestion> = record('call-question', {
  protocol: text(64),
  body: bytesUpTo(65_536),
});

/** AES-128-GCM, with the 16-byte tag after the ciphertext. */
export interface SealCipher {
  seal(key: Uint8Array, nonce: Uint8Array, message: Uint8Array): Uint8Array;
  /** `undefined`: not what was sealed. */
  open(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array): Uint8Array | undefined;
}

/** What travels inside the seal. */
export type SealedMessage =
  /** A frame of the call. */
  | { readonly type: 'frame'; readonly kind: number; readonly body: Uint8Array }
  /** Nothing follows. */
  | { readonly type: 'end' }
  /** The sender ends the call: a `failure` in its wire form. */
  | { readonly type: 'failure'; readonly body: Uint8Array }
  /** Nobody reads at the sender any more. */
  | { readonly type: 'cancel' };

const TYPES = ['frame', 'end', 'failure', 'cancel'] as const;

/** One side of a sealed call: bodies of frames out of messages, and messages out of bodies, each in order. */
export interface SealSession {
  /** Body of the next frame. Throws `too-large`. */
  write(message: SealedMessage): Uint8Array;
  /** What the next frame says. Throws `seal-invalid`. */
  read(body: Uint8Array): SealedMessage;
}

/** An agent's key in the form that opens sealed calls. */
export interface SealKey {
  readonly agent: PublicKey;
  readonly pair: KeyPair<Key>;
}

/** What both sides need. */
export interface SealParts {
  readonly cipher: SealCipher;
  readonly network: string;
}

const suite: CipherSuite = new CipherSuite(KEM_DHKEM_X25519_HKDF_SHA256, KDF_HKDF_SHA256, AEAD_AES_128_GCM);
const EXPORTED = utf8('sahara/1/seal');
const ANSWER = utf8('sahara/1/seal/answer');

/** The sealing key of the agent whose Ed25519 seed (RFC 8032 private key) this is. */
export async function createSealKey(seed: Uint8Array): Promise<SealKey> {
  invariant(seed.length === SECRET_BYTES, 'an Ed25519 seed has 32 bytes');
  const agent = ed25519.getPublicKey(seed);
  const [privateKey, publicKey] = await Promise.all([
    suite.DeserializePrivateKey(ed25519.utils.toMontgomerySecret(seed)),
    suite.DeserializePublicKey(ed25519.utils.toMontgomery(agent)),
  ]);
  return { agent, pair: { privateKey, publicKey } };
}

/** The caller's side towards `agent`; its first body is a `call-sealed`. Throws `seal-invalid` for an unusable key. */
export async function sealTo({ cipher, network }: SealParts, agent: PublicKey): Promise<SealSession> {
  const key = await suite.DeserializePublicKey(montgomeryOf(agent));
  const { encapsulatedSecret, ctx } = await suite.SetupSender(key, { info: infoOf(network, agent) });
  const keys = keysOf(await ctx.Export(EXPORTED, KEY_BYTES + NONCE_BYTES + SECRET_BYTES));
  const out = new Lock(cipher, keys.caller);
  let incoming: Lock | undefined;
  let opened = false;
  return {
    write(message) {
      const sealed = out.seal(packed(message));
      if (opened) return sealed;
      opened = true;
      return callSealed.encode({ agent, encapsulated: encapsulatedSecret, sealed });
    },
    read(body) {
      if (incoming !== undefined) return unpacked(incoming.open(body));
      if (body.length <= SEAL_SALT_BYTES) throw invalid('too short');
      incoming = new Lock(cipher, answerKeys(keys.secret, body.subarray(0, SEAL_SALT_BYTES)));
      return unpacked(incoming.open(body.subarray(SEAL_SALT_BYTES)));
    },
  };
}

/** The agent's side of a call whose first frame is `opening`, and that frame's message. Throws `seal-invalid`. */
export async function openSealed(
  { cipher, network, dice }: SealParts & { readonly dice: Dice },
  key: SealKey,
  opening: CallSealed,
): Promise<{ readonly first: SealedMessage; readonly session: SealSession }> {
  const keys = keysOf(await exportedAt(key, opening.encapsulated, network));
  const incoming = new Lock(cipher, keys.caller);
  const first = unpacked(incoming.open(opening.sealed));
  const salt = dice.bytes(SEAL_SALT_BYTES);
  const out = new Lock(cipher, answerKeys(keys.secret, salt));
  let salted = false;
  const session: SealSession = {
    write(message) {
      const sealed = out.seal(packed(message));
      if (salted) return sealed;
      salted = true;
      return concat(salt, sealed);
    },
    read: (body) => unpacked(incoming.open(body)),
  };
  return { first, session };
}

async function exportedAt(key: SealKey, encapsulated: Uint8Array, network: string): Promise<Uint8Array> {
  try {
    const info = infoOf(network, key.agent);
    const ctx = await suite.SetupRecipient(key.pair, encapsulated, { info });
    return await ctx.Export(EXPORTED, KEY_BYTES + NONCE_BYTES + SECRET_BYTES);
  } catch (cause) {
    throw new SaharaError('seal-invalid', { reason: 'encapsulated key' }, { cause });
  }
}

/** Protocol version, network and purpose, then the recipient. */
function infoOf(network: string, agent: PublicKey): Uint8Array {
  return concat(domain(network, 'call-sealed'), agent);
}

function montgomeryOf(agent: PublicKey): Uint8Array {
  try {
    if (acceptablePoint(agent)) return ed25519.utils.toMontgomery(agent);
  } catch {
    // Not a point of the curve: told below.
  }
  throw invalid('not a key to seal to');
}

interface LockKeys {
  readonly key: Uint8Array;
  readonly nonce: Uint8Array;
}

function keysOf(exported: Uint8Array): { readonly caller: LockKeys; readonly secret: Uint8Array } {
  return { caller: lockKeys(exported), secret: exported.subarray(KEY_BYTES + NONCE_BYTES) };
}

/** The salt is the agent's own: an opening that somebody sends again gets other keys for what answers it. */
function answerKeys(secret: Uint8Array, salt: Uint8Array): LockKeys {
  return lockKeys(hkdf(sha256, secret, salt, ANSWER, KEY_BYTES + NONCE_BYTES));
}

function lockKeys(material: Uint8Array): LockKeys {
  return {
    key: material.subarray(0, KEY_BYTES),
    nonce: material.subarray(KEY_BYTES, KEY_BYTES + NONCE_BYTES),
  };
}

/** One direction: a key and the count of its messages. */
class Lock {
  readonly #cipher: SealCipher;
  readonly #keys: LockKeys;
  #count = 0;

  constructor(cipher: SealCipher, keys: LockKeys) {
    this.#cipher = cipher;
    this.#keys = keys;
  }

  seal(message: Uint8Array): Uint8Array {
    invariant(this.#count < MESSAGES_MAX, 'messages under one key');
    return this.#cipher.seal(this.#keys.key, this.#nonce(), message);
  }

  open(sealed: Uint8Array): Uint8Array {
    if (!isBucket(sealed.length - TAG_BYTES)) throw invalid('not a padded size');
    if (this.#count >= MESSAGES_MAX) throw invalid('too many messages');
    const message = this.#cipher.open(this.#keys.key, this.#nonce(), sealed);
    if (message === undefined) throw invalid('it does not open');
    return message;
  }

  /** The count, as 32 bits, over the end of the nonce (RFC 9180 section 5.2). */
  #nonce(): Uint8Array {
    const nonce = this.#keys.nonce.slice();
    const view = new DataView(nonce.buffer);
    const at = NONCE_BYTES - 4;
    view.setUint32(at, (view.getUint32(at) ^ this.#count++) >>> 0);
    return nonce;
  }
}

/** Smallest padded size for `length` bytes: 256, 512 and so on to 524,288, then the largest. */
function bucketOf(length: number): number {
  let bucket = SEALED_MESSAGE_BYTES_MIN;
  while (bucket < length) bucket *= 2;
  return Math.min(bucket, SEALED_MESSAGE_BYTES_MAX);
}

function isBucket(length: number): boolean {
  return length >= SEALED_MESSAGE_BYTES_MIN && bucketOf(length) === length;
}

const NOTHING = new Uint8Array(0);

function packed(message: SealedMessage): Uint8Array {
  const body = 'body' in message ? message.body : NOTHING;
  if (body.length > SEALED_BODY_BYTES_MAX) {
    const facts = { what: 'sealed frame', sizeBytes: body.length, limitBytes: SEALED_BODY_BYTES_MAX };
    throw new SaharaError('too-large', facts);
  }
  const plain = new Uint8Array(bucketOf(HEAD_BYTES + body.length));
  plain[0] = TYPES.indexOf(message.type);
  plain[1] = message.type === 'frame' ? message.kind : 0;
  new DataView(plain.buffer).setUint32(2, body.length);
  plain.set(body, HEAD_BYTES);
  return plain;
}

function unpacked(plain: Uint8Array): SealedMessage {
  const view = new DataView(plain.buffer, plain.byteOffset, plain.byteLength);
  const type = TYPES[view.getUint8(0)];
  const kind = view.getUint8(1);
  const end = HEAD_BYTES + view.getUint32(2);
  const whole = end <= plain.length && bucketOf(end) === plain.length;
  if (!whole || plain.subarray(end).some((byte) => byte !== 0)) throw invalid('padding');
  const body = plain.subarray(HEAD_BYTES, end);
  if (type === 'frame') return { type, kind, body };
  if (type === undefined || kind !== 0) throw invalid('unknown message');
  if (type === 'failure') return { type, body };
  if (body.length > 0) throw invalid('unknown message');
  return { type };
}

function invalid(reason: string): SaharaError {
  return new SaharaError('seal-invalid', { reason });
}
