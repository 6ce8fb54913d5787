/** The documents of a vault as text files that a person can read, one for each. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Vault } from '../vault/vault.ts';

const NAME_CHARACTERS_MAX = 96;

/** Writes a Markdown file for each document of `vault` into `folder`, numbered, with its headings and passages. */
export async function writeReading(vault: Vault, folder: string): Promise<void> {
  let number = 0;
  for await (const document of vault.documents()) {
    number++;
    const [name = ''] = document.names;
    const lines = [`<!-- ${name.replaceAll('--', '- -')} -->`];
    let title = '';
    for await (const passage of vault.passages(document)) {
      if (passage.title !== title) lines.push(`## ${passage.title}`);
      title = passage.title;
      lines.push(passage.text);
    }
    const safe = name.replace(/[^\p{L}\p{N}._-]+/gu, '_').slice(-NAME_CHARACTERS_MAX);
    const file = `${String(number).padStart(6, '0')}-${safe}.md`;
    await writeFile(join(folder, file), `${lines.join('\n\n')}\n`, { mode: 0o600 });
  }
}
