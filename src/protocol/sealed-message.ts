/**
 * What a sealed call says on the wire: the records of its first frames, and its messages with their padding. The keys
 * are in `seal.ts`.
 */
import { SaharaError } from '../base/errors.ts';
import type { PublicKey } from './ids.ts';
import { bytes, bytesUpTo, record, type Schema, text } from './schema.ts';

/** Largest padded message, bytes: sealed and with its head it fits into the largest body of a frame. */
export const SEALED_MESSAGE_BYTES_MAX = 1_047_552;

/** Smallest padded message, bytes. */
export const SEALED_MESSAGE_BYTES_MIN = 256;

/** Bytes of a message besides its body: its type, the frame's kind and the body's length. */
const HEAD_BYTES = 6;

/** Largest body of a frame that can be sealed, bytes. */
export const SEALED_BODY_BYTES_MAX: number = SEALED_MESSAGE_BYTES_MAX - HEAD_BYTES;

/** Bytes of a sealed message beyond the padded one. */
export const SEAL_TAG_BYTES = 16;

/** Random bytes that each side adds to its keys of one stream, so that no two streams ever share one. */
export const SEAL_SALT_BYTES = 32;

/** First frame of a sealed call: for whom it is, the encapsulated key, and the sealed opening or resumption. */
export interface CallSealed {
  readonly agent: PublicKey;
  /** The caller's ephemeral X25519 key. */
  readonly encapsulated: Uint8Array;
  /** The caller's salt of this stream. */
  readonly salt: Uint8Array;
  readonly sealed: Uint8Array;
}

/** The wire form of a sealed call's first frame. */
export const callSealed: Schema<CallSealed> = record('call-sealed', {
  agent: bytes(32),
  encapsulated: bytes(32),
  salt: bytes(SEAL_SALT_BYTES),
  sealed: bytesUpTo(SEALED_MESSAGE_BYTES_MAX + SEAL_TAG_BYTES, SEALED_MESSAGE_BYTES_MIN + SEAL_TAG_BYTES),
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

/** Smallest padded size for `length` bytes: 256, 512 and so on to 524,288, then the largest. */
function bucketOf(length: number): number {
  let bucket = SEALED_MESSAGE_BYTES_MIN;
  while (bucket < length) bucket *= 2;
  return Math.min(bucket, SEALED_MESSAGE_BYTES_MAX);
}

/** Whether a padded message may have this length. */
export function isBucket(length: number): boolean {
  return length >= SEALED_MESSAGE_BYTES_MIN && bucketOf(length) === length;
}

const NOTHING = new Uint8Array(0);

/** A message with its head and padding. Throws `too-large`. */
export function packed(message: SealedMessage): Uint8Array {
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

/** The message that `packed` made. Throws `seal-invalid`. */
export function unpacked(plain: Uint8Array): SealedMessage {
  if (!isBucket(plain.length)) throw sealInvalid('not a padded size');
  const view = new DataView(plain.buffer, plain.byteOffset, plain.byteLength);
  const type = TYPES[view.getUint8(0)];
  const kind = view.getUint8(1);
  const end = HEAD_BYTES + view.getUint32(2);
  const whole = end <= plain.length && bucketOf(end) === plain.length;
  if (!whole || plain.subarray(end).some((byte) => byte !== 0)) throw sealInvalid('padding');
  const body = plain.subarray(HEAD_BYTES, end);
  if (type === 'frame') return { type, kind, body };
  if (type === undefined || kind !== 0) throw sealInvalid('unknown message');
  if (type === 'failure') return { type, body };
  if (body.length > 0) throw sealInvalid('unknown message');
  return { type };
}

/** Why something sealed is refused. */
export function sealInvalid(reason: string): SaharaError {
  return new SaharaError('seal-invalid', { reason });
}
