/** Reads archives: first whether all of one is there and its owner's, then what a grant opens of it. */
import { createHash } from 'node:crypto';
import { concat, equalBytes } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import {
  ARCHIVE_FRAME,
  ARCHIVE_MAGIC,
  type ArchiveHeader,
  type ArchivePassage,
  archiveHeader,
  archiveMessage,
  endRecord,
  frameContext,
  passagesRecord,
} from './archive.ts';
import { type DocumentRecord, documentRecord } from './document.ts';
import type { OpenedGrant, SignsFor } from './grant-file.ts';
import { ARCHIVE_FRAME_BYTES_MAX } from './limits.ts';
import { open, SEALED_EXTRA_BYTES } from './sealed/aead.ts';
import { VAULT_KEY_BYTES, wrappingContext, wrappingKey } from './sealed/key-tree.ts';

/** The bytes of an archive, from its beginning each time. */
export type ArchiveSource = () => AsyncIterable<Uint8Array>;

/** A document out of an archive. */
export interface ArchivedDocument {
  readonly document: DocumentRecord;
  readonly passages: readonly ArchivePassage[];
}

/** Reads an archive to its end. Throws `archive-invalid` unless it is whole and signed by its owner. */
export async function checkArchive(source: ArchiveSource, signsFor: SignsFor): Promise<ArchiveHeader> {
  const hash = createHash('sha256').update(ARCHIVE_MAGIC);
  let header: ArchiveHeader | undefined;
  let ended = false;
  for await (const { kind, body, raw } of framesOf(source())) {
    if (ended) throw invalid('something stands behind its end');
    if (header === undefined) {
      if (kind !== ARCHIVE_FRAME.header) throw invalid('it does not begin like one');
      header = decoded(() => archiveHeader.decode(body));
      if (!signsFor(header.owner, header.signer)) throw invalid('its signature is not its owner’s');
    }
    if (kind === ARCHIVE_FRAME.end) {
      const end = decoded(() => endRecord.decode(body));
      const digest = new Uint8Array(hash.digest());
      const sound =
        equalBytes(end.hash, digest) &&
        nativeSuite.verify(header.signer, archiveMessage(digest), end.signature);
      if (!sound) throw invalid('it was changed, or its signature is not its owner’s');
      ended = true;
    } else hash.update(raw);
  }
  if (header === undefined || !ended) throw invalid('it is cut short');
  return header;
}

/**
 * The documents of a checked archive that `grant` opens; the others are counted by `onLater`. Throws `archive-invalid`,
 * also for a grant of another vault.
 */
export async function* openArchive(
  source: ArchiveSource,
  grant: OpenedGrant,
  onLater: () => void,
): AsyncGenerator<ArchivedDocument> {
  let number = 0;
  let header: ArchiveHeader | undefined;
  let open:
    | { readonly document: DocumentRecord; readonly key: Uint8Array; passages: ArchivePassage[] }
    | undefined;
  for await (const { kind, body } of framesOf(source())) {
    if (header === undefined) {
      header = decoded(() => archiveHeader.decode(body));
      if (!equalBytes(header.vault, grant.terms.vault)) throw invalid('the grant is of another vault');
    } else if (kind === ARCHIVE_FRAME.passages) {
      const { passages } = open === undefined ? { passages: [] } : unseal(open.key, header, number, body);
      for (const passage of passages) open?.passages.push(passage);
    } else {
      if (open !== undefined) yield open;
      open = kind === ARCHIVE_FRAME.document ? openDocument(grant, header, number, body) : undefined;
      if (kind === ARCHIVE_FRAME.document && open === undefined) onLater();
    }
    number++;
  }
  if (open !== undefined) yield open;
}

function openDocument(
  grant: OpenedGrant,
  { archive }: ArchiveHeader,
  number: number,
  body: Uint8Array,
): { document: DocumentRecord; key: Uint8Array; passages: ArchivePassage[] } | undefined {
  const sealedAt = 4 + VAULT_KEY_BYTES + SEALED_EXTRA_BYTES;
  if (body.length < sealedAt) throw invalid('a document in it is cut short');
  const epoch = new DataView(body.buffer, body.byteOffset).getUint32(0);
  const epochKey = grant.epochKey(epoch);
  if (epochKey === undefined) return undefined;
  const place = frameContext(archive, number);
  const key = open(wrappingKey(epochKey), wrappingContext(place, epoch), body.subarray(4, sealedAt));
  const plain = key && open(key, place, body.subarray(sealedAt));
  if (key === undefined || plain === undefined) throw invalid('the grant does not open it');
  return { document: decoded(() => documentRecord.decode(plain)), key, passages: [] };
}

function unseal(
  key: Uint8Array,
  { archive }: ArchiveHeader,
  number: number,
  body: Uint8Array,
): { readonly passages: readonly ArchivePassage[] } {
  const plain = open(key, frameContext(archive, number), body);
  if (plain === undefined) throw invalid('a document in it was changed');
  return decoded(() => passagesRecord.decode(plain));
}

interface Frame {
  readonly kind: number;
  readonly body: Uint8Array;
  /** The whole frame with its length. */
  readonly raw: Uint8Array;
}

async function* framesOf(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Frame> {
  let held: Uint8Array = new Uint8Array(0);
  let begun = false;
  for await (const piece of pieces) {
    held = held.length === 0 ? piece : concat(held, piece);
    if (!begun) {
      if (held.length < ARCHIVE_MAGIC.length) continue;
      if (!equalBytes(held.subarray(0, ARCHIVE_MAGIC.length), ARCHIVE_MAGIC)) {
        throw invalid('it does not begin like one');
      }
      held = held.subarray(ARCHIVE_MAGIC.length);
      begun = true;
    }
    for (;;) {
      const length = held.length < 4 ? undefined : new DataView(held.buffer, held.byteOffset).getUint32(0);
      if (length === undefined) break;
      if (length < 1 || length > ARCHIVE_FRAME_BYTES_MAX) throw invalid('a part of it has no sound length');
      if (held.length < 4 + length) break;
      const raw = held.slice(0, 4 + length);
      yield { kind: raw[4] ?? 0, body: raw.subarray(5), raw };
      held = held.subarray(4 + length);
    }
  }
  if (!begun || held.length > 0) throw invalid('it is cut short');
}

function decoded<T>(read: () => T): T {
  try {
    return read();
  } catch {
    throw invalid('a part of it cannot be read');
  }
}

function invalid(reason: string): SaharaError {
  return new SaharaError('archive-invalid', { reason });
}
