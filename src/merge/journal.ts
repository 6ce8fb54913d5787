/**
 * What of a merge is done, one line per tensor, beside the unfinished output. After a crash the lines say what need
 * not be done again; a torn last line is as if it had not been written.
 */
import { appendFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import type { TensorResult } from './task.ts';

/** A finished tensor. */
export interface JournalEntry {
  readonly name: string;
  readonly result: TensorResult;
}

/** Starts the journal of the plan with this id. */
export async function startJournal(path: string, id: string): Promise<void> {
  await writeFile(path, `${JSON.stringify({ id })}\n`);
}

/** Adds a finished tensor. */
export function appendJournal(path: string, entry: JournalEntry): void {
  appendFileSync(path, `${JSON.stringify(entry)}\n`);
}

/** The entries of the journal at `path`, or `undefined` when it does not exist or belongs to another plan. */
export async function readJournal(path: string, id: string): Promise<JournalEntry[] | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const lines = text.split('\n').slice(0, -1).map(parse);
  const [head, ...entries] = lines;
  if (typeof head !== 'object' || head === null || !('id' in head) || head.id !== id) return undefined;
  return entries.filter(isEntry);
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

// The program's own file; what it names is checked against the output's bytes before it is believed.
function isEntry(value: unknown): value is JournalEntry {
  return typeof value === 'object' && value !== null && 'name' in value && 'result' in value;
}
