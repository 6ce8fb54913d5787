/** Evidence that a command is given: a file, or a call of one's own. */
import { readFile } from 'node:fs/promises';
import { SaharaError } from '../base/errors.ts';
import { findReceipt } from '../daemon/receipts.ts';
import type { App } from './app.ts';

/** What `readEvidence` takes, for help texts. */
export const EVIDENCE_ARGUMENT = 'file, or the first characters of a receipt of yours';

/**
 * A file, or the evidence of a call of one's own: with its settlement where a daemon runs that has seen it. Throws
 * `receipt-unknown`, `file-missing`.
 */
export async function readEvidence(app: App, name: string): Promise<Uint8Array> {
  const looksLikeId = /^[0-9a-f]{4,32}$/.test(name);
  const advice = 'Give the name of a file, or a receipt id of at least 4 digits (`sahara receipts`)';
  const path = await findReceipt(app.home.receipts, name);
  if (path !== undefined) {
    // Brings the saved file up to date; without a daemon it is proved as it stands.
    await app.client.call('receipts.bundle', { callId: name }, { signal: app.signal }).catch(() => undefined);
  }
  try {
    return new Uint8Array(await readFile(path ?? name));
  } catch (error) {
    throw new SaharaError(
      looksLikeId ? 'receipt-unknown' : 'file-missing',
      { path: name, receipt: name, ...(!looksLikeId && { advice }) },
      { cause: error },
    );
  }
}
