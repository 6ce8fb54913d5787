import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { vaultKeys } from '../../src/vault/sealed/key-tree.ts';
import { openVault } from '../../src/vault/vault.ts';

const FILES = 400;
const provenance = { contributor: new Uint8Array(32).fill(5), contribution: undefined, licence: '' };

/** Runs the importer and kills it after `files` lines; what it told. */
async function importAndKill(place: string, folder: string, files: number): Promise<string[]> {
  const program = new URL('./vault-importer.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [program, place, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const told: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    if (told.push(line) === files) child.kill('SIGKILL');
  }
  await exited;
  return told;
}

test('KNOW-125: an import that was killed goes on where it was, and nothing is kept twice', async () => {
  const root = await mkdtemp(join(tmpdir(), 'sahara-import-kill-'));
  const [folder, place] = [join(root, 'papers'), join(root, 'vault')];
  try {
    await mkdir(folder);
    for (let n = 0; n < FILES; n++) {
      const name = `${String(n).padStart(4, '0')}.md`;
      await writeFile(
        join(folder, name),
        `# Paper ${n}\n\n${`Well ${n} is ${n % 7} metres deep. `.repeat(40)}\n`,
      );
    }
    const kept = new Set<string>();
    for (const kill of [1, 60, 150, Number.POSITIVE_INFINITY]) {
      const told = await importAndKill(place, folder, kill);
      // What was told to be kept is there at the next start.
      for (const line of told) {
        const [outcome = '', name = ''] = line.split(' ');
        if (kept.has(name)) expect(outcome).toBe('unchanged');
        kept.add(name);
      }
    }
    expect(kept.size).toBe(FILES);
    const keys = vaultKeys(new Uint8Array(32).fill(3));
    const store = await openLevelStore(place);
    const vault = await openVault({ store, clock: systemClock }, { keys });
    const whole = await openVault({ store: createMemoryStore(), clock: systemClock }, { keys });
    for await (const _ of whole.importPath(folder, provenance));
    expect(vault.stats().documents).toBe(FILES);
    expect(await vault.commitment()).toEqual(await whole.commitment());
    await vault.close();
    await store.close();
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}, 240_000);
