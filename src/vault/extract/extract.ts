import { type Extracted, visible } from '../blocks.ts';
import { type CutDocument, cut } from '../chunker.ts';
import {
  CODE_BYTES_MAX,
  CSV_BYTES_MAX,
  DOCUMENT_CHUNKS_MAX,
  DOCX_BYTES_MAX,
  EXTRACTED_BYTES_MAX,
  FILE_BYTES_MAX,
  HTML_BYTES_MAX,
  JSON_BYTES_MAX,
  MARKDOWN_BYTES_MAX,
  PDF_BYTES_MAX,
  TEXT_BYTES_MAX,
} from '../limits.ts';
import { extractCode } from './code.ts';
import { requireConsent } from './conversation.ts';
import { extractCsv } from './csv.ts';
import { type Detected, type DocumentKind, detect, MEDIA_TYPES } from './detect.ts';
import { extractDiscord } from './discord.ts';
import { extractDocx } from './docx.ts';
import { extractHtml } from './html.ts';
import { extractJson, extractJsonLines } from './json.ts';
import { extractMarkdown } from './markdown.ts';
import { extractPdf } from './pdf.ts';
import { extractPlain } from './plain.ts';
import { tooLarge, tooMany, unreadable } from './refusals.ts';
import { extractTelegram } from './telegram.ts';

const BYTES_MAX: Readonly<Record<DocumentKind, number>> = {
  text: TEXT_BYTES_MAX,
  markdown: MARKDOWN_BYTES_MAX,
  html: HTML_BYTES_MAX,
  pdf: PDF_BYTES_MAX,
  docx: DOCX_BYTES_MAX,
  csv: CSV_BYTES_MAX,
  json: JSON_BYTES_MAX,
  jsonl: JSON_BYTES_MAX,
  discord: JSON_BYTES_MAX,
  telegram: JSON_BYTES_MAX,
  code: CODE_BYTES_MAX,
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
  /** How those whose words it holds agreed; needed for chats. */
  readonly consent?: string | undefined;
}): Promise<ExtractedDocument> {
  const { name, bytes } = document;
  if (bytes.length > FILE_BYTES_MAX) throw tooLarge(name, bytes.length, FILE_BYTES_MAX);
  const detected = detect(document);
  const bytesMax = BYTES_MAX[detected.kind];
  if (bytes.length > bytesMax) throw tooLarge(name, bytes.length, bytesMax);
  if (detected.kind === 'discord' || detected.kind === 'telegram') requireConsent(name, document.consent);
  const result = cut(visibleTitle(await extractBlocks(name, bytes, detected)));
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
  if (detected.kind === 'docx') return extractDocx(name, bytes);
  try {
    if ('text' in detected) return extractText(name, detected.kind, detected.text);
    if (detected.kind === 'json') return extractJson(name, detected.value);
    const extract = detected.kind === 'discord' ? extractDiscord : extractTelegram;
    return extract(name, detected.value);
  } catch (error) {
    // A parser out of stack on absurd nesting: the document's fault.
    if (error instanceof RangeError) {
      throw unreadable(name, 'it is nested too deeply', 'save it again from the program that made it');
    }
    throw error;
  }
}

function extractText(
  name: string,
  kind: Extract<Detected, { readonly text: string }>['kind'],
  text: string,
): Extracted {
  switch (kind) {
    case 'html':
      return extractHtml(text);
    case 'markdown':
      return extractMarkdown(text);
    case 'csv':
      return extractCsv(name, text);
    case 'jsonl':
      return extractJsonLines(name, text);
    case 'code':
      return extractCode(name, text);
    case 'text':
      return extractPlain(text);
  }
}

function visibleTitle(extracted: Extracted): Extracted {
  const { title } = extracted;
  return title === undefined ? extracted : { ...extracted, title: visible(title) };
}
