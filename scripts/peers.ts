/** Peers as separate processes in temporary homes, for the demo, the examples and the tests of whole processes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type AdminClient, createAdminClient } from '../src/daemon/admin/client.ts';
import type { StatusReport } from '../src/daemon/admin/types.ts';
import { type Home, homeOf } from '../src/daemon/home.ts';

const LAUNCHER = fileURLToPath(new URL('../bin/sahara.js', import.meta.url));
const READY_TIMEOUT_MS = 120_000;
const POLL_MS = 50;

/** What a finished command left. */
export interface Finished {
  readonly code: number | null;
  /** What killed it, if something did. */
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** One peer: its home, and its process while it runs. */
export interface Peer {
  readonly name: string;
  readonly home: Home;
  readonly client: AdminClient;
  /** Starts the daemon and resolves once it answers. Rejects with what it printed when it ends instead. */
  start(...flags: readonly string[]): Promise<StatusReport>;
  /** Starts the daemon and resolves when it ends, for starts that must fail. */
  startToEnd(...flags: readonly string[]): Promise<Finished>;
  /** Runs `sahara ...args` against this home. */
  sahara(args: readonly string[], options?: RunOptions): Promise<Finished>;
  /** SIGTERM; resolves when the process has ended. */
  stop(): Promise<Finished | undefined>;
  /** SIGKILL. */
  kill(): Promise<void>;
  readonly running: boolean;
  /** What the daemon that was started last left, once it has ended; `undefined` before the first start. */
  readonly ended: Promise<Finished> | undefined;
  /** Its process, while it runs. */
  readonly pid: number | undefined;
  /** Variables of later starts, besides those of all peers. */
  readonly environment: Record<string, string>;
  /** The program that later starts run: the launcher of this checkout, or of another version's. */
  launcher: string;
}

/** How a command runs. */
export interface RunOptions {
  /** Sees standard output as it comes. */
  readonly onOutput?: (text: string) => void;
  readonly input?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** A set of peers that are stopped and deleted together. */
export interface Peers {
  add(name: string): Promise<Peer>;
  /** Stops every process; the homes stay. */
  stop(): Promise<void>;
  /** Stops every process and deletes every home. */
  clear(): Promise<void>;
}

/** Peers in a temporary folder. `environment` holds for all of them. */
export async function createPeers(environment: Readonly<Record<string, string>> = {}): Promise<Peers> {
  const folder = await mkdtemp(join(tmpdir(), 'sahara-'));
  const peers: LocalPeer[] = [];
  return {
    async add(name) {
      const peer = new LocalPeer(name, join(folder, name), environment);
      peers.push(peer);
      return peer;
    },
    async stop() {
      await Promise.all(peers.map((peer) => peer.stop()));
    },
    async clear() {
      await Promise.all(peers.map((peer) => peer.stop()));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

class LocalPeer implements Peer {
  readonly name: string;
  readonly home: Home;
  readonly client: AdminClient;
  readonly environment: Record<string, string>;
  launcher: string = LAUNCHER;
  #ended: Promise<Finished> | undefined;
  #daemon: { readonly child: ChildProcess; readonly ended: Promise<Finished> } | undefined;

  constructor(name: string, folder: string, environment: Readonly<Record<string, string>>) {
    this.name = name;
    this.home = homeOf({ SAHARA_HOME: folder });
    this.client = createAdminClient(this.home.socket);
    this.environment = { ...environment, SAHARA_HOME: folder };
  }

  get ended(): Promise<Finished> | undefined {
    return this.#ended;
  }

  get pid(): number | undefined {
    return this.#daemon?.child.pid;
  }

  get running(): boolean {
    return this.#daemon !== undefined;
  }

  async start(...flags: readonly string[]): Promise<StatusReport> {
    const daemon = this.#spawn(['up', '--no-input', ...flags], {});
    this.#daemon = daemon;
    this.#ended = daemon.ended;
    let over: Finished | undefined;
    void daemon.ended.then((finished) => {
      over = finished;
      if (this.#daemon === daemon) this.#daemon = undefined;
    });
    const untilMs = Date.now() + READY_TIMEOUT_MS;
    while (Date.now() < untilMs) {
      if (over !== undefined) break;
      try {
        return await this.client.call('status', {});
      } catch {
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
    }
    const finished = over ?? (await this.stop());
    this.#daemon = undefined;
    throw new Error(`${this.name} did not start: ${finished?.stdout ?? ''}${finished?.stderr ?? ''}`);
  }

  startToEnd(...flags: readonly string[]): Promise<Finished> {
    return this.sahara(['up', '--no-input', ...flags]);
  }

  sahara(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
    return this.#spawn(args, options).ended;
  }

  async stop(): Promise<Finished | undefined> {
    return this.#end('SIGTERM');
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async #end(signal: NodeJS.Signals): Promise<Finished | undefined> {
    const daemon = this.#daemon;
    this.#daemon = undefined;
    daemon?.child.kill(signal);
    return daemon?.ended;
  }

  #spawn(
    args: readonly string[],
    options: RunOptions,
  ): { readonly child: ChildProcess; readonly ended: Promise<Finished> } {
    const child = spawn(process.execPath, [this.launcher, ...args], {
      env: { ...process.env, ...this.environment, ...options.environment },
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
    child.stdin?.end(options.input);
    let stdout = '';
    let stderr = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      options.onOutput?.(text);
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const ended = new Promise<Finished>((resolve) => {
      child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
    });
    return { child, ended };
  }
}
