/** What a file is, told from its bytes; the name only decides between kinds of text. */
import { fromUtf8 } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';

/** Kinds of document that can be imported. */
export type DocumentKind = 'text' | 'markdown' | 'html' | 'pdf';

/** Media type of each kind. */
export const MEDIA_TYPES: Readonly<Record<DocumentKind, string>> = {
  text: 'text/plain',
  markdown: 'text/markdown',
  html: 'text/html',
  pdf: 'application/pdf',
};

/** A recognised document: its bytes for a PDF, otherwise its decoded text. */
export type Detected =
  | { readonly kind: 'pdf' }
  | { readonly kind: Exclude<DocumentKind, 'pdf'>; readonly text: string };

const SUPPORTED: readonly string[] = ['plain text', 'Markdown', 'HTML', 'PDF'];
const SPLIT = 'Split it into several files';
const ADVICE = 'Convert it to text, Markdown, HTML or PDF and import that';

const SIGNATURES: readonly (readonly [bytes: readonly number[], found: string])[] = [
  [[0x50, 0x4b, 0x03, 0x04], 'a ZIP archive (or an Office or EPUB document)'],
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
const DATA_NAME = /\.(?:csv|tsv|jsonl?|ndjson|xml|svg|ya?ml|toml|lock|map|css|ipynb)$/i;

/**
 * Recognises a document by its bytes, and by its name or stated media type where only text is certain.
 * Errors: `document-unsupported` for anything that is not text, Markdown, HTML or PDF; `document-unreadable` for none.
 */
export function detect(document: {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly mediaType?: string | undefined;
}): Detected {
  const { name, bytes, mediaType } = document;
  if (bytes.length === 0) throw unreadable(name, 'the file is empty', 'remove it or fill it');
  if (hasPdfHeader(bytes)) return { kind: 'pdf' };
  for (const [signature, found] of SIGNATURES) {
    if (signature.every((byte, i) => bytes[i] === byte)) throw unsupported(name, found);
  }
  const text = decode(bytes);
  if (text === undefined) throw unsupported(name, 'binary data');
  return { kind: kindOfText(name, text, mediaType), text };
}

/** The refusal of a kind of document that is not read. */
export function unsupported(name: string, found: string): SaharaError {
  return new SaharaError('document-unsupported', {
    document: name,
    found,
    supported: SUPPORTED,
    advice: ADVICE,
  });
}

/** The refusal of a document that gives no text: why, and what to do, without capitals and full stops. */
export function unreadable(name: string, reason: string, advice: string): SaharaError {
  return new SaharaError('document-unreadable', {
    document: name,
    reason: capital(reason),
    advice: capital(advice),
  });
}

/** The refusal of a document with more parts than are taken. */
export function tooMany(name: string, found: string, max: number): SaharaError {
  const reason = `It has ${found}, at most ${max} are taken`;
  return new SaharaError('document-too-large', { document: name, reason, advice: SPLIT });
}

/** The refusal of a document above a limit of bytes. */
export function tooLarge(name: string, sizeBytes: number, limitBytes: number): SaharaError {
  return new SaharaError('document-too-large', { document: name, sizeBytes, limitBytes, advice: SPLIT });
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
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

function kindOfText(name: string, text: string, mediaType: string | undefined): 'text' | 'markdown' | 'html' {
  const stated = mediaType?.split(';')[0]?.trim().toLowerCase();
  if (HTML_START.test(text.slice(0, 16_384))) return 'html';
  if ((HTML_NAME.test(name) || stated === 'text/html') && /<[a-z!][^<]*>/i.test(text)) return 'html';
  if (/^\s*<\?xml\b/.test(text)) throw unsupported(name, 'an XML document');
  if (DATA_NAME.test(name)) throw unsupported(name, `a data file (${name.slice(name.lastIndexOf('.'))})`);
  if (isJson(text)) throw unsupported(name, 'JSON data');
  if (MARKDOWN_NAME.test(name) || stated === 'text/markdown') return 'markdown';
  return stated === undefined && looksLikeMarkdown(text) ? 'markdown' : 'text';
}

function isJson(text: string): boolean {
  const start = text.trimStart()[0];
  if (start !== '{' && start !== '[') return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
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
