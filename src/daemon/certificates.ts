/** Certificates that this operator issued by hand: kept, so that what a subject holds can be taken back. */
import { toHex } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { SaharaError } from '../base/errors.ts';
import type { Dice } from '../base/random.ts';
import type { Store } from '../base/store.ts';
import {
  type Certificate,
  type CertificateSubject,
  certificate,
  certificateChain,
  standingSerial,
} from '../protocol/certificate.ts';
import { type Id, PROTOCOL_VERSION, peerIdBytes, publicKeyOf } from '../protocol/ids.ts';
import { signed as signedSchema, type TickSigner } from '../protocol/signing.ts';
import { nativeSuite } from '../protocol/suite-native.ts';

/** Most certificates that are kept; beyond, none is issued until some are past their end. */
const ISSUED_MAX = 10_000;

/** What certificates are issued with. */
export interface CertificateParts {
  readonly network: string;
  readonly clock: Clock;
  readonly dice: Dice;
  readonly operator: TickSigner;
  /** This part has the store for itself. */
  readonly store: Store;
}

/** What is to be certified. */
export interface CertificateOrder {
  readonly subject: CertificateSubject;
  readonly roles: readonly string[];
  readonly capabilities: readonly string[];
  readonly lifeMs: number;
}

/** The operator's certificates. */
export interface CertificateBook {
  /** Issues one. Throws `home-full`. */
  issue(order: CertificateOrder): Promise<{ readonly stated: Certificate; readonly chain: Uint8Array }>;
  /** Serials of all that a subject holds or may hold: its standing one, and those issued by hand. */
  serialsOf(subject: CertificateSubject): Promise<readonly Id[]>;
}

/** The certificates in `parts.store`. */
export function createCertificateBook(parts: CertificateParts): CertificateBook {
  const { network, clock, dice, operator, store } = parts;
  const all = async function* (): AsyncGenerator<Certificate> {
    for await (const [, value] of store.entries()) {
      yield certificate.decode(signedSchema.decode(value).payload);
    }
  };
  const makeRoom = async (): Promise<void> => {
    let count = 0;
    const over: Uint8Array[] = [];
    for await (const { serial, notAfterMs } of all()) {
      count++;
      if (notAfterMs < clock.nowMs()) over.push(serial);
    }
    if (count - over.length >= ISSUED_MAX) {
      throw new SaharaError('home-full', { what: 'certificates', limit: ISSUED_MAX });
    }
    if (over.length > 0) await store.batch(over.map((key) => ({ type: 'del', key })));
  };
  return {
    async issue({ subject, roles, capabilities, lifeMs }) {
      await makeRoom();
      const nowMs = clock.nowMs();
      const stated: Certificate = {
        version: PROTOCOL_VERSION,
        network,
        issuer: operator.publicKey,
        subject,
        roles,
        capabilities,
        notBeforeMs: nowMs,
        notAfterMs: nowMs + lifeMs,
        serial: dice.bytes(16),
      };
      const message = await operator.sign('certificate', certificate.encode(stated));
      await store.batch([{ type: 'put', key: stated.serial, value: signedSchema.encode(message) }], {
        sync: true,
      });
      return { stated, chain: certificateChain.encode([message]) };
    },
    async serialsOf(subject) {
      const serials = [standingSerial(nativeSuite, network, operator.publicKey, subject)];
      const wanted = nameOfSubject(subject);
      for await (const one of all()) if (nameOfSubject(one.subject) === wanted) serials.push(one.serial);
      return serials;
    },
  };
}

/** The subject that a text names: a DID, or a peer id. Throws `usage`. */
export function subjectOf(text: string): CertificateSubject {
  const key = publicKeyOf(text);
  if (key !== undefined) return { kind: 'key', id: key };
  const id = peerIdBytes(text);
  if (id !== undefined && id.length === 38) return { kind: 'peer', id };
  throw new SaharaError('usage', { reason: `${text} is neither a DID nor a peer id` });
}

function nameOfSubject({ kind, id }: CertificateSubject): string {
  return `${kind} ${toHex(id)}`;
}
