/**
 * The envelope: who says what to whom, when, and until when. It covers the body by its hash, so that a body of
 * any size can travel beside it. Recipient, sequence and expiry are never optional.
 */
import { equalBytes } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import { Reader } from './codec.ts';
import type { Hash, Id, PublicKey } from './ids.ts';
import { PROTOCOL_VERSION } from './ids.ts';
import {
  BUDGET_SKILLS_MAX,
  CALL_DEPTH_MAX,
  CLOCK_SKEW_MS,
  ENVELOPE_LIFE_MS_MAX,
  EXTENSION_BYTES_MAX,
  EXTENSIONS_MAX,
  NETWORK_NAME_BYTES_MAX,
} from './limits.ts';
import {
  bytes,
  bytesUpTo,
  grains,
  list,
  mapOf,
  oneOf,
  optional,
  record,
  type Schema,
  text,
  uint,
} from './schema.ts';
import type { Signed, Verifier } from './signing.ts';
import type { Suite } from './suite.ts';

/** Whom a message is for: an agent's or operator's key, a peer id, or a topic's name (UTF-8). */
export interface Recipient {
  readonly kind: 'agent' | 'operator' | 'peer' | 'topic';
  readonly name: Uint8Array;
}

/** What the calls below one may spend and do, all together. */
export interface CallBudget {
  /** Grains. */
  readonly amount: bigint;
  /** How many levels of calls there may be below. */
  readonly depth: number;
  /** When all of them must have ended, milliseconds since 1970. */
  readonly deadlineMs: number;
  /** Skills that may be asked for; empty: any. */
  readonly skills: readonly string[];
}

/** Where a call stands in a tree of calls. */
export interface CallContext {
  /** Id of the call that started the tree. */
  readonly root: Id;
  /** Id of the call that made this one; absent at the root. */
  readonly parent: Id | undefined;
  /** 0 at the root. */
  readonly depth: number;
  /** Absent: no calls may be made below. */
  readonly budget: CallBudget | undefined;
}

/** The signed part of a message. */
export interface Envelope {
  readonly version: number;
  readonly network: string;
  readonly id: Id;
  readonly from: PublicKey;
  readonly to: Recipient;
  /** Rises with every message of a sender to a recipient; informative beside `id`. */
  readonly sequence: number;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
  readonly context: CallContext | undefined;
  /** Type of the body, such as `call`. Also the last part of the signing domain. */
  readonly bodyType: string;
  /** SHA-256 of the body. */
  readonly bodyHash: Hash;
  /** Named additions. A name that starts with `!` is critical: who does not know it refuses the message. */
  readonly extensions: ReadonlyMap<string, Uint8Array>;
}

/** The wire form of an envelope. */
export const envelope: Schema<Envelope> = record('envelope', {
  version: uint(255),
  network: text(NETWORK_NAME_BYTES_MAX),
  id: bytes(16),
  from: bytes(32),
  to: record('recipient', { kind: oneOf('agent', 'operator', 'peer', 'topic'), name: bytesUpTo(128, 1) }),
  sequence: uint(),
  issuedAtMs: uint(),
  expiresAtMs: uint(),
  context: optional(
    record('call-context', {
      root: bytes(16),
      parent: optional(bytes(16)),
      depth: uint(CALL_DEPTH_MAX),
      budget: optional(
        record('call-budget', {
          amount: grains,
          depth: uint(CALL_DEPTH_MAX),
          deadlineMs: uint(),
          skills: list(text(64), BUDGET_SKILLS_MAX),
        }),
      ),
    }),
  ),
  bodyType: text(32),
  bodyHash: bytes(32),
  extensions: mapOf(bytesUpTo(EXTENSION_BYTES_MAX), EXTENSIONS_MAX),
});

const ENVELOPE_FIELDS_MAX = 64;

/** What a receiver requires of an envelope. */
export interface EnvelopeExpectation {
  readonly network: string;
  /** For whom it must be; a function that is told the envelope decides when it comes to that. */
  readonly to: Recipient | ((opened: Envelope) => Recipient);
  readonly bodyType: string;
  readonly nowMs: number;
  /** Critical extensions that the receiver understands. */
  readonly critical?: readonly string[];
}

/**
 * Everything about an envelope that can be checked without its signature. Presence before validity, cheap before
 * dear. Throws in this order: `signature-missing`, `version-unsupported`, `malformed` (shape, absent or
 * impossible times), `network-mismatch`, `unknown-critical`, `wrong-recipient`, `expired`, `not-yet-valid`, then
 * `malformed` for another body. Time refusals carry the receiver's clock.
 */
export function openEnvelope(
  suite: Suite,
  message: Signed,
  body: Uint8Array,
  expected: EnvelopeExpectation,
): Envelope {
  if (message.signature.length === 0) throw new SaharaError('signature-missing');
  checkVersion(message.payload);
  const opened = envelope.decode(message.payload);
  checkLife(opened);
  if (opened.network !== expected.network) {
    throw new SaharaError('network-mismatch', { found: opened.network, expected: expected.network });
  }
  checkExtensions(opened, expected.critical ?? []);
  const to = typeof expected.to === 'function' ? expected.to(opened) : expected.to;
  if (opened.to.kind !== to.kind || !equalBytes(opened.to.name, to.name)) {
    throw new SaharaError('wrong-recipient', { expected: to.kind });
  }
  checkTimes(opened, expected.nowMs);
  if (opened.bodyType !== expected.bodyType)
    throw new SaharaError('malformed', { reason: 'another body type' });
  if (!equalBytes(suite.sha256(body), opened.bodyHash)) {
    throw new SaharaError('malformed', { reason: 'the body is not the one that was signed' });
  }
  return opened;
}

/** `openEnvelope`, then the signature of its sender: `signature-invalid`. */
export async function verifyEnvelope(
  parts: { readonly suite: Suite; readonly verifier: Verifier },
  message: Signed,
  body: Uint8Array,
  expected: EnvelopeExpectation,
): Promise<Envelope> {
  const opened = openEnvelope(parts.suite, message, body, expected);
  const fault = await parts.verifier.check(expected.network, expected.bodyType, opened.from, message);
  if (fault) throw new SaharaError(fault);
  return opened;
}

/** The version stands first, so that it can be told of shapes that this program does not know. */
function checkVersion(payload: Uint8Array): void {
  const reader = new Reader(payload);
  reader.array(ENVELOPE_FIELDS_MAX);
  const found = reader.uint(255);
  if (found !== PROTOCOL_VERSION) {
    throw new SaharaError('version-unsupported', { found, supported: PROTOCOL_VERSION });
  }
}

function checkLife(opened: Envelope): void {
  const { issuedAtMs, expiresAtMs } = opened;
  const lifeMs = expiresAtMs - issuedAtMs;
  if (issuedAtMs === 0 || lifeMs <= 0 || lifeMs > ENVELOPE_LIFE_MS_MAX) {
    throw new SaharaError('malformed', { reason: 'life', issuedAtMs, expiresAtMs });
  }
}

function checkExtensions(opened: Envelope, known: readonly string[]): void {
  for (const name of opened.extensions.keys()) {
    if (name.startsWith('!') && !known.includes(name)) throw new SaharaError('unknown-critical', { name });
  }
}

function checkTimes(opened: Envelope, nowMs: number): void {
  const facts = { issuedAtMs: opened.issuedAtMs, expiresAtMs: opened.expiresAtMs, receiverTimeMs: nowMs };
  if (opened.expiresAtMs + CLOCK_SKEW_MS < nowMs) throw new SaharaError('expired', facts);
  if (opened.issuedAtMs > nowMs + CLOCK_SKEW_MS) throw new SaharaError('not-yet-valid', facts);
}
