import { concat, toHex } from '../../src/base/bytes.ts';
import { type Certificate, certificateChain } from '../../src/protocol/certificate.ts';
import { type Envelope, envelope } from '../../src/protocol/envelope.ts';
import { type Signed, signed } from '../../src/protocol/signing.ts';
import {
  agent,
  filled,
  NOW_MS,
  network,
  operator,
  payer,
  sampleCertificate,
  sign,
  signCertificate,
  stranger,
  suite,
} from '../../test/protocol/sample.ts';
import type { Vectors } from './file.ts';

interface EnvelopeCase {
  readonly name: string;
  /** The signed envelope in its wire form. */
  readonly message: string;
  readonly body: string;
}

interface RefusedEnvelope extends EnvelopeCase {
  readonly code: string;
}

const body = filled(0x42, 20);
const sound: Envelope = {
  version: 1,
  network,
  id: filled(9, 16),
  from: payer.publicKey,
  to: { kind: 'agent', name: agent.publicKey },
  sequence: 7,
  issuedAtMs: NOW_MS,
  expiresAtMs: NOW_MS + 60_000,
  context: { root: filled(9, 16), parent: undefined, depth: 0, budget: undefined },
  bodyType: 'call',
  bodyHash: suite.sha256(body),
  extensions: new Map(),
};

function message(change: Partial<Envelope>, resigned: (message: Signed) => Signed = (same) => same): string {
  const payload = envelope.encode({ ...sound, ...change });
  return toHex(signed.encode(resigned(sign(payer, 'call', payload))));
}

const unsigned = (same: Signed): Signed => ({ ...same, signature: new Uint8Array(0) });

/** Envelopes as a receiver finds them, and the code of the refusal where there is one. */
export function envelopeVectors(): Vectors<EnvelopeCase, RefusedEnvelope> {
  const ok = (name: string, change: Partial<Envelope>): EnvelopeCase => ({
    name,
    message: message(change),
    body: toHex(body),
  });
  const bad = (code: string, name: string, made: string, withBody: Uint8Array = body): RefusedEnvelope => ({
    name,
    message: made,
    body: toHex(withBody),
    code,
  });
  const other = { to: { kind: 'agent', name: stranger.publicKey } } as const;
  const past = { issuedAtMs: NOW_MS - 100_000, expiresAtMs: NOW_MS - 30_001 };
  const critical = { extensions: new Map([['!budget', filled(1, 1)]]) };
  return {
    about:
      'Envelopes (ENV-1 to ENV-9). A receiver that expects `given` takes the valid ones and refuses the others with `code`; where a message has several faults, the code says which counts.',
    given: { network, to: { kind: 'agent', name: toHex(agent.publicKey) }, bodyType: 'call', nowMs: NOW_MS },
    valid: [
      ok('a call', {}),
      ok('without a place in a call tree', { context: undefined }),
      ok('an extension that may be skipped', { extensions: new Map([['note', filled(1, 3)]]) }),
      ok('from a clock 30 s ahead', { issuedAtMs: NOW_MS + 30_000, expiresAtMs: NOW_MS + 90_000 }),
      ok('expired for 30 s', { issuedAtMs: NOW_MS - 60_000, expiresAtMs: NOW_MS - 30_000 }),
      ok('of the longest life', { expiresAtMs: NOW_MS + 600_000 }),
    ],
    invalid: [
      bad('signature-missing', 'missing signature', message({}, unsigned)),
      bad('version-unsupported', 'another version', message({ version: 2 })),
      bad('version-unsupported', 'another version with other fields', toHex(versionTwo())),
      bad('malformed', 'no time of issue', message({ issuedAtMs: 0, expiresAtMs: 60_000 })),
      bad('malformed', 'expires before it is issued', message({ expiresAtMs: NOW_MS })),
      bad('malformed', 'lives too long', message({ expiresAtMs: NOW_MS + 600_001 })),
      bad('network-mismatch', 'another network', message({ network: 'other-0123456789abcdef' })),
      bad('unknown-critical', 'an unknown critical extension', message(critical)),
      bad('wrong-recipient', 'another agent', message(other)),
      bad(
        'wrong-recipient',
        'an operator of the same key',
        message({ to: { kind: 'operator', name: agent.publicKey } }),
      ),
      bad('expired', 'expired', message(past)),
      bad(
        'not-yet-valid',
        'far future',
        message({ issuedAtMs: NOW_MS + 30_001, expiresAtMs: NOW_MS + 90_000 }),
      ),
      bad('malformed', 'another body', message({}), filled(0x43, 20)),
      bad('malformed', 'an empty body', message({}), new Uint8Array(0)),
      bad('malformed', 'another type of body', message({ bodyType: 'cancel' })),
      bad('signature-invalid', 'another sender', message({ from: stranger.publicKey })),
      bad(
        'signature-invalid',
        'a small-order sender',
        message({ from: concat(Uint8Array.of(1), filled(0, 31)) }),
      ),
      bad('signature-missing', 'no signature and expired', message(past, unsigned)),
      bad('network-mismatch', 'another network and another recipient', message({ network: 'x', ...other })),
      bad('wrong-recipient', 'another recipient and expired', message({ ...other, ...past })),
      bad('expired', 'expired and another sender', message({ ...past, from: stranger.publicKey })),
    ],
  };
}

/** An envelope of version 2 with a thirteenth field. */
function versionTwo(): Uint8Array {
  const payload = envelope.encode({ ...sound, version: 2 });
  const longer = concat(Uint8Array.of(0x8d), payload.subarray(1), Uint8Array.of(0xf6));
  return signed.encode(sign(payer, 'call', longer));
}

interface ChainCase {
  readonly name: string;
  /** The chain in its wire form. */
  readonly chain: string;
}

interface RefusedChain extends ChainCase {
  /** Position of the link that is refused. */
  readonly link: number;
}

/** Chains from an operator's key to an agent's. */
export function certificateVectors(): Vectors<ChainCase, RefusedChain> {
  const chain = (...links: readonly Signed[]): string => toHex(certificateChain.encode(links));
  const leaf = (change: Partial<Certificate> = {}): Certificate => ({ ...sampleCertificate, ...change });
  const node: Certificate = leaf({
    subject: { kind: 'key', id: stranger.publicKey },
    roles: ['node'],
    capabilities: ['serve:*'],
  });
  const byNode = leaf({ issuer: stranger.publicKey });
  const one = (change: Partial<Certificate>): string => chain(signCertificate(operator, leaf(change)));
  const two = (above: Partial<Certificate>, below: Partial<Certificate>): string =>
    chain(
      signCertificate(operator, { ...node, ...above }),
      signCertificate(stranger, { ...byNode, ...below }),
    );
  const plain = signCertificate(operator, leaf());
  const long = Array.from({ length: 5 }, () => plain);
  return {
    about:
      'Certificate chains (ID-4 to ID-8), checked against `given`. `link` is where an invalid one is refused. A chain that is not even readable is malformed.',
    given: {
      network,
      root: toHex(operator.publicKey),
      subject: { kind: 'key', id: toHex(agent.publicKey) },
      capability: 'serve:agent/guide',
      nowMs: NOW_MS,
    },
    valid: [
      { name: 'one link', chain: chain(plain) },
      { name: 'two links', chain: two({}, {}) },
      { name: 'the very capability', chain: one({ capabilities: ['serve:agent/guide'] }) },
      { name: 'ended for 30 s', chain: one({ notAfterMs: NOW_MS - 30_000 }) },
      { name: 'begins in 30 s', chain: one({ notBeforeMs: NOW_MS + 30_000 }) },
    ],
    invalid: [
      { name: 'no link', chain: chain(), link: 0 },
      { name: 'another version', chain: one({ version: 2 }), link: 0 },
      { name: 'another network', chain: one({ network: 'other-0123456789abcdef' }), link: 0 },
      { name: 'another issuer', chain: chain(signCertificate(stranger, byNode)), link: 0 },
      { name: 'ended', chain: one({ notAfterMs: NOW_MS - 30_001 }), link: 0 },
      { name: 'not begun', chain: one({ notBeforeMs: NOW_MS + 30_001 }), link: 0 },
      { name: 'signed by another key', chain: chain(signCertificate(stranger, leaf())), link: 0 },
      { name: 'missing signature', chain: chain({ ...plain, signature: new Uint8Array(0) }), link: 0 },
      { name: 'not a certificate', chain: chain(sign(operator, 'certificate', filled(0, 4))), link: 0 },
      { name: 'another subject', chain: one({ subject: { kind: 'key', id: stranger.publicKey } }), link: 0 },
      {
        name: 'a peer of the same bytes',
        chain: one({ subject: { kind: 'peer', id: agent.publicKey } }),
        link: 0,
      },
      { name: 'lacks the capability', chain: one({ capabilities: ['read:*'] }), link: 0 },
      { name: 'a star that is not at the end', chain: one({ capabilities: ['serve:*/guide'] }), link: 0 },
      { name: 'passes on more than it holds', chain: two({ capabilities: ['serve:agent/x'] }, {}), link: 1 },
      {
        name: 'issued by a peer id',
        chain: two({ subject: { kind: 'peer', id: stranger.publicKey } }, {}),
        link: 1,
      },
      { name: 'the link above has ended', chain: two({ notAfterMs: NOW_MS - 30_001 }, {}), link: 0 },
      {
        name: 'links in the other order',
        chain: chain(signCertificate(stranger, byNode), signCertificate(operator, node)),
        link: 0,
      },
      { name: 'five links', chain: tooLong(long), link: 0 },
    ],
  };
}

/** More links than the record holds, written by hand. */
function tooLong(links: readonly Signed[]): string {
  return toHex(concat(Uint8Array.of(0x80 + links.length), ...links.map((link) => signed.encode(link))));
}
