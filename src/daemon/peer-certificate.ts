/**
 * The operator's certificate for this peer's libp2p id, told in every HELLO, and the check of those that other peers
 * tell. A peer that tells none is anybody; one that tells a certificate that does not hold is refused.
 */
import type { Clock } from '../base/clock.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import {
  type CertificateSubject,
  certificate,
  certificateChain,
  standingSerial,
  verifyChain,
} from '../protocol/certificate.ts';
import { PROTOCOL_VERSION, type PublicKey, peerIdBytes, peerIdOf } from '../protocol/ids.ts';
import { signOne, type Trust } from '../protocol/signing.ts';
import type { Signer } from '../protocol/suite.ts';
import { nativeSuite } from '../protocol/suite-native.ts';

/** Life of a peer's certificate, milliseconds: a year. Each start makes a new one. */
export const PEER_CERTIFICATE_MS = 31_536_000_000;

/** What a certificate is made of. */
export interface PeerCertificateParts {
  readonly network: string;
  readonly clock: Clock;
  readonly operator: Signer;
  /** The peer's own key, which its libp2p id holds. */
  readonly peer: PublicKey;
}

/** The chain, in its wire form, by which the operator vouches for the peer. */
export function certifyPeer(parts: PeerCertificateParts): Uint8Array {
  const { network, operator } = parts;
  const nowMs = parts.clock.nowMs();
  const subject: CertificateSubject = { kind: 'peer', id: peerIdOf(parts.peer) };
  const payload = certificate.encode({
    version: PROTOCOL_VERSION,
    network,
    issuer: operator.publicKey,
    subject,
    roles: ['peer'],
    capabilities: ['host:agent/*'],
    notBeforeMs: nowMs,
    notAfterMs: nowMs + PEER_CERTIFICATE_MS,
    serial: standingSerial(nativeSuite, network, operator.publicKey, subject),
  });
  const item = { type: 'certificate', payload };
  return certificateChain.encode([signOne(nativeSuite, operator, network, item)]);
}

/** A peer as a call's stream shows it. */
export interface CertifiedPeer {
  readonly peerId: string;
  /** From its HELLO; the same object for every call of one session. */
  readonly peerCertificate: Uint8Array;
}

/**
 * Why a peer's certificate is refused; `undefined` when it holds or there is none. Each is verified once, and again
 * when what `trust` says may have changed.
 */
export function createPeerCheck(parts: {
  readonly network: string;
  readonly clock: Clock;
  readonly trust?: Trust | undefined;
}): (peer: CertifiedPeer) => SaharaError | undefined {
  const held = new WeakMap<Uint8Array, { readonly untilMs: number; readonly version: number }>();
  const { trust } = parts;
  return ({ peerId, peerCertificate }) => {
    const nowMs = parts.clock.nowMs();
    const version = trust?.version() ?? 0;
    if (peerCertificate.length === 0) return undefined;
    const known = held.get(peerCertificate);
    if (known !== undefined && known.untilMs > nowMs && known.version === version) return undefined;
    try {
      const links = certificateChain.decode(peerCertificate);
      const id = peerIdBytes(peerId);
      const [first] = links;
      if (id === undefined || first === undefined) throw refused('no peer id or no link');
      const last = verifyChain(nativeSuite, links, {
        network: parts.network,
        root: certificate.decode(first.payload).issuer,
        subject: { kind: 'peer', id },
        nowMs,
        trust,
      });
      held.set(peerCertificate, { untilMs: last.notAfterMs, version });
      return undefined;
    } catch (error) {
      const failure = asSaharaError(error);
      return failure.code === 'certificate-invalid' ? failure : refused('it cannot be read');
    }
  };
}

/** The operator who vouches for a peer whose certificate a check found to hold; `undefined` when it tells none. */
export function operatorOf({ peerCertificate }: CertifiedPeer): PublicKey | undefined {
  if (peerCertificate.length === 0) return undefined;
  const [first] = certificateChain.decode(peerCertificate);
  return first && certificate.decode(first.payload).issuer;
}

function refused(reason: string): SaharaError {
  return new SaharaError('certificate-invalid', { link: 0, reason });
}
