import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { silentLog } from '../../src/base/log.ts';
import { createFileMark } from '../../src/daemon/head-mark.ts';
import { createEmbeddedLedger } from '../../src/ledger/engines/embedded.ts';
import { alice, bob, START, sequencer, suite, testGenesis } from './support.ts';

const child = fileURLToPath(new URL('./crash-child.ts', import.meta.url));

/** Runs the child until it dies; answers how many transfers it was told are in the ledger. */
async function runToDeath(folder: string, moment: string, batches: number): Promise<number> {
  const running = spawn(process.execPath, [child, folder, moment, String(batches)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  running.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    // Killed from outside, at a moment that nobody chose.
    if (moment === 'outside' && said.split('\n').length > batches) running.kill('SIGKILL');
  });
  const [, signal] = await once(running, 'close');
  expect(signal).toBe('SIGKILL');
  return said.split('\n').filter((line) => /^\d+ \d+$/.test(line)).length;
}

// The first batch is the genesis, every further one a block.
test('LEDGER-46, LEDGER-47: killed at any write, a ledger comes back whole with everything that was acknowledged', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sahara-crash-'));
  const deaths = [
    ['before', 1],
    ['during', 1],
    ['before', 2],
    ['during', 3],
    ['after', 2],
    ['during', 2],
    ['outside', 10],
  ] as const;
  let acknowledged = 0;
  for (const [moment, batches] of deaths) {
    acknowledged += await runToDeath(folder, moment, batches);
    const store = await openLevelStore(folder);
    const mark = createFileMark(`${folder}.head`);
    const parts = { suite, clock: systemClock, log: silentLog, store, mark, signer: sequencer };
    const ledger = await createEmbeddedLedger(parts, testGenesis());
    const { balance, nonce } = ledger.account(alice.publicKey);
    expect(balance).toBe(START - BigInt(nonce));
    expect(ledger.account(bob.publicKey).balance).toBe(START + BigInt(nonce));
    expect(nonce).toBeGreaterThanOrEqual(acknowledged);
    expect(await ledger.verify()).toMatchObject({ transactions: nonce, faults: [] });
    await ledger.stop();
    await store.close();
  }
  expect(acknowledged).toBeGreaterThan(0);
  await rm(folder, { recursive: true, force: true });
  await rm(`${folder}.head`, { force: true });
}, 60_000);
