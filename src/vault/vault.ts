/**
 * A store of knowledge: documents in, passages with content ids and owners out, a search over them, and a commitment
 * that a dataset asset on the ledger can carry. Every change of a document is one atomic, synced batch, so a crash at
 * any moment leaves the vault as it was before or after it. One process writes; searches run beside.
 */
import type { Clock } from '../base/clock.ts';
import { type Dice, systemDice } from '../base/random.ts';
import type { Store } from '../base/store.ts';
import type { MerklePath } from '../protocol/merkle.ts';
import { type AccessLog, openAccessLog } from './access-log.ts';
import { type Books, createBooks } from './books.ts';
import type { Chunk, Provenance } from './chunk.ts';
import { plainCodec, type VaultCodec } from './codec.ts';
import type { Commitment, TermProof } from './commitment.ts';
import type { DocumentRecord } from './document.ts';
import { GrantBook } from './grants.ts';
import { checkHead, EMPTY_HEAD, headRecord } from './head.ts';
import type { ImportEvent, ImportOptions, ImportTarget, SourceDocument } from './import.ts';
import { HEAD_KEY } from './keys.ts';
import { LabelBook } from './labels.ts';
import { type RenewalProgress, renewIndex } from './renewal.ts';
import { sealedCodec } from './sealed/codec.ts';
import { plainItems, sealedItems } from './sealed/items.ts';
import type { VaultKeys } from './sealed/key-tree.ts';
import type { Embedder } from './search/embedder.ts';
import type { CorpusStats } from './search/score.ts';
import type { Corpus, SearchQuery, SearchResult } from './search/search.ts';
import { SearchIndex } from './search/search-index.ts';
import type { VectorIndex } from './search/vectors.ts';
import { StoredVault } from './stored-vault.ts';
import type { Outcome } from './transaction.ts';

/** Options of a vault. */
export interface VaultOptions {
  /** Keys under which everything is sealed. Default: nothing is sealed, for vaults in memory and tests. */
  readonly keys: VaultKeys | undefined;
  /** How keys and values stand at rest where there are no `keys`. Default: as they are. */
  readonly codec: VaultCodec;
  /** Where item keys and nonces come from. Default: the operating system. */
  readonly dice: Dice;
  /** Memory for decoded postings, bytes. Default 64 MiB, minimum 0. */
  readonly postingsCacheBytes: number;
  /** Is told how far an index of older rules is written anew, before each step. Default: nobody is. */
  readonly onRenewal: ((progress: RenewalProgress) => void) | undefined;
  /** Stops that; the next start goes on there. Default: nothing does. */
  readonly signal: AbortSignal | undefined;
}

/** What `openVault` uses where nothing is said. */
const VAULT_DEFAULTS: VaultOptions = {
  keys: undefined,
  codec: plainCodec,
  dice: systemDice,
  postingsCacheBytes: 67_108_864,
  onRenewal: undefined,
  signal: undefined,
};

/** What a vault holds. */
export interface VaultStats extends CorpusStats {
  readonly documents: number;
  /** Rises with every change. */
  readonly generation: number;
}

/** A store of knowledge. */
export interface Vault extends Corpus, ImportTarget {
  stats(): VaultStats;
  /** Keeps one document. Errors: `document-unsupported`, `document-too-large`, `document-unreadable`. */
  importDocument(document: SourceDocument): Promise<{ outcome: Outcome; document: DocumentRecord }>;
  /** Keeps the file or every readable file of the folder at `path`; see `ImportEvent`. Errors: `file-missing`, `cancelled`. */
  importPath(path: string, provenance: Provenance, options?: ImportOptions): AsyncIterable<ImportEvent>;
  /** Removes the document of that name; false when there is none. What was on disk of it goes with time: see `forget`. */
  remove(name: string): Promise<boolean>;
  /** The document of that name. */
  document(name: string): Promise<DocumentRecord | undefined>;
  /**
   * Destroys the document of that name for good, under all its names: its key and its passages are off the disk when
   * this resolves. The rest, which nothing opens any more but the words in the index, goes some seconds later or after
   * the next start; see `eraseWords`.
   * `undefined` when there is none.
   */
  forget(name: string): Promise<DocumentRecord | undefined>;
  /** Takes the words and ids of all forgotten documents off the disk now: the parts of the index that held them are written anew. */
  eraseWords(): Promise<void>;
  /** Every document, in no order that means anything. */
  documents(): AsyncIterable<DocumentRecord>;
  /** The passages of a document, in their order. */
  passages(document: DocumentRecord): AsyncIterable<Chunk>;
  /** The epoch in which a document came. */
  epochOf(document: DocumentRecord): Promise<number>;
  /** A chunk by its content id. */
  chunk(id: Uint8Array): Promise<Chunk | undefined>;
  /** The chunks that answer a question best. */
  search(query: SearchQuery): Promise<SearchResult>;
  /** What the vault holds, committed to; see `commitment.ts`. */
  commitment(): Promise<Commitment>;
  /** Where a chunk stands under the commitment's chunk root. */
  chunkPath(id: Uint8Array): Promise<MerklePath | undefined>;
  /** In how many chunks an index term stands, or that it stands in none, provable under the commitment's term root. */
  termProof(term: string): Promise<TermProof>;
  /** The keys under which it is sealed; none for a vault in memory. */
  readonly keys: VaultKeys | undefined;
  /** What is written down beside the documents. */
  readonly books: Books;
  /** To whom keys were given. Changes go through `grant` and `revoke`. */
  readonly grants: GrantBook;
  readonly accesses: AccessLog;
  /** Who may have passages of what in answers. */
  readonly labels: LabelBook;
  /** Its vectors under a model, as they are kept; none where none were made. Throws `store-corrupt`. */
  vectors(embedder: Embedder): Promise<VectorIndex>;
  /** Runs `work` when no document is being changed, such as a change of the grants. */
  quiet<T>(work: () => Promise<T>): Promise<T>;
  /** Waits for what runs and stops; the store stays open. */
  close(): Promise<void>;
}

/**
 * Opens the vault in `store`, empty when nothing is there. Nothing else may write into `store` meanwhile. An index whose
 * terms were made by older rules is written anew first, which takes as long as importing the passages.
 * Errors: `store-corrupt` when what is there is damaged or of another version.
 */
export async function openVault(
  parts: { readonly store: Store; readonly clock: Clock },
  options: Partial<VaultOptions> = {},
): Promise<Vault> {
  const { keys, dice, postingsCacheBytes, onRenewal, signal, ...given } = { ...VAULT_DEFAULTS, ...options };
  const codec = keys === undefined ? given.codec : sealedCodec({ keys, dice });
  const items = keys === undefined ? plainItems(codec) : sealedItems({ keys, dice });
  const stored = await parts.store.get(HEAD_KEY);
  const found =
    stored === undefined ? EMPTY_HEAD : checkHead(headRecord.decode(codec.open(HEAD_KEY, stored)));
  const head = await renewIndex({ store: parts.store, codec, items }, found, { onRenewal, signal });
  const index = new SearchIndex(parts.store, codec, postingsCacheBytes);
  await index.load(head.segments);
  const books = createBooks({ store: parts.store, codec });
  const grants = await GrantBook.open(books);
  const accesses = await openAccessLog({ books, clock: parts.clock });
  const labels = await LabelBook.open(books);
  return new StoredVault({ ...parts, codec, index, items, keys, books, grants, accesses, labels }, head);
}
