import { type ErrorCode, SaharaError } from '../base/errors.ts';

/** Codes that describe this machine (`spec/errors.md`); a peer learns only that something is wrong inside. */
const OWN_CODES: ReadonlySet<ErrorCode> = new Set([
  'usage',
  'config-invalid',
  'node-unsupported',
  'home-unreadable',
  'home-in-use',
  'daemon-not-running',
  'port-busy',
  'store-locked',
  'store-corrupt',
  'disk-full',
  'key-missing',
  'key-locked',
  'passphrase-wrong',
  'manifest-invalid',
  'vault-unknown',
  'vault-exists',
  'vault-empty',
  'vault-in-use',
  'grant-refused',
  'archive-invalid',
  'home-full',
  'channel-to-self',
  'document-unsupported',
  'document-too-large',
  'document-unreadable',
  'file-missing',
  'backend-missing',
  'program-missing',
  'model-unknown',
  'model-exists',
  'model-in-use',
  'model-invalid',
  'download-failed',
  'memory-insufficient',
  'token-missing',
  'token-refused',
  'internal',
]);

/** What a peer is told of `error`: paths and defects of this machine stay here. */
export function sendableError(error: SaharaError): SaharaError {
  // It passes, and is no defect: whoever asks may come again.
  if (error.code === 'disk-full')
    return new SaharaError('overloaded', { reason: 'It cannot keep records right now' });
  // What the tool said stays here.
  if (error.code === 'tool-failed')
    return new SaharaError('backend-failed', { reason: 'A tool that it needs cannot be used right now' });
  return OWN_CODES.has(error.code) ? new SaharaError('internal') : error;
}
