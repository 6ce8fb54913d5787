import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { openVault, type Vault } from '../../src/vault/vault.ts';
import { textOf } from './vault-texts.ts';

const provenance = { contributor: new Uint8Array(32).fill(5), contribution: undefined, licence: '' };
const ROUNDS = 8;

/** Runs the writer from `step` until it has done `changes` and then kills it a moment later; the last step it reported. */
async function writeAndKill(folder: string, step: number, changes: number): Promise<number> {
  const program = new URL('./vault-writer.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [program, folder, String(step)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  let last = step - 1;
  for await (const line of createInterface({ input: child.stdout })) {
    last = Number(line);
    if (last - step + 1 >= changes) child.kill('SIGKILL');
  }
  await exited;
  return last;
}

/** What the first `steps` changes lead to, in a vault that was never killed. */
async function replay(steps: number): Promise<Vault> {
  const vault = await openVault({ store: createMemoryStore(), clock: systemClock });
  for (let step = 0; step < steps; step++) {
    const name = `${step % 37}.md`;
    if (step % 11 === 10) await vault.remove(name);
    else await vault.importDocument({ name, bytes: Buffer.from(textOf(step)), provenance });
  }
  return vault;
}

test('KNOW-7: after SIGKILL at any moment the vault is as some whole number of changes left it, none reported lost', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sahara-kill-'));
  try {
    let reported = -1;
    for (let round = 0; round < ROUNDS; round++) {
      reported = await writeAndKill(folder, reported + 1, 5 + 17 * (round % 3));
      const store = await openLevelStore(folder);
      const vault = await openVault({ store, clock: systemClock });
      const found = await vault.commitment();
      const question = { question: 'voucher channel3 rises', limit: 50 };
      const hits = (await vault.search(question)).hits.map(({ chunk, score }) => [chunk.text, score]);
      const candidates = [await replay(reported + 1), await replay(reported + 2)];
      const expected = await Promise.all(candidates.map((candidate) => candidate.commitment()));
      const match = expected.findIndex((commitment) => JSON.stringify(commitment) === JSON.stringify(found));
      expect(match, `round ${round}, reported ${reported}`).toBeGreaterThanOrEqual(0);
      const same = await candidates[match]?.search(question);
      expect(hits).toEqual(same?.hits.map(({ chunk, score }) => [chunk.text, score]));
      let documents = 0;
      for await (const document of vault.documents()) {
        documents++;
        expect(document.names.length).toBe(1);
      }
      expect(documents).toBe(vault.stats().documents);
      reported += match;
      await vault.close();
      await store.close();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}, 240_000);
