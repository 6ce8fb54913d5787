/**
 * Certificates: an issuer's signed, expiring statement of what a peer or key may do. A chain leads from the key
 * that is trusted to the subject; every link may only pass on capabilities that it holds itself.
 */
import { equalBytes, utf8 } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import { domainHash, type Id, type PublicKey } from './ids.ts';
import { CERTIFICATE_CHAIN_MAX, CLOCK_SKEW_MS, NETWORK_NAME_BYTES_MAX } from './limits.ts';
import { bytes, bytesUpTo, list, oneOf, record, type Schema, schema, text, uint } from './schema.ts';
import {
  checkSigned,
  type SignatureFault,
  type Signed,
  signed,
  type Trust,
  type Verifier,
} from './signing.ts';
import type { Suite } from './suite.ts';

/** Who a certificate speaks of: a libp2p peer id (its bytes) or an Ed25519 key. */
export interface CertificateSubject {
  readonly kind: 'peer' | 'key';
  readonly id: Uint8Array;
}

/** What an issuer states about a subject. */
export interface Certificate {
  readonly version: number;
  readonly network: string;
  readonly issuer: PublicKey;
  readonly subject: CertificateSubject;
  /** What the subject is for its issuer: `peer`, `agent`, `node`. */
  readonly roles: readonly string[];
  /** What it may do: `serve:agent/*`, `read:dataset/<hex id>`. A trailing `*` covers every continuation. */
  readonly capabilities: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly serial: Id;
}

/** The signed body of a certificate; its type name is `certificate`. */
export const certificate: Schema<Certificate> = record('certificate', {
  version: uint(255),
  network: text(NETWORK_NAME_BYTES_MAX),
  issuer: bytes(32),
  subject: record('certificate-subject', { kind: oneOf('peer', 'key'), id: bytesUpTo(64, 1) }),
  roles: list(text(32), 8),
  capabilities: list(text(128), 16),
  notBeforeMs: uint(),
  notAfterMs: uint(),
  serial: bytes(16),
});

/**
 * The serial of the certificates by which an operator's peers and agents are its own, each time the same: taken back
 * once, the subject stays out, whatever is signed for it later.
 */
export function standingSerial(
  suite: Suite,
  network: string,
  issuer: PublicKey,
  { kind, id }: CertificateSubject,
): Id {
  return domainHash(suite, network, 'certificate-serial', issuer, utf8(`${kind}/`), id).slice(0, 16);
}

/** The wire form of a chain, from the trusted key's certificate to the subject's. */
export const certificateChain: Schema<readonly Signed[]> = schema(
  'certificate-chain',
  list(signed, CERTIFICATE_CHAIN_MAX),
);

/** Whether `held` covers `wanted`: equal, or a `*` at its end over a shared beginning. */
export function covers(held: string, wanted: string): boolean {
  return held.endsWith('*') ? wanted.startsWith(held.slice(0, -1)) : held === wanted;
}

/** What a chain is checked against. */
export interface ChainExpectation {
  readonly network: string;
  /** The key at which the chain must start. */
  readonly root: PublicKey;
  readonly subject: CertificateSubject;
  /** Capability that the last link must hold, if any. */
  readonly capability?: string;
  readonly nowMs: number;
  /** Who signs for an issuer now, and what was taken back. Default: every issuer is its own key, and nothing was. */
  readonly trust?: Pick<Trust, 'signersOf' | 'isRevoked'> | undefined;
}

/**
 * The last certificate of a sound chain. Throws `certificate-invalid` with the link and the reason; refusals in
 * this order: length; for each link shape, version, network, issuer, time, what it passes on, signature, revocation; then
 * the subject and the capability asked for.
 */
export function verifyChain(suite: Suite, links: readonly Signed[], expected: ChainExpectation): Certificate {
  const walk = new ChainWalk(links, expected);
  for (const link of links) {
    const { issuer } = walk.step(link);
    const [key = issuer] = expected.trust?.signersOf(issuer, 'certificate') ?? [];
    walk.signed(checkSigned(suite, expected.network, 'certificate', key, link));
  }
  return walk.end();
}

/** `verifyChain` with the signatures checked by `verifier`, off the event loop and each batch root once, under its trust. */
export async function verifyChainWith(
  verifier: Verifier,
  links: readonly Signed[],
  expected: ChainExpectation,
): Promise<Certificate> {
  const walk = new ChainWalk(links, { ...expected, trust: expected.trust ?? verifier.trust });
  for (const link of links) {
    const current = walk.step(link);
    const wait = verifier.trust?.ready?.(current.issuer, current.serial);
    if (wait) await wait;
    walk.signed(await verifier.check(expected.network, 'certificate', current.issuer, link));
  }
  return walk.end();
}

/** Goes along a chain, link by link. */
class ChainWalk {
  readonly #expected: ChainExpectation;
  #last: Certificate | undefined;
  #index = -1;

  constructor(links: readonly Signed[], expected: ChainExpectation) {
    if (links.length > CERTIFICATE_CHAIN_MAX) throw refused(0, 'length of the chain');
    this.#expected = expected;
  }

  /** The next link, right but for its signature. */
  step(link: Signed): Certificate {
    this.#index++;
    const above = this.#last;
    const current = decodeLink(link, this.#index);
    const issuer = above?.subject.id ?? this.#expected.root;
    checkLink(current, { ...this.#expected, issuer, index: this.#index, above });
    this.#last = current;
    return current;
  }

  signed(fault: SignatureFault | undefined): void {
    if (fault) throw refused(this.#index, fault);
    const { trust } = this.#expected;
    if (this.#last && trust?.isRevoked(this.#last.issuer, this.#last.serial)) {
      throw refused(this.#index, 'its issuer took it back');
    }
  }

  /** The last link, which must be for the subject and hold the capability. */
  end(): Certificate {
    const { subject, capability } = this.#expected;
    const last = this.#last;
    if (last === undefined) throw refused(0, 'length of the chain');
    if (last.subject.kind !== subject.kind || !equalBytes(last.subject.id, subject.id)) {
      throw refused(this.#index, 'another subject');
    }
    if (capability && !last.capabilities.some((held) => covers(held, capability))) {
      throw refused(this.#index, `lacks ${capability}`);
    }
    return last;
  }
}

function decodeLink(link: Signed, index: number): Certificate {
  try {
    return certificate.decode(link.payload);
  } catch (error) {
    if (error instanceof SaharaError && error.code === 'malformed') throw refused(index, 'malformed');
    throw error;
  }
}

interface LinkContext extends ChainExpectation {
  readonly issuer: PublicKey;
  readonly index: number;
  readonly above: Certificate | undefined;
}

function checkLink(link: Certificate, context: LinkContext): void {
  const { index, above } = context;
  if (link.version !== 1) throw refused(index, 'version');
  if (link.network !== context.network) throw refused(index, 'another network');
  if (!equalBytes(link.issuer, context.issuer)) throw refused(index, 'another issuer');
  if (link.notBeforeMs > context.nowMs + CLOCK_SKEW_MS) throw refused(index, 'not yet valid');
  if (link.notAfterMs + CLOCK_SKEW_MS < context.nowMs) throw refused(index, 'expired');
  if (above === undefined) return;
  if (above.subject.kind !== 'key') throw refused(index, 'issued by a peer id');
  const excess = link.capabilities.find((wanted) => !above.capabilities.some((held) => covers(held, wanted)));
  if (excess !== undefined) throw refused(index, `passes on ${excess} without holding it`);
}

function refused(link: number, reason: string): SaharaError {
  return new SaharaError('certificate-invalid', { link, reason });
}
