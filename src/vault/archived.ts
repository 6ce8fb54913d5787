import type { ArchivedDocument } from './archive-reader.ts';
import type { PreparedDocument } from './transaction.ts';

/** A document that left a vault, ready to be kept by another one, under each of its names. */
export function preparedFrom({ document, passages }: ArchivedDocument): PreparedDocument[] {
  const { names, mediaType, contributor, contribution, licence, ...rest } = document;
  const { contentHash, sizeBytes, textBytes, consent } = rest;
  const provenance = { contributor, contribution, licence };
  const extracted = { mediaType, chunks: passages };
  return names.map((name) => ({
    ...{ name, contentHash, sizeBytes, textBytes, consent, provenance, extracted },
  }));
}
