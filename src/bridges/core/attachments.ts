/** Files that come with a question. Only text is read; a name says nothing about what a file is. */
import { fromUtf8 } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import { ATTACHMENT_BYTES_MAX } from '../limits.ts';
import type { Attachment, Platform } from './platform.ts';

/** The text of a file, headed by its name. Throws `document-too-large`, `document-unsupported`. */
export async function attachmentText(platform: Platform, attachment: Attachment): Promise<string> {
  if (attachment.sizeBytes > ATTACHMENT_BYTES_MAX) {
    throw new SaharaError('document-too-large', { max: ATTACHMENT_BYTES_MAX, size: attachment.sizeBytes });
  }
  const text = fromUtf8(await platform.fetchAttachment(attachment, ATTACHMENT_BYTES_MAX));
  if (text === undefined || text.includes('\0')) throw new SaharaError('document-unsupported');
  const name = attachment.name.replace(/[\p{Cc}\p{Cf}[\]]/gu, '').slice(0, 100);
  return `[${name}]\n${text}`;
}
