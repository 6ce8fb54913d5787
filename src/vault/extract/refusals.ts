/** How documents are refused: what was found, and what to do. */
import { SaharaError } from '../../base/errors.ts';

const SUPPORTED: readonly string[] = [
  ...['plain text', 'Markdown', 'HTML', 'PDF', 'Word (.docx)', 'CSV', 'JSON', 'source code'],
  'chat exports of Discord and Telegram',
];
const SPLIT = 'Split it into several files';
const ADVICE = 'Convert it to text, Markdown, HTML or PDF and import that';

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
