/**
 * Sealed calls with a fixed ephemeral key, put together from the primitives of node:crypto: not by the library that
 * the protocol uses, so that the two check each other.
 */
import {
  createCipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  type KeyObject,
} from 'node:crypto';
import { toHex, utf8 } from '../../src/base/bytes.ts';
import { createSigner } from '../../src/protocol/suite-native.ts';
import { filled, network } from '../../test/protocol/sample.ts';
import type { Vectors } from './file.ts';

const SUITE_ID = Buffer.concat([Buffer.from('HPKE'), Buffer.from('002000010001', 'hex')]);
const KEM_ID = Buffer.concat([Buffer.from('KEM'), Buffer.from('0020', 'hex')]);

function hmac(key: Uint8Array, ...parts: readonly Uint8Array[]): Buffer {
  return createHmac('sha256', key).update(Buffer.concat(parts)).digest();
}

function expand(secret: Uint8Array, info: Uint8Array, length: number): Buffer {
  let block: Buffer = Buffer.alloc(0);
  let out: Buffer = Buffer.alloc(0);
  for (let i = 1; out.length < length; i++) {
    block = hmac(secret, block, info, Buffer.of(i));
    out = Buffer.concat([out, block]);
  }
  return out.subarray(0, length);
}

interface Labels {
  readonly suiteId: Uint8Array;
  readonly label: string;
}

function labeledExtract({ suiteId, label }: Labels, salt: Uint8Array, ikm: Uint8Array): Buffer {
  return hmac(
    salt.length === 0 ? Buffer.alloc(32) : salt,
    Buffer.from('HPKE-v1'),
    suiteId,
    Buffer.from(label),
    ikm,
  );
}

function labeledExpand(
  { suiteId, label }: Labels,
  secret: Uint8Array,
  { info, length }: { readonly info: Uint8Array; readonly length: number },
): Buffer {
  const size = Buffer.of(length >> 8, length & 0xff);
  const labeled = Buffer.concat([size, Buffer.from('HPKE-v1'), suiteId, Buffer.from(label), info]);
  return expand(secret, labeled, length);
}

/** An X25519 private key from its 32 bytes. */
export function x25519Key(scalar: Uint8Array): KeyObject {
  const der = Buffer.concat([Buffer.from('302e020100300506032b656e04220420', 'hex'), scalar]);
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
}

/** The 32 bytes of an X25519 key's public half. */
export function x25519Public(key: KeyObject): Uint8Array {
  return createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32);
}

/** The sender's half of RFC 9180 in base mode, with an ephemeral key of the caller's choice. */
export function hpkeSender(options: {
  readonly ephemeral: Uint8Array;
  /** X25519. */
  readonly recipient: Uint8Array;
  readonly info: Uint8Array;
}): { readonly enc: Uint8Array; readonly exporterSecret: Uint8Array } {
  const { recipient, info } = options;
  const ephemeral = x25519Key(options.ephemeral);
  const enc = x25519Public(ephemeral);
  const spki = Buffer.concat([Buffer.from('302a300506032b656e032100', 'hex'), recipient]);
  const publicKey = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  const shared = diffieHellman({ privateKey: ephemeral, publicKey });
  const none = Buffer.alloc(0);
  const eae = labeledExtract({ suiteId: KEM_ID, label: 'eae_prk' }, none, shared);
  const kemContext = Buffer.concat([enc, recipient]);
  const kemSecret = labeledExpand({ suiteId: KEM_ID, label: 'shared_secret' }, eae, {
    info: kemContext,
    length: 32,
  });
  const context = Buffer.concat([
    Buffer.of(0),
    labeledExtract({ suiteId: SUITE_ID, label: 'psk_id_hash' }, none, none),
    labeledExtract({ suiteId: SUITE_ID, label: 'info_hash' }, none, info),
  ]);
  const secret = labeledExtract({ suiteId: SUITE_ID, label: 'secret' }, kemSecret, none);
  const exporterSecret = labeledExpand({ suiteId: SUITE_ID, label: 'exp' }, secret, {
    info: context,
    length: 32,
  });
  return { enc, exporterSecret };
}

/** `Context.Export` of RFC 9180. */
export function hpkeExport(exporterSecret: Uint8Array, context: Uint8Array, length: number): Uint8Array {
  return labeledExpand({ suiteId: SUITE_ID, label: 'sec' }, exporterSecret, { info: context, length });
}

/** The X25519 key of an Ed25519 seed: the scalar of RFC 8032 section 5.1.5. */
export function scalarOf(seed: Uint8Array): Uint8Array {
  const scalar = createHash('sha512').update(seed).digest().subarray(0, 32);
  scalar[0] = (scalar[0] ?? 0) & 248;
  scalar[31] = ((scalar[31] ?? 0) & 127) | 64;
  return scalar;
}

/** A key and a first nonce. */
export interface Lock {
  readonly key: Uint8Array;
  readonly nonce: Uint8Array;
}

/** One message with its number under a direction's key. */
export function sealMessage(lock: Lock, count: number, message: Uint8Array): Buffer {
  const nonce = Buffer.from(lock.nonce);
  nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ count) >>> 0, 8);
  const cipher = createCipheriv('aes-128-gcm', lock.key, nonce);
  return Buffer.concat([cipher.update(message), cipher.final(), cipher.getAuthTag()]);
}

/** A padded message. */
export function paddedMessage(
  type: number,
  kind: number,
  { body, size = 256 }: { readonly body: Uint8Array; readonly size?: number },
): Buffer {
  const message = Buffer.alloc(size);
  message[0] = type;
  message[1] = kind;
  message.writeUInt32BE(body.length, 2);
  message.set(body, 6);
  return message;
}

function lockOf(material: Uint8Array): Lock {
  return { key: material.subarray(0, 16), nonce: material.subarray(16, 28) };
}

/** The caller's key and nonce of a stream. */
export function callerLock(secret: Uint8Array, salt: Uint8Array): Lock {
  return lockOf(expand(hmac(salt, secret), utf8('sahara/1/seal/caller'), 28));
}

interface SealCase {
  readonly name: string;
  /** Bodies of the frames of kind 13, in order. */
  readonly frames: readonly string[];
  readonly messages: readonly { readonly type: string; readonly kind?: number; readonly body?: string }[];
}

interface SealFault {
  readonly name: string;
  readonly frames: readonly string[];
  /** Position of the frame that does not open. */
  readonly at: number;
  readonly code: 'seal-invalid';
}

/** Cases of `seal.json`. */
export function sealVectors(): Vectors<SealCase, SealFault> {
  const seed = filled(0x51);
  const agent = createSigner(seed).publicKey;
  const recipient = x25519Public(x25519Key(scalarOf(seed)));
  const ephemeral = filled(0x52);
  const name = utf8(`sahara/1/${network}/call-sealed`);
  const info = Buffer.concat([Buffer.of(name.length), name, agent]);
  const { enc, exporterSecret } = hpkeSender({ ephemeral, recipient, info });
  const secret = hpkeExport(exporterSecret, utf8('sahara/1/seal'), 32);
  const salt = filled(0x58);
  const answerSalt = filled(0x53);
  const lock = callerLock(secret, salt);
  const answering = lockOf(
    expand(hmac(Buffer.concat([salt, answerSalt]), secret), utf8('sahara/1/seal/agent'), 28),
  );

  const opening = filled(0x54, 200);
  const long = filled(0x55, 251);
  const messages = [
    paddedMessage(0, 1, { body: opening }),
    paddedMessage(0, 10, { body: long, size: 512 }),
    paddedMessage(1, 0, { body: new Uint8Array(0) }),
  ];
  // An array of four byte strings: the agent, the encapsulated key, the salt, the message with a 16-bit length.
  const first = (sealed: Uint8Array): string => {
    const fixed = [agent, enc, salt].flatMap((field) => [Buffer.of(0x58, 0x20), field]);
    const head = Buffer.concat([Buffer.of(0x84), ...fixed]);
    return toHex(Buffer.concat([head, Buffer.of(0x59, sealed.length >> 8, sealed.length & 0xff), sealed]));
  };
  const sealed = messages.map((message, i) => sealMessage(lock, i, message));
  const frames = sealed.map((body, i) => (i === 0 ? first(body) : toHex(body)));
  const answers = [
    paddedMessage(0, 6, { body: filled(0x56, 3) }),
    paddedMessage(2, 0, { body: filled(0x57, 9) }),
  ].map((message, i) => {
    const body = sealMessage(answering, i, message);
    return toHex(i === 0 ? Buffer.concat([answerSalt, body]) : body);
  });
  const [start = '', topUp = '', end = ''] = frames;
  const altered = (hex: string, at: number): string => {
    const bytes = Buffer.from(hex, 'hex');
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    return toHex(bytes);
  };
  const alone = (message: Uint8Array): readonly string[] => [first(sealMessage(lock, 0, message))];
  const dirty = paddedMessage(0, 1, { body: opening });
  dirty[255] = 1;
  const long256 = paddedMessage(0, 1, { body: opening });
  long256.writeUInt32BE(251, 2);
  const at = (position: number, fault: string, faulty: readonly string[]): SealFault => ({
    name: fault,
    frames: faulty,
    at: position,
    code: 'seal-invalid',
  });
  return {
    about: 'Sealed calls (CALL-90 to CALL-95): what opens and what does not.',
    given: {
      network,
      agentSeed: toHex(seed),
      agent: toHex(agent),
      agentX25519: toHex(recipient),
      ephemeral: toHex(ephemeral),
      info: toHex(info),
      secret: toHex(secret),
      salt: toHex(salt),
      answerSalt: toHex(answerSalt),
      answers,
      answerMessages: [
        { type: 'frame', kind: 6, body: toHex(filled(0x56, 3)) },
        { type: 'failure', body: toHex(filled(0x57, 9)) },
      ],
    },
    valid: [
      {
        name: 'an opening, more cover and the end',
        frames,
        messages: [
          { type: 'frame', kind: 1, body: toHex(opening) },
          { type: 'frame', kind: 10, body: toHex(long) },
          { type: 'end' },
        ],
      },
      {
        name: 'the caller leaves',
        frames: alone(paddedMessage(3, 0, { body: new Uint8Array(0) })),
        messages: [{ type: 'cancel' }],
      },
    ],
    invalid: [
      at(0, 'another encapsulated key', [altered(start, 40)]),
      at(0, 'another salt', [altered(start, 75)]),
      at(0, 'changed ciphertext', [altered(start, 120)]),
      at(0, 'changed tag', [altered(start, start.length / 2 - 1)]),
      at(1, 'a frame left out', [start, end]),
      at(1, 'a frame repeated', [start, toHex(sealed[0] ?? Buffer.alloc(0))]),
      at(1, 'frames exchanged', [start, end, topUp]),
      at(1, 'not a padded size', [start, topUp.slice(2)]),
      at(0, 'padding that is not zero', alone(dirty)),
      at(0, 'padded more than needed', alone(paddedMessage(0, 1, { body: opening, size: 512 }))),
      at(0, 'a length beyond the message', alone(long256)),
      at(0, 'an unknown type', alone(paddedMessage(4, 0, { body: new Uint8Array(0) }))),
      at(0, 'an end with a body', alone(paddedMessage(1, 0, { body: opening }))),
      at(0, 'an end with a kind', alone(paddedMessage(1, 1, { body: new Uint8Array(0) }))),
      at(0, 'an all-zero encapsulated key', [start.slice(0, 74) + '00'.repeat(32) + start.slice(138)]),
    ],
  };
}
