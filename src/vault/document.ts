import { bytes, list, optional, record, type Schema, text, u32, uint } from '../protocol/schema.ts';
import type { Provenance } from './chunk.ts';
import { CONSENT_BYTES_MAX, LICENCE_BYTES_MAX, NAME_BYTES_MAX } from './limits.ts';

/** Most names under which one content is kept. */
export const DOCUMENT_NAMES_MAX = 1024;

/** A document as the vault keeps it. */
export interface DocumentRecord extends Provenance {
  /** Content id, 32 bytes. */
  readonly id: Uint8Array;
  readonly mediaType: string;
  /** SHA-256 of the file. */
  readonly contentHash: Uint8Array;
  /** Names that it was imported under, oldest first. */
  readonly names: readonly string[];
  /** Number of its first chunk; the others follow. */
  readonly firstChunk: number;
  readonly chunks: number;
  /** Size of the file and of the text extracted from it, bytes. */
  readonly sizeBytes: number;
  readonly textBytes: number;
  readonly importedAtMs: number;
  /** How those whose words it holds agreed to the import, as whoever imported it stated; may be empty. */
  readonly consent: string;
}

/** The stored form of a document. */
export const documentRecord: Schema<DocumentRecord> = record('document', {
  id: bytes(32),
  mediaType: text(64),
  contentHash: bytes(32),
  names: list(text(NAME_BYTES_MAX), DOCUMENT_NAMES_MAX),
  firstChunk: u32,
  chunks: u32,
  sizeBytes: uint(),
  textBytes: uint(),
  importedAtMs: uint(),
  contributor: bytes(32),
  contribution: optional(bytes(32)),
  licence: text(LICENCE_BYTES_MAX),
  consent: text(CONSENT_BYTES_MAX),
});
