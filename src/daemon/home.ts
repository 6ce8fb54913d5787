/**
 * The folder of one daemon: what stands where, who may read it, and whose it is. LevelDB's own lock on the store
 * decides who owns a home, because it dies with its process; `daemon.json` only says who that is.
 */
import { createHash } from 'node:crypto';
import {
  accessSync,
  chmodSync,
  constants,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { SaharaError } from '../base/errors.ts';

/** Where everything of a daemon stands. */
export interface Home {
  readonly root: string;
  /** The configuration file. */
  readonly config: string;
  /** Keys, each file 0600. */
  readonly keys: string;
  /** Ledger, money, peers: one store. */
  readonly store: string;
  /** The last head of the ledger that is known to be written, outside the store. */
  readonly headMark: string;
  /** What the payee's book has committed and the store not yet taken over; of an adopted DID, with its key behind it. */
  readonly payeeTail: string;
  /** One folder per vault. */
  readonly vaults: string;
  /** Model files by their content, and downloads under way. */
  readonly models: string;
  /** One manifest per hosted agent. */
  readonly agents: string;
  /** One evidence bundle per call made from here. */
  readonly receipts: string;
  readonly log: string;
  /** Where the admin API listens. */
  readonly socket: string;
  /** Which process runs here. */
  readonly state: string;
}

/** Longest path of a Unix socket that every system takes, bytes. */
const SOCKET_PATH_BYTES_MAX = 100;

/** The home that `environment` names: `SAHARA_HOME`, else the XDG folders. */
export function homeOf(environment: Readonly<Record<string, string | undefined>>): Home {
  const named = environment.SAHARA_HOME;
  const data = environment.XDG_DATA_HOME || join(homedir(), '.local', 'share');
  const settings = environment.XDG_CONFIG_HOME || join(homedir(), '.config');
  const root = resolve(named || join(data, 'sahara'));
  return {
    root,
    config:
      environment.SAHARA_CONFIG ||
      (named ? join(root, 'config.yaml') : join(settings, 'sahara', 'config.yaml')),
    keys: join(root, 'keys'),
    store: join(root, 'store'),
    headMark: join(root, 'ledger.head'),
    payeeTail: join(root, 'payee.tail'),
    vaults: join(root, 'vaults'),
    models: join(root, 'models'),
    agents: join(root, 'agents'),
    receipts: join(root, 'receipts'),
    log: join(root, 'daemon.log'),
    socket: socketOf(root),
    state: join(root, 'daemon.json'),
  };
}

/** Inside the home; for a home with a long path, in a folder of the user's own under the system's temporary one. */
function socketOf(root: string): string {
  const inside = join(root, 'admin.sock');
  if (Buffer.byteLength(inside) <= SOCKET_PATH_BYTES_MAX) return inside;
  const name = createHash('sha256').update(root).digest('hex').slice(0, 16);
  return join(tmpdir(), `sahara-${process.getuid?.() ?? 0}`, `${name}.sock`);
}

/** Makes the folders of `home`, 0700. Throws `home-unreadable` with `path` and `reason`. */
export function prepareHome(home: Home): void {
  ownFolder(home.root);
  for (const folder of [home.keys, home.vaults, home.models, home.agents, home.receipts]) ownFolder(folder);
  const socketFolder = resolve(home.socket, '..');
  if (socketFolder !== home.root) ownFolder(socketFolder);
}

function ownFolder(path: string): void {
  let reason: string | undefined;
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const found = statSync(path);
    const uid = process.getuid?.();
    if (!found.isDirectory()) reason = 'it is not a folder';
    else if (uid !== undefined && found.uid !== uid) reason = 'it belongs to another user';
    else {
      chmodSync(path, 0o700);
      accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
    }
  } catch (error) {
    throw new SaharaError('home-unreadable', { path, reason: reasonOf(error) }, { cause: error });
  }
  if (reason !== undefined) throw new SaharaError('home-unreadable', { path, reason });
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'EEXIST' || code === 'ENOTDIR') return 'a file stands in its place';
  if (code === 'EACCES' || code === 'EPERM') return 'this user may not read and write it';
  if (code === 'EROFS') return 'the file system is read-only';
  return error instanceof Error ? error.message : String(error);
}

/** Size from which on a log file is put aside at the next start, bytes. One earlier file is kept. */
const LOG_BYTES_MAX = 33_554_432;

/** Puts a large log file aside. */
export function rotateLog(home: Home): void {
  const size = statSync(home.log, { throwIfNoEntry: false })?.size ?? 0;
  if (size > LOG_BYTES_MAX) renameSync(home.log, `${home.log}.1`);
}

/** Says which process runs in `home`. Call it once the store is open. */
export function claimHome(home: Home, nowMs: number): void {
  const state = { pid: process.pid, startedAtMs: nowMs };
  writeFileSync(home.state, `${JSON.stringify(state)}\n`, { mode: 0o600 });
}

/** `error` with the process that holds `home`, when `error` says that its store is locked. */
export function homeInUse(home: Home, error: unknown): unknown {
  if (!(error instanceof SaharaError) || error.code !== 'store-locked') return error;
  return new SaharaError(
    'home-in-use',
    { path: home.root, pid: runningPid(home) ?? 'unknown' },
    { cause: error },
  );
}

/** The process that last claimed `home`. */
export function runningPid(home: Home): number | undefined {
  return claimOf(home)?.pid;
}

/** A start that takes longer is none any more, milliseconds: the system may have given its number to another. */
const START_MS_MAX = 600_000;

/** The process that claimed `home` a short while ago and is still there: one that is starting if it does not answer. */
export function startingPid(home: Home, nowMs: number): number | undefined {
  const claim = claimOf(home);
  return claim && Math.abs(nowMs - claim.startedAtMs) < START_MS_MAX && isAlive(claim.pid)
    ? claim.pid
    : undefined;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // It is there, but another user's.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

function claimOf(home: Home): { readonly pid: number; readonly startedAtMs: number } | undefined {
  try {
    const state: unknown = JSON.parse(readFileSync(home.state, 'utf8'));
    if (typeof state !== 'object' || state === null || !('pid' in state)) return undefined;
    const startedAtMs = 'startedAtMs' in state ? Number(state.startedAtMs) : 0;
    return typeof state.pid === 'number' ? { pid: state.pid, startedAtMs } : undefined;
  } catch {
    return undefined;
  }
}
