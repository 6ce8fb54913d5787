/**
 * Import as a pipeline of async iterables: walk, read, extract, keep. Each stage pulls from the one before, so one
 * document is in memory at a time, plus the batch that is about to be written. A refused file is an event, not the
 * end; what is reported as kept is on disk.
 */
import { open } from 'node:fs/promises';
import { pipe } from 'it-pipe';
import { SaharaError } from '../base/errors.ts';
import type { Provenance } from './chunk.ts';
import type { DocumentRecord } from './document.ts';
import { extractDocument } from './extract/extract.ts';
import { tooLarge, unreadable } from './extract/refusals.ts';
import { sha256 } from './hash.ts';
import { BATCH_CHUNKS_MAX, BATCH_DOCUMENTS_MAX, BATCH_TEXT_BYTES_MAX, FILE_BYTES_MAX } from './limits.ts';
import type { Outcome, PreparedDocument } from './transaction.ts';
import { codeOf, type Found, walk } from './walk.ts';

/** A document in memory. */
export interface SourceDocument {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** What a server or a user said it is; the content has the last word. */
  readonly mediaType?: string;
  readonly provenance: Provenance;
  /** How those whose words it holds agreed; needed for chats. Default: nothing is stated. */
  readonly consent?: string | undefined;
}

/** What an import reports, in order; `done` comes last. */
export type ImportEvent =
  /** What there is to do. */
  | { readonly type: 'started'; readonly files: number; readonly sizeBytes: number }
  /** A file that is kept, and on disk. */
  | {
      readonly type: 'kept';
      readonly name: string;
      readonly outcome: Outcome;
      readonly chunks: number;
      readonly sizeBytes: number;
    }
  /** A file that cannot be read, and why. */
  | { readonly type: 'refused'; readonly name: string; readonly error: SaharaError }
  | { readonly type: 'done'; readonly counts: ImportCounts };

/** Totals of an import. */
interface ImportCounts {
  readonly added: number;
  readonly replaced: number;
  readonly unchanged: number;
  readonly named: number;
  readonly refused: number;
  readonly chunks: number;
}

/** Where an import keeps documents. */
export interface ImportTarget {
  /** Whether exactly this file is already kept under its name; its chunks if so. */
  known(name: string, contentHash: Uint8Array, provenance: Provenance): Promise<DocumentRecord | undefined>;
  /** Keeps all of `documents` in one atomic batch. */
  keep(
    documents: readonly PreparedDocument[],
  ): Promise<readonly { outcome: Outcome; document: DocumentRecord }[]>;
}

type Refused = Extract<ImportEvent, { type: 'refused' }>;
type ReadFile = { readonly type: 'read'; readonly name: string; readonly bytes: Uint8Array };
type Ready =
  | { readonly type: 'ready'; readonly document: PreparedDocument }
  | { readonly type: 'same'; readonly document: DocumentRecord; readonly name: string };

/** Options of a folder import. */
export interface ImportOptions {
  /** Stops the import between documents; what was reported as kept stays. */
  readonly signal?: AbortSignal;
  /** How those whose words the files hold agreed; needed for chats. */
  readonly consent?: string | undefined;
}

/** Imports the file or folder at `path`. Errors: `file-missing`; `cancelled` when the signal aborts. */
export async function* importPath(
  target: ImportTarget,
  source: { readonly path: string; readonly provenance: Provenance },
  options: ImportOptions = {},
): AsyncGenerator<ImportEvent> {
  const { signal } = options;
  try {
    yield await survey(source.path, signal);
    const counts = { added: 0, replaced: 0, unchanged: 0, named: 0, refused: 0, chunks: 0 };
    const found = walk(source.path, signal === undefined ? {} : { signal });
    const terms = { provenance: source.provenance, consent: options.consent };
    const events = importFiles(target, found, terms);
    for await (const event of events) {
      signal?.throwIfAborted();
      if (event.type === 'refused') counts.refused++;
      if (event.type === 'kept') {
        counts[event.outcome]++;
        counts.chunks += event.chunks;
      }
      yield event;
    }
    yield { type: 'done', counts };
  } catch (error) {
    if (signal?.aborted) throw new SaharaError('cancelled', {}, { cause: error });
    throw error;
  }
}

/** Reads and keeps the files of `found`; tells of each, in order but for refused ones, which may come sooner. */
export function importFiles(
  target: ImportTarget,
  found: AsyncIterable<Found>,
  terms: Pick<SourceDocument, 'provenance' | 'consent'>,
): AsyncGenerator<Extract<ImportEvent, { type: 'kept' | 'refused' }>> {
  return pipe(
    found,
    (files) => readEach(files),
    (files) => extractEach(files, target, terms),
    (documents) => keepEach(documents, target),
  );
}

/** Reads one document into what a vault keeps. Errors as `extractDocument`. */
export async function prepare(source: SourceDocument): Promise<PreparedDocument> {
  const { name, bytes, provenance, consent = '' } = source;
  const extracted = await extractDocument(source);
  const textBytes = Buffer.byteLength(extracted.text);
  return {
    name,
    contentHash: sha256(bytes),
    sizeBytes: bytes.length,
    textBytes,
    provenance,
    consent,
    extracted,
  };
}

async function survey(path: string, signal: AbortSignal | undefined): Promise<ImportEvent> {
  let files = 0;
  let sizeBytes = 0;
  for await (const found of walk(path, signal === undefined ? {} : { signal })) {
    files++;
    if (found.type === 'file') sizeBytes += found.sizeBytes;
  }
  return { type: 'started', files, sizeBytes };
}

async function* readEach(files: AsyncIterable<Found>): AsyncGenerator<ReadFile | Refused> {
  for await (const found of files) {
    if (found.type === 'refused') {
      yield found;
      continue;
    }
    try {
      yield { type: 'read', name: found.name, bytes: await readFile(found) };
    } catch (error) {
      yield refusal(found.name, error);
    }
  }
}

async function readFile(found: Extract<Found, { type: 'file' }>): Promise<Uint8Array> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    file = await open(found.path, 'r');
  } catch (error) {
    throw unreadable(found.name, codeOf(error), 'check the permissions of the file');
  }
  try {
    const { size } = await file.stat();
    if (size > FILE_BYTES_MAX) throw tooLarge(found.name, size, FILE_BYTES_MAX);
    // A file that grows meanwhile is read up to the size it had.
    const bytes = new Uint8Array(size);
    let length = 0;
    while (length < size) {
      const { bytesRead } = await file.read(bytes, length, size - length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return bytes.subarray(0, length);
  } finally {
    await file.close();
  }
}

async function* extractEach(
  files: AsyncIterable<ReadFile | Refused>,
  target: ImportTarget,
  terms: Pick<SourceDocument, 'provenance' | 'consent'>,
): AsyncGenerator<Ready | Refused> {
  for await (const file of files) {
    if (file.type === 'refused') {
      yield file;
      continue;
    }
    const { name, bytes } = file;
    try {
      const known = await target.known(name, sha256(bytes), terms.provenance);
      if (known !== undefined) yield { type: 'same', name, document: known };
      else yield { type: 'ready', document: await prepare({ name, bytes, ...terms }) };
    } catch (error) {
      yield refusal(name, error);
    }
  }
}

async function* keepEach(
  documents: AsyncIterable<Ready | Refused>,
  target: ImportTarget,
): AsyncGenerator<Extract<ImportEvent, { type: 'kept' | 'refused' }>> {
  let batch: PreparedDocument[] = [];
  let chunks = 0;
  let textBytes = 0;
  const flush = async function* (): AsyncGenerator<Extract<ImportEvent, { type: 'kept' }>> {
    const names = batch.map(({ name }) => name);
    const results = await target.keep(batch);
    batch = [];
    chunks = 0;
    textBytes = 0;
    for (const [i, { outcome, document }] of results.entries()) {
      yield kept(names[i] ?? '', outcome, document);
    }
  };
  for await (const item of documents) {
    if (item.type === 'refused') yield item;
    else if (item.type === 'same') yield kept(item.name, 'unchanged', item.document);
    else {
      batch.push(item.document);
      chunks += item.document.extracted.chunks.length;
      textBytes += item.document.textBytes;
      const full = batch.length >= BATCH_DOCUMENTS_MAX || chunks >= BATCH_CHUNKS_MAX;
      if (full || textBytes >= BATCH_TEXT_BYTES_MAX) yield* flush();
    }
  }
  if (batch.length > 0) yield* flush();
}

function kept(
  name: string,
  outcome: Outcome,
  document: DocumentRecord,
): Extract<ImportEvent, { type: 'kept' }> {
  return { type: 'kept', name, outcome, chunks: document.chunks, sizeBytes: document.sizeBytes };
}

function refusal(name: string, error: unknown): Refused {
  if (error instanceof SaharaError && error.code.startsWith('document-')) {
    return { type: 'refused', name, error };
  }
  throw error;
}
