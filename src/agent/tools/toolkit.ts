/** The tools of an agent, by its manifest: made once, opened for each answer with what its call may spend. */
import type { Clock } from '../../base/clock.ts';
import { SaharaError } from '../../base/errors.ts';
import type { CallsBelow } from '../calls-below.ts';
import type { ManifestTool } from '../manifest-tools.ts';
import { createAgentTool } from './agent-tool.ts';
import { createCommandTool } from './command-tool.ts';
import { TOOLS_MAX } from './limits.ts';
import { createMcpServer, type McpServer } from './mcp-tools.ts';
import type { Tool } from './tool.ts';
import { createToolbox, type Toolbox } from './toolbox.ts';

/** What tools need. */
export interface ToolKitParts {
  readonly clock: Clock;
  /** Of the daemon. Programs are given only what they need to run. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** The tools of an agent. */
export interface ToolKit {
  /**
   * The tools of one answer. Other agents are among them only where `calls` can ask any. Throws `tool-failed` for a
   * server that cannot be reached, and for two tools of one name.
   */
  open(calls: CallsBelow | undefined, options: { readonly signal: AbortSignal }): Promise<Toolbox>;
  close(): Promise<void>;
}

/** Environment variables that programs are given: the daemon's keys and tokens stay with it. */
const PASSED_ON = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR'];

/** The tools that a manifest names. */
export function createToolKit(tools: readonly ManifestTool[], parts: ToolKitParts): ToolKit {
  const environment = Object.fromEntries(
    PASSED_ON.flatMap((name) => {
      const value = parts.environment[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
  const fixed = tools.flatMap((tool) => {
    if (tool.kind !== 'function') return [];
    const { name, about, parameters, run } = tool;
    return [createCommandTool({ name, description: about, parameters }, run, environment)];
  });
  const servers = tools.flatMap((tool) => (tool.kind === 'mcp' ? [createMcpServer(tool, environment)] : []));
  const agents = tools.flatMap((tool) => (tool.kind === 'agent' ? [tool] : []));
  return {
    async open(calls, options) {
      const others =
        calls === undefined || calls.depth === 0
          ? []
          : agents.map(({ name, about, ...agent }) =>
              createAgentTool({ name, description: about }, agent, calls),
            );
      const served = await Promise.all(servers.map((server) => server.tools(options)));
      const all = [...others, ...fixed, ...served.flat()].slice(0, TOOLS_MAX);
      checkNames(all);
      return createToolbox({ tools: all, clock: parts.clock });
    },
    close: async () => {
      await Promise.all(servers.map((server: McpServer) => server.close()));
    },
  };
}

function checkNames(tools: readonly Tool[]): void {
  const names = tools.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice === undefined) return;
  const reason = 'Two tools have that name; leave one out with allow in the manifest';
  throw new SaharaError('tool-failed', { tool: twice, reason });
}
