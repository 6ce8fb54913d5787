/**
 * What is said to the process that reads PDF files, and what it says: frames of a length (`u32`, big-endian) and that
 * many bytes, over its standard input and output. To it goes a file, from it comes JSON. The lengths are checked
 * before a frame is gathered, and what is in it before it is believed.
 */
import { concat, u32be } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import type { PdfLine } from './pdf-lines.ts';

/** What became of a file. */
export type PdfRead =
  | { readonly type: 'pages'; readonly pages: readonly (readonly PdfLine[])[] }
  /** It has more pages than are read. */
  | { readonly type: 'many'; readonly pages: number }
  /** The parser said why it cannot be read. */
  | { readonly type: 'failed'; readonly reason: string }
  /** Reading it was given up: it asks for too much. */
  | { readonly type: 'stopped'; readonly reason: string };

const LENGTH_BYTES = 4;

/** The frames of a stream. Throws `document-unreadable` for one above `bytesMax` or one that is cut off. */
export async function* readFrames(
  stream: AsyncIterable<Uint8Array>,
  bytesMax: number,
): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let have = 0;
  for await (const part of stream) {
    parts.push(part);
    have += part.length;
    for (;;) {
      if (have < LENGTH_BYTES) break;
      if ((parts[0]?.length ?? 0) < LENGTH_BYTES) parts = [concat(...parts)];
      const [head = new Uint8Array(0)] = parts;
      const length = new DataView(head.buffer, head.byteOffset).getUint32(0);
      if (length > bytesMax) throw malformed('a frame is too long');
      if (have < LENGTH_BYTES + length) break;
      const whole = concat(...parts);
      yield whole.subarray(LENGTH_BYTES, LENGTH_BYTES + length);
      const rest = whole.subarray(LENGTH_BYTES + length);
      parts = rest.length === 0 ? [] : [rest];
      have = rest.length;
    }
  }
  if (have > 0) throw malformed('a frame is cut off');
}

/** The length that goes before `bytes`. */
export function frameHead(bytes: Uint8Array): Uint8Array {
  return u32be(bytes.length);
}

/** What became of a file, as what a frame holds. */
export function encodeRead(read: PdfRead): Uint8Array {
  return Buffer.from(JSON.stringify(read));
}

/** What became of a file, out of a frame. Throws `document-unreadable` for anything else. */
export function decodeRead(frame: Uint8Array): PdfRead {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(frame.buffer, frame.byteOffset, frame.length).toString('utf8'));
  } catch {
    throw malformed('no JSON');
  }
  if (!isRead(value)) throw malformed('another shape');
  return value;
}

function isRead(value: unknown): value is PdfRead {
  if (!isObject(value)) return false;
  const { type, pages, reason } = value;
  if (type === 'many') return typeof pages === 'number';
  if (type === 'failed' || type === 'stopped') return typeof reason === 'string';
  return (
    type === 'pages' && Array.isArray(pages) && pages.every((page) => isList(page) && page.every(isLine))
  );
}

function isLine(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { text, size, gap, edge } = value;
  const numbers = Number.isFinite(size) && Number.isFinite(gap);
  return typeof text === 'string' && numbers && typeof edge === 'boolean';
}

function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function malformed(what: string): SaharaError {
  return new SaharaError('document-unreadable', {
    reason: `the process that reads PDF files said something malformed: ${what}`,
  });
}
