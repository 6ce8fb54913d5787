/** The admin API's typed client, for the command line, the console and bridges. */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import { isErrorCode, SaharaError } from '../../base/errors.ts';
import type { AdminMethods, StreamMethods, UnaryMethods } from './methods.ts';

/** Talks to one daemon. */
export interface AdminClient {
  /** Calls a method that answers once. Throws what the daemon threw, or `daemon-not-running`. */
  call<K extends keyof UnaryMethods>(
    method: K,
    input: UnaryMethods[K]['input'],
    options?: { readonly signal?: AbortSignal },
  ): Promise<UnaryMethods[K]['output']>;
  /** Calls a method that answers line by line. Leaving the loop early cancels it at the daemon. */
  stream<K extends keyof StreamMethods>(
    method: K,
    input: StreamMethods[K]['input'],
    options?: { readonly signal?: AbortSignal },
  ): AsyncIterable<StreamMethods[K]['output']>;
}

/** A client of the daemon whose socket is `path`. */
export function createAdminClient(path: string): AdminClient {
  return {
    async call(method, input, options) {
      const response = await post(path, method, input, options?.signal);
      try {
        let text = '';
        response.setEncoding('utf8');
        for await (const part of response) text += part;
        // The daemon answers by the same table; a failure has its own shape.
        return checked(JSON.parse(text)) as UnaryMethods[typeof method]['output'];
      } catch (error) {
        throw brokenOff(path, error, options?.signal);
      }
    },
    async *stream(method, input, options) {
      const response = await post(path, method, input, options?.signal);
      try {
        for await (const line of createInterface({ input: response, crlfDelay: Number.POSITIVE_INFINITY })) {
          if (line !== '') yield checked(JSON.parse(line)) as StreamMethods[typeof method]['output'];
        }
        if (!response.complete)
          throw new SaharaError('daemon-not-running', { socket: path, reason: 'it went away' });
      } catch (error) {
        throw brokenOff(path, error, options?.signal);
      } finally {
        response.destroy();
      }
    },
  };
}

function post(
  path: string,
  method: keyof AdminMethods,
  input: unknown,
  signal: AbortSignal | undefined,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const body = JSON.stringify(input);
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const options = { socketPath: path, path: `/v1/${method}`, method: 'POST', headers, agent: false };
    const outgoing = httpRequest({ ...options, ...(signal && { signal }) }, resolve);
    outgoing.on('error', (error) => reject(unreachable(path, error)));
    outgoing.end(body);
  });
}

function unreachable(path: string, error: Error): SaharaError {
  if (error.name === 'AbortError') return new SaharaError('cancelled');
  const code = 'code' in error ? String(error.code) : error.message;
  return new SaharaError('daemon-not-running', { socket: path, reason: code }, { cause: error });
}

/** What reading an answer failed with: what the daemon said, or that it died before the answer was whole. */
function brokenOff(path: string, error: unknown, signal: AbortSignal | undefined): Error {
  // A request that is given up looks like a lost connection.
  if (signal?.aborted) return new SaharaError('cancelled', {}, { cause: error });
  if (error instanceof SaharaError) return error;
  return new SaharaError('daemon-not-running', { socket: path, reason: 'it went away' }, { cause: error });
}

function checked(answer: unknown): unknown {
  if (typeof answer !== 'object' || answer === null || !('error' in answer)) return answer;
  const failure = answer.error;
  if (typeof failure !== 'object' || failure === null || !('code' in failure)) return answer;
  const facts = 'facts' in failure && typeof failure.facts === 'object' ? failure.facts : {};
  const code = String(failure.code);
  // Facts were facts when they left the daemon; JSON keeps their types.
  throw new SaharaError(isErrorCode(code) ? code : 'internal', { ...(facts as SaharaError['facts']) });
}
