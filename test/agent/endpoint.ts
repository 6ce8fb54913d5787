import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A chat completion as a client sent it. */
interface ReceivedRequest {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: {
    readonly model: string;
    readonly stream: boolean;
    readonly seed?: number;
    readonly max_tokens?: number;
    readonly messages: readonly { readonly role: string; readonly content: string }[];
  };
}

/** What the endpoint does with one request. */
export type Script = (response: ServerResponse, request: ReceivedRequest) => void | Promise<void>;

/** A model endpoint on loopback that speaks the chat completions API over the wire. */
export interface Endpoint {
  readonly url: string;
  readonly requests: readonly ReceivedRequest[];
  /** How many responses the client closed before they ended. */
  readonly abandoned: () => number;
  close(): Promise<void>;
}

/** Starts an endpoint that answers each request by `script`. */
export async function startEndpoint(script: Script): Promise<Endpoint> {
  const requests: ReceivedRequest[] = [];
  let abandoned = 0;
  const server = createServer(async (request: IncomingMessage, response: ServerResponse) => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const received: ReceivedRequest = {
      path: request.url ?? '',
      authorization: request.headers.authorization,
      body: JSON.parse(Buffer.concat(pieces).toString()) as ReceivedRequest['body'],
    };
    requests.push(received);
    response.on('close', () => {
      if (!response.writableEnded) abandoned++;
    });
    await script(response, received);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    requests,
    abandoned: () => abandoned,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Opens a stream of server-sent events. */
export function openStream(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
}

/** Sends one piece of text, or the reason for the end. */
export function sendPiece(
  response: ServerResponse,
  content: string | undefined,
  finish: string | null = null,
): void {
  const delta = content === undefined ? {} : { content };
  const chunk = {
    id: 'c',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'm',
    choices: [{ index: 0, delta, finish_reason: finish }],
  };
  response.write(`data: ${JSON.stringify(chunk)}\n\n`);
}

/** Streams `pieces`, ends with `finish`. */
export function tell(pieces: readonly string[], finish = 'stop'): Script {
  return (response) => {
    openStream(response);
    for (const piece of pieces) sendPiece(response, piece);
    sendPiece(response, undefined, finish);
    response.end('data: [DONE]\n\n');
  };
}

/** Refuses with a status and an error body. */
export function refuse(status: number, error: object, headers: Record<string, string> = {}): Script {
  return (response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify({ error }));
  };
}
