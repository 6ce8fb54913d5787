/** Limits of the vault. Those that peers share stand in `spec/limits.md` and `protocol/limits.ts`. */

import { invariant } from '../base/errors.ts';
import { SOURCE_TEXT_BYTES_MAX } from '../protocol/limits.ts';

/** Words that a chunk aims at; a sentence is never split to reach it. */
export const CHUNK_WORDS_TARGET = 120;
/** Longest text of a chunk, UTF-8 bytes; only a single sentence, line or list item longer than this is cut. */
export const CHUNK_BYTES_MAX = 8192;
/** Longest title of a chunk (its headings), UTF-8 bytes. */
export const TITLE_BYTES_MAX = 1024;
/** Longest name of a document, UTF-8 bytes. */
export const NAME_BYTES_MAX = 512;
/** Longest licence of a document, UTF-8 bytes. */
export const LICENCE_BYTES_MAX = 128;
/** Most chunks of one document. */
export const DOCUMENT_CHUNKS_MAX = 50_000;
/** Largest text extracted from one document, UTF-8 bytes. */
export const EXTRACTED_BYTES_MAX = 16_777_216;
/** Largest plain-text document, bytes. */
export const TEXT_BYTES_MAX = 16_777_216;
/** Largest Markdown document, bytes. Its parser takes about a second per megabyte. */
export const MARKDOWN_BYTES_MAX = 4_194_304;
/** Largest HTML document, bytes. */
export const HTML_BYTES_MAX = 8_388_608;
/** Largest PDF document, bytes. */
export const PDF_BYTES_MAX = 33_554_432;
/** Most pages of a PDF document. */
export const PDF_PAGES_MAX = 5000;
/** Longest time for which one PDF document is read, milliseconds. */
export const PDF_READ_MS_MAX = 180_000;
/** Most memory of the process that reads PDF documents, MiB. */
export const PDF_MEMORY_MIB_MAX = 1024;
/** Part of that memory which is kept for what is outside of its heap, MiB. */
export const PDF_OUTSIDE_HEAP_MIB = 192;
/** Least heap of that process, MiB. */
export const PDF_HEAP_MIB_MIN = 64;
/** How long that process waits for another document, milliseconds. */
export const PDF_IDLE_MS = 10_000;
/** Most that it says of one document, bytes: its lines with their places. */
export const PDF_REPLY_BYTES_MAX = 67_108_864;
/** Largest Word document, bytes. */
export const DOCX_BYTES_MAX = 33_554_432;
/** Largest CSV document, bytes. */
export const CSV_BYTES_MAX = 16_777_216;
/** Largest JSON document or chat export, bytes. */
export const JSON_BYTES_MAX = 33_554_432;
/** Largest source file, bytes. */
export const CODE_BYTES_MAX = 4_194_304;
/** Most files inside a ZIP archive. */
export const ZIP_ENTRIES_MAX = 4096;
/** Largest file inside a ZIP archive once it is unpacked, bytes. */
export const ZIP_ENTRY_BYTES_MAX = 33_554_432;
/** Most bytes that are unpacked out of one ZIP archive. */
export const ZIP_TOTAL_BYTES_MAX = 67_108_864;
/** Most values of a JSON document. */
export const JSON_VALUES_MAX = 2_000_000;
/** Most columns of a CSV document. */
export const CSV_COLUMNS_MAX = 1024;
/** Most rows of a CSV document. */
export const CSV_ROWS_MAX = 1_000_000;
/** Longest statement of consent, UTF-8 bytes. */
export const CONSENT_BYTES_MAX = 1024;
/** Largest file that is read at all: the largest of the limits above. */
export const FILE_BYTES_MAX: number = Math.max(
  TEXT_BYTES_MAX,
  MARKDOWN_BYTES_MAX,
  HTML_BYTES_MAX,
  PDF_BYTES_MAX,
  DOCX_BYTES_MAX,
  CSV_BYTES_MAX,
  JSON_BYTES_MAX,
  CODE_BYTES_MAX,
);
/** Deepest nesting of elements that is followed in a document. */
export const NESTING_MAX = 256;
/** Deepest folder below the one that is imported. */
export const FOLDER_DEPTH_MAX = 32;
/** Epochs of a vault: each revocation and each grant that runs out begins another. */
export const VAULT_EPOCHS_MAX = 16_384;
/** Most grants that a vault remembers; the oldest ended one makes room. */
export const GRANTS_MAX = 4096;
/** Labels of a vault. */
export const LABELS_MAX = 4096;
/** Readers of a label, and assets whose licences make readers. */
export const LABEL_READERS_MAX = 1024;
/** Views of a vault that are remembered: one for each set of rights that callers have. */
export const VIEWS_MAX = 16;
/** Accesses that a vault remembers; the oldest makes room. */
export const ACCESSES_MAX = 10_000;
/** Commitments of which a vault remembers the documents. */
export const SNAPSHOTS_MAX = 8;
/** Folders that one vault watches. */
export const WATCHES_MAX = 16;
/** Files that a watched folder may have, the refused ones included. */
export const WATCHED_FILES_MAX = 200_000;
/** Largest frame of an archive, bytes. */
export const ARCHIVE_FRAME_BYTES_MAX = 8_388_608;
/** Longest line of a readable export, characters: a document with its passages. */
export const READABLE_LINE_BYTES_MAX = 134_217_728;
/** Files of one vault's store that are open, and mapped into memory, at a time: 256 MiB at most. */
export const VAULT_FILES_MAX = 128;
/** Most chunks of a vault. */
export const VAULT_CHUNKS_MAX = 10_000_000;
/** Longest index term, characters; longer words are not indexed. */
export const TERM_CHARACTERS_MAX = 48;
/** Most terms of a question that are searched, context included. */
export const QUERY_TERMS_MAX = 64;
/** Most results of one search. */
export const SEARCH_RESULTS_MAX = 100;
/** Best results that a reranking model orders anew. */
export const RERANKED_MAX = 32;
/** Most dictionary terms that one misspelt word is compared with. */
export const FUZZY_TERMS_MAX = 200_000;
/** Most corpora that one search or attribution spans. */
export const CORPORA_MAX = 16;
/** Documents that one atomic batch of a folder import may hold. */
export const BATCH_DOCUMENTS_MAX = 64;
/** Chunks after which a folder import writes its batch. */
export const BATCH_CHUNKS_MAX = 2000;
/** Bytes of chunk text after which a folder import writes its batch. */
export const BATCH_TEXT_BYTES_MAX = 4_194_304;

invariant(CHUNK_BYTES_MAX <= SOURCE_TEXT_BYTES_MAX, 'a chunk fits into a source');
