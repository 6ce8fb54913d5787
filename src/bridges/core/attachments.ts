/** Files that come with a question. Only text is read; a name says nothing about what a file is. */
import { fromUtf8 } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { SaharaError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { ATTACHMENT_BYTES_MAX } from '../limits.ts';
import { patiently } from './patience.ts';
import type { Attachment, Platform } from './platform.ts';

/** The text of a file, headed by its name. Throws `document-too-large`, `document-unsupported`. */
export async function attachmentText(
  parts: { readonly platform: Platform; readonly clock: Clock; readonly log: Log },
  attachment: Attachment,
): Promise<string> {
  if (attachment.sizeBytes > ATTACHMENT_BYTES_MAX) {
    throw new SaharaError('document-too-large', { max: ATTACHMENT_BYTES_MAX, size: attachment.sizeBytes });
  }
  const { platform } = parts;
  const bytes = await patiently(parts, () => platform.fetchAttachment(attachment, ATTACHMENT_BYTES_MAX));
  const text = fromUtf8(bytes);
  if (text === undefined || text.includes('\0')) throw new SaharaError('document-unsupported');
  const name = attachment.name.replace(/[\p{Cc}\p{Cf}[\]]/gu, '').slice(0, 100);
  return `[${name}]\n${text}`;
}
