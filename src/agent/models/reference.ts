/** What somebody asks to be pulled: an address, or a file of a hub. */
import { SaharaError } from '../../base/errors.ts';

/** Where a file of a hub stands. */
export interface HubFile {
  readonly repository: string;
  readonly file: string;
  readonly revision: string;
}

/** What to pull. */
export type Reference =
  | { readonly kind: 'url'; readonly url: string; readonly file: string }
  | ({ readonly kind: 'hub' } & HubFile);

const PART = '[A-Za-z0-9][A-Za-z0-9._-]{0,95}';
const HUB = new RegExp(
  `^hub:(${PART}/${PART})/((?:${PART}/){0,8}${PART})(?:@([A-Za-z0-9][A-Za-z0-9._/-]{0,95}))?$`,
);

/** Reads what somebody wrote. Throws `usage`. */
export function parseReference(text: string): Reference {
  if (text.startsWith('hub:')) {
    const [, repository, file, revision = 'main'] = HUB.exec(text) ?? [];
    const sound = repository !== undefined && file !== undefined && !/(?:^|\/)\.\.?(?:\/|$)/.test(revision);
    if (sound) return { kind: 'hub', repository, file, revision };
    throw usage(`It takes hub:OWNER/REPOSITORY/FILE.gguf or, for a revision, …@REVISION; not "${text}"`);
  }
  const url = checkedUrl(text);
  return { kind: 'url', url: url.href, file: lastPart(url) };
}

/** An address that may be fetched: https, or http to this machine itself. Throws `usage`. */
export function checkedUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw usage(`It takes an https address or hub:OWNER/REPOSITORY/FILE.gguf, not "${text}"`);
  }
  if (url.username !== '' || url.password !== '')
    throw usage('An address with a password in it is not taken');
  if (url.protocol === 'http:' && !isLoopback(url)) {
    throw usage('Models are fetched over https; plain http is for servers on this machine only');
  }
  return url;
}

/** Whether an address is one of this machine itself. */
export function isLoopback({ hostname }: URL): boolean {
  return (
    hostname === 'localhost' || hostname === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(hostname)
  );
}

function lastPart(url: URL): string {
  try {
    return decodeURIComponent(url.pathname.split('/').at(-1) ?? '');
  } catch {
    return '';
  }
}

function usage(reason: string): SaharaError {
  return new SaharaError('usage', { reason });
}
