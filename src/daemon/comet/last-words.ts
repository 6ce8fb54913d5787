/**
 * What a node's home keeps of why it does not run: read by `sahara network status` while nothing can be asked. Beside
 * CometBFT's files, and gone as soon as the node runs again.
 */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { SaharaError } from '../../base/errors.ts';

/** What was kept. */
export interface LastWords {
  /** Of the network's rules that this program does not know. */
  readonly upgrade?: { readonly height: number; readonly version: number; readonly known: number };
  /** The last lines that CometBFT wrote before it ended by itself. */
  readonly lines?: readonly string[];
}

const count = z.int().min(0);
const schema = z.strictObject({
  upgrade: z.strictObject({ height: count, version: count, known: count }).optional(),
  lines: z.array(z.string()).max(64).optional(),
});

function fileIn(folder: string): string {
  return join(folder, 'last-words.json');
}

/** Keeps why a node in `folder` ends, if it is its program's age; nothing for anything else. */
export async function leaveWord(folder: string, error: unknown): Promise<void> {
  if (!(error instanceof SaharaError) || error.code !== 'upgrade-needed') return;
  const { height, version, known } = error.facts;
  const upgrade = { height: Number(height), version: Number(version), known: Number(known) };
  await keepWords(folder, { upgrade });
}

/** Keeps what CometBFT said last. */
export async function leaveLines(folder: string, lines: readonly string[]): Promise<void> {
  await keepWords(folder, { lines });
}

/** Forgets all of it: the node runs. */
export async function forgetWords(folder: string): Promise<void> {
  await rm(fileIn(folder), { force: true });
}

/** What is kept; nothing where nothing is, or nothing that can be read. */
export async function lastWords(folder: string): Promise<LastWords> {
  try {
    const { upgrade, lines } = schema.parse(JSON.parse(await readFile(fileIn(folder), 'utf8')));
    return { ...(upgrade && { upgrade }), ...(lines && { lines }) };
  } catch {
    // It is told to people only, and a damaged file tells nothing.
    return {};
  }
}

async function keepWords(folder: string, words: LastWords): Promise<void> {
  await writeFile(fileIn(folder), `${JSON.stringify(words, undefined, 2)}\n`, { mode: 0o600 });
}
