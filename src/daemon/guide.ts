/**
 * The default agent: `guide` answers from the documents of this project that travel with the program. Its vault is
 * an ordinary one, brought up to date at each start.
 */
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { formatAmount, parseAmount } from '../base/amount.ts';
import type { Provenance } from '../vault/chunk.ts';
import type { Vault } from '../vault/vault.ts';

/** Name of the guide and of its vault. */
export const GUIDE = 'guide';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FILES = ['README.md', 'ARCHITECTURE.md', 'SECURITY.md'];
const FOLDERS = ['docs', 'spec'];
/** Tables of wire fields: their short phrases read as answers and are none. */
const LEFT_OUT: ReadonlySet<string> = new Set([join('spec', 'records.md')]);

/** The guide's manifest. `price` is an amount in SAHARA. */
export function guideManifest(options: { readonly price: string; readonly freeCalls: number }): string {
  const perCall = formatAmount(parseAmount(options.price) ?? 0n);
  return JSON.stringify({
    name: GUIDE,
    description: 'Knows how Sahara works: payments, the ledger, agents, vaults, the protocol.',
    skills: [
      {
        name: 'explain',
        description: 'Explains Sahara from its own documentation.',
        examples: ['How does a payee get paid if the payer disappears?', 'What is a voucher?'],
      },
    ],
    vaults: [GUIDE],
    price: { perCall, ...(options.freeCalls > 0 && { freePerCaller: { calls: options.freeCalls } }) },
    licence: 'Apache-2.0',
  });
}

/** Brings the guide's vault up to date with the program's documents. */
export async function fillGuide(vault: Vault, provenance: Provenance): Promise<void> {
  const wanted = await documents();
  for (const path of wanted) {
    const name = relative(ROOT, path);
    await vault.importDocument({ name, bytes: new Uint8Array(await readFile(path)), provenance });
  }
  const names = new Set(wanted.map((path) => relative(ROOT, path)));
  const gone: string[] = [];
  for await (const document of vault.documents())
    gone.push(...document.names.filter((name) => !names.has(name)));
  for (const name of gone) await vault.remove(name);
}

async function documents(): Promise<readonly string[]> {
  const found = FILES.map((name) => join(ROOT, name)).filter((path) => existsSync(path));
  for (const folder of FOLDERS) {
    const path = join(ROOT, folder);
    if (!existsSync(path)) continue;
    for (const entry of await readdir(path, { recursive: true, withFileTypes: true })) {
      if (entry.isFile() && entry.name.endsWith('.md')) found.push(join(entry.parentPath, entry.name));
    }
  }
  return found.filter((path) => !LEFT_OUT.has(relative(ROOT, path))).sort();
}
