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
import { concat, toHex, utf8 } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { invariant, SaharaError } from '../base/errors.ts';
import type { Dice } from '../base/random.ts';
import { acceptablePoint } from './ed25519.ts';
import { domain, type PublicKey } from './ids.ts';
import {
  type CallSealed,
  callSealed,
  isBucket,
  packed,
  SEAL_SALT_BYTES,
  SEAL_TAG_BYTES,
  type SealedMessage,
  sealInvalid,
  unpacked,
} from './sealed-message.ts';

const KEY_BYTES = 16;
const NONCE_BYTES = 12;
const SECRET_BYTES = 32;

/** Most messages one way under one key. */
const MESSAGES_MAX = 2 ** 32;

/** AES-128-GCM, with the 16-byte tag after the ciphertext. */
export interface SealCipher {
  /** The cipher under a key of 16 bytes. */
  under(key: Uint8Array): KeyedCipher;
}

/** A cipher under its key. */
export interface KeyedCipher {
  seal(nonce: Uint8Array, message: Uint8Array): Uint8Array;
  /** `undefined`: not what was sealed. */
  open(nonce: Uint8Array, sealed: Uint8Array): Uint8Array | undefined;
}

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
  readonly dice: Dice;
  readonly network: string;
}

/** Seals calls. */
export interface Sealer {
  /** The caller's side towards `agent`; its first body is a `call-sealed`. Throws `seal-invalid` for an unusable key. */
  to(agent: PublicKey): Promise<SealSession>;
}

/** How a sealer behaves. */
export interface SealerOptions {
  /** How long one encapsulated key serves further calls to its agent, milliseconds. Default 60,000. */
  readonly reuseMs: number;
  /** Agents whose keys are kept at a time. Default 256. */
  readonly agentsMax: number;
}

/** Values for every option of a sealer. */
export const SEALER_DEFAULTS: SealerOptions = { reuseMs: 60_000, agentsMax: 256 };

/** Opens sealed calls. */
export interface Unsealer {
  /** The agent's side of a call whose first frame is `opening`, and that frame's message. Throws `seal-invalid`. */
  open(
    key: SealKey,
    opening: CallSealed,
  ): Promise<{ readonly first: SealedMessage; readonly session: SealSession }>;
}

/** How an unsealer behaves. */
export interface UnsealerOptions {
  /** Encapsulated keys of which the secret is kept. Default 4,096. */
  readonly secretsMax: number;
}

/** Values for every option of an unsealer. */
export const UNSEALER_DEFAULTS: UnsealerOptions = { secretsMax: 4_096 };

const suite: CipherSuite = new CipherSuite(KEM_DHKEM_X25519_HKDF_SHA256, KDF_HKDF_SHA256, AEAD_AES_128_GCM);
const EXPORTED = utf8('sahara/1/seal');
const CALLER = utf8('sahara/1/seal/caller');
const AGENT = utf8('sahara/1/seal/agent');

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

interface Encapsulated {
  readonly encapsulated: Uint8Array;
  readonly secret: Uint8Array;
}

/** A sealer. One encapsulated key serves the calls to an agent for a while: each has keys of its own all the same. */
export function createSealer(
  parts: SealParts & { readonly clock: Clock },
  options: Partial<SealerOptions> = {},
): Sealer {
  const { reuseMs, agentsMax } = { ...SEALER_DEFAULTS, ...options };
  const { cipher, dice, network, clock } = parts;
  const known = new Map<string, { readonly made: Promise<Encapsulated>; readonly untilMs: number }>();
  const encapsulatedFor = (agent: PublicKey): Promise<Encapsulated> => {
    const name = toHex(agent);
    const nowMs = clock.monotonicMs();
    const kept = known.get(name);
    if (kept !== undefined && nowMs < kept.untilMs) return kept.made;
    const made = encapsulate(network, agent);
    known.delete(name);
    known.set(name, { made, untilMs: nowMs + reuseMs });
    made.catch(() => known.delete(name));
    if (known.size > agentsMax) known.delete(known.keys().next().value as string);
    return made;
  };
  return {
    async to(agent) {
      const { encapsulated, secret } = await encapsulatedFor(agent);
      const salt = dice.bytes(SEAL_SALT_BYTES);
      const out = new Lock(cipher, lockKeys(secret, salt, CALLER));
      let incoming: Lock | undefined;
      let opened = false;
      return {
        write(message) {
          const sealed = out.seal(packed(message));
          if (opened) return sealed;
          opened = true;
          return callSealed.encode({ agent, encapsulated, salt, sealed });
        },
        read(body) {
          if (incoming !== undefined) return unpacked(incoming.open(body));
          if (body.length <= SEAL_SALT_BYTES) throw sealInvalid('too short');
          const salts = concat(salt, body.subarray(0, SEAL_SALT_BYTES));
          incoming = new Lock(cipher, lockKeys(secret, salts, AGENT));
          return unpacked(incoming.open(body.subarray(SEAL_SALT_BYTES)));
        },
      };
    },
  };
}

/** An unsealer. */
export function createUnsealer(parts: SealParts, options: Partial<UnsealerOptions> = {}): Unsealer {
  const { secretsMax } = { ...UNSEALER_DEFAULTS, ...options };
  const { cipher, dice, network } = parts;
  const known = new Map<string, Promise<Uint8Array>>();
  const secretOf = (key: SealKey, encapsulated: Uint8Array): Promise<Uint8Array> => {
    const name = toHex(key.agent) + toHex(encapsulated);
    const kept = known.get(name);
    if (kept !== undefined) return kept;
    const made = decapsulate(key, encapsulated, network);
    known.set(name, made);
    made.catch(() => known.delete(name));
    if (known.size > secretsMax) known.delete(known.keys().next().value as string);
    return made;
  };
  return {
    async open(key, { encapsulated, salt, sealed }) {
      const secret = await secretOf(key, encapsulated);
      const incoming = new Lock(cipher, lockKeys(secret, salt, CALLER));
      const first = unpacked(incoming.open(sealed));
      // Drawn anew for every stream: an opening that somebody sends again is not answered twice under one key.
      const own = dice.bytes(SEAL_SALT_BYTES);
      const out = new Lock(cipher, lockKeys(secret, concat(salt, own), AGENT));
      let salted = false;
      const session: SealSession = {
        write(message) {
          const body = out.seal(packed(message));
          if (salted) return body;
          salted = true;
          return concat(own, body);
        },
        read: (body) => unpacked(incoming.open(body)),
      };
      return { first, session };
    },
  };
}

async function encapsulate(network: string, agent: PublicKey): Promise<Encapsulated> {
  const key = await suite.DeserializePublicKey(montgomeryOf(agent));
  const { encapsulatedSecret, ctx } = await suite.SetupSender(key, { info: infoOf(network, agent) });
  return { encapsulated: encapsulatedSecret, secret: await ctx.Export(EXPORTED, SECRET_BYTES) };
}

async function decapsulate(key: SealKey, encapsulated: Uint8Array, network: string): Promise<Uint8Array> {
  try {
    const info = infoOf(network, key.agent);
    const ctx = await suite.SetupRecipient(key.pair, encapsulated, { info });
    return await ctx.Export(EXPORTED, SECRET_BYTES);
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
  throw sealInvalid('not a key to seal to');
}

interface LockKeys {
  readonly key: Uint8Array;
  readonly nonce: Uint8Array;
}

/** The key and first nonce of one direction of one stream. */
function lockKeys(secret: Uint8Array, salt: Uint8Array, side: Uint8Array): LockKeys {
  const material = hkdf(sha256, secret, salt, side, KEY_BYTES + NONCE_BYTES);
  return { key: material.subarray(0, KEY_BYTES), nonce: material.subarray(KEY_BYTES) };
}

/** One direction: a key and the count of its messages. */
class Lock {
  readonly #cipher: KeyedCipher;
  readonly #first: Uint8Array;
  #count = 0;

  constructor(cipher: SealCipher, { key, nonce }: LockKeys) {
    this.#cipher = cipher.under(key);
    this.#first = nonce;
  }

  seal(message: Uint8Array): Uint8Array {
    invariant(this.#count < MESSAGES_MAX, 'messages under one key');
    return this.#cipher.seal(this.#nonce(), message);
  }

  open(sealed: Uint8Array): Uint8Array {
    if (!isBucket(sealed.length - SEAL_TAG_BYTES)) throw sealInvalid('not a padded size');
    if (this.#count >= MESSAGES_MAX) throw sealInvalid('too many messages');
    const message = this.#cipher.open(this.#nonce(), sealed);
    if (message === undefined) throw sealInvalid('it does not open');
    return message;
  }

  /** The count, as 32 bits, over the end of the nonce (RFC 9180 section 5.2). */
  #nonce(): Uint8Array {
    const nonce = this.#first.slice();
    const view = new DataView(nonce.buffer);
    const at = NONCE_BYTES - 4;
    view.setUint32(at, (view.getUint32(at) ^ this.#count++) >>> 0);
    return nonce;
  }
}
