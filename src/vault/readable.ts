/** A vault as JSON Lines for people and programs: a head, then a document with its passages on each line. */
import { fromHex, toHex } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import { didOf, publicKeyOf } from '../protocol/ids.ts';
import { ARCHIVE_PASSAGES, type ArchivePassage, passagesRecord } from './archive.ts';
import type { ArchivedDocument } from './archive-reader.ts';
import { commitmentHash } from './commitment.ts';
import { type DocumentRecord, documentRecord } from './document.ts';
import { isObject } from './extract/json.ts';
import { DOCUMENT_CHUNKS_MAX, READABLE_LINE_BYTES_MAX } from './limits.ts';
import type { Vault } from './vault.ts';

const FORMAT = 'sahara-vault/1';

/** The lines of a vault, without their line feeds. */
export async function* writeReadable(
  vault: Vault,
  name: string,
  onDocument: (document: DocumentRecord) => void = () => {},
): AsyncGenerator<string> {
  const { documents } = vault.stats();
  const commitment = toHex(commitmentHash(await vault.commitment()));
  yield JSON.stringify({ format: FORMAT, name, documents, commitment });
  for await (const document of vault.documents()) {
    const passages: ArchivePassage[] = [];
    for await (const { title, text, start, end } of vault.passages(document)) {
      passages.push({ title, text, start, end });
    }
    const {
      id,
      contentHash,
      contributor,
      contribution,
      firstChunk: _first,
      chunks: _chunks,
      ...rest
    } = document;
    yield JSON.stringify({
      id: toHex(id),
      contentHash: toHex(contentHash),
      contributor: didOf(contributor),
      contribution: contribution === undefined ? null : toHex(contribution),
      ...rest,
      passages,
    });
    onDocument(document);
  }
}

/** The documents of such lines. Throws `archive-invalid` with the number of the line. */
export async function* readReadable(lines: AsyncIterable<string>): AsyncGenerator<ArchivedDocument> {
  let number = 0;
  for await (const line of lines) {
    number++;
    const value = parse(line, number);
    if (number === 1) {
      if (value.format !== FORMAT) throw invalid(1, 'it is no export of a vault');
    } else yield documentOf(value, number);
  }
  if (number === 0) throw invalid(1, 'it is empty');
}

function parse(line: string, number: number): Readonly<Record<string, unknown>> {
  if (line.length > READABLE_LINE_BYTES_MAX) throw invalid(number, 'it is too long');
  try {
    const value: unknown = JSON.parse(line);
    if (isObject(value)) return value;
  } catch {
    // Told below.
  }
  throw invalid(number, 'it is no JSON object');
}

function documentOf(value: Readonly<Record<string, unknown>>, number: number): ArchivedDocument {
  try {
    const { passages: listed, id: _id, contentHash, contributor, contribution, ...rest } = value;
    const found = Array.isArray(listed) ? listed : [];
    if (found.length > DOCUMENT_CHUNKS_MAX) throw invalid(number, 'it has too many passages');
    const bytesOf = (text: unknown): Uint8Array | undefined =>
      typeof text === 'string' ? fromHex(text) : undefined;
    const given = {
      ...rest,
      // The vault that keeps it gives it its own id and numbers.
      id: new Uint8Array(32),
      firstChunk: 0,
      chunks: found.length,
      contentHash: bytesOf(contentHash),
      contributor: typeof contributor === 'string' ? publicKeyOf(contributor) : undefined,
      contribution: bytesOf(contribution),
    };
    // The records check every field; what they refuse is the file's fault.
    const document = documentRecord.decode(documentRecord.encode(given as unknown as DocumentRecord));
    const passages: ArchivePassage[] = [];
    for (let at = 0; at < found.length; at += ARCHIVE_PASSAGES) {
      const encoded = passagesRecord.encode({ passages: found.slice(at, at + ARCHIVE_PASSAGES) });
      for (const passage of passagesRecord.decode(encoded).passages) passages.push(passage);
    }
    return { document, passages };
  } catch (error) {
    if (error instanceof SaharaError && error.code === 'archive-invalid') throw error;
    throw invalid(number, 'a field of it is missing or wrong');
  }
}

function invalid(line: number, reason: string): SaharaError {
  return new SaharaError('archive-invalid', { reason: `line ${line}: ${reason}` });
}
