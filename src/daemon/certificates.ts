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
  covers,
  standingSerial,
} from '../protocol/certificate.ts';
import { type Id, PROTOCOL_VERSION, peerIdBytes, publicKeyOf } from '../protocol/ids.ts';
import { signed as signedSchema, type TickSigner, type Trust } from '../protocol/signing.ts';
import { nativeSuite } from '../protocol/suite-native.ts';

/** Most certificates that are kept; beyond, none is issued until some are past their end. */
const ISSUED_MAX = 10_000;

/** What certificates are issued with. */
export interface CertificateParts {
  readonly network: string;
  readonly clock: Clock;
  readonly dice: Dice;
  readonly operator: TickSigner;
  readonly trust: Pick<Trust, 'isRevoked'>;
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
  /** Whether a certificate that counts now, issued by hand, gives a subject a capability. */
  allows(subject: CertificateSubject, capability: string): boolean;
  /** Serials of all that a subject holds or may hold: its standing one, and those issued by hand. */
  serialsOf(subject: CertificateSubject): readonly Id[];
}

/** The certificates in `parts.store`. */
export async function openCertificateBook(parts: CertificateParts): Promise<CertificateBook> {
  const { network, clock, dice, operator, store, trust } = parts;
  /** By subject. */
  const issued = new Map<string, Certificate[]>();
  let count = 0;
  const note = (stated: Certificate): void => {
    const name = nameOfSubject(stated.subject);
    issued.set(name, [...(issued.get(name) ?? []), stated]);
    count++;
  };
  for await (const [, value] of store.entries()) {
    note(certificate.decode(signedSchema.decode(value).payload));
  }
  const makeRoom = async (): Promise<void> => {
    if (count < ISSUED_MAX) return;
    const nowMs = clock.nowMs();
    const over = [...issued.values()].flat().filter(({ notAfterMs }) => notAfterMs < nowMs);
    if (over.length === 0) throw new SaharaError('home-full', { what: 'certificates', limit: ISSUED_MAX });
    await store.batch(over.map(({ serial: key }) => ({ type: 'del', key })));
    const left = [...issued.values()].flat().filter((one) => !over.includes(one));
    issued.clear();
    count = 0;
    left.forEach(note);
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
      note(stated);
      return { stated, chain: certificateChain.encode([message]) };
    },
    allows(subject, capability) {
      const nowMs = clock.nowMs();
      return (issued.get(nameOfSubject(subject)) ?? []).some(
        ({ capabilities, notBeforeMs, notAfterMs, serial }) =>
          notBeforeMs <= nowMs &&
          nowMs <= notAfterMs &&
          capabilities.some((held) => covers(held, capability)) &&
          !trust.isRevoked(operator.publicKey, serial),
      );
    },
    serialsOf(subject) {
      const byHand = (issued.get(nameOfSubject(subject)) ?? []).map(({ serial }) => serial);
      return [standingSerial(nativeSuite, network, operator.publicKey, subject), ...byHand];
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
