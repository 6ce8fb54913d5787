import type { Extracted } from '../blocks.ts';
import { type CutDocument, cut } from '../chunker.ts';
import {
  DOCUMENT_CHUNKS_MAX,
  EXTRACTED_BYTES_MAX,
  FILE_BYTES_MAX,
  HTML_BYTES_MAX,
  MARKDOWN_BYTES_MAX,
  PDF_BYTES_MAX,
  TEXT_BYTES_MAX,
} from '../limits.ts';
import {
  type Detected,
  type DocumentKind,
  detect,
  MEDIA_TYPES,
  tooLarge,
  tooMany,
  unreadable,
} from './detect.ts';
import { extractHtml } from './html.ts';
import { extractMarkdown } from './markdown.ts';
import { extractPdf } from './pdf.ts';
import { extractPlain } from './plain.ts';

const BYTES_MAX: Readonly<Record<DocumentKind, number>> = {
  text: TEXT_BYTES_MAX,
  markdown: MARKDOWN_BYTES_MAX,
  html: HTML_BYTES_MAX,
  pdf: PDF_BYTES_MAX,
};

/** A document turned into passages, and the media type that its bytes showed. */
export interface ExtractedDocument extends CutDocument {
  readonly mediaType: string;
}

/**
 * Reads a document's bytes into passages.
 * Errors: `document-unsupported`, `document-too-large`, `document-unreadable`, each with what to do.
 */
export async function extractDocument(document: {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly mediaType?: string | undefined;
}): Promise<ExtractedDocument> {
  const { name, bytes } = document;
  if (bytes.length > FILE_BYTES_MAX) throw tooLarge(name, bytes.length, FILE_BYTES_MAX);
  const detected = detect(document);
  const bytesMax = BYTES_MAX[detected.kind];
  if (bytes.length > bytesMax) throw tooLarge(name, bytes.length, bytesMax);
  const result = cut(await extractBlocks(name, bytes, detected));
  const textBytes = Buffer.byteLength(result.text);
  if (textBytes > EXTRACTED_BYTES_MAX) throw tooLarge(name, textBytes, EXTRACTED_BYTES_MAX);
  if (result.chunks.length > DOCUMENT_CHUNKS_MAX) {
    throw tooMany(name, `${result.chunks.length} passages`, DOCUMENT_CHUNKS_MAX);
  }
  if (!result.chunks.some((chunk) => /[\p{L}\p{N}]/u.test(chunk.text))) {
    throw unreadable(name, 'no text was found in it', 'check that it is the file you meant');
  }
  return { ...result, mediaType: MEDIA_TYPES[detected.kind] };
}

async function extractBlocks(name: string, bytes: Uint8Array, detected: Detected): Promise<Extracted> {
  if (detected.kind === 'pdf') return extractPdf(name, bytes);
  try {
    if (detected.kind === 'html') return extractHtml(detected.text);
    return detected.kind === 'markdown' ? extractMarkdown(detected.text) : extractPlain(detected.text);
  } catch (error) {
    // A parser out of stack on absurd nesting: the document's fault.
    if (error instanceof RangeError) {
      throw unreadable(name, 'it is nested too deeply', 'save it again from the program that made it');
    }
    throw error;
  }
}
