import { readdir, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

/** A request as it came. */
export interface Asked {
  readonly path: string;
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
  readonly authorization: string | undefined;
}

/** What the server does with one request; `count` is how many came before it. */
export type Deed = (response: ServerResponse, asked: Asked, count: number) => void;

/** A file server on loopback. */
export interface FileServer {
  readonly origin: string;
  readonly asked: readonly Asked[];
  close(): Promise<void>;
}

/** Starts a server that does `deed` for every request. */
export async function startFileServer(deed: Deed): Promise<FileServer> {
  const asked: Asked[] = [];
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    const { range, authorization } = request.headers;
    const ifRange = request.headers['if-range'];
    const one: Asked = {
      path: request.url ?? '',
      range,
      authorization,
      ifRange: Array.isArray(ifRange) ? ifRange[0] : ifRange,
    };
    asked.push(one);
    deed(response, one, asked.length - 1);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    asked,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Where a range begins, or 0. */
export function startOf({ range }: Asked): number {
  return Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
}

/** How a well-behaved server is bent. */
export interface Bend {
  readonly etag?: string;
  readonly modified?: string;
  /** Closes the connection after so many bytes of the body, once `arrived` says that they are where they should be. */
  readonly cutAfter?: number;
  readonly arrived?: (bytes: number) => Promise<void>;
  /** Says so many bytes in Content-Length. */
  readonly length?: number;
}

/** Serves `content` as a good server does, with ranges, except for what `bend` says. */
export function serve(response: ServerResponse, asked: Asked, content: Uint8Array, bend: Bend = {}): void {
  const { etag, modified, cutAfter } = bend;
  const start = startOf(asked);
  const valid = asked.ifRange === undefined || asked.ifRange === etag || asked.ifRange === modified;
  const partial = start > 0 && valid;
  const headers = {
    ...(etag !== undefined && { etag }),
    ...(modified !== undefined && { 'last-modified': modified }),
  };
  if (partial && start >= content.length) {
    response.writeHead(416, { ...headers, 'content-range': `bytes */${content.length}` });
    response.end();
    return;
  }
  const body = partial ? content.subarray(start) : content;
  response.writeHead(partial ? 206 : 200, {
    ...headers,
    'content-length': bend.length ?? body.length,
    ...(partial && { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` }),
  });
  if (cutAfter === undefined || cutAfter >= body.length) response.end(body);
  else {
    response.write(body.subarray(0, cutAfter), () => {
      const there = bend.arrived?.((partial ? start : 0) + cutAfter) ?? Promise.resolve();
      void there.then(() => response.destroy());
    });
  }
}

/** Waits until a file in `folder` has so many bytes. */
export function arrivedIn(folder: string): (bytes: number) => Promise<void> {
  return async (bytes) => {
    for (;;) {
      for (const name of await readdir(folder).catch(() => [])) {
        const found = await stat(join(folder, name)).catch(() => undefined);
        if (found !== undefined && found.size >= bytes) return;
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
}

/** Refuses with a status. */
export function refuse(response: ServerResponse, status: number, headers: Record<string, string> = {}): void {
  response.writeHead(status, headers);
  response.end();
}
