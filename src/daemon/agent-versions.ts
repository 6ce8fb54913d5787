/** Every manifest that an agent of this home was hosted with, numbered (AGENT-1 to AGENT-3). */
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SaharaError } from '../base/errors.ts';
import { agentKeyName } from './keys.ts';

/** One version of an agent. */
export interface AgentVersion {
  /** From 1 up. */
  readonly number: number;
  /** When it was hosted first, milliseconds since 1970. */
  readonly keptAtMs: number;
  /** The manifest as it was written. */
  readonly manifest: string;
}

/** The versions of the agents of a home. */
export interface AgentVersions {
  /** Keeps a manifest as the newest version, unless the newest is that one. Its number is returned. */
  keep(agent: string, manifest: string): Promise<number>;
  /** Newest first. */
  list(agent: string): Promise<readonly AgentVersion[]>;
  /** Forgets all of an agent's. */
  drop(agent: string): Promise<void>;
  /** Throws `usage` with what there is. */
  read(agent: string, number: number): Promise<AgentVersion>;
}

/** Most versions that are kept of one agent; the oldest go first. */
export const AGENT_VERSIONS_MAX = 100;

const SUFFIX = '.versions';

/** The folder of an agent's manifests below `agents`, and its name without `.yaml`. */
export function agentFileName(agent: string): string {
  return agentKeyName(agent).slice('agent.'.length);
}

/** Versions in folders beside the manifests in `agents`. */
export function createAgentVersions(agents: string): AgentVersions {
  const folderOf = (agent: string): string => join(agents, `${agentFileName(agent)}${SUFFIX}`);
  const pathOf = (agent: string, number: number): string => join(folderOf(agent), `${number}.yaml`);

  async function numbers(agent: string): Promise<readonly number[]> {
    const names = await readdir(folderOf(agent)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    return names
      .flatMap((name) => /^(\d{1,9})\.yaml$/.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => b - a);
  }

  async function load(agent: string, number: number): Promise<AgentVersion> {
    const path = pathOf(agent, number);
    const manifest = await readFile(path, 'utf8');
    return { number, keptAtMs: Math.round((await stat(path)).mtimeMs), manifest };
  }

  return {
    async keep(agent, manifest) {
      const [newest = 0, ...older] = await numbers(agent);
      if (newest > 0 && (await load(agent, newest)).manifest === manifest) return newest;
      await mkdir(folderOf(agent), { recursive: true, mode: 0o700 });
      const path = pathOf(agent, newest + 1);
      await writeFile(`${path}.part`, manifest, { mode: 0o600, flush: true });
      await rename(`${path}.part`, path);
      for (const old of older.slice(AGENT_VERSIONS_MAX - 2)) await rm(pathOf(agent, old), { force: true });
      return newest + 1;
    },
    async list(agent) {
      const all = await numbers(agent);
      return Promise.all(all.map((number) => load(agent, number)));
    },
    drop: (agent) => rm(folderOf(agent), { recursive: true, force: true }),
    async read(agent, number) {
      const all = await numbers(agent);
      if (all.includes(number)) return load(agent, number);
      const kept = all.length === 0 ? 'none is kept' : `there are ${all.at(-1)} to ${all[0]}`;
      throw new SaharaError('usage', { reason: `${agent} has no version ${number}: ${kept}` });
    },
  };
}
