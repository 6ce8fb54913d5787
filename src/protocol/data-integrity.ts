/**
 * Documents in JSON that prove themselves: W3C Data Integrity proofs of the cryptosuite `eddsa-jcs-2022` (Data
 * Integrity EdDSA Cryptosuites v1.0, section 3.3). The document without its proof and the proof without its value are
 * brought into the one form of RFC 8785, hashed, and both hashes are signed with Ed25519. The key stands in the proof,
 * as a `did:key`; for whom it may speak is the reader's to decide.
 */
import canonicalize from 'canonicalize';
import { concat, utf8 } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import { didOf, multibaseBytes, multibaseOf, type PublicKey, publicKeyOf } from './ids.ts';
import type { Signer, Suite } from './suite.ts';

/** A value of JSON. */
export type Json = string | number | boolean | null | readonly Json[] | JsonObject;

/** An object of JSON. */
export interface JsonObject {
  readonly [name: string]: Json;
}

/** How proofs are made here. */
export const CRYPTOSUITE = 'eddsa-jcs-2022';

/** Largest document that is read, characters. */
export const DOCUMENT_CHARACTERS_MAX = 1_048_576;

/** Deepest nesting of a document that is read. */
const DOCUMENT_DEPTH_MAX = 32;

/** The one form of a JSON value (RFC 8785). Throws `malformed` for what has none: a lone surrogate, no number. */
export function canonicalJson(value: Json): Uint8Array {
  try {
    const text = canonicalize(value);
    if (text !== undefined) return utf8(text);
  } catch (cause) {
    throw new SaharaError('malformed', { reason: 'It has no canonical form' }, { cause });
  }
  throw new SaharaError('malformed', { reason: 'It has no canonical form' });
}

/** What is said beside the signature. */
export interface ProofOptions {
  /** When it was made: XML Schema dateTime, UTC, to the second. */
  readonly created: string;
}

/** `document` with a proof by `signer`. Throws `malformed` for one that has a proof already. */
export function withProof(
  suite: Suite,
  signer: Signer,
  document: JsonObject,
  options: ProofOptions,
): JsonObject {
  if (document.proof !== undefined) throw new SaharaError('malformed', { reason: 'It has a proof already' });
  const configuration: JsonObject = {
    type: 'DataIntegrityProof',
    cryptosuite: CRYPTOSUITE,
    created: options.created,
    verificationMethod: methodOf(signer.publicKey),
    proofPurpose: 'assertionMethod',
    ...(document['@context'] !== undefined && { '@context': document['@context'] }),
  };
  const signature = signer.sign(hashData(suite, document, configuration));
  return { ...document, proof: { ...configuration, proofValue: multibaseOf(signature) } };
}

/** Who signed a document. */
export interface ProvenDocument {
  /** The document without its proof. */
  readonly document: JsonObject;
  readonly key: PublicKey;
  readonly created: string | undefined;
}

/**
 * Checks a document's proof. Throws `malformed` for a text or a shape that is not one, `version-unsupported` for
 * another cryptosuite, and `signature-invalid`.
 */
export function checkProof(suite: Suite, secured: JsonObject): ProvenDocument {
  const { proof, ...document } = secured;
  if (!isObject(proof)) throw malformedDocument('It has no proof, or more than one');
  const { proofValue, ...configuration } = proof;
  if (configuration.type !== 'DataIntegrityProof' || configuration.cryptosuite !== CRYPTOSUITE) {
    throw new SaharaError('version-unsupported', {
      found: String(configuration.cryptosuite),
      supported: CRYPTOSUITE,
    });
  }
  if (configuration.proofPurpose !== 'assertionMethod') throw malformedDocument('Its proof asserts nothing');
  const key = keyOfMethod(configuration.verificationMethod);
  const signature = typeof proofValue === 'string' ? multibaseBytes(proofValue) : undefined;
  if (key === undefined || signature?.length !== 64)
    throw malformedDocument('Its proof names no key or value');
  if (!sameContext(configuration['@context'], document['@context'])) {
    throw malformedDocument('Its proof is of another context');
  }
  if (!suite.verify(key, hashData(suite, document, configuration), signature)) {
    throw new SaharaError('signature-invalid', { what: 'document' });
  }
  const { created } = configuration;
  return { document, key, created: typeof created === 'string' ? created : undefined };
}

/** The object in a text of JSON. Throws `malformed`, also for one too large or nested too deeply. */
export function readJson(text: string): JsonObject {
  if (text.length > DOCUMENT_CHARACTERS_MAX) throw malformedDocument('It is too large');
  let value: Json;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new SaharaError('malformed', { reason: 'It is no JSON' }, { cause });
  }
  if (!isObject(value)) throw malformedDocument('It is no object');
  checkDepth(value, DOCUMENT_DEPTH_MAX);
  return value;
}

/** Whether a value is an object with members. */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function checkDepth(value: Json, left: number): void {
  if (typeof value !== 'object' || value === null) return;
  if (left === 0) throw malformedDocument('It is nested too deeply');
  for (const inner of Object.values(value)) checkDepth(inner, left - 1);
}

/** SHA-256 of the proof's configuration, then of the document: what the signature covers, 64 bytes. */
function hashData(suite: Suite, document: JsonObject, configuration: JsonObject): Uint8Array {
  return concat(suite.sha256(canonicalJson(configuration)), suite.sha256(canonicalJson(document)));
}

function methodOf(key: PublicKey): string {
  const did = didOf(key);
  return `${did}#${did.slice('did:key:'.length)}`;
}

function keyOfMethod(method: Json | undefined): PublicKey | undefined {
  if (typeof method !== 'string') return undefined;
  const [did = '', fragment] = method.split('#');
  return fragment === did.slice('did:key:'.length) ? publicKeyOf(did) : undefined;
}

/** A proof without a context is of any; one with a context of that one alone, which is stricter than a beginning of it. */
function sameContext(proof: Json | undefined, document: Json | undefined): boolean {
  if (proof === undefined) return true;
  if (document === undefined) return false;
  return canonicalize(proof) === canonicalize(document);
}

function malformedDocument(reason: string): SaharaError {
  return new SaharaError('malformed', { reason });
}
