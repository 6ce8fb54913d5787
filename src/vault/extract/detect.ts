/** What a file is, told from its bytes; the name only decides between kinds of text. */
import { fromUtf8 } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import { CODE_LINE_CHARACTERS_MAX, languageOf } from './code.ts';
import { isDiscord } from './discord.ts';
import { DOCX_BODY } from './docx.ts';
import { parseJson } from './json.ts';
import { unreadable, unsupported } from './refusals.ts';
import { isTelegram } from './telegram.ts';
import { openZip } from './zip.ts';

/** Kinds of document that can be imported. */
export type DocumentKind =
  | 'text'
  | 'markdown'
  | 'html'
  | 'pdf'
  | 'docx'
  | 'csv'
  | 'json'
  | 'jsonl'
  | 'discord'
  | 'telegram'
  | 'code';

/** Media type of each kind. */
export const MEDIA_TYPES: Readonly<Record<DocumentKind, string>> = {
  text: 'text/plain',
  markdown: 'text/markdown',
  html: 'text/html',
  pdf: 'application/pdf',
  docx: 'application/vnd.openxmlformats-officedocument.wordprocessingml',
  csv: 'text/csv',
  json: 'application/json',
  jsonl: 'application/jsonl',
  discord: 'application/vnd.discord-export+json',
  telegram: 'application/vnd.telegram-export+json',
  code: 'text/x-source-code',
};

/** A recognised document: its bytes, its decoded text, or its parsed value. */
export type Detected =
  | { readonly kind: 'pdf' }
  | { readonly kind: 'docx' }
  | { readonly kind: 'json' | 'discord' | 'telegram'; readonly value: unknown }
  | { readonly kind: 'text' | 'markdown' | 'html' | 'csv' | 'jsonl' | 'code'; readonly text: string };

const ZIP = [0x50, 0x4b, 0x03, 0x04];

const SIGNATURES: readonly (readonly [bytes: readonly number[], found: string])[] = [
  [[0xd0, 0xcf, 0x11, 0xe0], 'an old Office document'],
  [[0x1f, 0x8b], 'a gzip archive'],
  [[0x42, 0x5a, 0x68], 'a bzip2 archive'],
  [[0xfd, 0x37, 0x7a, 0x58], 'an xz archive'],
  [[0x37, 0x7a, 0xbc, 0xaf], 'a 7-Zip archive'],
  [[0x28, 0xb5, 0x2f, 0xfd], 'a zstd archive'],
  [[0x89, 0x50, 0x4e, 0x47], 'a PNG image'],
  [[0xff, 0xd8, 0xff], 'a JPEG image'],
  [[0x47, 0x49, 0x46, 0x38], 'a GIF image'],
  [[0x7f, 0x45, 0x4c, 0x46], 'an executable program'],
  [[0x4d, 0x5a, 0x90], 'an executable program'],
  [[0x00, 0x61, 0x73, 0x6d], 'a WebAssembly module'],
  [[0x53, 0x51, 0x4c, 0x69, 0x74, 0x65], 'an SQLite database'],
  [[0x47, 0x47, 0x55, 0x46], 'a GGUF model'],
  [[0x7b, 0x5c, 0x72, 0x74, 0x66], 'an RTF document'],
];

const HTML_START = /^\s*(?:<!--[\s\S]{0,4096}?-->\s*)*<(?:!doctype\s+html|html|head|body)\b/i;
const HTML_NAME = /\.(?:html?|xhtml)$/i;
const MARKDOWN_NAME = /\.(?:md|markdown|mdx?|mkd)$/i;
const DATA_NAME = /\.(?:xml|svg|ya?ml|toml|lock|map|css|ipynb)$/i;
const CSV_NAME = /\.(?:csv|tsv)$/i;
const LINES_NAME = /\.(?:jsonl|ndjson)$/i;
const JSON_NAME = /\.json$/i;
/** What an archive holds, by the folder or file that only it has. */
const OFFICE: readonly (readonly [path: string, found: string])[] = [
  ['xl/', 'an Excel workbook'],
  ['ppt/', 'a PowerPoint presentation'],
  ['META-INF/container.xml', 'an EPUB book'],
  ['content.xml', 'an OpenDocument file'],
];

/**
 * Recognises a document by its bytes, and by its name or stated media type where only text is certain.
 * Errors: `document-unsupported` for anything that is none of them; `document-unreadable` for an empty or damaged one,
 * `document-too-large` for one that would unpack to too much.
 */
export function detect(document: {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly mediaType?: string | undefined;
}): Detected {
  const { name, bytes, mediaType } = document;
  if (bytes.length === 0) throw unreadable(name, 'the file is empty', 'remove it or fill it');
  if (hasPdfHeader(bytes)) return { kind: 'pdf' };
  if (ZIP.every((byte, i) => bytes[i] === byte)) return { kind: archiveOf(name, bytes) };
  for (const [signature, found] of SIGNATURES) {
    if (signature.every((byte, i) => bytes[i] === byte)) throw unsupported(name, found);
  }
  const text = decode(bytes);
  if (text === undefined) throw unsupported(name, 'binary data');
  return detectText(name, text, mediaType);
}

function archiveOf(name: string, bytes: Uint8Array): 'docx' {
  const { names } = openZip(name, bytes);
  if (names.includes(DOCX_BODY)) return 'docx';
  const [, found] = OFFICE.find(([path]) => names.some((inside) => inside.startsWith(path))) ?? [];
  throw unsupported(name, found ?? 'a ZIP archive');
}

function hasPdfHeader(bytes: Uint8Array): boolean {
  return /^(?:\xef\xbb\xbf)?\s*%PDF-\d/.test(Buffer.from(bytes.subarray(0, 64)).toString('latin1'));
}

function decode(bytes: Uint8Array): string | undefined {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return printable(decodeAs('utf-16le', bytes.subarray(2)));
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return printable(decodeAs('utf-16be', bytes.subarray(2)));
  const marked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  const body = marked ? bytes.subarray(3) : bytes;
  return printable(fromUtf8(body) ?? decodeAs('windows-1252', body));
}

function decodeAs(encoding: string, bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** `text` unless control characters say that it is none. */
function printable(text: string | undefined): string | undefined {
  if (text === undefined || text.includes('\0')) return undefined;
  const odd = text.match(/(?!\s)\p{Cc}/gu)?.length ?? 0;
  // Terminal colours and the like occur in real texts, a few.
  return odd * 200 > text.length ? undefined : text;
}

function detectText(name: string, text: string, mediaType: string | undefined): Detected {
  const stated = mediaType?.split(';')[0]?.trim().toLowerCase();
  if (HTML_START.test(text.slice(0, 16_384))) return { kind: 'html', text };
  if ((HTML_NAME.test(name) || stated === 'text/html') && /<[a-z!][^<]*>/i.test(text)) {
    return { kind: 'html', text };
  }
  if (/^\s*<\?xml\b/.test(text)) throw unsupported(name, 'an XML document');
  if (DATA_NAME.test(name)) throw unsupported(name, `a data file (${name.slice(name.lastIndexOf('.'))})`);
  if (LINES_NAME.test(name)) return { kind: 'jsonl', text };
  if (CSV_NAME.test(name)) return { kind: 'csv', text };
  if (languageOf(name) !== undefined) {
    if (hasLongLine(text)) throw unsupported(name, 'code that a machine made (very long lines)');
    return { kind: 'code', text };
  }
  if (JSON_NAME.test(name) || isJson(name, text)) return jsonKind(parseJson(name, text));
  if (MARKDOWN_NAME.test(name) || stated === 'text/markdown') return { kind: 'markdown', text };
  return { kind: stated === undefined && looksLikeMarkdown(text) ? 'markdown' : 'text', text };
}

function jsonKind(value: unknown): Detected {
  if (isDiscord(value)) return { kind: 'discord', value };
  return { kind: isTelegram(value) ? 'telegram' : 'json', value };
}

/** Whether a file without the name of one is JSON all the same. */
function isJson(name: string, text: string): boolean {
  const start = text.trimStart()[0];
  if (start !== '{' && start !== '[') return false;
  try {
    parseJson(name, text);
    return true;
  } catch (error) {
    if (error instanceof SaharaError && error.code === 'document-too-large') throw error;
    return false;
  }
}

function hasLongLine(text: string): boolean {
  let start = 0;
  for (;;) {
    const end = text.indexOf('\n', start);
    if ((end < 0 ? text.length : end) - start > CODE_LINE_CHARACTERS_MAX) return true;
    if (end < 0) return false;
    start = end + 1;
  }
}

function looksLikeMarkdown(text: string): boolean {
  const head = text.slice(0, 16_384);
  const signs = [
    /^#{1,6} \S/m,
    /^```/m,
    /\]\((?:https?:|\.{0,2}\/|#)/,
    /^\s{0,3}[-*] \S/m,
    /\*\*\S[^*]*\*\*/,
  ];
  return /^#{1,6} \S/m.test(head) && signs.filter((sign) => sign.test(head)).length >= 2;
}
