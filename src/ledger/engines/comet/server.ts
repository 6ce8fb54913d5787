/**
 * The socket at which CometBFT asks the application. It opens four connections, for consensus, its mempool, questions
 * and snapshots; each gets its answers in the order of its requests, and none waits for another. A peer that sends what
 * is no ABCI loses its connection. Nothing that is asked is an error: an exception is answered only where the program
 * itself is broken, and CometBFT then stops.
 */
import { rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { Request, Response } from 'cosmjs-types/tendermint/abci/types';
import { asSaharaError, SaharaError } from '../../../base/errors.ts';
import type { Log } from '../../../base/log.ts';
import { encodeFrame, FrameReader } from './frames.ts';
import { CONNECTIONS_MAX, REQUESTS_WAITING_MAX } from './limits.ts';

/** Where the application listens: a path, or an address of this machine. */
export type AbciAddress = { readonly path: string } | { readonly host: string; readonly port: number };

/** Parts of a server. */
export interface AbciServerParts {
  /** Answers one request. Called for one request of a connection at a time. */
  readonly answer: (request: Request) => Promise<Response>;
  /** Is told of each request as soon as it is here, while those before it are answered. */
  readonly foresee?: (request: Request) => void;
  readonly log: Log;
}

/** A listening server. */
export interface AbciServer {
  /** What CometBFT takes as `proxy_app`. */
  readonly address: string;
  /** Ends all connections and waits until no answer is under way. */
  close(): Promise<void>;
}

/** Listens at `address`. Rejects with `internal` when it is taken. */
export async function createAbciServer(parts: AbciServerParts, address: AbciAddress): Promise<AbciServer> {
  const open = new Set<Connection>();
  const server = createServer((socket) => {
    if (open.size >= CONNECTIONS_MAX) {
      parts.log.warn('too many connections to the ABCI socket');
      socket.destroy();
      return;
    }
    const connection = new Connection(parts, socket);
    open.add(connection);
    socket.on('close', () => open.delete(connection));
  });
  // What a process that was killed left would keep the next one out.
  if ('path' in address) await rm(address.path, { force: true });
  await listen(server, address);
  return {
    address: addressOf(server, address),
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const all = [...open];
      for (const connection of all) connection.end();
      await Promise.all(all.map((connection) => connection.idle()));
      await closed;
    },
  };
}

function listen(server: Server, address: AbciAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new SaharaError('internal', { reason: `the ABCI socket: ${cause.message}` }, { cause })),
    );
    server.listen(address, resolve);
  });
}

function addressOf(server: Server, address: AbciAddress): string {
  if ('path' in address) return `unix://${address.path}`;
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : address.port;
  return `tcp://${address.host}:${port}`;
}

/** One connection: its requests in order, each answered before the next is looked at. */
class Connection {
  readonly #parts: AbciServerParts;
  readonly #socket: Socket;
  readonly #frames = new FrameReader();
  readonly #waiting: Request[] = [];
  #working: Promise<void> | undefined;
  #gathering = false;

  constructor(parts: AbciServerParts, socket: Socket) {
    this.#parts = parts;
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (piece) => this.#take(piece));
    // What matters of an error is that the connection is over.
    socket.on('error', (error) => parts.log.debug('ABCI connection', { error: error.message }));
  }

  end(): void {
    this.#waiting.length = 0;
    this.#socket.destroy();
  }

  async idle(): Promise<void> {
    await this.#working;
  }

  #take(piece: Uint8Array): void {
    try {
      for (const frame of this.#frames.take(piece)) {
        const request = Request.decode(frame);
        this.#waiting.push(request);
        this.#parts.foresee?.(request);
      }
    } catch (error) {
      this.#drop(error);
      return;
    }
    if (this.#waiting.length > REQUESTS_WAITING_MAX) this.#socket.pause();
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined;
    });
  }

  async #work(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      const response = await this.#answer(next);
      if (this.#socket.destroyed) return;
      this.#gather();
      const more = this.#socket.write(encodeFrame(Response.encode(response).finish()));
      if (!more) await drained(this.#socket);
      if (this.#waiting.length <= REQUESTS_WAITING_MAX && this.#socket.isPaused()) this.#socket.resume();
    }
  }

  /** Answers that are ready in one turn of the loop go out together. */
  #gather(): void {
    if (this.#gathering) return;
    this.#gathering = true;
    this.#socket.cork();
    process.nextTick(() => {
      this.#gathering = false;
      this.#socket.uncork();
    });
  }

  async #answer(request: Request): Promise<Response> {
    try {
      return await this.#parts.answer(request);
    } catch (error) {
      const { message } = asSaharaError(error);
      this.#parts.log.error('the ledger cannot answer CometBFT', { error: message });
      return Response.fromPartial({ exception: { error: message } });
    }
  }

  #drop(error: unknown): void {
    this.#parts.log.warn('what came on the ABCI socket is no request', { error: String(error) });
    this.end();
  }
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done);
      socket.off('close', done);
      resolve();
    };
    socket.on('drain', done);
    socket.on('close', done);
  });
}
