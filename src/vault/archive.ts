/**
 * A vault as one file for those who hold a grant of it. Every document is sealed under a key of its own, wrapped under
 * the key of the epoch in which it came: a grant opens what came up to its epoch and nothing later. The end is signed
 * by the owner over everything before it. `spec/knowledge.md` (KNOW-111 to KNOW-114) is normative.
 */
import { createHash, type Hash } from 'node:crypto';
import { concat, u32be, utf8 } from '../base/bytes.ts';
import type { Dice } from '../base/random.ts';
import type { PublicKey } from '../protocol/ids.ts';
import { bytes, bytesUpTo, list, optional, record, type Schema, text, uint } from '../protocol/schema.ts';
import type { Signer } from '../protocol/suite.ts';
import { commitmentHash } from './commitment.ts';
import { type DocumentRecord, documentRecord } from './document.ts';
import { GRANT_BYTES_MAX } from './grant-file.ts';
import { CHUNK_BYTES_MAX, TITLE_BYTES_MAX } from './limits.ts';
import { seal } from './sealed/aead.ts';
import { VAULT_KEY_BYTES, wrappingContext, wrappingKey } from './sealed/key-tree.ts';
import type { Vault } from './vault.ts';

/** First bytes of an archive. */
export const ARCHIVE_MAGIC: Uint8Array = utf8('sahara-vault-archive/1\n');
/** Kinds of frame. */
export const ARCHIVE_FRAME = { header: 1, document: 2, passages: 3, end: 4 } as const;
/** Passages of one frame. */
export const ARCHIVE_PASSAGES = 256;
const SIGNED = utf8('sahara/1/vault-archive');

/** What stands in front of an archive. */
export interface ArchiveHeader {
  /** 16 random bytes. */
  readonly archive: Uint8Array;
  readonly vault: Uint8Array;
  readonly name: string;
  readonly owner: PublicKey;
  readonly signer: PublicKey;
  readonly createdAtMs: number;
  readonly documents: number;
  /** Hash of the vault's commitment (KNOW-8). */
  readonly commitment: Uint8Array;
  /** A grant for one reader. */
  readonly grant: Uint8Array | undefined;
}

/** Its form in the file. */
export const archiveHeader: Schema<ArchiveHeader> = record('vault-archive-header', {
  archive: bytes(16),
  vault: bytes(16),
  name: text(64),
  owner: bytes(32),
  signer: bytes(32),
  createdAtMs: uint(),
  documents: uint(),
  commitment: bytes(32),
  grant: optional(bytesUpTo(GRANT_BYTES_MAX)),
});

/** Some passages of a document, as they were cut. */
export const passagesRecord: Schema<{ readonly passages: readonly ArchivePassage[] }> = record(
  'vault-archive-passages',
  {
    passages: list(
      record('vault-archive-passage', {
        title: text(TITLE_BYTES_MAX),
        text: text(CHUNK_BYTES_MAX),
        start: uint(),
        end: uint(),
      }),
      ARCHIVE_PASSAGES,
    ),
  },
);

/** One passage of an archive. */
export interface ArchivePassage {
  readonly title: string;
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** What stands at the end: the hash of everything before, and the owner's signature over it. */
export const endRecord: Schema<{ readonly hash: Uint8Array; readonly signature: Uint8Array }> = record(
  'vault-archive-end',
  { hash: bytes(32), signature: bytes(64) },
);

/** What an archive is written with. */
export interface ArchiveParts {
  readonly vault: Vault;
  readonly name: string;
  readonly owner: PublicKey;
  readonly signer: Pick<Signer, 'sign'> & { readonly signing: PublicKey };
  readonly dice: Dice;
  readonly nowMs: number;
  /** A grant to send along. */
  readonly grant?: Uint8Array;
}

/** What is authenticated with a sealed part: the archive and the number of its frame. */
export function frameContext(archive: Uint8Array, frame: number): Uint8Array {
  return concat(archive, u32be(frame));
}

/** What the owner signs. */
export function archiveMessage(hash: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(SIGNED.length), SIGNED, hash);
}

/** The bytes of an archive, piece by piece. `onDocument` is told of each document that is in it. */
export async function* writeArchive(
  parts: ArchiveParts,
  onDocument: (document: DocumentRecord) => void = () => {},
): AsyncGenerator<Uint8Array> {
  const { vault, signer, dice, name, owner, grant } = parts;
  const archive = dice.bytes(16);
  const hash = createHash('sha256');
  const header = archiveHeader.encode({
    archive,
    vault: vault.keys?.id ?? new Uint8Array(16),
    name,
    owner,
    signer: signer.signing,
    createdAtMs: parts.nowMs,
    documents: vault.stats().documents,
    commitment: commitmentHash(await vault.commitment()),
    grant,
  });
  yield hashed(hash, ARCHIVE_MAGIC);
  yield hashed(hash, frame(ARCHIVE_FRAME.header, header));
  let number = 1;
  for await (const document of vault.documents()) {
    for await (const [kind, body] of sealedDocument(parts, document, () => frameContext(archive, number))) {
      yield hashed(hash, frame(kind, body));
      number++;
    }
    onDocument(document);
  }
  const digest = new Uint8Array(hash.digest());
  const signature = signer.sign(archiveMessage(digest));
  yield frame(ARCHIVE_FRAME.end, endRecord.encode({ hash: digest, signature }));
}

async function* sealedDocument(
  { vault, dice }: ArchiveParts,
  document: DocumentRecord,
  context: () => Uint8Array,
): AsyncGenerator<readonly [kind: number, body: Uint8Array]> {
  const { keys } = vault;
  if (keys === undefined) return;
  const epoch = await vault.epochOf(document);
  const key = dice.bytes(VAULT_KEY_BYTES);
  const place = context();
  const wrapped = seal(wrappingKey(keys.epoch(epoch)), wrappingContext(place, epoch), key, dice);
  const opened = seal(key, place, documentRecord.encode(document), dice);
  yield [ARCHIVE_FRAME.document, concat(u32be(epoch), wrapped, opened)];
  let passages: ArchivePassage[] = [];
  const flush = (): readonly [kind: number, body: Uint8Array] => {
    const body = seal(key, context(), passagesRecord.encode({ passages }), dice);
    passages = [];
    return [ARCHIVE_FRAME.passages, body];
  };
  for await (const { title, text: body, start, end } of vault.passages(document)) {
    passages.push({ title, text: body, start, end });
    if (passages.length === ARCHIVE_PASSAGES) yield flush();
  }
  if (passages.length > 0) yield flush();
}

function frame(kind: number, body: Uint8Array): Uint8Array {
  return concat(u32be(1 + body.length), Uint8Array.of(kind), body);
}

function hashed(hash: Hash, piece: Uint8Array): Uint8Array {
  hash.update(piece);
  return piece;
}
