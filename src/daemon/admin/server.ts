/** The admin API's HTTP side: a Unix socket that only this user can open. */
import { chmod, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import type { Clock } from '../../base/clock.ts';
import { asSaharaError, type ErrorKind, SaharaError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { ADMIN_METHODS, type AdminHandlers, type AdminMethods } from './methods.ts';
import { RECOMPUTE_BODY_BYTES_MAX } from './methods-explorer.ts';

/** Largest input, bytes: a question with its context fits. */
const ADMIN_BODY_BYTES_MAX = 2_097_152;
/** Methods whose input may be larger: evidence as large as it can be. */
const LARGER_BODIES: Partial<Readonly<Record<keyof AdminMethods, number>>> = {
  'receipts.recompute': RECOMPUTE_BODY_BYTES_MAX,
};

const STATUS: Readonly<Record<ErrorKind, number>> = {
  input: 400,
  refused: 403,
  missing: 404,
  unavailable: 503,
  corrupt: 500,
  cancelled: 499,
  internal: 500,
};

/** A running admin API. */
export interface AdminServer {
  /** Takes nothing new, lets what runs end within `drainMs`, then closes. */
  stop(): Promise<void>;
}

/** What the admin API works with. */
export interface AdminServerParts {
  readonly handlers: AdminHandlers;
  readonly log: Log;
  readonly clock: Clock;
}

/** What runs now, and whether more may begin. */
interface Work {
  running: number;
  closing: boolean;
  idle: () => void;
}

/** Serves `handlers` on the Unix socket `path`, mode 0600. A socket that a killed daemon left is replaced. */
export async function createAdminServer(
  parts: AdminServerParts,
  options: { readonly path: string; readonly drainMs: number },
): Promise<AdminServer> {
  const work: Work = { running: 0, closing: false, idle: () => {} };
  const server = fastify({ bodyLimit: ADMIN_BODY_BYTES_MAX, forceCloseConnections: true });
  server.setErrorHandler((error: Error & { readonly statusCode?: number }, request, reply) => {
    if (error.statusCode === 413) {
      const facts = { what: 'request', limitBytes: request.routeOptions.bodyLimit };
      return fail(reply, new SaharaError('too-large', facts), parts.log);
    }
    const refused = error.statusCode !== undefined && error.statusCode < 500;
    fail(reply, refused ? new SaharaError('malformed', { reason: error.message }) : error, parts.log);
  });
  server.setNotFoundHandler((request, reply) => {
    fail(reply, new SaharaError('malformed', { reason: `no such method: ${request.url}` }), parts.log);
  });
  for (const name of Object.keys(ADMIN_METHODS) as (keyof AdminMethods)[])
    route(server, { ...parts, work }, name);
  await rm(options.path, { force: true });
  await server.listen({ path: options.path });
  await chmod(options.path, 0o600);
  return {
    async stop() {
      work.closing = true;
      await new Promise<void>((resolve) => {
        work.idle = resolve;
        parts.clock.after(options.drainMs, resolve);
        if (work.running === 0) resolve();
      });
      await server.close();
    },
  };
}

function route(
  server: FastifyInstance,
  parts: AdminServerParts & { readonly work: Work },
  name: keyof AdminMethods,
): void {
  const bodyLimit = LARGER_BODIES[name] ?? ADMIN_BODY_BYTES_MAX;
  server.post(`/v1/${name}`, { bodyLimit }, async (request, reply) => {
    const { work } = parts;
    if (work.closing) throw new SaharaError('overloaded', { reason: 'the daemon is stopping' });
    work.running += 1;
    const gone = new AbortController();
    reply.raw.on('close', () => {
      work.running -= 1;
      if (work.running === 0) work.idle();
      if (!reply.raw.writableFinished) gone.abort(new SaharaError('cancelled'));
    });
    const method = ADMIN_METHODS[name];
    const input = method.input.safeParse(request.body ?? {});
    if (!input.success) {
      const issue = input.error.issues[0];
      throw new SaharaError('malformed', {
        reason: `${issue?.path.join('.') || 'input'}: ${issue?.message}`,
      });
    }
    // The schema of this very name has just checked the input, which the table's type ties to its handler.
    const handler = parts.handlers[name] as (input: unknown, signal: AbortSignal) => unknown;
    const answer = handler(input.data, gone.signal);
    if (!method.stream) return (await answer) ?? {};
    reply.header('content-type', 'application/x-ndjson');
    return Readable.from(lines(answer as AsyncIterable<unknown>, parts.log));
  });
}

/** One JSON value a line. A failure is the last line: the status has long been sent. */
async function* lines(events: AsyncIterable<unknown>, log: Log): AsyncGenerator<string> {
  try {
    for await (const event of events) yield `${JSON.stringify(event)}\n`;
  } catch (error) {
    yield `${JSON.stringify({ error: failureOf(error, log) })}\n`;
  }
}

function fail(reply: FastifyReply, error: unknown, log: Log): void {
  const failure = asSaharaError(error);
  reply.status(STATUS[failure.kind]).send({ error: failureOf(failure, log) });
}

function failureOf(error: unknown, log: Log): { readonly code: string; readonly facts: object } {
  const failure = asSaharaError(error);
  if (failure.kind === 'internal')
    log.error('admin method failed', { reason: failure.message, stack: stackOf(failure) });
  return { code: failure.code, facts: failure.facts };
}

function stackOf(failure: SaharaError): string {
  const cause = failure.cause instanceof Error ? failure.cause : failure;
  return cause.stack ?? '';
}
