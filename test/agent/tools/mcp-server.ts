/** A small server of the Model Context Protocol, over standard input and output or over HTTP, for the tests. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { z } from 'zod';

function createTools(): McpServer {
  const server = new McpServer({ name: 'orders', version: '1' });
  server.registerTool(
    'find_order',
    { description: 'Finds an order.', inputSchema: { number: z.int().min(1) } },
    ({ number }) => {
      if (number === 13) return { isError: true, content: [{ type: 'text', text: 'no order 13' }] };
      return { content: [{ type: 'text', text: `Order ${number} was sent on Monday.` }] };
    },
  );
  server.registerTool('delete_all', { description: 'Deletes all orders.' }, () => ({
    content: [{ type: 'text', text: 'gone' }],
  }));
  server.registerTool('crash', { description: 'Ends the server.' }, () => process.exit(1));
  return server;
}

/** Serves the tools at a URL on loopback. */
export async function serveTools(): Promise<{ readonly url: string; close(): Promise<void> }> {
  const server = createServer(async (request, response) => {
    const transport = new StreamableHTTPServerTransport({});
    await createTools().connect(transport);
    await transport.handleRequest(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The command that serves the tools over standard input and output. */
export const TOOLS_COMMAND: readonly string[] = [process.execPath, fileURLToPath(import.meta.url)];

if (process.argv[1] === fileURLToPath(import.meta.url))
  await createTools().connect(new StdioServerTransport());
