/**
 * Tools of a Model Context Protocol server: a program that the operator starts here, or a server at a URL. What the
 * server says of its tools and what they return is untrusted text. The library is loaded when a server is first used.
 */
import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { JsonSchemaValidator, jsonSchemaValidator } from '@modelcontextprotocol/sdk/validation/types.js';
import { asSaharaError, SaharaError } from '../../base/errors.ts';
import { isTooWide } from '../llama/schema-width.ts';
import { TOOL_ABOUT_BYTES_MAX, TOOL_CALL_MS_MAX, TOOL_SCHEMA_BYTES_MAX, TOOLS_MAX } from './limits.ts';
import { type ParameterSchema, TOOL_NAME, type Tool } from './tool.ts';
import { parameterCheck } from './toolbox.ts';

/** Where a server is. */
export type McpPlace = { readonly command: readonly string[] } | { readonly url: string };

/** Which server, and which of its tools. */
export interface McpOptions {
  /** The operator's name for it, for errors. */
  readonly name: string;
  readonly place: McpPlace;
  /** Names of the tools that a model may use. Default: all. */
  readonly allow: readonly string[] | undefined;
}

/** A server that is connected when its tools are first wanted, and again after it went away. */
export interface McpServer {
  /** Throws `tool-failed` when it cannot be reached or says something that is no list of tools. */
  tools(options: { readonly signal: AbortSignal }): Promise<readonly Tool[]>;
  close(): Promise<void>;
}

const CONNECT_MS_MAX = 15_000;

/** A server of tools. `environment` is what a program that is started here is given. */
export function createMcpServer(
  options: McpOptions,
  environment: Readonly<Record<string, string>>,
): McpServer {
  let connecting: Promise<Client> | undefined;

  async function connect(): Promise<Client> {
    const { Client } = await import('@modelcontextprotocol/sdk/client/index.js');
    const client = new Client({ name: 'sahara', version: '1' }, { jsonSchemaValidator: UNCHECKED });
    client.onclose = () => {
      connecting = undefined;
    };
    await client.connect(await transportTo(options.place, environment), { timeout: CONNECT_MS_MAX });
    return client;
  }

  function client(): Promise<Client> {
    connecting ??= connect().catch((error: unknown) => {
      connecting = undefined;
      throw failed(options.name, error);
    });
    return connecting;
  }

  return {
    async tools({ signal }) {
      const connected = await client();
      const listed = await connected
        .listTools({}, { signal, timeout: TOOL_CALL_MS_MAX })
        .catch((error: unknown) => Promise.reject(failed(options.name, error)));
      const wanted = listed.tools.filter(({ name }) => options.allow?.includes(name) ?? true);
      const missing = options.allow?.find((name) => !listed.tools.some((tool) => tool.name === name));
      if (missing !== undefined) throw failed(options.name, `it has no tool ${missing}`);
      return wanted.slice(0, TOOLS_MAX).map((tool) => toolOf(options.name, connected, tool));
    },
    async close() {
      const open = connecting;
      connecting = undefined;
      await (await open?.catch(() => undefined))?.close();
    },
  };
}

/** Of a result only its text is used, so the server's schema of it, whose patterns could take for ever, is not run. */
const UNCHECKED: jsonSchemaValidator = {
  getValidator<T>(): JsonSchemaValidator<T> {
    // Nobody reads it as what the schema says.
    return (input) => ({ valid: true, data: input as T, errorMessage: undefined });
  },
};

/**
 * A server's schema without its regular expressions: one of them can be made so that a few words, which the server can
 * ask a model for, hold up the daemon for ever. The server checks for itself what it is called with.
 */
function withoutPatterns(schema: ParameterSchema): ParameterSchema {
  const plain: unknown = JSON.parse(JSON.stringify(schema), (key, value: unknown) =>
    PATTERNS.get(key) === typeof value ? undefined : value,
  );
  return plain instanceof Object ? { ...plain } : {};
}

/** By their types: a parameter that is named `pattern` has a schema. */
const PATTERNS: ReadonlyMap<string, string> = new Map([
  ['pattern', 'string'],
  ['patternProperties', 'object'],
]);

type Listed = Awaited<ReturnType<Client['listTools']>>['tools'][number];

function toolOf(server: string, client: Client, { name, description = '', inputSchema }: Listed): Tool {
  if (!TOOL_NAME.test(name)) throw failed(server, 'a tool has a name that models do not accept');
  if (JSON.stringify(inputSchema).length > TOOL_SCHEMA_BYTES_MAX)
    throw failed(server, `the schema of ${name} is too large`);
  const parameters = withoutPatterns(inputSchema);
  parameterCheck(parameters);
  if (isTooWide(parameters)) {
    throw failed(server, `the schema of ${name} has hundreds of alternatives that begin alike`);
  }
  return {
    name,
    description: description.slice(0, TOOL_ABOUT_BYTES_MAX),
    parameters,
    async run(args, { signal }) {
      const result = await client
        .callTool({ name, arguments: { ...args } }, undefined, { signal, timeout: TOOL_CALL_MS_MAX })
        .catch((error: unknown) => Promise.reject(failed(server, error)));
      const text = textOf(result);
      if (result.isError === true) throw failed(server, text);
      return text;
    },
  };
}

/** What of a result is text; other content is named. */
function textOf(result: Awaited<ReturnType<Client['callTool']>>): string {
  const content = Array.isArray(result.content) ? result.content : [];
  return content
    .map((part: { readonly type: string; readonly text?: unknown }) =>
      part.type === 'text' && typeof part.text === 'string' ? part.text : `[${part.type}]`,
    )
    .join('\n');
}

async function transportTo(place: McpPlace, env: Readonly<Record<string, string>>): Promise<Transport> {
  if ('url' in place) {
    const { StreamableHTTPClientTransport } = await import(
      '@modelcontextprotocol/sdk/client/streamableHttp.js'
    );
    return new StreamableHTTPClientTransport(new URL(place.url));
  }
  const { StdioClientTransport } = await import('@modelcontextprotocol/sdk/client/stdio.js');
  const [command = '', ...args] = place.command;
  // Its complaints are its own: they do not belong into the daemon's output.
  return new StdioClientTransport({ command, args, env: { ...env }, stderr: 'ignore' });
}

function failed(server: string, cause: unknown): SaharaError {
  if (typeof cause === 'string')
    return new SaharaError('tool-failed', { tool: server, reason: cause.slice(0, 300) });
  const known = asSaharaError(cause);
  if (known.code === 'tool-failed' || known.code === 'cancelled') return known;
  const reason = (cause instanceof Error ? cause.message : String(cause)).slice(0, 300);
  return new SaharaError('tool-failed', { tool: server, reason }, { cause });
}
