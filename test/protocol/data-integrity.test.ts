import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/base/bytes.ts';
import {
  canonicalJson,
  checkProof,
  type JsonObject,
  readJson,
  withProof,
} from '../../src/protocol/data-integrity.ts';
import { didOf, multibaseBytes } from '../../src/protocol/ids.ts';
import { createSigner, nativeSuite } from '../../src/protocol/suite-native.ts';
import { portableSuite } from '../../src/protocol/suite-portable.ts';

// Data Integrity EdDSA Cryptosuites v1.0 (W3C), appendix B.3, examples 29 to 39.
const PUBLIC = 'z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2';
const SECRET = 'z3u2en7t5LR2WtQH5PfFqMqwVHBeXouLzo6haApm8XHqvjxq';
const DOCUMENT_HASH = '59b7cb6251b8991add1ce0bc83107e3db9dbbab5bd2c28f687db1a03abc92f19';
const OPTIONS_HASH = '66ab154f5c2890a140cb8388a22a160454f80575f6eae09e5a097cabe539a1db';
const VALUE = 'z2HnFSSPPBzR36zdDgK8PbEHeXbR56YF24jwMpt3R1eHXQzJDMWS93FCzpvJpwTWd3GAVFuUfjoJdcnTMuVor51aX';
const CREATED = '2023-02-24T23:36:38Z';
const document: JsonObject = {
  '@context': ['https://www.w3.org/ns/credentials/v2', 'https://www.w3.org/ns/credentials/examples/v2'],
  id: 'urn:uuid:58172aac-d8ba-11ed-83dd-0b3aef56cc33',
  type: ['VerifiableCredential', 'AlumniCredential'],
  name: 'Alumni Credential',
  description: 'A minimum viable example of an Alumni Credential.',
  issuer: 'https://vc.example/issuers/5678',
  validFrom: '2023-01-01T00:00:00Z',
  credentialSubject: { id: 'did:example:abcdefgh', alumniOf: 'The School of Examples' },
};

/** The seed after the two bytes that say what it is. */
const signer = createSigner((multibaseBytes(SECRET) ?? new Uint8Array(34)).slice(2));

describe('proofs of documents, eddsa-jcs-2022 (ID-40)', () => {
  it('hash and sign as the published example does', () => {
    expect(didOf(signer.publicKey)).toBe(`did:key:${PUBLIC}`);
    expect(toHex(nativeSuite.sha256(canonicalJson(document)))).toBe(DOCUMENT_HASH);
    const secured = withProof(nativeSuite, signer, document, { created: CREATED });
    const { proofValue, ...configuration } = secured.proof as JsonObject;
    expect(toHex(nativeSuite.sha256(canonicalJson(configuration)))).toBe(OPTIONS_HASH);
    expect(proofValue).toBe(VALUE);
  });

  it.each([
    ['native', nativeSuite],
    ['portable', portableSuite],
  ] as const)('hold for their document alone: %s', (_, suite) => {
    const secured = withProof(suite, signer, document, { created: CREATED });
    expect(toHex(checkProof(suite, secured).key)).toBe(toHex(signer.publicKey));
    const reordered = Object.fromEntries(Object.entries(secured).reverse());
    expect(checkProof(suite, reordered).created).toBe(CREATED);
    const other = { ...secured, name: 'Another' };
    expect(() => checkProof(suite, other)).toThrow(expect.objectContaining({ code: 'signature-invalid' }));
    const late = { ...secured, proof: { ...(secured.proof as JsonObject), created: '2024-02-24T23:36:38Z' } };
    expect(() => checkProof(suite, late)).toThrow(expect.objectContaining({ code: 'signature-invalid' }));
  });

  it('are refused by the part that is wrong', () => {
    const secured = withProof(nativeSuite, signer, document, { created: CREATED });
    const proof = secured.proof as JsonObject;
    const changed =
      (change: JsonObject): (() => unknown) =>
      () =>
        checkProof(nativeSuite, { ...secured, proof: { ...proof, ...change } });
    expect(() => checkProof(nativeSuite, document)).toThrow(expect.objectContaining({ code: 'malformed' }));
    expect(changed({ cryptosuite: 'eddsa-rdfc-2022' })).toThrow(
      expect.objectContaining({ code: 'version-unsupported' }),
    );
    for (const change of [
      { proofPurpose: 'authentication' },
      { verificationMethod: `did:key:${PUBLIC}` },
      { verificationMethod: 'did:web:example.org#key' },
      { proofValue: 'z123' },
      { '@context': 'https://www.w3.org/ns/credentials/v2' },
    ]) {
      expect(changed(change), JSON.stringify(change)).toThrow(expect.objectContaining({ code: 'malformed' }));
    }
    expect(() => withProof(nativeSuite, signer, secured, { created: CREATED })).toThrow(
      expect.objectContaining({ code: 'malformed' }),
    );
  });

  it('are over the form of RFC 8785: sorted by UTF-16, shortest numbers, no lone surrogate', () => {
    // RFC 8785, section 3.2.3 and appendix B.
    const sorted = { '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\ud83d\ude00': 5, '\u0080': 6, '\u00f6': 7 };
    expect(new TextDecoder().decode(canonicalJson(sorted))).toBe(
      '{"\\r":2,"1":4,"\u0080":6,"\u00f6":7,"\u20ac":1,"\ud83d\ude00":5,"\ufb33":3}',
    );
    expect(new TextDecoder().decode(canonicalJson([1e30, 4.5, 2e-3, 1e-27, -0]))).toBe(
      '[1e+30,4.5,0.002,1e-27,0]',
    );
    expect(() => canonicalJson('\ud800')).toThrow(expect.objectContaining({ code: 'malformed' }));
    expect(() => readJson('[1]')).toThrow(expect.objectContaining({ code: 'malformed' }));
    expect(() => readJson(`{"a":${'['.repeat(40)}${']'.repeat(40)}}`)).toThrow(
      expect.objectContaining({ code: 'malformed' }),
    );
  });
});
