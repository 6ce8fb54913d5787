/** What a chunk and a document are, and how their content names them. `spec/knowledge.md` is normative. */
import { Writer } from '../protocol/codec.ts';
import { bytes, optional, record, type Schema, text, uint } from '../protocol/schema.ts';
import { domainSha256 } from './hash.ts';
import { CHUNK_BYTES_MAX, LICENCE_BYTES_MAX, TITLE_BYTES_MAX } from './limits.ts';

/** Scheme of content ids: 1 is SHA-256 under a domain. Another hash takes another number. */
export const ID_SCHEME = 1;

/** Whose knowledge something is, and on what terms. */
export interface Provenance {
  /** Contributor's Ed25519 public key, 32 bytes. */
  readonly contributor: Uint8Array;
  /** Asset on the ledger that earns for it, 32 bytes; absent when the contributor registered none. */
  readonly contribution: Uint8Array | undefined;
  /** Licence text or SPDX name; may be empty. */
  readonly licence: string;
}

/** What a chunk's id covers: enough to recompute it from a quoted source alone. */
export interface ChunkContent extends Provenance {
  /** Headings above the chunk, outermost first, joined by " > ". */
  readonly title: string;
  /** The chunk, verbatim out of the document's extracted text. */
  readonly text: string;
}

/** One passage of a document. */
export interface Chunk extends ChunkContent {
  /** Content id, 32 bytes. */
  readonly id: Uint8Array;
  /** Document it stands in, 32 bytes. */
  readonly document: Uint8Array;
  /** Position among the chunks of the document, from 0. */
  readonly ordinal: number;
  /** Where it stands in the document's extracted text, UTF-8 bytes, end excluded. */
  readonly start: number;
  readonly end: number;
}

const provenanceFields = {
  contributor: bytes(32),
  contribution: optional(bytes(32)),
  licence: text(LICENCE_BYTES_MAX),
} as const;

/** What a chunk's id covers. */
export const chunkContent: Schema<ChunkContent & { readonly scheme: number }> = record('chunk-content', {
  scheme: uint(255),
  title: text(TITLE_BYTES_MAX),
  text: text(CHUNK_BYTES_MAX),
  ...provenanceFields,
});

const documentContent = record('document-content', {
  scheme: uint(255),
  mediaType: text(64),
  contentHash: bytes(32),
  ...provenanceFields,
});

/** The stored form of a chunk. */
export const chunkRecord: Schema<Chunk> = record('chunk', {
  id: bytes(32),
  document: bytes(32),
  ordinal: uint(),
  start: uint(),
  end: uint(),
  title: text(TITLE_BYTES_MAX),
  text: text(CHUNK_BYTES_MAX),
  ...provenanceFields,
});

/** Content id of a chunk: SHA-256 under `sahara/1/chunk` of scheme, title, text and provenance. */
export function chunkId(content: ChunkContent): Uint8Array {
  const { title, text, contributor, contribution, licence } = content;
  const writer = new Writer();
  chunkContent.write(writer, { scheme: ID_SCHEME, title, text, contributor, contribution, licence });
  // There is one for each passage: a copy of its text to be hashed costs more than the hash.
  return writer.lend((encoded) => domainSha256('sahara/1/chunk', encoded));
}

/** Content id of a document: SHA-256 under `sahara/1/document` of scheme, media type, content hash and provenance. */
export function documentId(
  content: Provenance & { readonly mediaType: string; readonly contentHash: Uint8Array },
): Uint8Array {
  return domainSha256('sahara/1/document', documentContent.encode({ ...content, scheme: ID_SCHEME }));
}
