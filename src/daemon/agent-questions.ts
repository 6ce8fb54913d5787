/** Finds questions that an agent answers, from the headings of its documents, for an operator who names none. */
import type { Manifest } from '../agent/manifest.ts';
import { TITLE_SEPARATOR } from '../vault/chunker.ts';
import type { Vault } from '../vault/vault.ts';
import { isOpen } from '../vault/visible.ts';
import type { Ask } from './asking.ts';

/** Whose questions are looked for. */
export interface QuestionSearch {
  readonly manifest: Manifest;
  readonly did: string;
  readonly vaults: { open(name: string): Promise<Vault> };
  readonly ask: Ask;
}

/** Most questions that are found, and most that are asked to find them. */
const FOUND_MAX = 3;
const ASKED_MAX = 12;

/** Most documents of a vault, and passages of each, that are looked through for headings. */
const DOCUMENTS_MAX = 20;
const PASSAGES_MAX = 100;

/** Questions about headings of the agent's documents that it found an answer to, asked as its operator. */
export async function questionsOf(search: QuestionSearch, signal: AbortSignal): Promise<readonly string[]> {
  const { did, ask } = search;
  const found: string[] = [];
  let asked = 0;
  for (const heading of await headingsOf(search, signal)) {
    if (found.length === FOUND_MAX || asked === ASKED_MAX) break;
    asked++;
    const question = /\?$/.test(heading) ? heading : `What about ${heading}?`;
    for await (const event of ask({ agent: did, question }, signal)) {
      if (event.type === 'end' && event.finish === 'done') found.push(question);
    }
  }
  return found;
}

/** The innermost headings of the first documents, one of each document in turn. */
async function headingsOf(
  { manifest, vaults }: QuestionSearch,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const lists: string[][] = [];
  for (const name of manifest.vaults) {
    const vault = await vaults.open(name);
    let documents = 0;
    for await (const document of vault.documents()) {
      // What is found becomes an example that everybody sees.
      if (!isOpen(vault, document)) continue;
      if (documents++ === DOCUMENTS_MAX) break;
      let passages = 0;
      const headings = new Set<string>();
      for await (const { title } of vault.passages(document)) {
        signal.throwIfAborted();
        const heading = title.split(TITLE_SEPARATOR).at(-1)?.trim() ?? '';
        if (heading !== '') headings.add(heading);
        if (++passages === PASSAGES_MAX) break;
      }
      lists.push([...headings]);
    }
  }
  const longest = Math.max(0, ...lists.map((list) => list.length));
  return Array.from({ length: longest }, (_, i) => lists.flatMap((list) => list[i] ?? [])).flat();
}
