/**
 * Requests for model files. Redirects are followed here and not by the platform, because each one is checked: few, over
 * https, never from elsewhere to this machine, and a token goes to the host that it is for and to no other.
 */
import type { Clock } from '../../base/clock.ts';
import { asSaharaError, SaharaError } from '../../base/errors.ts';
import { REDIRECTS_MAX } from './limits.ts';
import { isLoopback } from './reference.ts';

/** A request for a file. */
export interface FileRequest {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** For the first host alone. */
  readonly token?: string | undefined;
}

/** An answer, and what gives it up. */
export interface FileAnswer {
  readonly response: Response;
  /** The body piece by piece. Throws `download-failed` when it breaks off or nothing comes for `idleMs`. */
  readonly pieces: () => AsyncGenerator<Uint8Array>;
  /** Ends the connection. */
  readonly drop: () => void;
}

/** How requests are made. */
export interface HttpParts {
  readonly clock: Clock;
  /** Longest wait for the head or the next piece of an answer, milliseconds. */
  readonly idleMs: number;
}

/** A failure that another attempt may mend, after `waitMs` if the server asks for that. */
export class Passing extends SaharaError {
  readonly waitMs: number | undefined;

  constructor(failure: SaharaError, waitMs?: number) {
    super(failure.code, failure.facts, { cause: failure });
    this.waitMs = waitMs;
  }
}

/** Sends a request and follows redirects. Errors: `download-failed`, `cancelled`. */
export async function request(
  parts: HttpParts,
  wanted: FileRequest,
  { signal }: { readonly signal: AbortSignal },
): Promise<FileAnswer> {
  const first = new URL(wanted.url);
  let url = first;
  for (let hops = 0; hops <= REDIRECTS_MAX; hops++) {
    const token = url.origin === first.origin ? wanted.token : undefined;
    const answer = await send(parts, { ...wanted, url: url.href, token }, signal);
    const { status, headers } = answer.response;
    if (![301, 302, 303, 307, 308].includes(status)) return answer;
    answer.drop();
    url = target(url, headers.get('location'), first);
  }
  throw failed(first.href, 'It was sent from one address to the next too often');
}

function target(from: URL, location: string | null, first: URL): URL {
  const base = from.href;
  if (location === null || !URL.canParse(location, base))
    throw failed(first.href, 'It was sent on to nowhere');
  const url = new URL(location, base);
  const secure =
    url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url) && isLoopback(first));
  if (!secure) throw failed(first.href, `It was sent on to ${url.origin}, which is not secure`);
  return url;
}

async function send(parts: HttpParts, wanted: FileRequest, signal: AbortSignal): Promise<FileAnswer> {
  if (signal.aborted) throw new SaharaError('cancelled');
  const stop = new AbortController();
  const idle = idleTimer(parts, stop);
  const because = (error: unknown): SaharaError => {
    if (signal.aborted) return new SaharaError('cancelled', {}, { cause: error });
    if (!idle.expired()) return broken(wanted.url, error);
    return new Passing(failed(wanted.url, `Nothing came for ${Math.ceil(parts.idleMs / 1000)} s`, error));
  };
  idle.start();
  try {
    const response = await fetch(wanted.url, {
      redirect: 'manual',
      headers: {
        // A packed body has neither the length nor the offsets of the file.
        'accept-encoding': 'identity',
        ...wanted.headers,
        ...(wanted.token !== undefined && { authorization: `Bearer ${wanted.token}` }),
      },
      signal: AbortSignal.any([signal, stop.signal]),
    });
    idle.stop();
    return { response, pieces: () => read(response, idle, because), drop: () => stop.abort() };
  } catch (error) {
    idle.stop();
    throw because(error);
  }
}

async function* read(
  response: Response,
  idle: IdleTimer,
  because: (error: unknown) => SaharaError,
): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  try {
    for (;;) {
      idle.start();
      const { done, value } = await reader.read().catch((error: unknown) => {
        throw because(error);
      });
      idle.stop();
      if (done) return;
      yield value;
    }
  } finally {
    idle.stop();
    await reader.cancel().catch(() => {});
  }
}

interface IdleTimer {
  start(): void;
  stop(): void;
  expired(): boolean;
}

function idleTimer({ clock, idleMs }: HttpParts, stop: AbortController): IdleTimer {
  let expired = false;
  let cancel = (): void => {};
  return {
    start() {
      cancel();
      cancel = clock.after(idleMs, () => {
        expired = true;
        stop.abort();
      });
    },
    stop: () => cancel(),
    expired: () => expired,
  };
}

/** Why a host was not reached at all, by what the platform says; another attempt may reach it. */
const UNREACHED: Readonly<Record<string, (url: URL) => string>> = {
  ECONNREFUSED: ({ host }) => `Nothing listens at ${host}`,
  ENOTFOUND: ({ hostname }) => `There is no host called ${hostname}, or this machine has no network`,
  EAI_AGAIN: ({ hostname }) =>
    `The name ${hostname} could not be looked up: this machine may have no network`,
  EHOSTUNREACH: ({ host }) => `No way leads from here to ${host}`,
  ENETUNREACH: ({ host }) => `No way leads from here to ${host}: this machine may have no network`,
  ETIMEDOUT: ({ host }) => `Nobody answers at ${host}`,
  UND_ERR_CONNECT_TIMEOUT: ({ host }) => `Nobody answers at ${host}`,
};
/** What no further attempt mends. */
const REFUSED: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'The certificate of the server has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'Nobody vouches for the certificate of the server',
  SELF_SIGNED_CERT_IN_CHAIN: 'Nobody vouches for the certificate of the server',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'Nobody vouches for the certificate of the server',
  ERR_TLS_CERT_ALTNAME_INVALID: 'The certificate of the server is for another name',
  ERR_SSL_WRONG_VERSION_NUMBER: 'The server does not speak https at that port',
};

/** What the platform says of a connection that failed. */
function broken(url: string, error: unknown): SaharaError {
  const cause = error instanceof Error ? error.cause : undefined;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const refused =
    cause instanceof Error && cause.message === 'bad port'
      ? 'Its port belongs to another service, and nothing is fetched from there'
      : REFUSED[code];
  if (refused !== undefined) return final(url, refused, error);
  const unreached = UNREACHED[code];
  if (unreached === undefined)
    return new Passing(failed(url, 'The connection broke off', asSaharaError(error)));
  const advice = 'Check the address and the network of this machine, then run the same command again';
  const facts = { url: plainUrl(url), reason: unreached(new URL(url)), advice };
  return new Passing(new SaharaError('download-failed', facts, { cause: asSaharaError(error) }));
}

/** A failure that no further attempt mends. */
export function final(url: string, reason: string, cause?: unknown): SaharaError {
  const advice = 'Check the address, or get the file from somewhere else';
  return new SaharaError('download-failed', { url: plainUrl(url), reason, advice }, { cause });
}

/** The failure of a download; of an address only what names the file is told, since queries may hold secrets. */
export function failed(url: string, reason: string, cause?: unknown): SaharaError {
  return new SaharaError('download-failed', { url: plainUrl(url), reason }, { cause });
}

/** An address without its query. */
export function plainUrl(url: string): string {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
}
