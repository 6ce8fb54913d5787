import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The program, which ends at its own point `index` in its first run (`FAIL_TEST_INDEX`), and never again. */
export async function failing(folder: string, program: string, index: number): Promise<string> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, 'failing');
  const lines = [
    '#!/bin/sh',
    `if [ ! -e "${path}.ran" ]; then : > "${path}.ran"; export FAIL_TEST_INDEX=${index}; fi`,
    `exec "${program}" "$@"`,
  ];
  await writeFile(path, `${lines.join('\n')}\n`);
  await chmod(path, 0o700);
  return path;
}
