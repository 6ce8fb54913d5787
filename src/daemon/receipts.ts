/** The evidence of calls made from here: one bundle file each, named by the call, the oldest dropped at a limit. */
import { readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { point } from '../base/points.ts';

/** Bundles kept; beyond, the oldest leave, looked for once in so many savings. */
const RECEIPTS_MAX = 10_000;
const PRUNE_EVERY = 256;
let savings = 0;

const ENDING = '.bundle';

/** The file of the call whose id starts with `prefix`, if exactly one does. */
export async function findReceipt(folder: string, prefix: string): Promise<string | undefined> {
  if (!/^[0-9a-f]{4,32}$/.test(prefix)) return undefined;
  const fits = (await bundleNames(folder)).filter((name) => name.startsWith(prefix));
  return fits.length === 1 && fits[0] !== undefined ? join(folder, fits[0]) : undefined;
}

/** Path of the bundle of call `callId` (hexadecimal). */
function receiptPath(folder: string, callId: string): string {
  return join(folder, `${callId}${ENDING}`);
}

/** Keeps a bundle: whole or not at all, also across a crash. Resolves with its path. */
export async function saveReceipt(folder: string, callId: string, bundle: Uint8Array): Promise<string> {
  const path = receiptPath(folder, callId);
  const unfinished = `${path}.part`;
  await writeFile(unfinished, bundle, { mode: 0o600, flush: true });
  point('caller:bundle');
  await rename(unfinished, path);
  point('caller:bundled');
  savings += 1;
  if (savings % PRUNE_EVERY === 0) await dropOldest(folder, RECEIPTS_MAX);
  return path;
}

/** Paths of the newest bundles, the newest first. */
export async function newestReceipts(folder: string, limit: number): Promise<readonly string[]> {
  const dated = await datedReceipts(folder);
  return dated.slice(0, limit).map(({ path }) => path);
}

/** Drops the oldest bundles above the limit, and what a crash left unfinished. */
export async function pruneReceipts(folder: string, keep: number = RECEIPTS_MAX): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name.endsWith('.part')) await rm(join(folder, name), { force: true });
  }
  await dropOldest(folder, keep);
}

async function dropOldest(folder: string, keep: number): Promise<void> {
  for (const { path } of (await datedReceipts(folder)).slice(keep)) await rm(path, { force: true });
}

async function datedReceipts(
  folder: string,
): Promise<readonly { readonly path: string; readonly atMs: number }[]> {
  const paths = (await bundleNames(folder)).map((name) => join(folder, name));
  const dated = await Promise.all(paths.map(async (path) => ({ path, atMs: (await stat(path)).mtimeMs })));
  return dated.sort((a, b) => b.atMs - a.atMs);
}

async function bundleNames(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).filter((name) => name.endsWith(ENDING));
  } catch {
    return [];
  }
}
