/** Reads a vault that was written unsealed, whatever its index was like, into another one. */
import type { Store } from '../base/store.ts';
import { bytes, list, optional, record, type Schema, text, u32, uint } from '../protocol/schema.ts';
import { chunkRecord } from './chunk.ts';
import type { DocumentRecord } from './document.ts';
import { headRecord } from './head.ts';
import { chunkKey, documentRange, HEAD_KEY } from './keys.ts';
import { BATCH_DOCUMENTS_MAX } from './limits.ts';
import type { PreparedDocument } from './transaction.ts';
import type { Vault } from './vault.ts';

/** A document as vaults kept it before they were sealed. */
export const openDocument: Schema<Omit<DocumentRecord, 'consent'>> = record('open-document', {
  id: bytes(32),
  mediaType: text(64),
  contentHash: bytes(32),
  names: list(text(512), 1024),
  firstChunk: u32,
  chunks: u32,
  sizeBytes: uint(),
  textBytes: uint(),
  importedAtMs: uint(),
  contributor: bytes(32),
  contribution: optional(bytes(32)),
  licence: text(128),
});

/** Whether `store` holds a vault that is not sealed: its records can be read as they stand. */
export async function isOpenVault(store: Store): Promise<boolean> {
  for await (const [, value] of store.entries({ ...documentRange(), limit: 1 })) {
    return decodes(openDocument, value);
  }
  const head = await store.get(HEAD_KEY);
  return head !== undefined && decodes(headRecord, head);
}

function decodes(schema: Schema<unknown>, value: Uint8Array): boolean {
  try {
    schema.decode(value);
    return true;
  } catch {
    return false;
  }
}

/** Keeps in `vault` every document of the open vault in `from`, under all names. Throws `store-corrupt`. */
export async function copyOpenVault(from: Store, vault: Pick<Vault, 'keep'>): Promise<void> {
  let batch: PreparedDocument[] = [];
  for await (const [, value] of from.entries(documentRange())) {
    const { names, firstChunk, chunks, mediaType, ...document } = openDocument.decode(value.slice());
    const passages = [];
    for (let number = firstChunk; number < firstChunk + chunks; number++) {
      const stored = await from.get(chunkKey(number));
      if (stored !== undefined) passages.push(chunkRecord.decode(stored));
    }
    const { contributor, contribution, licence, contentHash, sizeBytes, textBytes } = document;
    const provenance = { contributor, contribution, licence };
    const extracted = { mediaType, chunks: passages };
    for (const name of names)
      batch.push({ name, contentHash, sizeBytes, textBytes, provenance, consent: '', extracted });
    if (batch.length < BATCH_DOCUMENTS_MAX) continue;
    await vault.keep(batch);
    batch = [];
  }
  if (batch.length > 0) await vault.keep(batch);
}
